"""One download from one or more replies: its position, and the comparison with the stored file."""

import zlib

from async_storages.backends.fastdfs import protocol
from async_storages.backends.fastdfs.old_crc32 import OldCrc32
from async_storages.backends.fastdfs.protocol import Name, Request, Server
from async_storages.backends.fastdfs.statuses import ProtocolError
from async_storages.errors import ChecksumMismatchException
from async_storages.fastdfs_ids import FastDFSDetails, FileKind

__all__ = ["FastDFSDownload"]


class FastDFSDownload:
    """A download of a file, or of one range of it. No I/O.

    Args:
        file_id: The file.
        offset: The first byte, from 0.
        length: The largest number of bytes, at least 1. None reads to the end.
        computes_old: True also computes the checksum of old servers: see `OldCrc32`.

    Attributes:
        name: The file.
        position: The next byte.
        crc32: zlib's CRC-32 of the bytes so far.
        old_crc32: The checksum of old servers, if it is computed.
        failed: The servers whose connections broke.
    """

    def __init__(self, file_id: str, offset: int, length: int | None, *, computes_old: bool = False) -> None:
        self.name = Name.parse(file_id)
        self.position = offset
        self.crc32 = 0
        self.failed: set[Server] = set()
        self._details = FastDFSDetails.parse(file_id)
        self._offset = offset
        self._last = None if length is None else offset + length
        self._limit = self.known_size
        self._end: int | None = None
        self.old_crc32 = OldCrc32() if computes_old else None

    @property
    def can_resume(self) -> bool:
        """True if the rest may be requested. An appender may have changed meanwhile."""
        is_constant = self._details is not None and self._details.kind is not FileKind.APPENDER
        return self._end is None or is_constant

    @property
    def known_size(self) -> int | None:
        """The size in the id. None if only the server knows it."""
        return None if self._details is None else self._details.size

    @property
    def needs_size(self) -> bool:
        """True if the size must be requested first, as old servers refuse ranges beyond the end."""
        return self._limit is None and (self._last is not None or self._offset > 0)

    @property
    def is_beyond_end(self) -> bool:
        """True if no bytes remain to request. Servers refuse empty ranges."""
        return self._limit is not None and self.position >= self._limit

    def limit(self, size: int) -> None:
        """Limit all requests to this size."""
        self._limit = size

    def shorten(self, size: int) -> bool:
        """Limit a range that reached beyond the end. Return False if it did not."""
        asked = None if self._last is None else self._last if self._limit is None else min(self._last, self._limit)
        self._limit = size
        return asked is not None and asked > size

    def request(self) -> Request[bytes]:
        """Return the request for the missing bytes."""
        if self._last is None:
            return protocol.download(self.name, self.position)
        last = self._last if self._limit is None else min(self._last, self._limit)
        return protocol.download(self.name, self.position, last - self.position)

    def begin(self, length: int) -> None:
        """Note the number of bytes that a reply will have.

        Raises:
            ProtocolError: The number differs from the number of missing bytes.
        """
        end = self.position + length
        if self._end is None and (self._last is None or end <= self._last):
            self._end = end
        if self._end != end:
            raise ProtocolError(f"{length} bytes from {self.position} on are not what was asked for")

    def add(self, chunk: bytes) -> None:
        """Note bytes that arrived."""
        self.position += len(chunk)
        self.crc32 = zlib.crc32(chunk, self.crc32)
        if self.old_crc32 is not None:
            self.old_crc32.update(chunk)

    @property
    def is_whole(self) -> bool:
        """True if a whole file arrived whose checksum is in the id."""
        return self._offset == 0 and self.known_size == self.position

    @property
    def has_old_checksum(self) -> bool:
        """True if the whole file matches the checksum of old servers, and not zlib's."""
        is_other = self.is_whole and self._details is not None and self.crc32 != self._details.crc32
        return is_other and self.old_crc32 is not None and self.old_crc32.value() == self._stored_crc32

    @property
    def needs_second_look(self) -> bool:
        """True if the result is open: zlib's checksum differs, and the old one was not computed."""
        return self.is_whole and self.crc32 != self._stored_crc32 and self.old_crc32 is None

    def take_over(self, second: "FastDFSDownload") -> None:
        """Take over another download of the same bytes, which has also computed the checksum of old servers."""
        if second.crc32 == self.crc32:
            self.old_crc32 = second.old_crc32

    @property
    def _stored_crc32(self) -> int | None:
        return None if self._details is None else self._details.crc32

    def verify(self) -> None:
        """Compare the bytes with the size in the id, and a whole file with its checksum, if the id has them.

        Raises:
            ChecksumMismatchException: The size or checksum differs.
        """
        size = self.known_size
        if size is None:
            return
        end = size if self._last is None else min(size, self._last)
        if self.position != max(self._offset, end):
            raise ChecksumMismatchException(f"it ended at byte {self.position}, but was stored with {size}")
        if self.is_whole and self.crc32 != self._stored_crc32 and not self.has_old_checksum:
            raise ChecksumMismatchException(f"crc32 is {self.crc32:08x}, but {self._stored_crc32:08x} was stored")
