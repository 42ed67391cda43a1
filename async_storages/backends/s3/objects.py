"""What S3's headers and listings say of a file, and which headers say it to S3. Pure."""

import base64
import re
from collections.abc import Mapping
from email.errors import MessageError
from email.header import decode_header, make_header

from async_storages import naming, sniff
from async_storages.backends.s3.answers import ListedObject
from async_storages.backends.transport.dates import http_date
from async_storages.errors import StorageOperationException
from async_storages.ids import FileId
from async_storages.models import FileBasicInfo

__all__ = [
    "described_headers",
    "info_of",
    "is_copy",
    "is_copy_of_version",
    "is_unchanged",
    "listed_info",
    "metadata_headers",
    "size_of",
]

_MD5 = re.compile("[0-9a-f]{32}")
_METADATA = "x-amz-meta-"
_KEPT = ("Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Type", "Expires")
"""What describes a file beside its metadata."""


def metadata_headers(metadata: Mapping[str, str]) -> dict[str, str]:
    """The headers that store the user's metadata."""
    return {f"{_METADATA}{key}": _encoded(value) for key, value in metadata.items()}


def described_headers(found: Mapping[str, str], metadata: Mapping[str, str] | None = None) -> dict[str, str]:
    """The headers that describe another file as this one is described, or only with other metadata."""
    kept = {name: found[name] for name in (*_KEPT, "x-amz-storage-class") if name in found}
    return {**kept, **metadata_headers(_metadata_of(found) if metadata is None else metadata)}


def is_copy(made: Mapping[str, str], origin: Mapping[str, str], metadata: Mapping[str, str] | None) -> bool:
    """Whether an object may be taken for a copy of another one, or for that one with the new metadata."""
    if len({headers["Content-Length"] for headers in (made, origin) if "Content-Length" in headers}) > 1:
        return False
    if metadata is not None:
        return _metadata_of(made) == metadata
    return any(name in made and made[name] == origin.get(name) for name in ("ETag", "x-amz-checksum-crc32"))


def is_copy_of_version(made: Mapping[str, str], etag: str, origin: Mapping[str, str]) -> bool | None:
    """Whether a new copy is of the version that was found, going by their ETags; None where these do not tell.

    They do where both are the MD5 of the content: not of an upload in parts, nor encrypted by another key than S3's.

    Args:
        made: What was answered of the copy.
        etag: The copy's.
        origin: What was found before.
    """
    theirs = origin.get("ETag", "").strip('"')
    if etag and etag == theirs:
        return True
    are_digests = _MD5.fullmatch(etag) and _MD5.fullmatch(theirs)
    return False if are_digests and not (_is_opaque(made) or _is_opaque(origin)) else None


def is_unchanged(now: Mapping[str, str], before: Mapping[str, str]) -> bool:
    """Whether two looks at an object are at one version, as far as can be told."""
    return all(now.get(name) == before.get(name) for name in ("ETag", "Last-Modified", "Content-Length"))


def _is_opaque(headers: Mapping[str, str]) -> bool:
    """Whether an object is encrypted so that its ETag is no digest of the content."""
    encryption = headers.get("x-amz-server-side-encryption", "AES256")
    return encryption != "AES256" or "x-amz-server-side-encryption-customer-algorithm" in headers


def size_of(found: Mapping[str, str]) -> int:
    """The size in bytes.

    Raises:
        StorageOperationException: The headers do not tell.
    """
    size = found.get("Content-Length", "")
    if not (size.isascii() and size.isdigit()):
        raise StorageOperationException("S3's answer does not tell the size")
    return int(size)


def info_of(file_id: FileId, found: Mapping[str, str]) -> FileBasicInfo:
    """All that the headers of a file say.

    Raises:
        StorageOperationException: They do not tell its size.
    """
    return FileBasicInfo(
        file_id=str(file_id),
        file_name=naming.original_filename(file_id.key),
        file_size=size_of(found),
        last_modify_time=http_date(found.get("Last-Modified", "")),
        storage_class=_readable(found.get("x-amz-storage-class", "STANDARD")),
        metadata=_metadata_of(found),
        content_type=_readable(found.get("Content-Type", "")) or None,
        etag=_readable(found.get("ETag", "")).strip('"') or None,
        cache_control=_said(found, "Cache-Control"),
        content_disposition=_said(found, "Content-Disposition"),
        content_encoding=_said(found, "Content-Encoding"),
        content_language=_said(found, "Content-Language"),
        expires=http_date(found.get("Expires", "")),
    )


def _said(found: Mapping[str, str], name: str) -> str | None:
    return _readable(found.get(name, "")) or None


def listed_info(file_id: FileId, listed: ListedObject) -> FileBasicInfo:
    """All that a listing says of a file; its type is guessed by its name, and its metadata left out."""
    return FileBasicInfo(
        file_id=str(file_id),
        file_name=naming.original_filename(file_id.key),
        file_size=listed.size,
        last_modify_time=listed.last_modified,
        storage_class=listed.storage_class,
        content_type=sniff.guess_by_name(file_id.key),
        etag=listed.etag,
    )


def _metadata_of(found: Mapping[str, str]) -> dict[str, str]:
    return {
        lowered.removeprefix(_METADATA): _decoded(_readable(value))
        for name, value in found.items()
        if (lowered := name.lower()).startswith(_METADATA)
    }


def _readable(value: str) -> str:
    """A header as text: aiohttp leaves bytes that are no UTF-8 as lone surrogates, which nothing else takes."""
    return value if value.isascii() else value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _encoded(value: str) -> str:
    """A header value: as it is, or one encoded word of RFC 2047, as S3 itself writes them.

    SeaweedFS drops empty ones, but not the word for nothing.
    """
    if value and value.isascii() and "=?" not in value:
        return value
    return f"=?UTF-8?B?{base64.b64encode(value.encode()).decode('ascii')}?="


def _decoded(value: str) -> str:
    """The inverse of `_encoded`; what others wrote and nobody can read stays as it is."""
    try:
        return str(make_header(decode_header(value)))
    except (MessageError, LookupError, ValueError):
        return value
