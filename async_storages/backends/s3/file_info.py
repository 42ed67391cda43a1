"""File information in S3's headers and listings, and the headers that store it. No I/O."""

import base64
import re
from collections.abc import Mapping
from email.errors import MessageError
from email.header import decode_header, make_header

from async_storages import naming, sniff
from async_storages.backends.s3.xml_messages import ListedObject
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
"""Headers that describe a file, besides its metadata."""


def metadata_headers(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that store the user's metadata."""
    return {f"{_METADATA}{key}": _encoded(value) for key, value in metadata.items()}


def described_headers(found: Mapping[str, str], metadata: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the headers that give another file the same description, or other metadata."""
    kept = {name: found[name] for name in (*_KEPT, "x-amz-storage-class") if name in found}
    return {**kept, **metadata_headers(_metadata_of(found) if metadata is None else metadata)}


def is_copy(made: Mapping[str, str], origin: Mapping[str, str], metadata: Mapping[str, str] | None) -> bool:
    """Return True if an object looks like a copy of another one, or like that one with the new metadata."""
    if len({headers["Content-Length"] for headers in (made, origin) if "Content-Length" in headers}) > 1:
        return False
    if metadata is not None:
        return _metadata_of(made) == metadata
    return any(name in made and made[name] == origin.get(name) for name in ("ETag", "x-amz-checksum-crc32"))


def is_copy_of_version(made: Mapping[str, str], etag: str, origin: Mapping[str, str]) -> bool | None:
    """Return True if a new copy is of the found version, by their ETags. None if the ETags do not tell.

    ETags tell it if both are the MD5 of the content. They are not after a multipart upload, or with encryption by
    another key than S3's.

    Args:
        made: The headers of the answer to the copy.
        etag: The ETag of the copy.
        origin: The headers of the version that was found.
    """
    theirs = origin.get("ETag", "").strip('"')
    if etag and etag == theirs:
        return True
    are_digests = _MD5.fullmatch(etag) and _MD5.fullmatch(theirs)
    return False if are_digests and not (_is_opaque(made) or _is_opaque(origin)) else None


def is_unchanged(now: Mapping[str, str], before: Mapping[str, str]) -> bool:
    """Return True if two answers about an object show the same version, as far as the headers tell."""
    return all(now.get(name) == before.get(name) for name in ("ETag", "Last-Modified", "Content-Length"))


def _is_opaque(headers: Mapping[str, str]) -> bool:
    """Return True if the ETag is not a digest of the content because of the encryption."""
    encryption = headers.get("x-amz-server-side-encryption", "AES256")
    return encryption != "AES256" or "x-amz-server-side-encryption-customer-algorithm" in headers


def size_of(found: Mapping[str, str]) -> int:
    """Return the size in bytes.

    Raises:
        StorageOperationException: The headers do not tell it.
    """
    size = found.get("Content-Length", "")
    if not (size.isascii() and size.isdigit()):
        raise StorageOperationException("S3's answer does not tell the size")
    return int(size)


def info_of(file_id: FileId, found: Mapping[str, str]) -> FileBasicInfo:
    """Return the file information in the headers of a file.

    Raises:
        StorageOperationException: The headers do not tell the size.
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
    value = found.get(name)
    return _readable(value) if value else None


def listed_info(file_id: FileId, listed: ListedObject) -> FileBasicInfo:
    """Return the file information in a listing. The type is a guess from the name, and metadata is missing."""
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
        if name[:1] in "xX" and (lowered := name.lower()).startswith(_METADATA)
    }


def _readable(value: str) -> str:
    """Return a header as text. aiohttp decodes bytes that are not UTF-8 as lone surrogates, which cannot be encoded."""
    return value if value.isascii() else value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _encoded(value: str) -> str:
    """Return a header value: unchanged, or as one encoded word of RFC 2047, as S3 writes them.

    SeaweedFS drops empty values, but keeps the encoded word for an empty value.
    """
    if value and value.isascii() and "=?" not in value:
        return value
    return f"=?UTF-8?B?{base64.b64encode(value.encode()).decode('ascii')}?="


def _decoded(value: str) -> str:
    """Return the inverse of `_encoded`. A value that cannot be decoded stays unchanged."""
    try:
        return str(make_header(decode_header(value)))
    except (MessageError, LookupError, ValueError):
        return value
