"""Run the measurements and print them as one table; exit status 1 if a goal is missed."""

import sys
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.table import Table

from benchmarks import Figure, dimensions, fastdfs, import_time, memory, orm_load, presigning, s3, zipping

MEASUREMENTS: dict[str, Callable[[], Iterator[Figure]]] = {
    "import_time": import_time.measure,
    "orm_load": orm_load.measure,
    "dimensions": dimensions.measure,
    "memory": memory.measure,
    "presigning": presigning.measure,
    "s3": s3.measure,
    "fastdfs": fastdfs.measure,
    "zipping": zipping.measure,
}


def main(names: list[str]) -> int:
    if unknown := set(names) - set(MEASUREMENTS):
        print(f"unknown: {', '.join(unknown)}; there are {', '.join(MEASUREMENTS)}", file=sys.stderr)
        return 2
    table = Table("what", "measured", "goal", "")
    missed = 0
    for name in names or MEASUREMENTS:
        for figure in MEASUREMENTS[name]():
            mark = {None: "", True: "[green]reached[/]", False: "[red]missed[/]"}[figure.reached]
            table.add_row(figure.what, figure.measured, figure.goal, mark)
            missed += figure.reached is False
        table.add_section()
    Console(width=None if sys.stdout.isatty() else 140).print(table)
    return min(missed, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
