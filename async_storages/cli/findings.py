"""Findings of ``async-storages doctor``: each says what was looked at, what was found, and what to do."""

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
    """A finding.

    Attributes:
        check: What was looked at, such as ``"write"``.
        found: What was found, in a few words.
        level: Its weight.
        remedy: A sentence that says what to do; None if nothing is to be done.
    """

    check: str
    found: str
    level: Level = Level.OK
    remedy: str | None = None


def findings_table(subject: str, findings: Sequence[Finding]) -> Table:
    """Findings about one storage or database, for people."""
    table = Table("", "check", "found", title=escape(subject), title_justify="left")
    for each in findings:
        text = escape(each.found) + (f"\n[bold]{escape(each.remedy)}[/]" if each.remedy else "")
        table.add_row(f"[{_COLOURS[each.level]}]{each.level}[/]", escape(each.check), text)
    return table


def document_of(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """The same, for programs."""
    return [asdict(each) for each in findings]
