"""``async-storages doctor``."""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from async_storages.backends.local.storage import LocalStorage
from async_storages.cli import doctor as installation
from async_storages.cli.application import Application, AppSource
from async_storages.cli.doctor_storages import examine_storage
from async_storages.cli.findings import Finding, Level, document_of, findings_table
from async_storages.cli.options import AppOption, JsonOption
from async_storages.cli.printing import note, print_json
from async_storages.cli.running import SOMETHING_WRONG, fail, run
from async_storages.cli.units import counted
from async_storages.storage.base import Storage

__all__ = ["commands"]

commands = typer.Typer()

type _Examined = dict[str, list[Finding]]


@commands.command()
def doctor(  # noqa: PLR0917 - each is an option of the command
    root: Annotated[Path | None, typer.Option(help="A folder to check as LocalStorage.", show_default=False)] = None,
    s3: Annotated[
        str | None,
        typer.Option(metavar="BUCKET", help="An S3 bucket to check, with the credentials that AWS's tools find."),
    ] = None,
    endpoint_url: Annotated[str | None, typer.Option(help="The server of --s3. By default AWS.")] = None,
    region: Annotated[str | None, typer.Option(help="The region of --s3.")] = None,
    processes: Annotated[
        int,
        typer.Option(
            min=1, help="The number of processes of your application. It is used to check the number of connections."
        ),
    ] = 1,
    as_json: JsonOption = False,
    app: AppOption = None,
) -> None:
    """Check the installation, and the storages and the database of an application. Say how to repair problems.

    It writes, reads, copies and deletes files of its own. It sends up to 20 MiB to each bucket. Exit code 1: there is a
    problem.
    """
    chosen = root is not None or s3 is not None
    source = None if chosen and app is None else AppSource(app)
    examined = run(
        _examine(source, lambda: _named(root, s3, endpoint_url, region), processes), "what it wrote is removed"
    )
    if as_json:
        print_json(_document(examined))
    else:
        console = Console()
        console.print(installation.extras_table())
        for subject, findings in examined.items():
            console.print(findings_table(subject, findings))
    problems = sum(each.level is Level.PROBLEM for findings in examined.values() for each in findings)
    if problems:
        note(f"{counted(problems, 'problem')} found")
        raise typer.Exit(SOMETHING_WRONG)


def _named(root: Path | None, s3: str | None, endpoint_url: str | None, region: str | None) -> list[Storage]:
    """Return the storages that the options name."""
    storages: list[Storage] = [] if root is None else [LocalStorage(root)]
    if s3 is not None:
        try:
            from async_storages.backends.s3.storage import S3Storage  # noqa: PLC0415 - needs an extra
        except ImportError:
            fail('S3 needs its extra: run  pip install "sqlalchemy-async-storages[s3]"', SOMETHING_WRONG)
        storages.append(S3Storage(s3, endpoint_url=endpoint_url, region_name=region))
    return storages


async def _examine(source: AppSource | None, named: Any, processes: int) -> _Examined:
    async with AsyncExitStack() as opened:
        storages = [await opened.enter_async_context(storage) for storage in named()]
        application = Application() if source is None else await opened.enter_async_context(source.opened())
        examined: _Examined = {}
        for storage in [*storages, *application.storages]:
            examined[repr(storage)] = await examine_storage(storage)
        if application.engine is not None:
            from async_storages.cli.doctor_database import examine_database  # noqa: PLC0415 - needs SQLAlchemy

            subject = f"database {application.engine.url.render_as_string(hide_password=True)}"
            examined[subject] = await examine_database(application.engine, application.ledger, processes=processes)
        return examined


def _document(examined: _Examined) -> dict[str, Any]:
    return {
        "extras": [
            {"extra": extra, "needs": needed, "installed": version} for extra, needed, version in installation.extras()
        ],
        "findings": {subject: document_of(findings) for subject, findings in examined.items()},
    }
