"""``async-storages migrate``: move files to another storage, and update their rows, by hand or from a job."""

from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from async_storages.cli.apps import configured_app, imported, made
from async_storages.cli.move_progress import MoveProgress, shown_counts, shown_progress
from async_storages.cli.options import JsonOption, QuietOption, YesOption
from async_storages.cli.printing import note, print_json, print_line
from async_storages.cli.running import SOMETHING_WRONG, fail, run
from async_storages.cli.standard_input import ask, require_answer
from async_storages.cli.units import duration
from async_storages.errors import InvalidArgumentException

if TYPE_CHECKING:
    from async_storages.integrations.sqlalchemy import Migration

__all__ = ["commands"]

commands = typer.Typer(help="Move files to another storage, and update the rows that name them.")

_AGAIN = "run it again: it goes on where it was"

_AppOption = Annotated[
    str | None,
    typer.Option(
        "--app",
        metavar="MODULE:MIGRATION",
        help="Your Migration, or a function that makes it, such as shop.files:migration. "
        "By default `app` of \\[tool.async_storages] in pyproject.toml.",
        show_default=False,
    ),
]
_WorkersOption = Annotated[int, typer.Option("--workers", min=1, help="The number of files at once.")]
_LimitOption = Annotated[int | None, typer.Option(min=1, help="The largest number of files.", show_default=False)]


@commands.command("plan")
def plan_command(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count the rows, and write nothing.")] = False,
    retry: Annotated[bool, typer.Option("--retry", help="Plan missing and failed files again.")] = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
    app: _AppOption = None,
) -> None:
    """Plan to move the files that rows name in the source. Run it again if the application has stored more there."""

    async def plan(migration: "Migration", show: MoveProgress) -> Any:
        if not dry_run:
            await migration.create()
        return await migration.plan(retry=retry, dry_run=dry_run, on_progress=show)

    _run_and_report(app, plan, quiet=quiet, as_json=as_json)


@commands.command("run")
def run_command(
    workers: _WorkersOption = 8,
    limit: _LimitOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
    app: _AppOption = None,
) -> None:
    """Move the planned files. Exit code 1: some could not be moved. The command status lists them.

    Several processes may run it at once, also on several machines. You may stop it at any moment.
    """

    async def move(migration: "Migration", show: MoveProgress) -> Any:
        status = await migration.status()
        planned = status.planned + status.moving
        show.expect(planned if limit is None else min(limit, planned))
        return await migration.run(concurrency=workers, limit=limit, on_progress=show)

    _run_and_report(
        app,
        move,
        lambda moved: bool(moved.missing or moved.failed),
        quiet=quiet,
        as_json=as_json,
    )


@commands.command("status")
def status_command(
    failures: Annotated[int, typer.Option(min=0, help="List at most this many files that could not be moved.")] = 20,
    as_json: JsonOption = False,
    app: _AppOption = None,
) -> None:
    """Print the number of files in each state, the time left, and the files that could not be moved."""

    async def status(migration: "Migration", _show: MoveProgress) -> tuple[Any, list[Any]]:
        found: list[Any] = []
        async with aclosing(migration.failures()) as listed:
            async for each in listed:
                if len(found) == failures:
                    break
                found.append(each)
        return await migration.status(), found

    counts, failed = _run(app, status)
    if as_json:
        print_json({**asdict(counts), "failures": [asdict(each) for each in failed]})
        return
    for name, value in asdict(counts).items():
        print_line(f"{name}: {_shown(value)}")
    for each in failed:
        print_line(f"{each.file_id}: {each.reason}")


@commands.command("verify")
def verify_command(  # noqa: PLR0917 - each is an option of the command
    content: Annotated[bool, typer.Option("--content", help="Read the files, and compare their checksums.")] = False,
    objects: Annotated[bool, typer.Option(help="Also list the target, to find files that no row names.")] = True,
    workers: _WorkersOption = 16,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
    app: _AppOption = None,
) -> None:
    """Compare each row with its file in the target. It changes nothing. Exit code 1: a file is missing or wrong."""
    _run_and_report(
        app,
        lambda migration, show: migration.verify(
            content=content, objects=objects, concurrency=workers, on_progress=show
        ),
        lambda verified: not verified.is_right,
        quiet=quiet,
        as_json=as_json,
    )


@commands.command("rollback")
def rollback_command(
    workers: _WorkersOption = 8,
    limit: _LimitOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
    app: _AppOption = None,
) -> None:
    """Update rows to name their old files again. Exit code 1: some files could not be moved back."""
    _run_and_report(
        app,
        lambda migration, show: migration.rollback(limit=limit, concurrency=workers, on_progress=show),
        lambda done: bool(done.failed),
        quiet=quiet,
        as_json=as_json,
    )


@commands.command("finish")
def finish_command(  # noqa: PLR0917 - each is an option of the command
    older_than: Annotated[
        str, typer.Option(metavar="TIME", help="Only files that were moved at least this long ago, such as 7d.")
    ] = "0s",
    workers: _WorkersOption = 8,
    yes: YesOption = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
    app: _AppOption = None,
) -> None:
    """Delete the old files. This cannot be undone. Exit code 1: some could not be deleted, or their copy is missing."""
    age = duration(older_than)
    require_answer(yes=yes)

    async def finish(migration: "Migration", show: MoveProgress) -> Any:
        await ask(f"delete the old files in {migration.source!r}?", yes=yes)
        return await migration.finish(older_than=age, concurrency=workers, on_progress=show)

    _run_and_report(app, finish, lambda done: bool(done.failed), quiet=quiet, as_json=as_json, shows=False)


@commands.command("export-map")
def export_map_command(
    prefix: Annotated[str, typer.Option(help="The beginning of the old paths. The key follows it.")] = "/",
    app: _AppOption = None,
) -> None:
    """Print a line for each moved file, for nginx: map $uri $moved { include …; }."""

    async def export(migration: "Migration", _show: MoveProgress) -> None:
        async with aclosing(migration.nginx_map(prefix)) as lines:
            async for line in lines:
                print_line(line)

    _run(app, export)


# ---- what they share


def _run[Result](
    app: str | None, work: Callable[["Migration", MoveProgress], Coroutine[Any, Any, Result]], *, shows: bool = False
) -> Result:
    """Run the work of a command with the migration of ``--app``. Show its progress if stderr is a terminal."""
    with shown_progress(is_shown=shows) as progress:

        async def with_migration() -> Result:
            async with _opened(app) as migration:
                return await work(migration, progress)

        return run(with_migration(), _AGAIN)


@asynccontextmanager
async def _opened(said: str | None) -> AsyncGenerator["Migration"]:
    try:
        from async_storages.integrations.sqlalchemy import Migration  # noqa: PLC0415 - other commands work without it
    except ImportError as error:
        fail(f"{error}")
    path = configured_app(said)
    if path is None:
        raise InvalidArgumentException("this command needs a Migration, and there is none: say --app module:migration")
    migration = await made(imported(path), Migration, path)
    try:
        async with migration.source, migration.target:
            yield migration
    finally:
        await migration.engine.dispose()


def _run_and_report(
    app: str | None,
    work: Callable[["Migration", MoveProgress], Coroutine[Any, Any, Any]],
    is_wrong: Callable[[Any], bool] = lambda _done: False,
    *,
    quiet: bool,
    as_json: bool,
    shows: bool = True,
) -> None:
    """Run the work of a command, print its result, and end with its exit code."""
    done = _run(app, work, shows=shows and not (quiet or as_json))
    if as_json:
        print_json(asdict(done))
    else:
        note(shown_counts(done), quiet=quiet)
        for name in (
            ("missing", "wrong", "failed", "unnamed") if not isinstance(getattr(done, "missing", 0), int) else ()
        ):
            for file_id in getattr(done, name):
                note(f"{name}: {file_id}", quiet=quiet)
    if is_wrong(done):
        raise typer.Exit(SOMETHING_WRONG)


def _shown(value: Any) -> str:
    return "unknown" if value is None else f"{value:.1f}" if isinstance(value, float) else str(value)
