"""The command ``async-storages``: each group of commands is a module of its own, and has its line in `_GROUPS`."""

from typing import Annotated

import typer

from async_storages._version import __version__
from async_storages.cli import (
    alembic_commands,
    doctor_commands,
    file_commands,
    removal_commands,
    row_commands,
    transfer_commands,
)

__all__ = ["app"]

_GROUPS: dict[str | None, list[typer.Typer]] = {
    None: [
        file_commands.commands,
        transfer_commands.commands,
        removal_commands.commands,
        doctor_commands.commands,
        row_commands.commands,
        alembic_commands.commands,
    ],
}
"""Commands, by the word that stands before their names; None for none."""

app = typer.Typer(name="async-storages", pretty_exceptions_show_locals=False)
for _word, _groups in _GROUPS.items():
    for _commands in _groups:
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
