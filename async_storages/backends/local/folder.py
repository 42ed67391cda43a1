"""A folder of files by key. All its methods block, so `LocalStorage` calls them in threads.

```
<root>/reports/q3.pdf               the file, as it is
<root>/.async_storages/drafts/…     files still being written
<root>/.async_storages/meta/…       type and metadata, unless the file's name tells them
<root>/.async_storages/lock         held for the moment in which a file appears, changes or goes
<root>/mount/.async_storages-…      a draft on another file system that is mounted below the root
```

No key leads out of the root. Symbolic links below the root are not followed. This does not protect against local users
who can replace folders by links during an operation: such users can write the files anyway.
"""

import errno
import os
import re
import secrets
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from io import BufferedReader, BufferedWriter
from pathlib import Path
from typing import Literal

from async_storages.backends.local.folder_errors import link_in_the_way, translated, without_path
from async_storages.backends.local.mounts import RESERVED_NAME, copy_beside, name_beside, sweep_beside
from async_storages.backends.local.paths import own_path
from async_storages.backends.local.sidecars import Description, Descriptions, describe
from async_storages.errors import (
    FileExistsException,
    FileNotFoundException,
    InvalidArgumentException,
    StorageOperationException,
)

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    fcntl = None  # type: ignore[assignment] # its only uses ask for None

__all__ = ["PRIVATE", "Draft", "Folder", "version"]

PRIVATE = ".async_storages"
"""The private folder below the root. It holds no files of users."""

_MAY_BE_PRIVATE = re.compile(r"(?![A-Za-z0-9][ -}]*\Z)")
"""Names that a file system may take for `PRIVATE`: others begin with a letter or digit, and are ASCII without ``~``."""

_DEAD_DRAFT = 24 * 3600
"""Seconds after its last write at which a draft counts as left by a killed process."""


@dataclass(slots=True)
class Draft:
    """A file that is being written. It exists before any file is opened, so that it can always be discarded.

    Attributes:
        path: The path of the draft.
        key: The key of the finished file.
        overwrite: True if it may replace a file.
        opened: The exit stack that closes `file`.
        file: The open file, once started; None before.
        created: The version of the new file, once committed. None if it replaced a file.
    """

    path: Path
    key: str
    overwrite: bool
    opened: ExitStack = field(default_factory=ExitStack)
    file: BufferedWriter | None = field(default=None, repr=False)
    created: tuple[int, ...] | None = None


class Folder:
    """A folder of files. The module describes the layout.

    Args:
        root: The folder. The first write creates it, with its parents.
        fsync: True flushes a file and its folders to the disk before the write returns.
    """

    def __init__(self, root: Path, *, fsync: bool) -> None:
        self._root = own_path(root)
        self._fsync = fsync
        self._drafts = self._root / PRIVATE / "drafts"
        self._meta = self._root / PRIVATE / "meta"
        self._lock = self._root / PRIVATE / "lock"
        self._descriptions = Descriptions(self._meta, self._drafts, self._flush)
        self._is_swept = False
        self._thread_lock = threading.Lock()

    # ---- existing files

    def open(self, key: str, opened: ExitStack) -> tuple[BufferedReader, os.stat_result]:
        """Open a file for reading.

        Args:
            key: The key.
            opened: Closes the file. The caller makes it before it can be cancelled.
        """
        with translated():
            file = opened.enter_context(self._existing(key)[0].open("rb"))
            return file, os.fstat(file.fileno())

    def open_described(self, key: str, opened: ExitStack) -> tuple[BufferedReader, Description]:
        """Open a file as `open` does. Return it with the description of the open version."""
        with translated(), self._locked(shared=True):
            file, found = self.open(key, opened)
            return file, self._descriptions.find(key, found)

    def read(self, file: BufferedReader, size: int) -> bytes:
        """Return the next `size` bytes, fewer only at the end."""
        with translated():
            return file.read(size)

    def stat(self, key: str) -> tuple[os.stat_result, Description]:
        """Return the file system's facts of a file, and its description."""
        with translated(), self._locked(shared=True):
            found = self._existing(key)[1]
            return found, self._descriptions.find(key, found)

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the sorted keys that begin with `prefix`. Memory holds only the names in the folders on the path.

        The walk begins in the folder of the prefix, as higher folders may hold very many other names.
        """
        first = self._folder_of(prefix)
        waiting = [] if first is None else [iter([first])]
        while waiting:
            name = next(waiting[-1], None)
            if name is None:
                waiting.pop()
            elif name == first or name.endswith("/"):
                waiting.append(iter(self._sorted_names(name, prefix)))
            else:
                yield name

    def _sorted_names(self, folder: str, prefix: str) -> list[str]:
        """Return the keys in one folder, sorted. Its folders end with a slash, as their keys sort that way."""
        found = []
        with translated(), suppress(FileNotFoundError, NotADirectoryError), os.scandir(self._root / folder) as entries:
            for entry in entries:
                key = folder + entry.name
                is_file = key.startswith(prefix) and entry.is_file(follow_symlinks=False)
                if is_file and not RESERVED_NAME.fullmatch(entry.name):
                    found.append(key)
                if entry.is_dir(follow_symlinks=False) and key != PRIVATE and _agree(f"{key}/", prefix):
                    found.append(f"{key}/")
        return sorted(found)

    def _folder_of(self, prefix: str) -> str | None:
        """Return the folder of a prefix. None if it leads through links, out of the root, or to a private folder."""
        folder = ""
        for part in [] if os.name == "nt" else prefix.split("/")[:-1]:  # there it can mean a drive
            folder += part
            if part in {"", ".", ".."} or folder == PRIVATE:
                return None
            try:
                if not stat.S_ISDIR(os.lstat(self._root / folder).st_mode):
                    return None
            except (OSError, ValueError):  # there is none; or no path can be so
                return None
            folder += "/"
        return folder

    # ---- writing

    def draft(self, key: str, *, overwrite: bool) -> Draft:
        """Return a draft of a file, without I/O."""
        return Draft(self._drafts / secrets.token_hex(16), key, overwrite)

    def start(self, draft: Draft) -> None:
        """Open a draft. Refuse a key at once if it could not be committed later."""
        with translated(StorageOperationException):
            self._open_draft(draft)
            self._is_taken(self._path(draft.key), overwrite=draft.overwrite)

    def _open_draft(self, draft: Draft) -> BufferedWriter:
        if draft.file is None:
            draft.file = draft.opened.enter_context(self._open_private(draft.path, "xb"))
        return draft.file

    def append(self, draft: Draft, chunk: bytes) -> None:
        """Write the next bytes of a draft."""
        with translated(StorageOperationException):
            self._open_draft(draft).write(chunk)

    def commit(self, draft: Draft, description: Description, last: bytes = b"") -> None:
        """Turn the draft into the file of its key, in one step. Open it first if it was not started.

        Args:
            draft: The draft.
            description: The description to keep beside the file. Empty for none.
            last: The end of the content, if `append` has not written it.
        """
        with translated(StorageOperationException):
            file = self._open_draft(draft)
            file.write(last)
            self._flush(file)
            draft.opened.close()
            # the kernel's time stamps stand still for milliseconds, in which a file can be replaced twice
            os.utime(draft.path, ns=(time.time_ns(), time.time_ns()))
            try:
                self._appear(draft, description)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                self._bring_over(draft)
                self._appear(draft, description)
            if self._fsync:
                self._flush_folders(draft.key)

    def _appear(self, draft: Draft, description: Description) -> None:
        with self._locked():
            path, written = self._path(draft.key), draft.path.stat()
            if not self._is_taken(path, overwrite=draft.overwrite):
                draft.created = version(written)
            self._publish(draft, path, written, description)

    def _bring_over(self, draft: Draft) -> None:
        """Copy a draft to the file system of its target. The copy becomes the draft."""
        target = self._path(draft.key)
        beside = name_beside(target)
        with ExitStack() as undo:
            undo.callback(self._remove_beside, beside)
            with ExitStack() as opened:
                with self._locked():  # nobody removes the folder before a file is in it
                    target.parent.mkdir(parents=True, exist_ok=True)
                    file = opened.enter_context(beside.open("xb"))
                copy_beside(draft.path, file, self._flush)
            os.utime(beside, ns=(time.time_ns(), time.time_ns()))
            draft.path.unlink()
            draft.path = beside
            undo.pop_all()
        with suppress(OSError):
            sweep_beside(target.parent, _DEAD_DRAFT)

    def _remove_beside(self, path: Path) -> None:
        with suppress(OSError):
            path.unlink()
        self._prune(path)

    def _publish(self, draft: Draft, path: Path, written: os.stat_result, description: Description) -> None:
        before = self._descriptions.read(draft.key)
        entries = [describe(written, description)] if description or before else []
        if entries:
            self._descriptions.write(draft.key, [*before, *entries])
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            draft.path.replace(path)
        except OSError:
            self._prune(path)
            with suppress(OSError):
                self._descriptions.write(draft.key, before)
            raise
        with suppress(OSError):  # the file is there: the rest only tidies up
            if before:
                self._descriptions.write(draft.key, entries if description else [])

    def discard(self, draft: Draft) -> None:
        """Undo a draft whose writing failed or was cancelled, at any point."""
        with suppress(OSError):  # closing flushes, which fails again where writing failed
            draft.opened.close()
        if draft.created is not None:
            self.remove(draft.key, only=draft.created)
        if draft.path.parent == self._drafts:
            with suppress(OSError):  # a rest is swept later: the first error counts
                draft.path.unlink()
        else:
            self._remove_beside(draft.path)

    # ---- changes

    def describe(self, key: str, change: Description) -> None:
        """Change the description of a file."""
        with translated():
            self._existing(key)  # before locking, which would make the root
            with self._locked():
                found = self._existing(key)[1]
                description = {**self._descriptions.find(key, found), **change}
                self._descriptions.write(key, [describe(found, description)])

    def remove(self, key: str, *, only: tuple[int, ...] | None = None) -> None:
        """Delete a file, its description, and its folders if they are empty then. A missing file is not an error.

        Args:
            key: The key.
            only: The `version` to delete. A file of another version stays. None deletes any version.
        """
        with suppress(FileNotFoundException), translated():
            self._existing(key)
            with self._locked():
                path, found = self._existing(key)
                if only in {None, version(found)}:
                    path.unlink()
                    self._prune(path)
                    with suppress(OSError):  # the file is gone: the rest only tidies up
                        self._descriptions.write(key, [])

    # ---- below

    def _path(self, key: str) -> Path:
        parts = key.split("/")
        if _MAY_BE_PRIVATE.match(parts[0]) and self._is_private(parts[0]):
            raise InvalidArgumentException(f"the folder {PRIVATE!r} holds no files: give another key")
        if RESERVED_NAME.fullmatch(parts[-1]):
            raise InvalidArgumentException(f"{parts[-1]!r} is a name of unfinished files: give another key")
        if os.name == "nt" and ":" in key:
            raise InvalidArgumentException("a colon leads out of the folder on Windows: give another key")
        self._refuse_links(*parts[:-1])
        return self._root / key

    def _is_private(self, name: str) -> bool:
        return name.casefold() == PRIVATE or _is_same(self._root / name, self._root / PRIVATE)

    def _refuse_links(self, *parts: str) -> None:
        if os.name == "posix":
            path = str(self._root)
            with suppress(OSError):  # where nothing is, nothing below it is
                for part in parts:
                    path = f"{path}/{part}"
                    if stat.S_ISLNK(os.lstat(path).st_mode):
                        raise link_in_the_way()
            return
        expected = Path(os.path.realpath(self._root)).joinpath(*parts)
        if Path(os.path.realpath(self._root.joinpath(*parts))) != expected:
            raise link_in_the_way()

    def _existing(self, key: str) -> tuple[Path, os.stat_result]:
        path = self._path(key)
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode):
            raise link_in_the_way()
        if not stat.S_ISREG(found.st_mode):
            raise FileNotFoundException("no such file")
        return path, found

    def _is_taken(self, path: Path, *, overwrite: bool) -> bool:
        """Return True if there is a file that a draft may replace. Raise if the key cannot be used."""
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            return False
        except NotADirectoryError as error:
            raise FileExistsException("a part of the key's folder is a file") from without_path(error)
        if stat.S_ISLNK(mode):
            raise link_in_the_way()
        if stat.S_ISDIR(mode):
            raise FileExistsException("the key is a folder of other files")
        if not (overwrite and stat.S_ISREG(mode)):
            raise FileExistsException("the key is taken")
        return True

    def _parents(self, path: Path) -> Iterator[Path]:
        """Return the folders that hold `path`, from the inside out, without the root."""
        for parent in path.relative_to(self._root).parents[:-1]:
            yield self._root / parent

    def _prune(self, path: Path) -> None:
        """Delete the empty folders of a file."""
        for parent in self._parents(path):
            with suppress(OSError):  # not empty, or never made
                parent.rmdir()

    def _flush(self, file: BufferedWriter) -> None:
        file.flush()
        if self._fsync:
            os.fsync(file.fileno())

    def _flush_folders(self, key: str) -> None:
        for folder in (self._meta, self._root, *self._parents(self._path(key))):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _open_private(self, path: Path, mode: Literal["xb", "ab"]) -> BufferedWriter:
        """Open a file of this library. Create its folders if they are missing."""
        if self._is_swept:
            with suppress(FileNotFoundError):
                return path.open(mode)
        self._make_private()
        return path.open(mode)

    def _make_private(self) -> None:
        self._drafts.mkdir(parents=True, exist_ok=True)
        self._meta.mkdir(exist_ok=True)
        if not self._is_swept:
            self._refuse_links(PRIVATE, self._drafts.name)
            self._refuse_links(PRIVATE, self._meta.name)
            self._sweep_drafts()
            self._is_swept = True

    def _sweep_drafts(self) -> None:
        """Delete the drafts that killed processes left."""
        for path in self._drafts.iterdir():
            with suppress(FileNotFoundError):
                if path.lstat().st_mtime < time.time() - _DEAD_DRAFT:
                    path.unlink()

    @contextmanager
    def _locked(self, *, shared: bool = False) -> Iterator[None]:
        """Keep other threads and processes from changing this root, and also from reading it if not `shared`."""
        if fcntl is None:  # pragma: no cover - Windows: among the threads of this storage
            with self._thread_lock:
                yield
            return
        with ExitStack() as opened:
            # a folder that was never written to has no lock, and needs none
            with suppress(FileNotFoundError):
                file = self._lock.open("rb") if shared else self._open_private(self._lock, "ab")
                lock = opened.enter_context(file)
                fcntl.flock(lock, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
                # a forked child may have the file open as well, so that closing it here would not unlock it
                opened.callback(fcntl.flock, lock, fcntl.LOCK_UN)
            yield


def version(found: os.stat_result) -> tuple[int, ...]:
    """Return numbers that differ between any two files that ever had the same key."""
    return found.st_mtime_ns, found.st_ino, found.st_size


def _is_same(one: Path, other: Path) -> bool:
    """Return True if two paths are the same file. The file system may ignore case or invisible characters."""
    try:
        return one.samefile(other)
    except OSError:
        return False


def _agree(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)
