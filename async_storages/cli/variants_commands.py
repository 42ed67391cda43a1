"""``async-storages variants``: make missing image variants, and remove unneeded ones."""

from datetime import timedelta
from typing import Annotated, Any

import typer

from async_storages.cli.options import DatabaseOption, JsonOption
from async_storages.cli.running import SOMETHING_WRONG, fail

__all__ = ["commands"]

commands = typer.Typer(help="Make missing image variants, and remove unneeded ones.", no_args_is_help=True)

AttributeArgument = Annotated[
    str, typer.Argument(metavar="MODULE:CLASS.ATTRIBUTE", help="A column of images, such as shop.models:Photo.image.")
]


@commands.command()
def regenerate(  # noqa: PLR0917 - each is an option of the command
    attribute: AttributeArgument,
    database: DatabaseOption,
    only_missing: Annotated[
        bool,
        typer.Option(
            "--only-missing/--all", help="Make only missing variants, or make all and overwrite existing ones."
        ),
    ] = True,
    after: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY",
            help="Begin after the row with this primary key. Give the option once for each column of the key.",
        ),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Rows at a time.")] = 100,
    concurrency: Annotated[int, typer.Option(min=1, help="The number of images to work on at once.")] = 4,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="The number of processes that make images. By default one per CPU, at most 4."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make the missing variants of the images of a column, for example after a change of its recipes.

    You may stop it and run it again. Several processes may run it at once. Exit code 1: images are missing, damaged, or
    failed.
    """
    walks = _variant_walks()
    done = walks.regenerate(
        attribute,
        database,
        every=not only_missing,
        after=after or (),
        batch=batch,
        concurrency=concurrency,
        workers=workers,
        shows_progress=not as_json,
    )
    _tell(walks, done, as_json=as_json)


@commands.command()
def clean(  # noqa: PLR0917 - each is an option of the command
    attribute: AttributeArgument,
    database: DatabaseOption,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Remove nothing. Count and list the variants that would be removed.")
    ] = False,
    older_than: Annotated[
        float,
        typer.Option(
            metavar="HOURS", min=0, help="Remove only unneeded variants that are at least this many hours old."
        ),
    ] = 24,
    prefix: Annotated[
        str | None, typer.Option(help="List only keys with this prefix. By default the column's folder.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Remove variants of recipes that no column declares any more, and of images that are gone.

    Exit code 1: some variants could not be checked or removed.
    """
    walks = _variant_walks()
    done = walks.clean(
        attribute,
        database,
        dry_run=dry_run,
        older_than=timedelta(hours=older_than),
        prefix=prefix,
        shows_progress=not as_json,
    )
    _tell(walks, done, as_json=as_json, dry_run=dry_run)


def _variant_walks() -> Any:
    try:
        from async_storages.cli import variant_walks  # noqa: PLC0415 - other commands work without SQLAlchemy
    except ImportError as error:
        fail(f"{error}")
    return variant_walks


def _tell(walks: Any, done: Any, *, as_json: bool, dry_run: bool = False) -> None:
    typer.echo(walks.as_json(done) if as_json else walks.as_text(done, dry_run=dry_run))
    raise typer.Exit(0 if done.is_right else SOMETHING_WRONG)
