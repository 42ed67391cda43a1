"""Copy folders: many files, some at a time. A failed file is counted, and the others are copied."""

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from itertools import batched
from pathlib import Path, PurePosixPath
from typing import Any

from async_storages._tasks import offload
from async_storages.cli.copying import Copied, copy_file
from async_storages.cli.part_files import path_errors
from async_storages.cli.places import LocalPath, Place, StoredPlace
from async_storages.cli.printing import Counter, note
from async_storages.errors import (
    FileExistsException,
    InvalidArgumentException,
    OperationNotSupportedException,
    StorageException,
)
from async_storages.storage.capabilities import SupportsList

__all__ = ["Summary", "copy_folder", "each_bounded", "list_files", "listable"]

_BATCH = 500
"""Files of a folder that are looked for in one pass through a thread."""


_HOPELESS = 20
"""Files that may fail before any is copied: then nothing works, and the rest is not tried."""


@dataclass(slots=True)
class Summary:
    """The outcome of a copy of a folder.

    Attributes:
        copied: The number of copied files.
        bytes: The bytes of the copied files.
        present: The number of files that existed already at the target, with the same size.
        failed: The number of files that could not be copied.
        skipped: The number of links to folders. Links are not followed.
    """

    copied: int = 0
    bytes: int = 0
    present: int = 0
    failed: int = 0
    skipped: int = 0

    @property
    def is_right(self) -> bool:
        """True if all files are at the target."""
        return not self.failed


type AfterCopy = Callable[[Copied], Awaitable[object]]
"""Is called with each file that was copied."""


async def copy_folder(
    source: LocalPath | StoredPlace,
    target: LocalPath | StoredPlace,
    counter: Counter,
    *,
    force: bool,
    concurrency: int,
    after: AfterCopy | None = None,
) -> Summary:
    """Copy all files below one folder to another folder. It reports failures on stderr and counts them.

    Args:
        source: The folder.
        target: The folder of the copies. Created if it is missing.
        counter: Counts the copied files and bytes.
        force: True replaces existing files.
        concurrency: The number of files copied at once, at least 1.
        after: Called after each copy. If it fails, the copy counts as failed.

    Raises:
        InvalidArgumentException: One folder is in the other one, or the source does not exist.
        OperationNotSupportedException: The source's storage cannot list its files.
    """
    _check_apart(source, target)
    summary = Summary()
    names = _local_names(source.path, summary) if isinstance(source, LocalPath) else _stored_names(source)
    walk = _Walk(source, target, counter, summary, force, after)
    await each_bounded(names, walk.copy, concurrency)
    return summary


@dataclass(frozen=True, slots=True)
class _Walk:
    source: LocalPath | StoredPlace
    target: LocalPath | StoredPlace
    counter: Counter
    summary: Summary
    force: bool
    after: AfterCopy | None
    checked: set[Path] = field(default_factory=set)

    async def copy(self, name: str) -> None:
        """Copy the file with this name, relative to both folders."""
        try:
            source, target = _below(self.source, name), _below(self.target, name)
            if isinstance(target, LocalPath):
                await self._make_folder(target.path.parent)
            done = await self._copied(source, target)
            if done is None:
                self.summary.present += 1
                return
            if self.after is not None:
                await self.after(done)
        except StorageException as error:
            self.summary.failed += 1
            if self.summary.failed > _HOPELESS and not (self.summary.copied or self.summary.present):
                raise
            note(f"failed: {error}")
            return
        self.summary.copied += 1
        self.summary.bytes += done.size
        self.counter.add(files=1)

    async def _copied(self, source: Place, target: Place) -> Copied | None:
        """Copy a file. None if the target exists already with the same size."""
        try:
            return await copy_file(source, target, force=self.force, on_bytes=self._count)
        except FileExistsException:
            if self.after is None and await _size(source) == await _size(target):
                return None
            raise

    def _count(self, size: int) -> None:
        self.counter.add(size=size)

    async def _make_folder(self, folder: Path) -> None:
        if folder not in self.checked and isinstance(self.target, LocalPath):
            await offload(_make_within, self.target.path, folder)
            self.checked.add(folder)


def _make_within(root: Path, folder: Path) -> None:
    """Make a folder. Refuse a folder that a link moves outside the root."""
    with path_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if not folder.resolve().is_relative_to(root.resolve()):
            raise InvalidArgumentException("a link leads out of the target folder", file_id=str(folder))


async def _size(place: Place) -> int:
    if isinstance(place, StoredPlace):
        return (await place.storage.stat(place.file())).file_size
    return (await offload(os.stat, str(place))).st_size


def _below(folder: LocalPath | StoredPlace, name: str) -> LocalPath | StoredPlace:
    if isinstance(folder, StoredPlace):
        return replace(folder, key=f"{folder.folder if folder.key else ''}{name}")
    parts = name.split("/")
    if not {"", ".", ".."}.isdisjoint(parts) or (os.name == "nt" and not set(name).isdisjoint('\\:*?"<>|')):
        raise InvalidArgumentException("its name cannot be that of a path here", operation="copy", file_id=name)
    return LocalPath(folder.path.joinpath(*parts), is_folder=False)


def _check_apart(source: LocalPath | StoredPlace, target: LocalPath | StoredPlace) -> None:
    """Refuse to copy a folder into itself: that would not end."""
    if isinstance(source, LocalPath) and isinstance(target, LocalPath):
        raise InvalidArgumentException(
            f"{source} and {target}: one of the two must be in a storage, such as s3:bucket/"
        )
    if isinstance(target, StoredPlace) and target.storage.chooses_ids:
        raise InvalidArgumentException(f"{target.storage!r} chooses its ids: copy the files one by one")
    if not (isinstance(source, StoredPlace) and isinstance(target, StoredPlace)):
        return
    if source.storage is target.storage:
        one, other = (place.folder if place.key else "" for place in (source, target))
        if one.startswith(other) or other.startswith(one):
            raise InvalidArgumentException(f"{source} and {target}: one is a folder of the other")


def _local_names(root: Path, summary: Summary) -> AsyncGenerator[str]:
    """Yield the names of the files below a folder, relative to the folder."""
    if not root.is_dir():
        raise InvalidArgumentException(f"{str(root)!r} is no folder: leave --recursive out, or name a folder")

    def failed(error: OSError) -> None:
        summary.failed += 1
        note(f"failed: copy {error.filename!r}: {error.strerror}")

    def walk() -> Iterator[str]:
        for folder, folders, files in os.walk(root, onerror=failed):
            links = [each for each in folders if Path(folder, each).is_symlink()]
            summary.skipped += len(links)
            for each in links:
                note(f"skipped: {str(Path(folder, each))!r} is a link to a folder")
            for file in files:
                yield PurePosixPath(Path(folder, file).relative_to(root)).as_posix()

    return _in_thread(walk())


async def _in_thread(names: Iterator[str]) -> AsyncGenerator[str]:
    batches = batched(names, _BATCH)

    def read() -> tuple[str, ...]:
        return next(batches, ())

    while batch := await offload(read):
        for name in batch:
            yield name


async def _stored_names(folder: StoredPlace) -> AsyncGenerator[str]:
    beginning = folder.folder if folder.key else ""
    async with aclosing(list_files(folder)) as found:
        async for info in found:
            key = folder.storage.identify(info.file_id).key
            if not key.endswith("/"):  # which other tools make for folders
                yield key.removeprefix(beginning)


def listable(place: StoredPlace) -> SupportsList:
    """Return the storage of a place. It must be able to list.

    Raises:
        OperationNotSupportedException: The storage cannot list its files.
    """
    if not isinstance(place.storage, SupportsList):
        raise OperationNotSupportedException(
            f"{place.storage!r} cannot list its files: name each by its id", operation="list"
        )
    return place.storage


def list_files(folder: StoredPlace, beginning: str | None = None) -> AsyncGenerator[Any]:
    """Yield the facts of the files below a folder, or of the files whose keys begin with `beginning`, sorted by key.

    Raises:
        OperationNotSupportedException: The storage cannot list.
    """
    wanted = (folder.folder if folder.key else "") if beginning is None else beginning
    found: Any = listable(folder).list(wanted.removeprefix(folder.storage.prefix))
    generator: AsyncGenerator[Any] = found
    return generator


async def each_bounded[Item](
    items: AsyncGenerator[Item], work: Callable[[Item], Awaitable[object]], limit: int
) -> None:
    """Await ``work(item)`` for each item, at most `limit` at a time. Not more items are in memory."""
    turn = asyncio.Lock()
    end = object()

    async def work_on() -> None:
        while True:
            async with turn:
                item: Any = await anext(items, end)
            if item is end:
                return
            await work(item)

    async with aclosing(items):
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(limit):
                    group.create_task(work_on())
        except BaseExceptionGroup as failures:
            failure = failures.exceptions[0]
        else:
            return
    raise failure
