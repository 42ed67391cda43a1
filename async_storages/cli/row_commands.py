"""``async-storages facts`` and ``verify``: commands that go through the rows of a file column."""

from functools import partial
from typing import Annotated, Any, NoReturn

import typer

from async_storages.cli.options import DatabaseOption, JsonOption
from async_storages.cli.running import SOMETHING_WRONG, fail

__all__ = ["commands"]

commands = typer.Typer()

AttributeArgument = Annotated[
    str, typer.Argument(metavar="MODULE:CLASS.ATTRIBUTE", help="A file column, such as shop.models:Product.photo.")
]
BatchOption = Annotated[int, typer.Option(min=1, help="Rows at a time.")]
ConcurrencyOption = Annotated[int, typer.Option(min=1, help="The number of files to check at once.")]


@commands.command()
def facts(  # noqa: PLR0917 - each is an option of the command
    attribute: AttributeArgument,
    database: DatabaseOption,
    batch: BatchOption = 500,
    concurrency: ConcurrencyOption = 16,
    every: Annotated[bool, typer.Option("--all", help="Also update rows that have their facts already.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Fill the columns for size, type, name, hash, time and dimensions of files in rows that lack them.

    You may stop it and run it again. Exit code 1: files are missing, or their storage failed.
    """
    walks = _row_walks()
    over = partial(walks.fill_facts, every=every, batch=batch, concurrency=concurrency)
    _walk(walks, over, attribute, database, as_json=as_json)


@commands.command()
def verify(  # noqa: PLR0917 - each is an option of the command
    attribute: AttributeArgument,
    database: DatabaseOption,
    content: Annotated[
        bool, typer.Option(help="Read the files whose rows have a SHA-256, and compare the SHA-256.")
    ] = False,
    batch: BatchOption = 500,
    concurrency: ConcurrencyOption = 16,
    as_json: JsonOption = False,
) -> None:
    """Check that the file of each row exists and has the row's size (and SHA-256). It changes nothing.

    Exit code 1: files are missing or wrong, or their storage failed.
    """
    walks = _row_walks()
    over = partial(walks.verify_files, content=content, batch=batch, concurrency=concurrency)
    _walk(walks, over, attribute, database, as_json=as_json)


def _row_walks() -> Any:
    try:
        from async_storages.cli import row_walks  # noqa: PLC0415 - other commands work without SQLAlchemy
    except ImportError as error:
        fail(f"{error}")
    return row_walks


def _walk(walks: Any, over: Any, attribute: str, database: str, *, as_json: bool) -> NoReturn:
    done = walks.walk(over, attribute, database, summary=walks.summary, shows_progress=not as_json)
    typer.echo(walks.as_json(done) if as_json else walks.as_text(done))
    raise typer.Exit(0 if done.is_right else SOMETHING_WRONG)
