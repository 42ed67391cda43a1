"""``async-storages alembic-template``."""

from typing import Annotated

import typer

from async_storages.cli import alembic_templates
from async_storages.cli.running import fail

__all__ = ["commands"]

commands = typer.Typer()


@commands.command("alembic-template")
def alembic_template(name: Annotated[str, typer.Argument(help="The template: async, generic or pyproject.")]) -> None:
    """Print the folder of a template, for: alembic init -t "$(async-storages alembic-template async)" migrations."""
    folders = alembic_templates.folders()
    if name not in folders:
        fail(f"no template is called {name!r}; there are: {', '.join(folders)}")
    typer.echo(folders[name])
