"""Checksums of bodies and parts, in the forms of S3's headers, ETags and answers."""

import hashlib
import re
import zlib
from base64 import b64encode
from collections.abc import Mapping, Sequence

from async_storages.backends.s3.xml_messages import UploadedPart
from async_storages.errors import ChecksumMismatchException

__all__ = ["content_md5", "crc32", "etag_in", "etag_of_parts", "expect_checksum", "md5"]

_MD5 = re.compile(r'"?([0-9a-f]{32})"?')


def crc32(body: bytes) -> str:
    """Return the CRC32 in S3's form: big-endian, in base64."""
    return _base64(zlib.crc32(body).to_bytes(4, "big"))


def md5(data: bytes) -> bytes:
    """Return the MD5, from which S3 makes ETags."""
    return hashlib.md5(data, usedforsecurity=False).digest()


def content_md5(body: bytes) -> str:
    """Return the value of Content-MD5."""
    return _base64(md5(body))


def etag_in(headers: Mapping[str, str]) -> str:
    """Return the ETag of an answer, without quotes. Empty if it has none."""
    return headers.get("ETag", "").strip('"')


def etag_of_parts(parts: Sequence[UploadedPart]) -> str | None:
    """Return S3's ETag for an object of these parts. None if their ETags are not MD5s, as with SSE-KMS."""
    md5s = [found[1] for part in parts if (found := _MD5.fullmatch(part.etag))]
    if len(md5s) < len(parts):
        return None
    return f"{md5(bytes.fromhex(''.join(md5s))).hex()}-{len(parts)}"


def expect_checksum(answered: Mapping[str, str], ours: str) -> None:
    """Raise ChecksumMismatchException if the server's CRC32 differs from the sent one."""
    theirs = answered.get("x-amz-checksum-crc32", ours)
    if theirs != ours:
        raise ChecksumMismatchException(f"crc32 was sent as {ours}, and stored as {theirs}")


def _base64(digest: bytes) -> str:
    return b64encode(digest).decode("ascii")
