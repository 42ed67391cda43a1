"""Findings of ``async-storages doctor``. Each names the check, its result, and the remedy."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from rich.markup import escape
from rich.table import Table

__all__ = ["Finding", "Level", "document_of", "findings_table"]


class Level(StrEnum):
    """The weight of a finding."""

    OK = "ok"
    NOTE = "note"
    """Good to know: it works, and could be better."""
    PROBLEM = "problem"
    """It must be changed."""


_COLOURS = {Level.OK: "green", Level.NOTE: "yellow", Level.PROBLEM: "red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Attributes:
        check: The name of the check, such as ``"write"``.
        found: The result, in a few words.
        level: The weight of the finding.
        remedy: A sentence that says what to do. None if there is nothing to do.
    """

    check: str
    found: str
    level: Level = Level.OK
    remedy: str | None = None


def findings_table(subject: str, findings: Sequence[Finding]) -> Table:
    """Return the findings about one storage or database as a table, for people."""
    table = Table("", "check", "found", title=escape(subject), title_justify="left")
    for each in findings:
        text = escape(each.found) + (f"\n[bold]{escape(each.remedy)}[/]" if each.remedy else "")
        table.add_row(f"[{_COLOURS[each.level]}]{each.level}[/]", escape(each.check), text)
    return table


def document_of(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Return the findings for programs."""
    return [asdict(each) for each in findings]
