"""The files of a group. Everything here blocks, except for `Spool.add`."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from random import Random
from tempfile import mkstemp
from threading import RLock
from typing import IO, BinaryIO, Literal
from zlib import crc32

from async_storages.backends.fastdfs.old_crc32 import OldCrc32
from async_storages.testing.fastdfs_server import _metadata
from async_storages.testing.fastdfs_server._names import LogicName, crc_of, encoded, is_appender, is_slave
from async_storages.testing.fastdfs_server._versions import Version
from async_storages.testing.fastdfs_server._wire import BUFFER, EINVAL, Answer, Refusal, Run

__all__ = ["Disk", "Spool", "StoredFile", "stored_files"]

_FILES_PER_FOLDER = 100  # then the next folder follows (file_distribute_rotate_count)
_TRIES = 10
_META = "-m"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that a server holds.

    Attributes:
        file_id: The id, for example ``group1/M00/00/00/fwAAAW….bin``.
        kind: The kind of the file, as its name shows it. There are no trunk files.
        size: The size in bytes.
        metadata: The metadata as stored on the disk. None if there is none.
    """

    file_id: str
    kind: Literal["normal", "appender", "slave"]
    size: int
    metadata: bytes | None


def stored_files(folder: Path, server: str = "") -> list[StoredFile]:
    """Return all files of all groups that a server keeps in this folder, sorted by id.

    Args:
        folder: See `FastDFSServer.folder`.
        server: The name of a replica's folder within its group's folder. Empty for all replicas.
    """
    paths: dict[str, Path] = {}
    for pattern in (f"*/{server}/M??/data/??/??/*",) if server else ("*/M??/data/??/??/*", "*/*/M??/data/??/??/*"):
        for path in folder.glob(pattern):
            parts = path.relative_to(folder).parts
            paths.setdefault("/".join((parts[0], *parts[-5:])), path)
    files = [_described(name, paths) for name in sorted(paths) if name.removesuffix(_META) not in paths.keys() - {name}]
    return [file for file in files if file is not None]


def _described(name: str, paths: dict[str, Path]) -> StoredFile | None:
    """Describe a file. None if it was deleted after the folder was read."""
    file_id = name.replace("/data/", "/", 1)
    logic = LogicName.parse(file_id.partition("/")[2].encode())
    kind: Literal["normal", "appender", "slave"] = (
        "slave" if is_slave(logic) else "appender" if is_appender(logic) else "normal"
    )
    try:
        return StoredFile(file_id, kind, paths[name].stat().st_size, _content(paths.get(name + _META)))
    except FileNotFoundError:
        return None


def _content(path: Path | None) -> bytes | None:
    with suppress(FileNotFoundError):
        return None if path is None else path.read_bytes()
    return None


class Spool:
    """Content on its way to the disk: short content in memory, longer content in a temporary file.

    Attributes:
        size: The size in bytes.
    """

    def __init__(self, folder: Path, run: Run, *, has_old_crc: bool) -> None:
        self.size = 0
        self._crc = _Crc(is_old=has_old_crc)
        self._folder = folder
        self._run = run
        self._held: list[bytes] = []
        self._held_size = 0
        self._file: IO[bytes] | None = None
        self._path: Path | None = None

    async def add(self, piece: bytes) -> None:
        """Add bytes."""
        self.size += len(piece)
        self._crc.update(piece)
        self._held.append(piece)
        self._held_size += len(piece)
        if self._held_size >= BUFFER:
            await self._run(self._flush)

    def copy_to(self, target: BinaryIO) -> None:
        """Write all bytes to a file."""
        with self.path().open("rb") as source:
            shutil.copyfileobj(source, target, BUFFER)

    def path(self) -> Path:
        """The temporary file, complete."""
        self._flush()
        assert self._path is not None
        return self._path

    def close(self) -> None:
        """Remove the temporary file, if there is one."""
        if self._file is not None:
            self._file.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)
        self._file = self._path = None

    @property
    def crc(self) -> int:
        """The CRC-32, as the server's version computes it."""
        return self._crc.value()

    @property
    def on_disk(self) -> bool:
        """True if there is a temporary file."""
        return self._path is not None

    def _flush(self) -> None:
        if self._file is None:
            descriptor, path = mkstemp(dir=self._folder)
            self._file, self._path = os.fdopen(descriptor, "wb", buffering=0), Path(path)
        if self._held:
            self._file.write(b"".join(self._held))
            self._held, self._held_size = [], 0


class Disk:
    """The files of one group, in ``<folder>/M00/data/00/00`` and so on.

    Args:
        folder: The folder of a group, or of one of its servers. Created if it is missing.
        paths: The number of store paths.
        clock: Returns the Unix seconds.
        random: Fills the random parts of names.
        run: Calls a method of this class, or another function that blocks.
        version: The FastDFS version to imitate.

    Raises:
        Refusal: From any method: the request is wrong.
        OSError: From any method: its `errno` is the status of the answer.
    """

    def __init__(
        self, folder: Path, paths: int, *, clock: Callable[[], float], random: Random, run: Run, version: Version
    ) -> None:
        self.paths = paths
        self.version = version
        self.run = run
        self.incoming = folder / "incoming"
        self._folder = folder
        self._clock = clock
        self._random = random
        self._made = count()
        self._lock = RLock()  # serialises the changes of a file

    def prepare(self) -> None:
        """Make the necessary folders."""
        self.incoming.mkdir(parents=True, exist_ok=True)

    def store(self, spool: Spool, source: bytes, extension: str, path: int, *, appender: bool) -> LogicName:
        """Store content under a new name."""
        timestamp = self._stamp(spool)
        size = None if appender else spool.size
        name = self._moved(spool.path(), path, lambda: self._encoded(source, timestamp, size, spool.crc, extension))
        spool.close()
        return name

    def store_slave(self, spool: Spool, slave: LogicName) -> None:
        """Store content under the name of a slave. If several calls do so at once, the last one stays."""
        self._stamp(spool)
        with self._lock:
            self.path_of(slave).unlink(missing_ok=True)
            self._move(spool.path(), slave)
        spool.close()

    def check_slave(self, master: LogicName, slave: LogicName) -> None:
        """Refuse a slave whose master is missing, or that exists."""
        self.path_of(master).stat()
        if self.path_of(slave).exists():
            raise FileExistsError(errno.EEXIST, "the slave exists")

    def remove(self, name: LogicName) -> None:
        """Remove a file with its metadata."""
        with self._lock:
            self.path_of(name).unlink()
            self._metadata(name).unlink(missing_ok=True)

    def info(self, name: LogicName, *, compute: bool) -> tuple[int, int, int]:
        """Return size, time of the last change and CRC-32. `compute` computes a CRC-32 that the name does not hold."""
        status = self.path_of(name).stat()
        if len(str(name)) < 37:
            raise Refusal(EINVAL)
        may_differ = (is_slave(name) and self.version.knows_crc_of_slaves) or is_appender(name)
        crc = self._crc_of_file(self.path_of(name)) if compute and may_differ else crc_of(name)
        return status.st_size, int(status.st_mtime), crc

    def read_metadata(self, name: LogicName) -> bytes:
        """The metadata as stored on the disk."""
        with self._lock:
            return self._metadata(name).read_bytes()

    def set_metadata(self, name: LogicName, metadata: bytes, *, merge: bool) -> None:
        """Add to the metadata, or replace it."""
        path = self._metadata(name)
        with self._lock:
            self.path_of(name).stat()
            if metadata:
                old = path.read_bytes() if merge and path.exists() else None
                path.write_bytes(_metadata.overwritten(metadata) if old is None else _metadata.merged(old, metadata))
            elif not merge:
                path.unlink(missing_ok=True)

    def check_appender(self, name: LogicName, offset: int = 0) -> None:
        """Refuse a file that cannot be appended to, or changed from this byte on."""
        size = self.path_of(name).stat().st_size
        if len(str(name)) < 44 or not is_appender(name) or offset > size:
            raise Refusal(EINVAL)

    def size(self, name: LogicName) -> int:
        """The size of a file in bytes."""
        return self.path_of(name).stat().st_size

    def modify(self, name: LogicName, offset: int | None, spool: Spool) -> None:
        """Write content over the file from this byte on. None appends it."""
        with self._changing(name, offset or 0) as file:
            file.seek(*((0, os.SEEK_END) if offset is None else (offset, os.SEEK_SET)))
            spool.copy_to(file)

    def truncate(self, name: LogicName, size: int) -> None:
        """Truncate a file, or extend it with zeros."""
        with self._changing(name, 0) as file:
            file.truncate(size)

    def regenerate(self, name: LogicName, source: bytes) -> LogicName:
        """Turn an appender into a normal file. It gets another name, and loses its metadata."""
        with self._changing(name, 0) as file:
            status = os.fstat(file.fileno())
            crc = self._crc_of_file(self.path_of(name))
            extension = name.name[-7:].partition(".")[2]
            return self._moved(
                self.path_of(name),
                name.path,
                lambda: self._encoded(source, int(status.st_mtime), status.st_size, crc, extension),
            )

    def forget(self, name: LogicName) -> None:
        """Remove a file and its metadata, if they exist."""
        with self._lock, suppress(FileNotFoundError):
            self.remove(name)

    def copy_content(self, source: "Disk", name: LogicName) -> None:
        """Copy a file from another server, if it still exists."""
        descriptor, path = mkstemp(dir=self.incoming)
        os.close(descriptor)
        try:
            shutil.copy2(source.path_of(name), path)
        except FileNotFoundError:
            Path(path).unlink()
            return
        target = self.path_of(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        with self._lock:
            Path(path).replace(target)

    def copy_metadata(self, source: "Disk", name: LogicName) -> None:
        """Copy a file's metadata from another server. If there is none, remove the copy's."""
        with self._lock:
            if not self.path_of(name).exists():
                return
            try:
                self._metadata(name).write_bytes(source.read_metadata(name))
            except FileNotFoundError:
                self._metadata(name).unlink(missing_ok=True)

    def open(self, opened: ExitStack, name: LogicName, offset: int, length: int) -> Answer:
        """Open the content of a file from this byte on, up to its end if the length is 0. The stack closes the file."""
        file = opened.enter_context(self.path_of(name).open("rb"))
        size = os.fstat(file.fileno()).st_size
        if offset > size and not self.version.clamps_ranges:
            raise Refusal(errno.EFAULT, announced=size - offset)
        if offset >= size or (offset + length > size and not self.version.clamps_ranges):
            raise Refusal(EINVAL)
        file.seek(offset)
        wanted = min(length or size, size - offset)
        first = file.read(min(wanted, BUFFER))
        if len(first) < wanted:
            return Answer(wanted, first, file, self.run)
        opened.close()
        return Answer(wanted, first, None, self.run)

    def _stamp(self, spool: Spool) -> int:
        timestamp = int(self._clock())
        os.utime(spool.path(), (timestamp, timestamp))
        return timestamp

    def _encoded(self, source: bytes, timestamp: int, size: int | None, crc: int, extension: str) -> str:
        return encoded(source, timestamp, size=size, crc=crc, extension=extension, random=self._random)

    def _moved(self, content: Path, path: int, make_name: Callable[[], str]) -> LogicName:
        turn = next(self._made) // _FILES_PER_FOLDER
        folder = f"{turn // 256 % 256:02X}/{turn % 256:02X}"
        for _ in range(_TRIES):
            name = LogicName(path, folder, make_name())
            with suppress(FileExistsError):
                self._move(content, name)
                return name
        raise FileNotFoundError(errno.ENOENT, "no name is free")  # as the real server answers

    def _move(self, content: Path, name: LogicName) -> None:
        target = self.path_of(name)
        with self._lock:
            if target.exists():
                raise FileExistsError(errno.EEXIST, "the name is taken")
            target.parent.mkdir(parents=True, exist_ok=True)
            content.rename(target)

    @contextmanager
    def _changing(self, name: LogicName, offset: int) -> Iterator[BinaryIO]:
        with self._lock:
            self.check_appender(name, offset)
            with self.path_of(name).open("r+b") as file:
                yield file

    def path_of(self, name: LogicName) -> Path:
        """The path of a file, whether it exists or not."""
        if name.path >= self.paths:
            raise Refusal(EINVAL)
        return self._folder / f"M{name.path:02X}" / "data" / name.folder / name.name

    def _metadata(self, name: LogicName) -> Path:
        path = self.path_of(name)
        return path.with_name(path.name + _META)

    def _crc_of_file(self, path: Path) -> int:
        crc = _Crc(is_old=self.version.has_old_crc)
        with path.open("rb", buffering=0) as file:
            while piece := file.read(BUFFER):
                crc.update(piece)
        return crc.value()


class _Crc:
    """A CRC-32, as the server's version computes it."""

    def __init__(self, *, is_old: bool) -> None:
        self._old = OldCrc32() if is_old else None
        self._zlib = 0

    def update(self, piece: bytes) -> None:
        """Add bytes."""
        if self._old is None:
            self._zlib = crc32(piece, self._zlib)
        else:
            self._old.update(piece)

    def value(self) -> int:
        """The CRC-32 of all bytes so far."""
        return self._zlib if self._old is None else self._old.value()
