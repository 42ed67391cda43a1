"""``async-storages cp`` and ``mv``."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from async_storages._tasks import offload
from async_storages.cli.application import AppSource
from async_storages.cli.copying import Copied, check_local_file, complete_target, copy_file, version_of
from async_storages.cli.folder_copying import AfterCopy, Summary, copy_folder
from async_storages.cli.options import AppOption, JsonOption, QuietOption
from async_storages.cli.part_files import path_errors
from async_storages.cli.places import LocalPath, Place, StoredPlace, Stream, parse_place
from async_storages.cli.printing import Counter, counting, note, print_json, print_line
from async_storages.cli.removal import Removal, Removed
from async_storages.cli.running import SOMETHING_WRONG, run
from async_storages.cli.units import counted, size_text
from async_storages.errors import InvalidArgumentException, StorageException, StorageOperationException
from async_storages.ids import FileId

__all__ = ["commands"]

commands = typer.Typer()

SourceArgument = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE", help="An id such as s3:bucket/key, a path such as ./file, or -.", show_default=False
    ),
]
TargetArgument = Annotated[
    str,
    typer.Argument(
        metavar="TARGET", help="An id, a path, or -. It is a folder if it ends with a slash.", show_default=False
    ),
]
RecursiveOption = Annotated[bool, typer.Option("--recursive", "-r", help="Copy or move all files below a folder.")]
ConcurrencyOption = Annotated[int, typer.Option(min=1, max=256, help="The number of files at once.")]

_GOES_ON = "no file was left half-written; run it again: files that are there already are left as they are"
_ADVICE = "they would keep the old ids; `async-storages migrate` moves files together with their rows"


@dataclass(frozen=True, slots=True)
class _Wishes:
    """The options of cp and mv."""

    is_move: bool
    is_recursive: bool
    force: bool
    concurrency: int
    quiet: bool
    as_json: bool

    @property
    def verb(self) -> str:
        return "moved" if self.is_move else "copied"


@commands.command("cp")
def copy_command(  # noqa: PLR0917 - each is an option of the command
    source: SourceArgument,
    target: TargetArgument,
    recursive: RecursiveOption = False,
    force: Annotated[bool, typer.Option("--force", help="Replace existing files.")] = False,
    concurrency: ConcurrencyOption = 8,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
    app: AppOption = None,
) -> None:
    """Copy a file between this computer and a storage, or between storages. With --recursive, copy a folder.

    It copies type and metadata, too. It replaces an existing file only with --force. A copy appears completely or not
    at all, and its size is checked. Exit code 1: some files of a folder were not copied.
    """
    wishes = _Wishes(False, recursive, force, concurrency, quiet, as_json)
    _end(run(_copy(AppSource(app), source, target, wishes), _GOES_ON))


@commands.command("mv")
def move_command(  # noqa: PLR0917
    source: SourceArgument,
    target: TargetArgument,
    recursive: RecursiveOption = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace existing files, and move files even if rows name them.")
    ] = False,
    concurrency: ConcurrencyOption = 8,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
    app: AppOption = None,
) -> None:
    """Copy as cp does, and remove each file of the source after its copy was checked.

    Rows of a database keep the old ids. With a ledger in --app, it refuses to move files that rows name.
    """
    wishes = _Wishes(True, recursive, force, concurrency, quiet, as_json)
    _end(run(_copy(AppSource(app), source, target, wishes), _GOES_ON))


def _end(is_right: bool) -> None:
    if not is_right:
        raise typer.Exit(SOMETHING_WRONG)


async def _copy(app: AppSource, source_text: str, target_text: str, wishes: _Wishes) -> bool:
    """Copy or move. Returns False if some files failed."""
    async with app.opened() as application:
        source, target = parse_place(source_text, application), parse_place(target_text, application)
        removal = Removal(application, force=wishes.force)
        after = None
        if wishes.is_move:
            if isinstance(source, Stream) or isinstance(target, Stream):
                raise InvalidArgumentException("what comes from - or goes there cannot be moved: use cp")
            await _require_unnamed(removal, source, is_recursive=wishes.is_recursive)
            after = _removing(source, removal)
        done: Copied | Summary
        with counting(wishes.verb, quiet=wishes.quiet) as counter:
            if not wishes.is_recursive:
                done = await _copy_one(source, target, counter, wishes.force)
            elif isinstance(source, Stream) or isinstance(target, Stream):
                raise InvalidArgumentException("- is no folder: leave --recursive out")
            else:
                done = await copy_folder(
                    source, target, counter, force=wishes.force, concurrency=wishes.concurrency, after=after
                )
        if isinstance(done, Copied) and after is not None:
            try:
                await after(done)
            except StorageException as error:
                note(f"failed: {error}; the copy {done.target} is there")
                return False
    if isinstance(done, Copied):
        _print_copied(done, target, wishes)
    else:
        _print_summary(done, removal.done, wishes)
    is_whole = isinstance(done, Copied) or done.is_right
    return is_whole and not (removal.done.failed or removal.done.kept)


async def _copy_one(source: Place, target: Place, counter: Counter, force: bool) -> Copied:
    if isinstance(source, StoredPlace) and source.is_folder:
        raise InvalidArgumentException(f"{source} is a folder: say --recursive")
    if isinstance(source, LocalPath):
        await offload(check_local_file, source.path)
    exact = await complete_target(source, target)
    return await copy_file(source, exact, force=force, on_bytes=lambda size: counter.add(size=size))


def _print_copied(done: Copied, target: Place, wishes: _Wishes) -> None:
    if isinstance(target, Stream):
        return
    if wishes.as_json:
        print_json({"source": done.source, "target": done.target, "size": done.size})
    elif isinstance(target, StoredPlace) and target.storage.chooses_ids:
        print_line(done.target)
    else:
        note(f"{wishes.verb} {done.source} to {done.target}, {size_text(done.size)}", quiet=wishes.quiet)


def _print_summary(done: Summary, removed: Removed, wishes: _Wishes) -> None:
    if wishes.as_json:
        print_json({**asdict(done), **({"kept": removed.kept} if wishes.is_move else {})})
        return
    parts = [f"{wishes.verb} {counted(done.copied, 'file')}, {size_text(done.bytes)}"]
    parts += [f"{done.present} were there already"] if done.present else []
    parts += [f"{done.failed} failed"] if done.failed else []
    parts += [f"{counted(done.skipped, 'link')} to folders left out"] if done.skipped else []
    note("; ".join(parts), quiet=wishes.quiet)


# ---- moving


def _removing(source: Place, removal: Removal) -> AfterCopy:
    """Return a function that removes a file of the source after its copy."""

    async def remove(done: Copied) -> None:
        if isinstance(source, StoredPlace):
            await _require_unchanged(replace(source, key=FileId.parse(done.source).key), done)
            await removal.remove(source.storage, [FileId.parse(done.source)])
            return
        path = Path(done.source)
        await _require_unchanged(LocalPath(path, is_folder=False), done)
        with path_errors(path):
            await offload(path.unlink)

    return remove


async def _require_unchanged(place: LocalPath | StoredPlace, done: Copied) -> None:
    """Require that a file is still the one that was copied. A newer file has no copy yet."""
    if await version_of(place) != done.version:
        raise StorageOperationException("it has changed since it was copied, and stays", file_id=done.source)


async def _require_unnamed(removal: Removal, source: Place, *, is_recursive: bool) -> None:
    if not isinstance(source, StoredPlace):
        return
    if not is_recursive:
        await removal.require_unnamed([source.file()], _ADVICE)
        return
    await removal.count(source, _ADVICE)
