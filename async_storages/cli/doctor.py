"""The extras of the installation, for ``async-storages doctor``."""

import re
from importlib.metadata import PackageNotFoundError, requires, version

from rich.markup import escape
from rich.table import Table

__all__ = ["extras", "extras_table"]

DISTRIBUTION = "sqlalchemy-async-storages"
_REQUIREMENT = re.compile(r"([\w.-]+)(?:\[[^]]*\])?([^;]*);.*extra == ['\"](\w+)['\"]")


def extras() -> list[tuple[str, str, str | None]]:
    """Yield each extra, a package that it needs, and the installed version of the package. None if it is missing."""
    found = [_REQUIREMENT.match(requirement) for requirement in requires(DISTRIBUTION) or []]
    return [
        (each[3], f"{each[1]}{each[2].strip()}", _installed(each[1]))
        for each in found
        if each and each[1] != DISTRIBUTION and each[3] != "all"
    ]


def extras_table() -> Table:
    """Return a table of each extra with its packages, and the installed versions."""
    table = Table("extra", "needs", "installed", title=f"{DISTRIBUTION} {version(DISTRIBUTION)}", title_justify="left")
    for extra, needed, installed in extras():
        missing = f"[yellow]no:[/] pip install {escape(f'"{DISTRIBUTION}[{extra}]"')}"
        table.add_row(extra, needed, missing if installed is None else f"[green]{installed}[/]")
    return table


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
