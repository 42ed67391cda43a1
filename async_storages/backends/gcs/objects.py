"""What GCS says of a file, and how a file is described to GCS. Pure.

Specified in the JSON API reference of Cloud Storage: "Objects", the resource.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from async_storages import naming
from async_storages.backends.gcs.answers import StoredObject
from async_storages.ids import FileId
from async_storages.models import FileBasicInfo

__all__ = ["described_as", "info_of", "is_made_of", "metadata_patch"]

_KEPT = (
    *("cacheControl", "contentDisposition", "contentEncoding", "contentLanguage", "contentType", "customTime"),
    *("metadata", "storageClass"),
)
"""What describes a file."""


def info_of(file_id: FileId, found: StoredObject) -> FileBasicInfo:
    """All that an object's resource says; the etag is the one that GCS sends with downloads by URL."""
    resource = found.resource
    return FileBasicInfo(
        file_id=str(file_id),
        file_name=naming.original_filename(file_id.key),
        file_size=found.size,
        last_modify_time=found.updated,
        storage_class=resource.get("storageClass"),
        metadata=found.metadata,
        content_type=resource.get("contentType") or None,
        etag=_hex(found.md5) or resource.get("etag"),
    )


def described_as(found: StoredObject) -> dict[str, Any]:
    """The resource that describes another file as this one is described; nothing that says who may read it."""
    return {name: found.resource[name] for name in _KEPT if found.resource.get(name)}


def is_made_of(
    found: StoredObject, described: Mapping[str, Any], size: int, checksums: Mapping[str, str | None]
) -> bool:
    """Whether an object may be taken for the one that was to be made: of this content and description.

    Args:
        found: The object.
        described: What it was to be described as.
        size: What it was to have, in bytes.
        checksums: Its ``md5Hash`` or ``crc32c``, as far as they are known.
    """
    same = (value and found.resource.get(name) == value for name, value in checksums.items())
    same_content = found.size == size and any(same)
    same_type = found.resource.get("contentType") == described.get("contentType")
    return same_content and same_type and found.metadata == (described.get("metadata") or {})


def metadata_patch(found: StoredObject, metadata: Mapping[str, str]) -> dict[str, str | None]:
    """The patch (RFC 7396) that makes these the only metadata."""
    return {**dict.fromkeys(found.metadata), **metadata}


def _hex(md5: str | None) -> str | None:
    try:
        return base64.b64decode(md5 or "").hex() or None
    except binascii.Error:
        return None
