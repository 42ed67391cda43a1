"""``async-storages ledger``: do the work of a ledger, by hand or from cron."""

from collections.abc import Callable, Coroutine
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from async_storages.cli.application import Application, AppSource
from async_storages.cli.options import AppOption, JsonOption, QuietOption, YesOption
from async_storages.cli.printing import note, print_json, print_line
from async_storages.cli.running import SOMETHING_WRONG, run
from async_storages.cli.standard_input import ask, require_answer
from async_storages.cli.units import counted, duration
from async_storages.errors import InvalidArgumentException

if TYPE_CHECKING:
    from async_storages.integrations.sqlalchemy import Drained, FileLedger

__all__ = ["commands"]

commands = typer.Typer(help="Look at the ledger of files, and do the work of its worker.")

_UNITS = "s, m, h, d and w, such as 15m or 7d"


@commands.command("status")
def status_command(
    max_overdue: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help=f"Exit with 1 if work has waited longer than this: {_UNITS}.", show_default=False
        ),
    ] = None,
    as_json: JsonOption = False,
    app: AppOption = None,
) -> None:
    """Print the number of files in each state, the seconds that work has waited, and file columns without an index."""
    longest = None if max_overdue is None else duration(max_overdue)
    stats = _run(app, lambda ledger: ledger.stats())
    if as_json:
        print_json(asdict(stats))
    else:
        for name, value in asdict(stats).items():
            print_line(f"{name}: {_shown(value)}")
    if longest is not None and stats.overdue > longest.total_seconds():
        raise typer.Exit(SOMETHING_WRONG)


def _shown(value: Any) -> str:
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value)) or "none"
    return f"{value:.0f} s" if isinstance(value, float) else str(value)


@commands.command("drain")
def drain_command(
    wait: Annotated[bool, typer.Option("--wait", help="Go on until no file is due.")] = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
    app: AppOption = None,
) -> None:
    """Delete the files that no row names any more, and make the waiting image variants, in one pass.

    Exit code 1: some files could not be deleted now.
    """

    async def drain(ledger: "FileLedger") -> tuple["Drained", int]:
        return await ledger.drain(wait=wait), await ledger.make_variants()

    done, made = _run(app, drain, "another pass goes on where this one was")
    text = f"{done.deleted} deleted, {done.kept} kept, {done.failed} failed"
    if made:
        text += f", {counted(made, 'variant')} made"
    _print({**asdict(done), "variants_made": made}, text, quiet=quiet, as_json=as_json)
    if done.failed:
        raise typer.Exit(SOMETHING_WRONG)


@commands.command("sweep")
def sweep_command(  # noqa: PLR0917 - each is an option of the command
    older_than: Annotated[str, typer.Option(metavar="TIME", help=f"The minimum age of the files: {_UNITS}.")] = "1d",
    inventory: Annotated[
        bool, typer.Option("--inventory", help="Also list the storages, to find unknown files.")
    ] = False,
    prefix: Annotated[
        str | None,
        typer.Option(
            help="With --inventory: check keys with this prefix, in any folder. Nobody else may store files there.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Doom the files even if they are more than ten, and a tenth of all files.")
    ] = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
    app: AppOption = None,
) -> None:
    """Find unreferenced files that no session has reported. It dooms them, and drain deletes them."""
    age = duration(older_than)

    async def sweep(ledger: "FileLedger") -> int:
        return await ledger.sweep(age, force=force, inventory=inventory, prefix=prefix)

    doomed = _run(app, sweep, "run it again")
    _print({"doomed": doomed}, f"{doomed} doomed", quiet=quiet, as_json=as_json)


@commands.command("adopt")
def adopt_command(quiet: QuietOption = False, as_json: JsonOption = False, app: AppOption = None) -> None:
    """Enter the files that rows named before there was a ledger. Doing it again changes nothing."""
    adopted = _run(app, lambda ledger: ledger.adopt(), "run it again")
    _print({"adopted": adopted}, f"{adopted} adopted", quiet=quiet, as_json=as_json)


@commands.command("owner")
def owner_command(
    take: Annotated[bool, typer.Option("--take", help="Make this database the owner of the storages.")] = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
    app: AppOption = None,
) -> None:
    """Show for each storage if it belongs to this database. Only the database that owns a storage may delete from it.

    Exit code 1: a storage belongs to another database. Use --take for a database that was moved, or that replaces a
    lost one. Never use it for a copy beside the original: each database would delete files that the other one needs.
    """
    if take:
        require_answer(yes=yes)
    owned = _run(app, lambda ledger: _own(ledger, take=take, yes=yes))
    if as_json:
        print_json(owned)
    else:
        for storage, problem in owned.items():
            print_line(f"{storage}: {problem or 'of this database'}")
    if any(owned.values()):
        raise typer.Exit(SOMETHING_WRONG)


async def _own(ledger: "FileLedger", *, take: bool, yes: bool) -> dict[str, str | None]:
    """Return the storages, each with the reason why it is not this ledger's, or None."""
    if take:
        await ask("take the storages of all file columns, whosever they were?", yes=yes)
        await ledger.take_ownership()
    return {
        repr(storage): str(problem) if problem else None
        for storage, problem in (await ledger.check_ownership()).items()
    }


# ---- what they share


def _run[Result](
    app: str | None,
    work: Callable[["FileLedger"], Coroutine[Any, Any, Result]],
    how_to_go_on: str = "nothing was changed",
) -> Result:
    source = AppSource(app)

    async def with_ledger() -> Result:
        async with source.opened() as application:
            return await work(_ledger_of(application, source.path))

    return run(with_ledger(), how_to_go_on)


def _ledger_of(application: Application, path: str | None) -> "FileLedger":
    if application.ledger is None:
        has = "there is none" if path is None else f"{path!r} is none"
        raise InvalidArgumentException(f"this command needs a FileLedger, and {has}: say --app module:ledger")
    return application.ledger


def _print(document: dict[str, Any], text: str, *, quiet: bool, as_json: bool) -> None:
    if as_json:
        print_json(document)
    else:
        note(text, quiet=quiet)
