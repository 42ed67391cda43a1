"""ZIP archives made while they are sent: any number of files from anywhere, of any size, in constant memory.

```python
entries = [ZipEntry("report.pdf", file.stream, size=await file.get_size())]
headers = {"Content-Length": str(zip_size(entries))}
async for chunk in stream_zip(entries): ...
```

The format is APPNOTE.TXT 6.3.10: names in UTF-8, Zip64 where 32 bits may not do. Readers that cannot seek take it too:
a file of known size and checksum is stored, and both stand before it; any other is deflated, if only into blocks that
are stored as they are, with both behind it. What is stored with its size behind it Java's `ZipInputStream` refuses.

A writer of our own, because `zipfile` cannot tell the length of an archive before it has written it.

Names pass the gate of `naming`: none leads out of the folder that an archive is unpacked in. Each is there once, also
for systems that ignore case: a second ``a.txt`` becomes ``a_2.txt``, and so does a file named as another one's folder.
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
    """A file that is to be in an archive.

    Attributes:
        name: Its path in the archive, untrusted.
        content: A function that opens its bytes when their turn comes, such as ``file.stream`` or
            ``partial(storage.stream, key)``; or anything that can be uploaded.
        size: Bytes, if known; another number of them is an error.
        modified: When it was written; without a time zone, by this machine's clock. None is 1980, where ZIP begins.
        compress: Deflate it, in a thread. By default its bytes stay as they are, which suits images and documents.
        crc32: The CRC-32 of its bytes, if known, such as `StoredFile.known_crc32`; bytes of another one are an error.

    Raises:
        InvalidArgumentException: The size is not a number of bytes, or the checksum none of 32 bits.
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
    """The exact length in bytes of what `stream_zip` makes of the same entries, for Content-Length; no I/O.

    It does not hold for ``on_error="list"`` when a file fails. An entry takes about 15 µs: for tens of thousands call
    it in a thread.

    Returns:
        None if a size is unknown or a file is to be compressed.

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
    """The source of an entry, which begins to be read at once.

    Attributes:
        entry: The entry.
        size: Its bytes, as far as they are known once it has begun.
        crc32: Their CRC-32, likewise.
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
        """Wait until its first bytes are there, and raise what kept them away."""
        await self._task

    async def chunks(self) -> AsyncGenerator[bytes]:
        """All chunks, once it has begun."""
        while self._first:
            yield self._first.popleft()
        if self._chunks is not None:
            async for chunk in self._chunks:
                yield chunk

    async def aclose(self) -> None:
        """Let go of the source, whatever state it is in."""
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
        """The next bytes; raises StorageOperationException for more than were announced."""
        self.member.add(chunk)
        if self._deflate is not None:
            chunk = await offload(self._deflate.compress, chunk)
        elif self._blocks is not None:
            chunk = self._blocks.pack(chunk)
        return self.member.packing(chunk)

    async def finish(self) -> bytes:
        """The end of the data."""
        if self._deflate is not None:
            return self.member.packing(await offload(self._deflate.flush))
        return b"" if self._blocks is None else self.member.packing(self._blocks.finish())

    async def fill(self) -> AsyncGenerator[bytes]:
        """Zeros for what a failed file's header or block has announced, so that a reader finds what follows."""
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
    """A file with what stands around it; nothing of one that fails before its first byte and may be left out."""
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
    """A line for whoever unpacks the archive, who is not told of ids; the log is."""
    logger.warning("%r is missing in a zip: %s", name, error)
    if was_begun:
        return f"{name}: damaged, it could not be read to its end"
    return f"{name}: {'not found' if isinstance(error, FileNotFoundException) else 'could not be read'}"
