"""Pages of rows in Markdown: the whole page of the documentation, and the page of one run."""

import re
from collections.abc import Iterable, Iterator

from benchmarks import cells
from benchmarks.places import PLACES, Places
from benchmarks.records import Records, Row

__all__ = ["page_of_run", "table", "whole_page"]

NONE_YET = "No figure of `{}` is recorded yet."
SLOT = re.compile(r"^\{\{ (\w+)(?: (\w+))?(?:: (.+?))? \}\}$", re.MULTILINE)
"""``{{ rows s3: put|get }}``: rows of a measurement whose names match; ``{{ report NAME }}``; ``{{ machines }}``."""


def whole_page(records: Records, places: Places = PLACES) -> str:
    """The template with all its slots filled.

    Raises:
        ValueError: A row has no slot in the template, or several.
    """
    taken: list[tuple[str, str]] = []

    def fill(slot: re.Match[str]) -> str:
        kind, name, pattern = slot.groups()
        if kind == "report":
            return places.report(name).read_text(encoding="utf-8").strip()
        if kind == "machines":
            return "\n".join(machines(records))
        found = [row for what, row in records.rows.get(name, {}).items() if re.search(pattern or "", what)]
        taken.extend((name, row.figure.what) for row in found)
        return "\n".join(table(name, found)) if found else NONE_YET.format(name)

    filled = SLOT.sub(fill, places.template.read_text(encoding="utf-8"))
    rows = [(name, what) for name, each in records.rows.items() for what in each]
    if wrong := [row for row in rows if taken.count(row) != 1]:
        raise ValueError(f"{places.template} needs one slot for each row, but has none or several for {wrong}")
    return filled


def page_of_run(records: Records, reports: Iterable[Iterable[str]] = ()) -> str:
    """The rows of one run with their history, a section for each measurement, and its reports."""
    lines = ["# Benchmarks"]
    for name, rows in records.rows.items():
        lines += ["", f"## {name}", "", *table(name, list(rows.values()))]
    for report in reports:
        lines += ["", *report]
    return "\n".join([*lines, ""])


def table(name: str, rows: list[Row]) -> Iterator[str]:
    """The rows, without the columns that would be empty, and the reasons of misses."""
    reasons: dict[str, int] = {}
    columns = {
        "row": [row.figure.what for row in rows],
        "ours": [cells.own(row.figure) for row in rows],
        "best peer": [cells.best(row.figure) for row in rows],
        "other peers": [cells.others(row.figure) for row in rows],
        "ratio": [cells.ratio(row.figure) for row in rows],
        "earlier": [cells.earlier(row) for row in rows],
        "goal": [cells.goals(name, row.figure, reasons) for row in rows],
        "measured": [row.last.date for row in rows],
    }
    kept = {title: texts for title, texts in columns.items() if any(texts)}
    yield f"| {' | '.join(kept)} |"
    yield f"| {' | '.join('--:' if title == 'ratio' else '---' for title in kept)} |"
    yield from (f"| {' | '.join(texts)} |" for texts in zip(*kept.values(), strict=True))
    if reasons:
        yield ""
        yield from (f"{number}. {why}" for why, number in reasons.items())


def machines(records: Records) -> Iterator[str]:
    """A line for each day and machine that a shown figure is from, with all versions."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for rows in records.rows.values():
        for row in rows.values():
            found.setdefault((row.last.date, row.last.machine), {}).update(row.last.versions)
    yield "| measured | machine | versions |"
    yield "| --- | --- | --- |"
    for (date, machine), versions in sorted(found.items(), reverse=True):
        yield f"| {date} | {machine} | {', '.join(f'{name} {each}' for name, each in sorted(versions.items()))} |"
