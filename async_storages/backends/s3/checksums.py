"""Checksums of bodies and parts, in the forms of S3's headers, ETags and answers."""

import hashlib
import re
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence

from async_storages._tasks import offload
from async_storages.backends.s3.xml_messages import UploadedPart
from async_storages.backends.transport.body import Body
from async_storages.errors import ChecksumMismatchException

__all__ = ["computed", "content_md5", "crc32", "etag_in", "etag_of_parts", "expect_checksum", "md5", "sha256"]

_AT_ONCE = 1 << 20
"""The largest body in bytes whose checksum is computed on the event loop. SHA-256 takes under 1 ms."""

_MD5 = re.compile(r'"?([0-9a-f]{32})"?')


async def computed(checksum: Callable[[Sequence[bytes]], str], body: Body) -> str:
    """Return a checksum of a body. A thread computes it if that takes long."""
    return checksum(body.pieces) if body.size <= _AT_ONCE else await offload(checksum, body.pieces)


def crc32(pieces: Iterable[bytes]) -> str:
    """Return the CRC32 in S3's form: big-endian, in base64."""
    value = 0
    for piece in pieces:
        value = zlib.crc32(piece, value)
    return _base64(value.to_bytes(4, "big"))


def md5(pieces: Iterable[bytes]) -> bytes:
    """Return the MD5, from which S3 makes ETags."""
    digest = hashlib.md5(usedforsecurity=False)
    for piece in pieces:
        digest.update(piece)
    return digest.digest()


def content_md5(pieces: Iterable[bytes]) -> str:
    """Return the value of Content-MD5."""
    return _base64(md5(pieces))


def sha256(pieces: Iterable[bytes]) -> str:
    """Return the SHA-256 in hex, as it is signed."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def etag_in(headers: Mapping[str, str]) -> str:
    """Return the ETag of an answer, without quotes. Empty if it has none."""
    return headers.get("ETag", "").strip('"')


def etag_of_parts(parts: Sequence[UploadedPart]) -> str | None:
    """Return S3's ETag for an object of these parts. None if their ETags are not MD5s, as with SSE-KMS."""
    md5s = [found[1] for part in parts if (found := _MD5.fullmatch(part.etag))]
    if len(md5s) < len(parts):
        return None
    return f"{md5([bytes.fromhex(''.join(md5s))]).hex()}-{len(parts)}"


def expect_checksum(answered: Mapping[str, str], ours: str) -> None:
    """Raise ChecksumMismatchException if the server's CRC32 differs from the sent one."""
    theirs = answered.get("x-amz-checksum-crc32", ours)
    if theirs != ours:
        raise ChecksumMismatchException(f"crc32 was sent as {ours}, and stored as {theirs}")


def _base64(digest: bytes) -> str:
    return b64encode(digest).decode("ascii")
