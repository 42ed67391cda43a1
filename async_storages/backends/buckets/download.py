"""One download from one or more answers: its position, and the comparison with the stored file.

The protocol is HTTP (RFC 9110 section 14). Each backend names the headers with version and checksum.
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

from async_storages._checksums import Checksum, new_checksum
from async_storages.backends.buckets.server_errors import FileChanged, RangeBeyondEnd
from async_storages.backends.transport.download_slots import DownloadSlots, Slot
from async_storages.backends.transport.http import transfer_errors
from async_storages.backends.transport.response import Response
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
"""The longest time for a piece in seconds. A reader that takes longer is slow."""

_LARGEST_PIECE = 1 << 20
"""The largest number of bytes that wait for a reader."""

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_OF_NOTHING = frozenset({"bytes 0--1/0", "bytes */0"})
"""Content-Range headers for a suffix of an empty file. RFC 9110 has no form for it."""


class ResumedDownload(ABC):
    """A download of an object, or of one range of it. No I/O.

    Args:
        offset: The first byte, from 0. A negative offset counts from the end.
        length: The largest number of bytes, at least 1. None reads to the end.

    Attributes:
        received: The number of bytes so far.
        version: The version of the object, once the server has told it.
        ignores_range: True if the server sent the whole file instead of the range.
        piece: The largest number of bytes of the next request. None requests all missing bytes.
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
        """Return the header that identifies this version of the object."""

    @abstractmethod
    def _checksum_in(self, headers: Mapping[str, str]) -> tuple[str, str] | None:
        """Return algorithm and base64 digest of the whole object. None if the server does not tell it."""

    @property
    def is_complete(self) -> bool:
        """True if there is nothing more to request."""
        return self._ended or self.received in {self._expected, self._limit}

    @property
    def has_surplus(self) -> bool:
        """True if the range is complete and more bytes are coming, because the server ignored the range."""
        return self.ignores_range and self.received in {self._answer_ends, self._limit}

    @property
    def coming(self) -> int | None:
        """The bytes still to come of the answer. None if it does not tell, or has more than requested."""
        return None if self.ignores_range or self._answer_ends is None else self._answer_ends - self.received

    @property
    def range(self) -> str | None:
        """The Range to request: first the whole range (None for the whole object), then its missing bytes."""
        if not self.received:
            return self._range
        if self.version is None or self._expected is None:
            raise StorageOperationException(f"the answer broke off after {self.received} bytes, and cannot be resumed")
        return f"bytes={self._first + self.received}-{self._first + self.received + self._asked - 1}"

    @property
    def can_resume(self) -> bool:
        """True if the answer can be closed now and the rest requested later."""
        return self.received > 0 and not self.ignores_range and self.version is not None and self._expected is not None

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Note the bytes that an answer announces.

        Raises:
            FileChanged: The answer is of another version.
            StorageOperationException: The answer is not for the requested bytes.
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
        """Return first byte and length of the range in a whole file: caches and CDNs may ignore Range."""
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
        """Return True if these bytes are the missing ones. An answer with the whole file needs no Content-Range."""
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
        """Return the bytes of the next request of a resumed download."""
        return self._missing if self.piece is None else min(self._missing, self.piece)

    def add(self, chunk: bytes) -> bytes:
        """Note bytes that arrived. Return the part of them that was requested."""
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
            StorageUnavailableException: Bytes are missing.
        """
        if self._answer_ends is not None and self.received < self._answer_ends:
            raise StorageUnavailableException(f"the answer ended after {self.received} of {self._answer_ends} bytes")
        self._ended = self._expected is None or self.received >= self._expected

    def verify(self) -> None:
        """Compare the complete download with the stored checksum.

        Raises:
            ChecksumMismatchException: The checksums differ.
        """
        if self._checksum is None:
            return
        algorithm, stored = self._stored
        if (found := base64.b64encode(self._checksum.digest()).decode("ascii")) != stored:
            raise ChecksumMismatchException(f"{algorithm} is {found}, but {stored} was stored")


async def received(
    download: ResumedDownload,
    ask: Callable[[], Awaitable[Response]],
    *,
    retries: Retries,
    chunk_size: int,
    slots: Callable[[], Awaitable[DownloadSlots]],
) -> AsyncGenerator[bytes]:
    """Yield the bytes of a download. If its connection breaks, resume on another one.

    The download also resumes after another one took its connection: because the reader had stopped, or because the
    download had received its share of bytes.

    Args:
        download: The download.
        ask: Requests the current `ResumedDownload.range` of the version.
        retries: The rule for repeated requests. A byte that arrives resets the count.
        chunk_size: The largest size of a chunk in bytes.
        slots: Returns the slots of the running event loop.

    Raises:
        FileChanged: The object was replaced meanwhile.
        ChecksumMismatchException: All bytes arrived, and differ from the stored ones.
        StorageUnavailableException: The connection kept breaking before another byte arrived.
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
    """The pace at which a reader takes the bytes.

    Attributes:
        is_slow: True if the reader has stopped before.
        piece: The size in bytes of the next piece, if the reader gets pieces.
    """

    def __init__(self) -> None:
        self.is_slow = False
        self._piece: int | None = None

    @property
    def piece(self) -> int:
        """See the class."""
        if self._piece is None:
            self._piece = _slow_piece()
        return self._piece

    def note(self, seconds: float) -> None:
        """Note how long the reader took for a piece, or for a part of one."""
        self.is_slow = seconds > _SLOW
        self._piece = None if self.is_slow else min(2 * self.piece, _LARGEST_PIECE)


def _slow_piece() -> int:
    """Return the bytes for a slow reader. The number varies, so that readers do not all come back together."""
    return random.randint(CHUNK_SIZE // 2, 2 * CHUNK_SIZE)  # noqa: S311 - no secret


async def _kept(
    download: ResumedDownload, response: Response, chunk_size: int, slot: Slot, pace: _Pace
) -> AsyncGenerator[bytes]:
    """Yield the missing bytes from a connection, until another download takes it."""
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
    download: ResumedDownload, response: Response, chunk_size: int, slot: Slot, pace: _Pace
) -> AsyncGenerator[bytes]:
    """Read some of the missing bytes before the reader gets them, so that no connection waits for the reader."""
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


async def _wanted(download: ResumedDownload, response: Response, chunk_size: int) -> AsyncGenerator[bytes]:
    """Yield those bytes of an answer that were requested."""
    with transfer_errors():
        async for chunk in response.content.iter_chunked(chunk_size):
            if wanted := download.add(chunk):
                yield wanted
            if download.has_surplus:
                return


async def _asked(download: ResumedDownload, ask: Callable[[], Awaitable[Response]]) -> Response:
    try:
        return await ask()
    except (FileExistsException, RangeBeyondEnd) as error:
        if not download.received:
            raise
        raise FileChanged("the file was replaced while it was read") from error


def _range_header(offset: int, length: int | None) -> str | None:
    """Return the Range header (RFC 9110 section 14.1.2). None for the whole file."""
    if offset < 0:
        return f"bytes={offset}"
    if length is None:
        return f"bytes={offset}-" if offset else None
    return f"bytes={offset}-{offset + length - 1}"


def size_answered(status: int, headers: Mapping[str, str]) -> int:
    """Return the size of the file, from the answer to a request for a part of it.

    Raises:
        StorageOperationException: The answer does not tell the size.
    """
    size = _extent(status, headers)[2]
    if size is None:
        raise StorageOperationException("the server does not tell the size of the file")
    return size


def _extent(status: int, headers: Mapping[str, str]) -> tuple[int, int | None, int | None]:
    """Return the first byte of an answer, the number of its bytes, and the size of the file."""
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
