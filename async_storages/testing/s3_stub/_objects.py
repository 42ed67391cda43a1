"""The content of the stub: buckets, objects and uploads in parts, in memory."""

import base64
import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime

from async_storages.testing.s3_stub._messages import StubError

__all__ = ["Bucket", "StoredObject", "StubPart", "Upload", "checked_crc32", "stored_headers"]

_ARCHIVES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
_KEPT = (
    *("cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "expires"),
    *("x-amz-storage-class", "x-amz-server-side-encryption", "x-amz-tagging", "x-amz-website-redirect-location"),
)
_CUSTOMER_KEY = "x-amz-server-side-encryption-customer-key-md5"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object in a bucket of the stub.

    Attributes:
        data: Its bytes.
        headers: The headers that describe it, by lower-case names: type, metadata, storage class …
        acl: The canned ACL that the object was stored with. None for none.
        etag: The ETag, with quotes.
        crc32: The CRC32, as S3 writes it. None if the client sent none.
        modified: The time of the upload.
    """

    data: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    acl: str | None = None
    etag: str = ""
    crc32: str | None = None
    modified: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))

    @classmethod
    def of(cls, data: bytes, sent: Mapping[str, str], acl: str | None, crc32: str | None = None) -> "StoredObject":
        """Return the object that an upload with these headers makes."""
        etag = f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'
        return cls(data, stored_headers(sent), acl, etag, crc32)

    @property
    def is_archived(self) -> bool:
        """True if its storage class needs a restore before it can be read."""
        return self.headers.get("x-amz-storage-class") in _ARCHIVES

    @property
    def customer_key(self) -> str | None:
        """The MD5 of the customer's key that encrypts the object (SSE-C)."""
        return self.headers.get(_CUSTOMER_KEY)

    def described(self, *, with_checksum: bool) -> dict[str, str]:
        """Return the headers of an answer with its content."""
        said = {name: value for name, value in self.headers.items() if name != _CUSTOMER_KEY}
        said |= {"ETag": self.etag, "Last-Modified": format_datetime(self.modified, usegmt=True)}
        said.setdefault("content-type", "binary/octet-stream")
        if with_checksum and self.crc32:
            said["x-amz-checksum-crc32"] = self.crc32
        return said | {"Accept-Ranges": "bytes"}


@dataclass(frozen=True, slots=True)
class StubPart:
    """A part of an upload. `crc32` is None if the client sent none."""

    data: bytes = field(repr=False)
    etag: str
    crc32: str | None


@dataclass(slots=True)
class Upload:
    """A multipart upload that is neither completed nor aborted.

    Attributes:
        key: The key of the new object.
        headers: The headers of the request that began it.
        acl: The canned ACL of the request that began it.
        parts: The parts by number.
    """

    key: str
    headers: Mapping[str, str]
    acl: str | None
    parts: dict[int, StubPart] = field(default_factory=dict)


@dataclass(slots=True)
class Bucket:
    """A bucket of the stub.

    Attributes:
        objects: Objects by key.
        uploads: Open uploads by id.
        aborted: Aborted uploads by id.
        region: The LocationConstraint that the bucket was created with.
        settings: Bodies of PutBucketCors and similar requests, by subresource.
    """

    objects: dict[str, StoredObject] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)
    aborted: dict[str, Upload] = field(default_factory=dict)
    region: str | None = None
    settings: dict[str, bytes] = field(default_factory=dict)


def stored_headers(sent: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a request that the stub stores with the object."""
    return {
        name: value
        for name, value in sent.items()
        if name.startswith("x-amz-meta-") or name in _KEPT or name == _CUSTOMER_KEY
    }


def checked_crc32(data: bytes, headers: Mapping[str, str]) -> str | None:
    """Return the CRC32 sent with the bytes, if any. Raises BadDigest if a digest does not match the bytes."""
    md5 = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
    crc32 = base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()
    if headers.get("content-md5", md5) != md5 or headers.get("x-amz-checksum-crc32", crc32) != crc32:
        raise StubError(400, "BadDigest")
    return headers.get("x-amz-checksum-crc32")
