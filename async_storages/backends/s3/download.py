"""One download, out of as many answers as it takes: where it stands, and whether what came is what is stored."""

import base64
import re
import zlib
from collections.abc import Mapping

from async_storages.backends.s3.answers import FileChanged
from async_storages.errors import ChecksumMismatchException, StorageOperationException, StorageUnavailableException

__all__ = ["WITH_CHECKSUM", "Download"]

WITH_CHECKSUM = {"x-amz-checksum-mode": "ENABLED"}
"""The header of a GET or HEAD that asks for the stored checksum."""

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(?:\d+|\*)")


class Download:
    """The bytes of an object, or of one range of it, on their way. No I/O.

    Args:
        offset: The first byte, from 0; negative counts from the end.
        length: How many bytes at the most, at least 1; None for all.

    Attributes:
        received: Bytes that have come.
    """

    def __init__(self, offset: int, length: int | None) -> None:
        self.received = 0
        self._range = _range_header(offset, length)
        self._offset = offset
        self._first = 0
        self._expected: int | None = None
        self._etag: str | None = None
        self._stored_crc32: str | None = None
        self._crc32 = 0
        self._ended = False

    @property
    def is_complete(self) -> bool:
        """Whether nothing is to be asked for any more."""
        return self._ended or self.received == self._expected

    def headers(self) -> dict[str, str]:
        """What to ask for: all of it at first, then what is missing of that very version."""
        if not self.received:
            return WITH_CHECKSUM if self._range is None else {"Range": self._range}
        if self._etag is None or self._expected is None:
            raise StorageOperationException(f"the answer broke off after {self.received} bytes, and cannot be resumed")
        last = self._first + self._expected - 1
        return {"Range": f"bytes={self._first + self.received}-{last}", "If-Match": self._etag}

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Note what an answer is going to give.

        Raises:
            FileChanged: It is of another version.
            StorageOperationException: It is not what was asked for.
        """
        first, length = _extent(status, headers)
        if self.received:
            self._check_same(first, headers.get("ETag"))
            return
        if self._range is not None and status != 206 and length:
            raise StorageOperationException("S3 answered the whole file instead of a range")
        if self._offset >= 0 and length and first != self._offset:
            raise StorageOperationException("S3 answered another range than it was asked for")
        self._first, self._expected, self._etag = first, length, headers.get("ETag")
        self._stored_crc32 = headers.get("x-amz-checksum-crc32") if self._range is None else None

    def _check_same(self, first: int, etag: str | None) -> None:
        if etag != self._etag:
            raise FileChanged("the file was replaced while it was read")
        if first != self._first + self.received:
            raise StorageOperationException("S3 answered another range than it was asked for")

    def add(self, chunk: bytes) -> None:
        """Note what came."""
        self.received += len(chunk)
        if self._stored_crc32 is not None:
            self._crc32 = zlib.crc32(chunk, self._crc32)

    def end(self) -> None:
        """Note that an answer has ended.

        Raises:
            StorageUnavailableException: Something is missing.
        """
        if self._expected is not None and self.received < self._expected:
            raise StorageUnavailableException(f"the answer ended after {self.received} of {self._expected} bytes")
        self._ended = True

    def verify(self) -> None:
        """Compare what came, once complete, with the stored checksum.

        Raises:
            ChecksumMismatchException: They differ.
        """
        # a checksum of parts, "…-3", says nothing about the whole
        if self._stored_crc32 is not None and "-" not in self._stored_crc32:
            found = base64.b64encode(self._crc32.to_bytes(4, "big")).decode("ascii")
            if found != self._stored_crc32:
                raise ChecksumMismatchException(f"crc32 is {found}, but {self._stored_crc32} was stored")


def _range_header(offset: int, length: int | None) -> str | None:
    """RFC 9110 section 14.1.2; None for the whole file."""
    if offset < 0:
        return f"bytes={offset}"
    if length is None:
        return f"bytes={offset}-" if offset else None
    return f"bytes={offset}-{offset + length - 1}"


def _extent(status: int, headers: Mapping[str, str]) -> tuple[int, int | None]:
    """The first byte of the file that an answer gives, and how many there are, if it says so."""
    if status != 206:
        length = headers.get("Content-Length", "")
        return 0, int(length) if length.isascii() and length.isdigit() else None
    found = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
    if found is None:
        raise StorageOperationException("S3 answered a range without saying which")
    return int(found[1]), int(found[2]) - int(found[1]) + 1
