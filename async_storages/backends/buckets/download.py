"""One download, out of as many answers as it takes: where it stands, and whether what came is what is stored.

The protocol is HTTP's (RFC 9110 section 14); backends say which headers tell the version and the checksum.
"""

import base64
import math
import random
import re
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing

from aiohttp import ClientResponse

from async_storages._checksums import Checksum, new_checksum
from async_storages.backends.buckets.server_errors import FileChanged, RangeBeyondEnd
from async_storages.backends.transport.download_slots import DownloadSlots, Slot
from async_storages.backends.transport.http import transfer_errors
from async_storages.backends.transport.retries import Retries
from async_storages.errors import (
    ChecksumMismatchException,
    FileExistsException,
    StorageOperationException,
    StorageUnavailableException,
)
from async_storages.sources import CHUNK_SIZE
from async_storages.storage.byte_ranges import byte_range

__all__ = ["ResumedDownload", "received", "size_answered"]

_SLOW = 0.5
"""Seconds for a piece, beyond which a reader does not keep up."""

_LARGEST_PIECE = 1 << 20
"""Bytes that wait for a reader at the most."""

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_OF_NOTHING = frozenset({"bytes 0--1/0", "bytes */0"})
"""Content-Range headers for a suffix of an empty file; RFC 9110 has no form for it."""


class ResumedDownload(ABC):
    """The bytes of an object, or of one range of it, on their way. No I/O.

    Args:
        offset: The first byte, from 0; negative counts from the end.
        length: How many bytes at the most, at least 1; None for all.

    Attributes:
        received: Bytes that have come.
        version: Which version of the object they are of, once the server has said so.
        ignores_range: Whether the server answered all of the file instead of the range.
        piece: How many bytes of what is missing are asked for at the most; None for all.
    """

    def __init__(self, offset: int, length: int | None) -> None:
        self.received = 0
        self.version: str | None = None
        self._range = _range_header(offset, length)
        self._offset, self._length = offset, length
        self._first = 0
        self._expected: int | None = None
        self._checksum: Checksum | None = None
        self._stored = ("", "")
        self._skipped = 0
        self.ignores_range = False
        self._limit: int | None = None
        self._ended = False
        self._answer_ends: int | None = None
        self.piece: int | None = None

    @abstractmethod
    def _version_in(self, headers: Mapping[str, str]) -> str | None:
        """The header that identifies this version of the object."""

    @abstractmethod
    def _checksum_in(self, headers: Mapping[str, str]) -> tuple[str, str] | None:
        """Algorithm and base64 digest of the whole object; None where the server does not tell."""

    @property
    def is_complete(self) -> bool:
        """True if there is nothing more to request."""
        return self._ended or self.received in {self._expected, self._limit}

    @property
    def has_surplus(self) -> bool:
        """True if the whole range has come and more is coming, because the server ignored the range."""
        return self.ignores_range and self.received in {self._answer_ends, self._limit}

    @property
    def coming(self) -> int | None:
        """Bytes that the answer is to give yet; None where it does not tell, or gives more than was asked for."""
        return None if self.ignores_range or self._answer_ends is None else self._answer_ends - self.received

    @property
    def range(self) -> str | None:
        """The Range to ask for: all of it at first, None for the whole object; then what is missing of `version`."""
        if not self.received:
            return self._range
        if self.version is None or self._expected is None:
            raise StorageOperationException(f"the answer broke off after {self.received} bytes, and cannot be resumed")
        return f"bytes={self._first + self.received}-{self._first + self.received + self._asked - 1}"

    @property
    def can_resume(self) -> bool:
        """True if the answer can be closed now, and the rest be requested later."""
        return self.received > 0 and not self.ignores_range and self.version is not None and self._expected is not None

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Note what an answer is going to give.

        Raises:
            FileChanged: It is of another version.
            StorageOperationException: It is not what was asked for.
        """
        first, length, size = _extent(status, headers)
        self._skipped = 0
        self.ignores_range = status == 200 and self.range is not None
        if self.ignores_range:
            first, length = self._taken_of_all(size)
        version = self._version_in(headers)
        if self.received and version != self.version:
            raise FileChanged("the file was replaced while it was read")
        if not self._is_asked_for(first, length, size):
            raise StorageOperationException("the server answered another range than it was asked for")
        self._answer_ends = None if length is None else self.received + length
        if self.received:
            return
        self._first, self._expected, self.version = first, length, version
        self._checksum = None
        if self._range is None and (stored := self._checksum_in(headers)):
            self._checksum, self._stored = new_checksum(stored[0]), stored

    def _taken_of_all(self, size: int | None) -> tuple[int, int | None]:
        """First byte and length of what is taken where all was answered: caches and CDNs may ignore Range."""
        if self.received:
            if size is None or size < self._first + (self._expected or 0):
                raise StorageOperationException("the server answered something else than before")
            self._skipped = self._first + self.received
            return self._skipped, self._asked
        if size is not None:
            wanted = byte_range(size, self._offset, self._length, 1)
            self._skipped = wanted.start
            return wanted.start, len(wanted)
        if self._offset < 0:
            raise StorageOperationException("the server answered all instead of a range, without saying how much")
        self._skipped, self._limit = self._offset, self._length
        return self._offset, None

    def _is_asked_for(self, first: int, length: int | None, size: int | None) -> bool:
        """True if these bytes are the missing ones; an answer with the whole file needs no Content-Range."""
        if self.received:
            return length is not None and (first, length) == (self._first + self.received, self._asked)
        if length is None:
            return self._range is None or self._skipped == self._offset
        if size is None:
            return self._offset < 0 or first == self._offset
        wanted = byte_range(size, self._offset, self._length, 1)
        return (first, first + length) == (wanted.start, wanted.stop)

    @property
    def _missing(self) -> int:
        return (self._expected or 0) - self.received

    @property
    def _asked(self) -> int:
        """Bytes of the next request of a resumed download."""
        return self._missing if self.piece is None else min(self._missing, self.piece)

    def add(self, chunk: bytes) -> bytes:
        """Note what came; returns what was asked for of it."""
        if self._skipped:
            skipped = min(self._skipped, len(chunk))
            self._skipped -= skipped
            chunk = chunk[skipped:]
        most = self._limit if self._answer_ends is None else self._answer_ends
        if most is not None and self.received + len(chunk) > most:
            chunk = chunk[: most - self.received]
        self.received += len(chunk)
        if self._checksum is not None:
            self._checksum.update(chunk)
        return chunk

    def end(self) -> None:
        """Note that an answer has ended.

        Raises:
            StorageUnavailableException: Something is missing.
        """
        if self._answer_ends is not None and self.received < self._answer_ends:
            raise StorageUnavailableException(f"the answer ended after {self.received} of {self._answer_ends} bytes")
        self._ended = self._expected is None or self.received >= self._expected

    def verify(self) -> None:
        """Compare what came, once complete, with the stored checksum.

        Raises:
            ChecksumMismatchException: They differ.
        """
        if self._checksum is None:
            return
        algorithm, stored = self._stored
        if (found := base64.b64encode(self._checksum.digest()).decode("ascii")) != stored:
            raise ChecksumMismatchException(f"{algorithm} is {found}, but {stored} was stored")


async def received(
    download: ResumedDownload,
    ask: Callable[[], Awaitable[ClientResponse]],
    *,
    retries: Retries,
    chunk_size: int,
    slots: Callable[[], Awaitable[DownloadSlots]],
) -> AsyncGenerator[bytes]:
    """The bytes of a download; a connection that breaks is replaced, and the transfer resumed where it was.

    So is one that others needed while the reader stood still, or after it had its share.

    Args:
        download: What is to come.
        ask: Asks for the `ResumedDownload.range` of the moment, of its version.
        retries: How often, without a byte between, it is asked for again.
        chunk_size: Bytes at a time, at the most.
        slots: Gives those of the running loop.

    Raises:
        FileChanged: The object was replaced meanwhile.
        ChecksumMismatchException: All of it came, and is not what was stored.
        StorageUnavailableException: It kept breaking without a byte between.
    """
    tries, places, pace = retries.begin(), await slots(), _Pace()
    while not download.is_complete:
        before, failure = download.received, None
        slot = None if pace.is_slow else places.free_one()
        is_kept = slot is not None
        slot = slot or await places.take(is_new=not before, is_slow=pace.is_slow)
        download.piece = None if is_kept or download.ignores_range else pace.piece
        with slot:
            response = await _asked(download, ask)  # it asks again by itself
            try:
                transfer = (_kept if is_kept else _piece)(download, response, chunk_size, slot, pace)
                async with response, aclosing(transfer) as chunks:
                    async for chunk in chunks:
                        yield chunk
            except StorageUnavailableException as error:
                failure = error
        if failure is not None:
            if download.received > before:
                tries.succeed()
            if not await tries.wait(failure.retry_after):
                raise failure
    download.verify()


class _Pace:
    """Pace at which a reader takes the bytes.

    Attributes:
        is_slow: Whether it has stood still.
        piece: Bytes that it is to get next, where it gets pieces.
    """

    def __init__(self) -> None:
        self.is_slow = False
        self.piece = _slow_piece()

    def note(self, seconds: float) -> None:
        """Note how long it took for a piece, or for less than that."""
        self.is_slow = seconds > _SLOW
        self.piece = _slow_piece() if self.is_slow else min(2 * self.piece, _LARGEST_PIECE)


def _slow_piece() -> int:
    """Bytes for a slow reader; not the same for all, so that those who began together do not come back together."""
    return random.randint(CHUNK_SIZE // 2, 2 * CHUNK_SIZE)  # noqa: S311 - no secret


async def _kept(
    download: ResumedDownload, response: ClientResponse, chunk_size: int, slot: Slot, pace: _Pace
) -> AsyncGenerator[bytes]:
    """Yield the missing bytes from a connection that is kept until others need it more."""
    begins = download.received
    slot.hold(response)
    download.begin(response.status, response.headers)
    async with aclosing(_wanted(download, response, chunk_size)) as chunks:
        async for chunk in chunks:
            if download.coming == 0:
                slot.release()
            slot.wait_for_reader(can_go_on=download.can_resume)
            yield chunk
            if not slot.reader_is_back():
                pace.note(math.inf)
                return
            if download.can_resume and download.received - begins >= slot.share:
                return
    download.end()


async def _piece(
    download: ResumedDownload, response: ClientResponse, chunk_size: int, slot: Slot, pace: _Pace
) -> AsyncGenerator[bytes]:
    """Some of what is missing, which is read before the reader is given it, so that no connection waits for him."""
    begins = download.received
    piece: deque[bytes] = deque()
    failure = None
    try:
        async with response:
            download.begin(response.status, response.headers)
            is_long = (download.coming or 0) > _LARGEST_PIECE
            async with aclosing(_wanted(download, response, chunk_size)) as chunks:
                async for chunk in chunks:
                    if not download.can_resume:
                        yield chunk
                        continue
                    piece.append(chunk)
                    if is_long and download.received - begins >= pace.piece:
                        break
                else:
                    download.end()
    except StorageUnavailableException as error:  # what came is kept
        failure = error
    slot.release()
    since = time.monotonic()
    while piece:
        yield piece.popleft()
    pace.note(time.monotonic() - since)
    if failure is not None:
        raise failure


async def _wanted(download: ResumedDownload, response: ClientResponse, chunk_size: int) -> AsyncGenerator[bytes]:
    """Yield those bytes of an answer that were requested."""
    with transfer_errors():
        async for chunk in response.content.iter_chunked(chunk_size):
            if wanted := download.add(chunk):
                yield wanted
            if download.has_surplus:
                return


async def _asked(download: ResumedDownload, ask: Callable[[], Awaitable[ClientResponse]]) -> ClientResponse:
    try:
        return await ask()
    except (FileExistsException, RangeBeyondEnd) as error:
        if not download.received:
            raise
        raise FileChanged("the file was replaced while it was read") from error


def _range_header(offset: int, length: int | None) -> str | None:
    """RFC 9110 section 14.1.2; None for the whole file."""
    if offset < 0:
        return f"bytes={offset}"
    if length is None:
        return f"bytes={offset}-" if offset else None
    return f"bytes={offset}-{offset + length - 1}"


def size_answered(status: int, headers: Mapping[str, str]) -> int:
    """The size of the file, by the answer to a request for a part of it.

    Raises:
        StorageOperationException: The answer does not tell.
    """
    size = _extent(status, headers)[2]
    if size is None:
        raise StorageOperationException("the server does not tell the size of the file")
    return size


def _extent(status: int, headers: Mapping[str, str]) -> tuple[int, int | None, int | None]:
    """The first byte that an answer gives of the file, how many there are, and how many the file has, as it says."""
    if status != 206:
        length = headers.get("Content-Length", "")
        size = int(length) if length.isascii() and length.isdigit() else None
        return 0, size, size
    if headers.get("Content-Range") in _OF_NOTHING:
        return 0, 0, 0
    found = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
    if found is None:
        raise StorageOperationException("the server answered a range without saying which")
    return int(found[1]), int(found[2]) - int(found[1]) + 1, None if found[3] == "*" else int(found[3])
