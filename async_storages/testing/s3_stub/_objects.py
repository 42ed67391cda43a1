"""What the stub keeps: buckets, objects and uploads in parts, in memory."""

import base64
import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime

from async_storages.testing.s3_stub._messages import StubError

__all__ = ["Bucket", "Part", "StoredObject", "Upload", "checked_crc32", "stored_headers"]

_ARCHIVES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
_KEPT = (
    *("cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "expires"),
    *("x-amz-storage-class", "x-amz-server-side-encryption", "x-amz-tagging", "x-amz-website-redirect-location"),
)
_CUSTOMER_KEY = "x-amz-server-side-encryption-customer-key-md5"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object.

    Attributes:
        data: Its bytes.
        headers: What describes it, by lower-case names: type, metadata, storage class …
        acl: The canned ACL it was stored with; None for none.
        etag: With quotes.
        crc32: As S3 writes it; None if none was sent.
        modified: The time it was stored.
    """

    data: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    acl: str | None = None
    etag: str = ""
    crc32: str | None = None
    modified: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))

    @classmethod
    def of(cls, data: bytes, sent: Mapping[str, str], acl: str | None, crc32: str | None = None) -> "StoredObject":
        """The object that an upload with these headers makes."""
        etag = f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'
        return cls(data, stored_headers(sent), acl, etag, crc32)

    @property
    def is_archived(self) -> bool:
        """Whether its storage class needs a restore before it can be read."""
        return self.headers.get("x-amz-storage-class") in _ARCHIVES

    @property
    def customer_key(self) -> str | None:
        """The MD5 of the customer's key that it is encrypted with (SSE-C)."""
        return self.headers.get(_CUSTOMER_KEY)

    def described(self, *, with_checksum: bool) -> dict[str, str]:
        """The headers of an answer that gives it."""
        said = {name: value for name, value in self.headers.items() if name != _CUSTOMER_KEY}
        said |= {"ETag": self.etag, "Last-Modified": format_datetime(self.modified, usegmt=True)}
        said.setdefault("content-type", "binary/octet-stream")
        if with_checksum and self.crc32:
            said["x-amz-checksum-crc32"] = self.crc32
        return said | {"Accept-Ranges": "bytes"}


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an upload; `crc32` if it was sent with one."""

    data: bytes = field(repr=False)
    etag: str
    crc32: str | None


@dataclass(slots=True)
class Upload:
    """An upload in parts that was neither completed nor aborted.

    Attributes:
        key: The target's.
        headers: As it was begun.
        acl: The canned ACL it was begun with.
        parts: By number.
    """

    key: str
    headers: Mapping[str, str]
    acl: str | None
    parts: dict[int, Part] = field(default_factory=dict)


@dataclass(slots=True)
class Bucket:
    """A bucket.

    Attributes:
        objects: By key.
        uploads: By id.
        aborted: Uploads that were aborted, by id.
        region: The LocationConstraint it was created with.
        settings: Bodies of PutBucketCors and the like, by subresource.
    """

    objects: dict[str, StoredObject] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)
    aborted: dict[str, Upload] = field(default_factory=dict)
    region: str | None = None
    settings: dict[str, bytes] = field(default_factory=dict)


def stored_headers(sent: Mapping[str, str]) -> dict[str, str]:
    """Of a request's headers those that stay with the object."""
    return {
        name: value
        for name, value in sent.items()
        if name.startswith("x-amz-meta-") or name in _KEPT or name == _CUSTOMER_KEY
    }


def checked_crc32(data: bytes, headers: Mapping[str, str]) -> str | None:
    """The CRC32 that was sent with the bytes, if any; raises BadDigest if a digest is that of other bytes."""
    md5 = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
    crc32 = base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()
    if headers.get("content-md5", md5) != md5 or headers.get("x-amz-checksum-crc32", crc32) != crc32:
        raise StubError(400, "BadDigest")
    return headers.get("x-amz-checksum-crc32")
