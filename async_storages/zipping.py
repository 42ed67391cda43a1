"""ZIP archives that are made while they are sent: any number of files, of any size, in constant memory.

```python
entries = [ZipEntry("report.pdf", file.stream, size=await file.get_size())]
headers = {"Content-Length": str(zip_size(entries))}
async for chunk in stream_zip(entries): ...
```

The format is APPNOTE.TXT 6.3.10. Names are in UTF-8. Zip64 is used where 32 bits may not be enough.

Readers that cannot seek can read the archives too. If size and checksum of a file are known, they stand before the
file, which is stored as it is. Otherwise they stand behind the file, which is then deflated, at least into uncompressed
blocks. Java's `ZipInputStream` refuses stored files with their size behind them.

This module does not use `zipfile`, because `zipfile` cannot compute the length of an archive before it is written.

`naming` cleans each name, so that no file is unpacked outside the target folder. Each name occurs once, also on systems
that ignore case: a second ``a.txt`` becomes ``a_2.txt``. A file with the same name as a folder is renamed in the same
way.
"""

import asyncio
import logging
import zlib
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Literal

from async_storages._tasks import offload, wait_out
from async_storages._zip.blocks import StoredBlocks
from async_storages._zip.members import END_MARK, Archive, Member
from async_storages._zip.names import Names
from async_storages.errors import (
    FileNotFoundException,
    InvalidArgumentException,
    StorageException,
    during,
)
from async_storages.sources import CHUNK_SIZE, Source, open_source

__all__ = ["ZipEntry", "stream_zip", "zip_size"]

logger = logging.getLogger("async_storages")

_PIECE = 131_072
_ZEROS = bytes(_PIECE)
_MAX_32 = 0xFFFFFFFF
_BEYOND_THE_END = bytes(70_000)  # readers look for the end mark in the last 66,000 bytes


@dataclass(frozen=True, slots=True, eq=False)
class ZipEntry:
    """A file to put into an archive.

    Attributes:
        name: The path of the file in the archive. It may come from an untrusted user.
        content: A function that opens the bytes when they are needed, such as ``file.stream`` or
            ``partial(storage.stream, key)``. It can also be anything that can be uploaded.
        size: The size in bytes, if known. Another number of bytes is an error.
        modified: The time of the last change. Without a time zone it is this machine's local time. None is 1980, the
            earliest time in ZIP.
        compress: True deflates the file, in a thread. By default it is not compressed, which suits images and
            documents.
        crc32: The CRC-32 of the bytes, if known, such as `StoredFile.known_crc32`. Another checksum is an error.

    Raises:
        InvalidArgumentException: The size is not a number of bytes, or the checksum does not have 32 bits.
    """

    name: str
    content: Source | Callable[[], AsyncIterable[bytes]]
    size: int | None = None
    modified: datetime | None = None
    compress: bool = False
    crc32: int | None = None

    def __post_init__(self) -> None:
        if self.size is not None and (not isinstance(self.size, int) or self.size < 0):
            raise InvalidArgumentException(f"size must be a number of bytes, not {self.size!r}", file_id=self.name)
        if self.crc32 is not None and not (isinstance(self.crc32, int) and 0 <= self.crc32 <= _MAX_32):
            raise InvalidArgumentException(f"crc32 must be a number of 32 bits, not {self.crc32!r}", file_id=self.name)


def zip_size(entries: Iterable[ZipEntry]) -> int | None:
    """Return the exact length in bytes of the archive that `stream_zip` makes of the same entries, without I/O.

    Use it for Content-Length. The length is wrong if a file fails with ``on_error="list"``. An entry takes about 15 µs:
    call this function in a thread for tens of thousands of entries.

    Returns:
        The length. None if a size is unknown or a file is to be compressed.

    Raises:
        InvalidArgumentException: A name is not a str.
    """
    names, archive = Names(), Archive()
    for entry in entries:
        if entry.size is None or entry.compress:
            return None
        member = _begun(archive, entry, names.unique(entry.name), entry.size, entry.crc32)
        member.foresee(entry.size)
        archive.end(member)
    archive.finish()
    return archive.length


def stream_zip(
    entries: Iterable[ZipEntry], *, on_error: Literal["abort", "list"] = "abort", read_ahead: int = 1
) -> AsyncGenerator[bytes]:
    """Yield the bytes of an archive of these entries, in their order.

    Close the generator with `aclose()` if you stop before its end.

    Args:
        entries: The files. Without files the archive is empty.
        on_error: The treatment of a missing or failing file. ``"abort"`` raises, and no reader accepts the part of the
            archive that was sent. ``"list"`` leaves the file out and names it in a last entry, ``ERRORS.txt``. If the
            beginning of the file was sent already, its checksum is made wrong, so that no reader accepts it as whole.
        read_ahead: The number of files, from 0, to open while the file before them is sent. Up to 256 KiB of each is
            read.

    Raises:
        InvalidArgumentException: An option or a name is wrong.
        StorageException: A file is missing or fails, with ``on_error="abort"``. A failure within the first 128 KiB is
            raised before the first bytes.
    """
    if on_error not in ("abort", "list"):
        raise InvalidArgumentException(f"on_error is 'abort' or 'list', not {on_error!r}")
    if not isinstance(read_ahead, int) or read_ahead < 0:
        raise InvalidArgumentException(f"read_ahead is a number of files from 0, not {read_ahead!r}")
    return _gathered(_pieces(entries, read_ahead, is_listing=on_error == "list"))


async def _gathered(pieces: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """Yield the same bytes with small pieces joined. After a failure, make readers refuse the archive."""
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
            if END_MARK in last:
                yield _BEYOND_THE_END
            raise
    if pending:
        yield bytes(pending)


async def _pieces(entries: Iterable[ZipEntry], read_ahead: int, *, is_listing: bool) -> AsyncGenerator[bytes]:
    names, archive = Names(), Archive()
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
    """Yield each entry with its source open, while the next ones are opening. The list of failures comes last."""
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
    """The source of an entry. Reading begins at once.

    Attributes:
        entry: The entry.
        size: The size in bytes. It may become known when reading begins.
        crc32: The CRC-32 of the bytes. It may become known when reading begins.
    """

    def __init__(self, entry: ZipEntry) -> None:
        self.entry = entry
        self.size, self.crc32 = entry.size, entry.crc32
        self._chunks: AsyncGenerator[bytes] | None = None
        self._first = deque[bytes]()
        self._task = asyncio.create_task(self._begin())

    async def _begin(self) -> None:
        content = self.entry.content
        self._chunks = chunks = open_source(content() if callable(content) else content).chunks()
        ahead = 2 if self.size is None and not self.entry.compress else 1
        for _ in range(ahead):
            if (chunk := await anext(chunks, None)) is None:
                break
            self._first.append(chunk)
        if len(self._first) < ahead == 2:  # that was all of it: a small file
            whole = b"".join(self._first)
            self.size, self.crc32 = len(whole), zlib.crc32(whole)

    async def begun(self) -> None:
        """Wait for the first bytes. Raise the error if the source failed."""
        await self._task

    async def chunks(self) -> AsyncGenerator[bytes]:
        """Yield all chunks. Call `begun` first."""
        while self._first:
            yield self._first.popleft()
        if self._chunks is not None:
            async for chunk in self._chunks:
                yield chunk

    async def aclose(self) -> None:
        """Close the source, in any state."""
        self._task.cancel()
        cancelled = await wait_out(self._task)
        if not self._task.cancelled():
            self._task.exception()  # retrieved, so that asyncio does not log it as forgotten
        if self._chunks is not None:
            await self._chunks.aclose()
        if cancelled is not None:
            raise cancelled


class _Packer:
    """Turns the bytes of a member into those of the archive."""

    def __init__(self, member: Member, *, compress: bool) -> None:
        self.member = member
        self._blocks = None if compress or member.is_told else StoredBlocks(member.expected)
        self._deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS) if compress else None

    async def pack(self, chunk: bytes) -> bytes:
        """Return the next bytes. Raise StorageOperationException for more bytes than were announced."""
        self.member.add(chunk)
        if self._deflate is not None:
            chunk = await offload(self._deflate.compress, chunk)
        elif self._blocks is not None:
            chunk = self._blocks.pack(chunk)
        return self.member.packing(chunk)

    async def finish(self) -> bytes:
        """Return the end of the data."""
        if self._deflate is not None:
            return self.member.packing(await offload(self._deflate.flush))
        return b"" if self._blocks is None else self.member.packing(self._blocks.finish())

    async def fill(self) -> AsyncGenerator[bytes]:
        """Yield zeros in place of the missing bytes of a failed file, so that a reader finds the next file."""
        self.member.damage()
        missing = 0 if self._blocks is None else self._blocks.open
        if self.member.is_told:
            missing = (self.member.expected or 0) - self.member.size
        while missing:
            zeros = _ZEROS[:missing]
            missing -= len(zeros)
            yield await self.pack(zeros)
        yield await self.finish()


async def _member(archive: Archive, opening: _Opening, name: str, failures: list[str] | None) -> AsyncGenerator[bytes]:
    """Yield a file with its headers. Yield nothing if the file fails before its first byte and may be left out."""
    packer: _Packer | None = None
    try:
        with during("zip", name):
            await opening.begun()
            member = _begun(archive, opening.entry, name, opening.size, opening.crc32)
            packer = _Packer(member, compress=opening.entry.compress)
            yield member.local_header()
            async with aclosing(opening.chunks()) as chunks:
                async for chunk in chunks:
                    yield await packer.pack(chunk)
            member.check_complete()
            yield await packer.finish()
    except StorageException as error:
        if failures is None:
            raise
        failures.append(_explain(name, error, was_begun=packer is not None))
        if packer is None:
            return
        async with aclosing(packer.fill()) as filling:
            async for piece in filling:
                yield piece
    yield archive.end(packer.member)


def _begun(archive: Archive, entry: ZipEntry, name: str, size: int | None, crc32: int | None) -> Member:
    return Member(name, archive.length, size, crc32, entry.modified, compress=entry.compress)


def _explain(name: str, error: StorageException, *, was_begun: bool) -> str:
    """Return a line without ids for the user who unpacks the archive. Log the error."""
    logger.warning("%r is missing in a zip: %s", name, error)
    if was_begun:
        return f"{name}: damaged, it could not be read to its end"
    return f"{name}: {'not found' if isinstance(error, FileNotFoundException) else 'could not be read'}"
