"""One download, out of as many replies as it takes: where it stands, and whether what came is what was stored."""

import zlib

from async_storages.backends.fastdfs import protocol
from async_storages.backends.fastdfs.protocol import Name, Request, Server
from async_storages.backends.fastdfs.statuses import ProtocolError
from async_storages.errors import ChecksumMismatchException
from async_storages.fastdfs_ids import FastDFSDetails, FileKind

__all__ = ["Download"]


class Download:
    """The bytes of a file, or of one range of it, on their way. No I/O.

    Args:
        file_id: The file.
        offset: The first byte, from 0.
        length: How many bytes at the most, at least 1; None for all.

    Attributes:
        name: The file.
        position: The next byte.
        failed: Servers that broke off.
    """

    def __init__(self, file_id: str, offset: int, length: int | None) -> None:
        self.name = Name.parse(file_id)
        self.position = offset
        self.failed: set[Server] = set()
        self._details = FastDFSDetails.parse(file_id)
        self._offset = offset
        self._last = None if length is None else offset + length
        self._end: int | None = None
        self._crc32 = 0

    @property
    def can_resume(self) -> bool:
        """Whether the rest may be asked for: an appender may have changed meanwhile."""
        is_constant = self._details is not None and self._details.kind is not FileKind.APPENDER
        return self._end is None or is_constant

    def request(self) -> Request[bytes]:
        """For what is missing."""
        return protocol.download(self.name, self.position, 0 if self._last is None else self._last - self.position)

    def begin(self, length: int) -> None:
        """Note how many bytes a reply is going to give.

        Raises:
            ProtocolError: Not as many as are missing.
        """
        end = self.position + length
        if self._end is None and (self._last is None or end <= self._last):
            self._end = end
        if self._end != end:
            raise ProtocolError(f"{length} bytes from {self.position} on are not what was asked for")

    def add(self, chunk: bytes) -> None:
        """Note what came."""
        self.position += len(chunk)
        self._crc32 = zlib.crc32(chunk, self._crc32)

    def verify(self) -> None:
        """Hold what came against the size in the id and, if it was the whole file, the checksum; if the id tells them.

        Raises:
            ChecksumMismatchException: They differ.
        """
        if self._details is None or self._details.size is None:
            return
        size, crc32 = self._details.size, self._details.crc32
        end = size if self._last is None else min(size, self._last)
        if self.position != max(self._offset, end):
            raise ChecksumMismatchException(f"it ended at byte {self.position}, but was stored with {size}")
        if self._offset == 0 and self.position == size and self._crc32 != crc32:
            raise ChecksumMismatchException(f"crc32 is {self._crc32:08x}, but {crc32:08x} was stored")
