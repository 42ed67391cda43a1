"""``async-storages rm``."""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import asdict
from typing import Annotated

import typer

from async_storages.cli.application import Application, AppSource
from async_storages.cli.options import AppOption, JsonOption, QuietOption, YesOption
from async_storages.cli.places import StoredPlace, file_at, parse_place
from async_storages.cli.printing import counting, note, print_json
from async_storages.cli.removal import Removal, Removed, batches_in
from async_storages.cli.running import SOMETHING_WRONG, run
from async_storages.cli.standard_input import ask, require_answer
from async_storages.cli.units import counted, size_text
from async_storages.errors import InvalidArgumentException

__all__ = ["commands"]

commands = typer.Typer()

_ADVICE = "they would name files that are missing"


@commands.command("rm")
def remove_command(  # noqa: PLR0917 - each is an option of the command
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="ID...", help="The ids of the files, or with --recursive also folders.", show_default=False
        ),
    ],
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Remove all files below a folder.")] = False,
    yes: YesOption = False,
    force: Annotated[bool, typer.Option("--force", help="Remove files even if rows name them.")] = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
    app: AppOption = None,
) -> None:
    """Remove stored files, after asking.

    With a ledger in --app, it refuses files that rows of the database name. The ledger checks the rows again before it
    removes the other files. Exit code 1: some files were not removed.
    """
    require_answer(yes=yes)
    work = _remove_folders if recursive else _remove_files
    done = run(
        work(AppSource(app), files, yes=yes, force=force, quiet=quiet),
        "what is removed is removed; run it again for the rest",
    )
    if as_json:
        print_json(asdict(done))
    else:
        parts = [f"removed {counted(done.removed, 'file')}"]
        parts += [f"the ledger keeps {done.kept}"] if done.kept else []
        parts += [f"{done.failed} failed"] if done.failed else []
        note("; ".join(parts), quiet=quiet)
    if done.failed or done.kept:
        raise typer.Exit(SOMETHING_WRONG)


async def _remove_files(app: AppSource, texts: Sequence[str], *, yes: bool, force: bool, quiet: bool) -> Removed:
    async with app.opened() as application:
        removal = Removal(application, force=force)
        places = [file_at(text, application) for text in texts]
        for place in places:
            await place.storage.stat(place.file())
        await removal.require_unnamed([place.file() for place in places], _ADVICE)
        await ask(f"remove {', '.join(texts)}?", yes=yes)
        with counting("removed", quiet=quiet) as counter:
            for place in places:
                await removal.remove(place.storage, [place.file()])
                counter.add(files=1)
        return removal.done


async def _remove_folders(app: AppSource, texts: Sequence[str], *, yes: bool, force: bool, quiet: bool) -> Removed:
    async with app.opened() as application:
        removal = Removal(application, force=force)
        folders = [_folder_at(text, application) for text in texts]
        counts = [await removal.count(folder, _ADVICE) for folder in folders]
        files, size = sum(each for each, _ in counts), sum(each for _, each in counts)
        found = f"{counted(files, 'file')}, {size_text(size)}"
        await ask(f"remove {found}, below {', '.join(texts)}?", yes=yes or not files)
        with counting("removed", quiet=quiet) as counter:
            for folder in folders:
                async with aclosing(batches_in(folder)) as batches:
                    async for infos in batches:
                        await removal.remove(folder.storage, [folder.storage.identify(each.file_id) for each in infos])
                        counter.add(files=len(infos))
        return removal.done


def _folder_at(text: str, application: Application) -> StoredPlace:
    place = parse_place(text, application)
    if not isinstance(place, StoredPlace):
        raise InvalidArgumentException(f"{text!r} is on this computer, whose own rm removes it")
    return place
