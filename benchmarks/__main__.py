"""Measure, compare with the records, and write pages: see ``python -m benchmarks --help``."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from benchmarks import cells
from benchmarks.arguments import Arguments, parse
from benchmarks.contests.all import CONTESTS
from benchmarks.measurements import MEASUREMENTS, REPORTS
from benchmarks.page import page_of_run, whole_page
from benchmarks.places import PLACES, Places
from benchmarks.quick import QUICK, Contests, compare
from benchmarks.records import Records, Row


def main(given: Sequence[str] | None = None, places: Places = PLACES, contests: Contests = CONTESTS) -> int:
    """Do what the arguments say; the exit status."""
    arguments = parse(given, [*MEASUREMENTS, *REPORTS], list(contests))
    records = Records.load(places.records)
    if arguments.write_page:
        write_page(records, places)
        return 0
    if arguments.quick:
        bad = hold({name: contests[name] for name in arguments.names}, records, is_thorough=arguments.record)
        measured, reports = [QUICK], {}
    else:
        measured = [name for name in arguments.names if name in MEASUREMENTS]
        bad = measure(measured, records)
        reports = run_reports([name for name in arguments.names if name in REPORTS])
    write_run(arguments, records.only(measured), reports)
    if arguments.record:
        record(records, reports, places)
    return min(bad, 1)


def hold(contests: Contests, records: Records, *, is_thorough: bool) -> int:
    """Hold contests, add their rows to the records, and print a line for each row; how many are regressed."""
    if elsewhere := records.elsewhere(QUICK):
        print(f"Recorded elsewhere, where ratios may differ: {'; '.join(elsewhere)}. See --record in --help.")
    regressed = []
    for change in compare(contests, records, is_thorough=is_thorough):
        recorded = "not recorded" if change.recorded is None else f"recorded {change.recorded:.3f}"
        print(f"{change.figure.what}: ratio {change.figure.ratio or 0:.3f}, {recorded}", flush=True)
        regressed += [str(change)] if change.is_regressed else []
        records.add(QUICK, change.figure)
    for line in regressed:
        print(f"REGRESSED {line}")
    return len(regressed)


def measure(names: list[str], records: Records) -> int:
    """Measure, add the figures to the records, and print them; how many goals were missed."""
    if not names:
        return 0
    table = Table("what", "ours", "peers", "ratio", "earlier", "goal")
    missed = 0
    for name in names:
        for figure in MEASUREMENTS[name]():
            row = Row(figure, ()) if figure.ours is None else records.add(name, figure)
            table.add_row(*line_of(name, row))
            missed += len(figure.missed)
        table.add_section()
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    return missed


def line_of(name: str, row: Row) -> list[str]:
    figure = row.figure
    peers = ", ".join(filter(None, [cells.best(figure), cells.others(figure)]))
    goals = (
        cells.goals(name, figure, {}).replace("**missed**", "[red]missed[/]").replace("reached", "[green]reached[/]")
    )
    return [figure.what, cells.own(figure), peers, cells.ratio(figure), cells.earlier(row), goals]


def run_reports(names: list[str]) -> dict[str, list[str]]:
    """Make the reports, and print them."""
    reports = {}
    for name in names:
        reports[name] = list(REPORTS[name]())
        print(*reports[name], sep="\n")
    return reports


def write_run(arguments: Arguments, measured: Records, reports: dict[str, list[str]]) -> None:
    """Write the files that the arguments name."""
    if arguments.json:
        arguments.json.write_text(measured.to_json(), encoding="utf-8")
    if arguments.markdown:
        arguments.markdown.write_text(page_of_run(measured, reports.values()), encoding="utf-8")


def record(records: Records, reports: dict[str, list[str]], places: Places) -> None:
    """Keep what was measured, and write the page."""
    records.save(places.records)
    today = datetime.now(UTC).date().isoformat()
    for name, lines in reports.items():
        places.report(name).write_text("\n".join([f"Measured on {today}.", *lines, ""]), encoding="utf-8")
    write_page(records, places)


def write_page(records: Records, places: Places) -> None:
    places.page.write_text(whole_page(records, places), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
