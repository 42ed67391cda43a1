"""Checksums of content while it passes: CRC32 and those of `hashlib`, with one interface."""

import hashlib
import zlib
from typing import Protocol

from async_storages.errors import InvalidArgumentException

__all__ = ["Checksum", "new_checksum"]


class Checksum(Protocol):
    """A checksum on its way, as those of `hashlib` are."""

    def update(self, data: bytes, /) -> None:
        """Take more bytes in."""
        ...

    def digest(self) -> bytes:
        """The checksum of all bytes so far."""
        ...


class _Crc32:
    """zlib's CRC32 with hashlib's interface; digests are big-endian, as S3 writes them."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


def new_checksum(algorithm: str) -> Checksum:
    """A new checksum: ``"crc32"``, or one of `hashlib`'s; raises InvalidArgumentException where there is none."""
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
