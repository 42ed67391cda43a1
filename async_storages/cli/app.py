"""The commands, one function each."""

import asyncio
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from async_storages._version import __version__
from async_storages.cli import alembic_templates
from async_storages.cli import doctor as doctor_checks
from async_storages.errors import StorageException

__all__ = ["app"]

app = typer.Typer(
    name="async-storages", no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False
)


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


@app.command()
def doctor(
    root: Annotated[
        Path | None, typer.Option(help="A folder to use as LocalStorage: a file is written, read and deleted in it.")
    ] = None,
    s3: Annotated[
        str | None,
        typer.Option(
            metavar="BUCKET",
            help="A bucket whose server is tried: its conditions, checksums, forms, parts and ranges. "
            "Credentials are found as AWS's tools find them; 11 MiB are sent, and removed.",
        ),
    ] = None,
    endpoint_url: Annotated[str | None, typer.Option(help="The bucket's server; AWS by default.")] = None,
    region: Annotated[str | None, typer.Option(help="The bucket's region.")] = None,
) -> None:
    """Say what is installed, what is missing and how to get it; with --root or --s3, try a storage."""
    console = Console()
    console.print(doctor_checks.extras_table())
    if s3 is not None:
        _try_s3(console, s3, endpoint_url, region)
    if root is not None:
        steps = asyncio.run(doctor_checks.try_storage(root))
        console.print(doctor_checks.steps_table(root, steps))
        raise typer.Exit(0 if all(step.error is None for step in steps) else 1)


def _try_s3(console: Console, bucket: str, endpoint_url: str | None, region: str | None) -> None:
    try:
        found = asyncio.run(doctor_checks.try_s3(bucket, endpoint_url, region))
    except StorageException as error:
        typer.echo(f"{error}", err=True)
        raise typer.Exit(1) from None
    except ImportError:
        typer.echo('S3 needs its extra: run  pip install "sqlalchemy-async-storages[s3]"', err=True)
        raise typer.Exit(1) from None
    console.print(doctor_checks.capabilities_table(bucket, found))


AttributeArgument = Annotated[
    str, typer.Argument(metavar="MODULE:CLASS.ATTRIBUTE", help="A file column, such as shop.models:Product.photo.")
]
DatabaseOption = Annotated[
    str,
    typer.Option(
        metavar="URL|MODULE:ENGINE",
        help="The database: a URL with an asynchronous driver, or an AsyncEngine such as shop.db:engine.",
    ),
]
BatchOption = Annotated[int, typer.Option(min=1, help="Rows at a time.")]
ConcurrencyOption = Annotated[int, typer.Option(min=1, help="Files that are asked for at once.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@app.command()
def facts(  # noqa: PLR0917 - each is an option of the command
    attribute: AttributeArgument,
    database: DatabaseOption,
    batch: BatchOption = 500,
    concurrency: ConcurrencyOption = 16,
    every: Annotated[bool, typer.Option("--all", help="Ask for rows that have their facts, too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Fill the columns for size, type, name, hash, time and dimensions of files in rows that lack them.

    It can be stopped and run again. Exit code 1: files are missing, or could not be asked for.
    """
    walks = _row_walks()
    over = partial(walks.fill_facts, every=every)
    _walk(walks, over, attribute, database, batch=batch, concurrency=concurrency, as_json=as_json)


@app.command()
def verify(  # noqa: PLR0917 - each is an option of the command
    attribute: AttributeArgument,
    database: DatabaseOption,
    content: Annotated[bool, typer.Option(help="Read the files whose rows have a SHA-256, and compare it.")] = False,
    batch: BatchOption = 500,
    concurrency: ConcurrencyOption = 16,
    as_json: JsonOption = False,
) -> None:
    """Look whether the file of each row exists, with the size (and SHA-256) that the row tells; nothing is changed.

    Exit code 1: files are missing, wrong, or could not be asked for.
    """
    walks = _row_walks()
    over = partial(walks.verify_files, content=content)
    _walk(walks, over, attribute, database, batch=batch, concurrency=concurrency, as_json=as_json)


def _row_walks() -> Any:
    try:
        from async_storages.cli import row_walks  # noqa: PLC0415 - other commands work without SQLAlchemy
    except ImportError as error:
        typer.echo(f"{error}", err=True)
        raise typer.Exit(2) from None
    return row_walks


def _walk(
    walks: Any, over: Any, attribute: str, database: str, *, batch: int, concurrency: int, as_json: bool
) -> NoReturn:
    try:
        done = walks.walk(over, attribute, database, batch=batch, concurrency=concurrency, shows_progress=not as_json)
    except StorageException as error:
        typer.echo(f"{error}", err=True)
        raise typer.Exit(2) from None
    typer.echo(walks.as_json(done) if as_json else walks.as_text(done))
    raise typer.Exit(0 if done.is_right else 1)


@app.command("alembic-template")
def alembic_template(name: Annotated[str, typer.Argument(help="async, generic or pyproject")]) -> None:
    """Print the folder of a template: alembic init -t "$(async-storages alembic-template async)" migrations."""
    folders = alembic_templates.folders()
    if name not in folders:
        typer.echo(f"no template is called {name!r}; there are: {', '.join(folders)}", err=True)
        raise typer.Exit(2)
    typer.echo(folders[name])
