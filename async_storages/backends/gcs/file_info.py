"""File information in GCS's resources, and the resources that describe a file. No I/O.

Specified in the JSON API reference of Cloud Storage: "Objects", the resource.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from async_storages import naming
from async_storages.backends.gcs.resources import StoredObject
from async_storages.errors import InvalidArgumentException
from async_storages.ids import FileId
from async_storages.models import FileBasicInfo

__all__ = ["check_metadata_size", "described_as", "etag_of", "info_of", "is_made_of", "metadata_patch"]

_KEPT = (
    *("cacheControl", "contentDisposition", "contentEncoding", "contentLanguage", "contentType", "customTime"),
    *("metadata", "storageClass"),
)
"""Fields that describe a file."""

_MOST_METADATA = 8192
"""The largest number of bytes of metadata names and values."""


def info_of(file_id: FileId, found: StoredObject) -> FileBasicInfo:
    """Return the file information in an object's resource. See `etag_of` for its etag."""
    resource = found.resource
    return FileBasicInfo(
        file_id=str(file_id),
        file_name=naming.original_filename(file_id.key),
        file_size=found.size,
        last_modify_time=found.updated,
        storage_class=resource.get("storageClass"),
        metadata=found.metadata,
        content_type=resource.get("contentType") or None,
        etag=etag_of(found),
        cache_control=resource.get("cacheControl") or None,
        content_disposition=resource.get("contentDisposition") or None,
        content_encoding=resource.get("contentEncoding") or None,
        content_language=resource.get("contentLanguage") or None,
    )


def etag_of(found: StoredObject) -> str | None:
    """Return the MD5 in hex, if listings have it too. Otherwise return the ETag of the resource."""
    md5 = None if "kmsKeyName" in found.resource else found.md5
    return _hex(md5) or found.resource.get("etag")


def described_as(found: StoredObject) -> dict[str, Any]:
    """Return the resource that gives another file the same description, without the ACL."""
    return {name: found.resource[name] for name in _KEPT if found.resource.get(name)}


def is_made_of(
    found: StoredObject, described: Mapping[str, Any], size: int, checksums: Mapping[str, str | None]
) -> bool:
    """Return True if an object looks like the one that a request makes.

    Args:
        found: The object.
        described: The description of the expected object.
        size: The size of the expected object in bytes.
        checksums: The ``md5Hash`` or ``crc32c`` of the expected object, as far as they are known.
    """
    same = (value and found.resource.get(name) == value for name, value in checksums.items())
    same_content = found.size == size and any(same)
    same_type = found.resource.get("contentType") == described.get("contentType")
    return same_content and same_type and found.metadata == (described.get("metadata") or {})


def check_metadata_size(metadata: Mapping[str, str]) -> None:
    """Refuse metadata that is too large for GCS."""
    if sum(len(text.encode()) for pair in metadata.items() for text in pair) > _MOST_METADATA:
        raise InvalidArgumentException(f"the metadata is too large: GCS keeps at most {_MOST_METADATA} bytes")


def metadata_patch(found: StoredObject, metadata: Mapping[str, str]) -> dict[str, str | None]:
    """Return the patch (RFC 7396) that replaces all metadata."""
    return {**dict.fromkeys(found.metadata), **metadata}


def _hex(md5: str | None) -> str | None:
    try:
        return base64.b64decode(md5 or "").hex() or None
    except binascii.Error:
        return None
