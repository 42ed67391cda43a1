"""Run the measurements and print them as one table, then the reports in Markdown; exit status 1 if a goal is missed."""

import sys
from collections.abc import Callable, Iterator
from functools import partial

from rich.console import Console
from rich.table import Table

from benchmarks import (
    Figure,
    dimensions,
    drain,
    fastdfs,
    gcs,
    imaging,
    import_time,
    listing,
    load,
    memory,
    moving,
    orm_load,
    presigning,
    s3,
    slow_readers,
    tracking,
    variants,
    zipping,
)
from benchmarks.reliability.report import report as reliability

MEASUREMENTS: dict[str, Callable[[], Iterator[Figure]]] = {
    "import_time": import_time.measure,
    "orm_load": orm_load.measure,
    "drain": drain.measure,
    "dimensions": dimensions.measure,
    "imaging": imaging.measure,
    "variants": variants.measure,
    "memory": memory.measure,
    "presigning": presigning.measure,
    "listing": listing.measure,
    "s3": s3.measure,
    "fastdfs": fastdfs.measure,
    "gcs": gcs.measure,
    "zipping": zipping.measure,
    "moving": moving.measure,
    "slow_readers": slow_readers.measure,
}
REPORTS: dict[str, Callable[[], Iterator[str]]] = {
    "reliability": reliability,
    "reliability_postgresql": partial(reliability, "postgresql"),
    "tracking": tracking.report,
    "load": load.report,
}


def main(names: list[str]) -> int:
    known = [*MEASUREMENTS, *REPORTS]
    if unknown := set(names) - set(known):
        print(f"unknown: {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    chosen = names or known
    missed = measure([name for name in chosen if name in MEASUREMENTS])
    for name in chosen:
        if name in REPORTS:
            print(*REPORTS[name](), sep="\n")
    return min(missed, 1)


def measure(names: list[str]) -> int:
    """Print the figures; how many goals were missed."""
    if not names:
        return 0
    table = Table("what", "measured", "goal", "")
    missed = 0
    for name in names:
        for figure in MEASUREMENTS[name]():
            mark = {None: "", True: "[green]reached[/]", False: "[red]missed[/]"}[figure.reached]
            table.add_row(figure.what, figure.measured, figure.goal, mark)
            missed += figure.reached is False
        table.add_section()
    Console(width=None if sys.stdout.isatty() else 140).print(table)
    return missed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
