"""Checksums of streamed content: CRC32 and those of `hashlib`, with one interface."""

import hashlib
import zlib
from typing import Protocol

from async_storages.errors import InvalidArgumentException

__all__ = ["Checksum", "new_checksum"]


class Checksum(Protocol):
    """A checksum in progress, with the interface of `hashlib`."""

    def update(self, data: bytes, /) -> None:
        """Add bytes."""
        ...

    def digest(self) -> bytes:
        """Return the checksum of all bytes so far."""
        ...


class _Crc32:
    """zlib's CRC32 with the interface of `hashlib`. Digests are big-endian, as in S3."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


def new_checksum(algorithm: str) -> Checksum:
    """Return a new checksum: ``"crc32"``, or one of `hashlib`. Raises InvalidArgumentException for unknown names."""
    if algorithm == "crc32":
        return _Crc32()
    try:
        checksum = hashlib.new(algorithm, usedforsecurity=False)
    except ValueError as error:
        raise InvalidArgumentException(
            f"unknown checksum algorithm {algorithm!r}: use crc32 or one of hashlib's"
        ) from error
    if not checksum.digest_size:
        raise InvalidArgumentException(f"{algorithm} has no fixed length, so it is no checksum")
    return checksum
