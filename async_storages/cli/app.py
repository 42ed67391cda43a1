"""The command ``async-storages``. Each group of commands is a module of its own, with a line in `_GROUPS`."""

from typing import Annotated

import typer

from async_storages._version import __version__
from async_storages.cli import (
    alembic_commands,
    doctor_commands,
    file_commands,
    ledger_commands,
    migrate_commands,
    removal_commands,
    row_commands,
    transfer_commands,
    variants_commands,
)

__all__ = ["app"]

_GROUPS: tuple[tuple[typer.Typer, str | None], ...] = (
    (file_commands.commands, None),
    (transfer_commands.commands, None),
    (removal_commands.commands, None),
    (doctor_commands.commands, None),
    (ledger_commands.commands, "ledger"),
    (migrate_commands.commands, "migrate"),
    (row_commands.commands, None),
    (variants_commands.commands, "variants"),
    (alembic_commands.commands, None),
)
"""Groups of commands, and the word that stands before their names; None for none."""

app = typer.Typer(name="async-storages", pretty_exceptions_show_locals=False)
for _commands, _word in _GROUPS:
    app.add_typer(_commands, name=_word)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"async-storages {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Files behind SQLAlchemy columns, asynchronously."""
