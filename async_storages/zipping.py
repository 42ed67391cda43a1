"""ZIP archives made while they are sent: any number of files from anywhere, of any size, in constant memory.

```python
entries = [ZipEntry("report.pdf", file.stream, size=await file.get_size())]
headers = {"Content-Length": str(zip_size(entries))}
async for chunk in stream_zip(entries): ...
```

The format is APPNOTE.TXT 6.3.10: names in UTF-8, sizes and checksums behind the data, Zip64 where 32 bits may not do.
A writer of our own, because `zipfile` cannot tell the length of an archive before it has written it.

Names pass the gate of `naming`: none leads out of the folder that an archive is unpacked in. Each is there once, also
for systems that ignore case: a second ``a.txt`` becomes ``a_2.txt``, and so does a file named as another one's folder.
"""

import asyncio
import logging
import posixpath
import struct
import zlib
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Literal

from async_storages import naming
from async_storages._tasks import offload, wait_out
from async_storages.errors import (
    FileNotFoundException,
    InvalidArgumentException,
    StorageException,
    StorageOperationException,
    during,
)
from async_storages.sources import CHUNK_SIZE, Source, open_source

__all__ = ["ZipEntry", "stream_zip", "zip_size"]

logger = logging.getLogger("async_storages")

_PIECE = 131_072
_LONGEST_UNNUMBERED = 240
_MAX_16, _MAX_32 = 0xFFFF, 0xFFFFFFFF

_LOCAL_HEADER = struct.Struct("<4s3H4L2H")
_DESCRIPTOR, _WIDE_DESCRIPTOR = struct.Struct("<4s3L"), struct.Struct("<4sL2Q")
_CENTRAL_HEADER = struct.Struct("<4s4H4L5H2L")
_WIDE_END, _WIDE_END_LOCATOR = struct.Struct("<4sQ2H2L4Q"), struct.Struct("<4sLQL")
_END = struct.Struct("<4s4H2LH")
_END_MARK = b"PK\5\6"
_BEYOND_THE_END = bytes(70_000)  # readers look for the end mark in the last 66,000 bytes

_FLAGS = 1 << 3 | 1 << 11  # sizes behind the data, names in UTF-8
_STORED, _DEFLATED = 0, 8
_VERSION, _WIDE_VERSION = 20, 45
_UNIX = 3 << 8
_REGULAR_FILE = 0o100644 << 16
_EARLIEST, _LATEST = datetime(1980, 1, 1, tzinfo=UTC), datetime(2107, 12, 31, 23, 59, 58, tzinfo=UTC)
_WIDE_EXTRA, _TIME_EXTRA = 0x0001, 0x5455


@dataclass(frozen=True, slots=True, eq=False)
class ZipEntry:
    """A file that is to be in an archive.

    Attributes:
        name: Its path in the archive, untrusted.
        content: A function that opens its bytes when their turn comes, such as ``file.stream`` or
            ``partial(storage.stream, key)``; or anything that can be uploaded.
        size: Bytes, if known; another number of them is an error. What may pass 4 GiB, or is of unknown size, is in
            the Zip64 format.
        modified: When it was written; without a time zone, by this machine's clock. None is 1980, where ZIP begins.
        compress: Deflate it, in a thread. By default it is stored as it is, which suits images and documents.

    Raises:
        InvalidArgumentException: The size is not a number of bytes.
    """

    name: str
    content: Source | Callable[[], AsyncIterable[bytes]]
    size: int | None = None
    modified: datetime | None = None
    compress: bool = False

    def __post_init__(self) -> None:
        if self.size is not None and (not isinstance(self.size, int) or self.size < 0):
            raise InvalidArgumentException(f"size must be a number of bytes, not {self.size!r}", file_id=self.name)


def zip_size(entries: Iterable[ZipEntry]) -> int | None:
    """The exact length in bytes of what `stream_zip` makes of the same entries, for Content-Length; no I/O.

    It does not hold for ``on_error="list"`` when a file fails. An entry takes about 15 µs: for tens of thousands call
    it in a thread.

    Returns:
        None if a size is unknown or a file is to be compressed.

    Raises:
        InvalidArgumentException: A name is not a str.
    """
    names, archive = _Names(), _Archive()
    for entry in entries:
        if entry.size is None or entry.compress:
            return None
        member = archive.begin(entry, names.unique(entry.name))
        member.size = member.packed = entry.size
        archive.end(member)
    archive.finish()
    return archive.length


def stream_zip(
    entries: Iterable[ZipEntry], *, on_error: Literal["abort", "list"] = "abort", read_ahead: int = 1
) -> AsyncGenerator[bytes]:
    """The bytes of an archive of these entries, in order; close it with `aclose()` when leaving early.

    Args:
        entries: The files; without any it is an empty archive.
        on_error: What a missing or failing file does. ``"abort"`` raises, and what was sent is an archive to no
            reader. ``"list"`` leaves it out and names it in a last entry, ``ERRORS.txt``; if its beginning was sent
            already, it is there with a wrong checksum, so that no reader takes it for whole.
        read_ahead: How many files are opened, and read up to 256 KiB, while the one before them is sent.

    Raises:
        InvalidArgumentException: An option or a name is wrong.
        StorageException: A file is missing or fails, and errors abort. Failures within the first 128 KiB come before
            anything was sent.
    """
    if on_error not in ("abort", "list"):
        raise InvalidArgumentException(f"on_error is 'abort' or 'list', not {on_error!r}")
    if not isinstance(read_ahead, int) or read_ahead < 0:
        raise InvalidArgumentException(f"read_ahead is a number of files from 0, not {read_ahead!r}")
    return _gathered(_pieces(entries, read_ahead, is_listing=on_error == "list"))


async def _gathered(pieces: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """The same bytes, small pieces joined; after a failure something that keeps readers off what was sent."""
    pending, last = bytearray(), b""
    async with aclosing(pieces):
        try:
            async for piece in pieces:
                if len(piece) < _PIECE:
                    pending += piece
                if pending and max(len(pending), len(piece)) >= _PIECE:
                    yield (last := bytes(pending))
                    pending.clear()
                if len(piece) >= _PIECE:
                    yield (last := piece)
        except Exception:
            # a zip or an office document that was sent whole would be taken for the archive
            if _END_MARK in last:
                yield _BEYOND_THE_END
            raise
    if pending:
        yield bytes(pending)


async def _pieces(entries: Iterable[ZipEntry], read_ahead: int, *, is_listing: bool) -> AsyncGenerator[bytes]:
    names, archive = _Names(), _Archive()
    failures: list[str] = []
    async with aclosing(_opened(entries, read_ahead, failures)) as openings:
        async for opening in openings:
            name = names.unique(opening.entry.name)
            async with aclosing(_member(archive, opening, name, failures if is_listing else None)) as pieces:
                async for piece in pieces:
                    yield piece
    directory = archive.finish()
    for start in range(0, len(directory), CHUNK_SIZE):
        yield directory[start : start + CHUNK_SIZE]


async def _opened(entries: Iterable[ZipEntry], read_ahead: int, failures: list[str]) -> "AsyncGenerator[_Opening]":
    """Every entry while its source is open, and those after it already opening; then the list of failures, if any."""
    source, waiting = iter(entries), deque[_Opening]()
    try:
        while True:
            waiting.extend(map(_Opening, islice(source, read_ahead + 1 - len(waiting))))
            if not waiting:
                break
            yield waiting[0]
            await waiting.popleft().aclose()
        if failures:
            waiting.append(_Opening(ZipEntry("ERRORS.txt", "\n".join([*failures, ""]).encode())))
            yield waiting[0]
    finally:
        async with AsyncExitStack() as stack:  # closes all of them, whatever one of them raises
            for opening in waiting:
                stack.push_async_callback(opening.aclose)


class _Opening:
    """The source of an entry, which begins to be read at once."""

    def __init__(self, entry: ZipEntry) -> None:
        self.entry = entry
        self._chunks: AsyncGenerator[bytes] | None = None
        self._first: bytes | None = None
        self._task = asyncio.create_task(self._begin())

    async def _begin(self) -> None:
        content = self.entry.content
        self._chunks = open_source(content() if callable(content) else content).chunks()
        self._first = await anext(self._chunks, None)

    async def begun(self) -> None:
        """Wait until its first bytes are there, and raise what kept them away."""
        await self._task

    async def read(self) -> bytes | None:
        """The next chunk, None at the end."""
        chunk, self._first = self._first, None
        if chunk is None and self._chunks is not None:
            chunk = await anext(self._chunks, None)
        return chunk

    async def aclose(self) -> None:
        self._task.cancel()
        cancelled = await wait_out(self._task)
        if not self._task.cancelled():
            self._task.exception()  # retrieved, so that asyncio does not log it as forgotten
        if self._chunks is not None:
            await self._chunks.aclose()
        if cancelled is not None:
            raise cancelled


async def _member(
    archive: "_Archive", opening: _Opening, name: str, failures: list[str] | None
) -> AsyncGenerator[bytes]:
    """A file with what stands around it; nothing of one that fails before its first byte and may be left out."""
    member: _Member | None = None
    try:
        with during("zip", name):
            await opening.begun()
            member = archive.begin(opening.entry, name)
            yield member.local_header()
            packer = zlib.compressobj(wbits=-zlib.MAX_WBITS) if opening.entry.compress else None
            while (chunk := await opening.read()) is not None:
                member.add(chunk)
                yield member.packing(chunk if packer is None else await offload(packer.compress, chunk))
            member.check_complete()
            if packer is not None:
                yield member.packing(await offload(packer.flush))
    except StorageException as error:
        if failures is None:
            raise
        failures.append(_explain(name, error, was_begun=member is not None))
        if member is not None:
            member.crc ^= _MAX_32
    if member is not None:
        yield archive.end(member)


def _explain(name: str, error: StorageException, *, was_begun: bool) -> str:
    """A line for whoever unpacks the archive, who is not told of ids; the log is."""
    logger.warning("%r is missing in a zip: %s", name, error)
    if was_begun:
        return f"{name}: damaged, it could not be read to its end"
    return f"{name}: {'not found' if isinstance(error, FileNotFoundException) else 'could not be read'}"


class _Names:
    """Gives every entry a safe path that is its own."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._folders: dict[str, str] = {}
        self._numbers: Counter[str] = Counter()

    def unique(self, untrusted: str) -> str:
        *folders, name = naming.clean_key(untrusted).split("/")
        path = ""
        for folder in folders:
            path = self._folder(path + folder) + "/"
        return self._free(path + name)

    def _folder(self, path: str) -> str:
        wanted = path.casefold()
        if wanted not in self._folders:
            self._folders[wanted] = self._free(path)
        return self._folders[wanted]

    def _free(self, path: str) -> str:
        free = self._numbered(path) if path.casefold() in self._taken else path
        self._taken.add(free.casefold())
        return free

    def _numbered(self, path: str) -> str:
        folder, name = posixpath.split(path)
        stem, extension = posixpath.splitext(naming.clean_filename(name, max_bytes=_LONGEST_UNNUMBERED))
        wanted = posixpath.join(folder, stem)
        # counted by what is left after shortening, so that no two series of numbers run over each other
        series = f"{wanted}/{extension}".casefold()
        while path.casefold() in self._taken:
            self._numbers[series] += 1
            path = f"{wanted}_{self._numbers[series] + 1}{extension}"
        return path


class _Member:
    """The headers of a file in an archive. No I/O.

    Attributes:
        offset: Where it begins.
        size: Bytes that have come.
        packed: Bytes of them in the archive.
        crc: The CRC-32 of what has come.
    """

    __slots__ = ("_extra", "_is_wide", "_method", "_name", "_time", "crc", "expected", "offset", "packed", "size")

    def __init__(self, entry: ZipEntry, name: str, offset: int) -> None:
        modified = _within_zip(entry.modified or _EARLIEST)
        self.expected = entry.size
        self.offset = offset
        self.size = self.packed = self.crc = 0
        self._name = name.encode()
        self._method = _DEFLATED if entry.compress else _STORED
        self._is_wide = entry.size is None or entry.size >= (_MAX_32 >> 1 if entry.compress else _MAX_32)
        self._time = _dos_time(modified)
        self._extra = _time_extra(modified) if entry.modified is not None else b""

    def add(self, chunk: bytes) -> None:
        size = self.size + len(chunk)
        if self.expected is not None and size > self.expected:
            raise StorageOperationException(f"more than the announced {self.expected} bytes came")
        self.size = size
        self.crc = zlib.crc32(chunk, self.crc)

    def packing(self, packed: bytes) -> bytes:
        self.packed += len(packed)
        return packed

    def check_complete(self) -> None:
        if self.expected is not None and self.size < self.expected:
            raise StorageOperationException(f"only {self.size} of the announced {self.expected} bytes came")

    def local_header(self) -> bytes:
        """APPNOTE 4.3.7: what is not known yet is 0 in the old fields, or in 8 bytes each."""
        wide = struct.pack("<2H2Q", _WIDE_EXTRA, 16, 0, 0) if self._is_wide else b""
        size = _MAX_32 if self._is_wide else 0
        lengths = len(self._name), len(wide + self._extra)
        fields = self._version, _FLAGS, self._method, self._time, 0, size, size, *lengths
        return _LOCAL_HEADER.pack(b"PK\3\4", *fields) + self._name + wide + self._extra

    def descriptor(self) -> bytes:
        """APPNOTE 4.3.9."""
        layout = _WIDE_DESCRIPTOR if self._is_wide else _DESCRIPTOR
        return layout.pack(b"PK\7\x08", self.crc, self.packed, self.size)

    def central_header(self) -> bytes:
        """APPNOTE 4.3.12; the Zip64 field (4.5.3) holds only what is too large for its old place."""
        values = self.size, self.packed, self.offset
        large = [value for value in values if value >= _MAX_32]
        wide = struct.pack(f"<2H{len(large)}Q", _WIDE_EXTRA, 8 * len(large), *large) if large else b""
        size, packed, offset = (min(value, _MAX_32) for value in values)
        version = _WIDE_VERSION if large else self._version
        fields = _UNIX | version, version, _FLAGS, self._method, self._time, self.crc, packed, size
        lengths = len(self._name), len(wide + self._extra), 0
        return (
            _CENTRAL_HEADER.pack(b"PK\1\2", *fields, *lengths, 0, 0, _REGULAR_FILE, offset)
            + self._name
            + wide
            + self._extra
        )

    @property
    def _version(self) -> int:
        return _WIDE_VERSION if self._is_wide else _VERSION


class _Archive:
    """The order of things in an archive. No I/O.

    Attributes:
        length: Bytes of the archive so far, up to the last file that has ended.
    """

    def __init__(self) -> None:
        self.length = 0
        self._directory = bytearray()
        self._count = 0

    def begin(self, entry: ZipEntry, name: str) -> _Member:
        """Add a file; its local header and its bytes follow."""
        return _Member(entry, name, self.length)

    def end(self, member: _Member) -> bytes:
        """What follows the bytes of a file."""
        descriptor = member.descriptor()
        self.length += len(member.local_header()) + member.packed + len(descriptor)
        self._directory += member.central_header()
        self._count += 1
        return descriptor

    def finish(self) -> bytes:
        """The directory and the end of the archive."""
        self._directory += self._end()
        self.length += len(self._directory)
        return bytes(self._directory)

    def _end(self) -> bytes:
        """APPNOTE 4.3.14 to 4.3.16; the old fields are full where the Zip64 ones count."""
        count, size, start = self._count, len(self._directory), self.length
        narrow = _END.pack(_END_MARK, 0, 0, *[min(count, _MAX_16)] * 2, min(size, _MAX_32), min(start, _MAX_32), 0)
        if count < _MAX_16 and max(size, start) < _MAX_32:
            return narrow
        fields = _WIDE_END.size - 12, _UNIX | _WIDE_VERSION, _WIDE_VERSION, 0, 0, count, count, size, start
        wide = _WIDE_END.pack(b"PK\6\6", *fields)
        return wide + _WIDE_END_LOCATOR.pack(b"PK\6\7", 0, start + size, 1) + narrow


def _within_zip(modified: datetime) -> datetime:
    """The nearest time that ZIP can tell, in UTC; years at the ends of the calendar have no time zones."""
    if not _EARLIEST.year <= modified.year <= _LATEST.year:
        return _EARLIEST if modified.year < _EARLIEST.year else _LATEST
    return min(max(modified.astimezone(UTC), _EARLIEST), _LATEST)


def _dos_time(at: datetime) -> int:
    """APPNOTE 4.4.6: date and time in steps of 2 s, from 1980 to 2107."""
    date = at.year - 1980 << 9 | at.month << 5 | at.day
    return date << 16 | at.hour << 11 | at.minute << 5 | at.second // 2


def _time_extra(modified: datetime) -> bytes:
    """Info-ZIP's field "UT": seconds since 1970, as DOS times have no time zone."""
    seconds = int(modified.timestamp())
    is_representable = -(1 << 31) <= seconds < 1 << 31
    return struct.pack("<2HBl", _TIME_EXTRA, 5, 1, seconds) if is_representable else b""
