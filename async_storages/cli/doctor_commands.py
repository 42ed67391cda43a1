"""``async-storages doctor``."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from async_storages.cli import doctor as doctor_checks
from async_storages.cli.running import SOMETHING_WRONG, fail
from async_storages.errors import StorageException

__all__ = ["commands"]

commands = typer.Typer()


@commands.command()
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
        raise typer.Exit(0 if all(step.error is None for step in steps) else SOMETHING_WRONG)


def _try_s3(console: Console, bucket: str, endpoint_url: str | None, region: str | None) -> None:
    try:
        found = asyncio.run(doctor_checks.try_s3(bucket, endpoint_url, region))
    except StorageException as error:
        fail(f"{error}", SOMETHING_WRONG)
    except ImportError:
        fail('S3 needs its extra: run  pip install "sqlalchemy-async-storages[s3]"', SOMETHING_WRONG)
    console.print(doctor_checks.capabilities_table(bucket, found))
