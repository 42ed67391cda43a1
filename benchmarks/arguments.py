"""The arguments of ``python -m benchmarks``."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Arguments", "parse"]

EPILOG = """\
exit status: 0, or 1 if a goal is missed or, with --quick, a row is slower than recorded; 2 for wrong arguments.
To compare two states of the code, run "--quick --record" with the first one.
"""


@dataclass(frozen=True)
class Arguments:
    """What to measure, and where to put it.

    Attributes:
        names: The chosen measurements, reports or, with `quick`, contests.
        quick: True for the contests with recorded ratios.
        record: True to append the figures to the records, and to write the page.
        write_page: True to write the page from the records, and to measure nothing.
        json: The file for the measured rows as JSON.
        markdown: The file for the measured rows as a page.
    """

    names: list[str]
    quick: bool
    record: bool
    write_page: bool
    json: Path | None
    markdown: Path | None


def parse(given: Sequence[str] | None, measured: Sequence[str], contests: Sequence[str]) -> Arguments:
    """The arguments; wrong ones end the program with the exit status 2."""
    names = f"measurements: {', '.join(measured)}\n\nwith --quick: {', '.join(contests)}\n\n"
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure the speed and the memory of the library beside its peers. Without NAMES, measure all.",
        epilog=names + EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="one of the names below")
    parser.add_argument(
        "--quick", action="store_true", help="two minutes: find rows that are a fifth slower than recorded"
    )
    parser.add_argument("--record", action="store_true", help="append the figures to the records, and write the page")
    parser.add_argument("--write-page", action="store_true", help="only write the page from the records")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the measured rows with their history as JSON")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write them as a page in Markdown")
    options = parser.parse_args(given)
    known = contests if options.quick else measured
    if unknown := sorted(set(options.names) - set(known)):
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(known)}")
    if options.write_page and (options.names or options.quick or options.json or options.markdown):
        parser.error("--write-page measures nothing: it goes with no other argument")
    return Arguments(
        options.names or list(known),
        options.quick,
        options.record,
        options.write_page,
        options.json,
        options.markdown,
    )
