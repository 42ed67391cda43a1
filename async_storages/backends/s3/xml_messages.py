"""Parsing XML from S3, and writing XML for S3. No I/O.

Specified in the Amazon S3 API reference: ListObjectsV2, ListMultipartUploads, DeleteObjects,
UploadPartCopy, CompleteMultipartUpload, GetBucketLifecycleConfiguration.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import unquote_plus
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from async_storages.backends.s3.error_responses import ErrorResponse, child_texts
from async_storages.errors import StorageOperationException
from async_storages.storage.part_uploads import StoredPart

__all__ = [
    "NAMESPACE",
    "ListedObject",
    "Listing",
    "UploadedPart",
    "complete_multipart_body",
    "delete_objects_body",
    "found_text",
    "parse_copied_part",
    "parse_delete_result",
    "parse_lifecycle_rules",
    "parse_listing",
    "parse_parts",
    "parse_text",
    "parse_uploads",
]

NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
"""The namespace of every body's root element."""

_MISSING = frozenset({"NoSuchKey", "NoSuchVersion"})


@dataclass(frozen=True, slots=True)
class UploadedPart:
    """One uploaded part of a multipart upload.

    Attributes:
        number: The number of the part, 1 to 10,000.
        etag: The ETag of the answer, in quotes.
        crc32: The CRC32 of the answer, in base64. None if the answer has none. Some servers refuse completions with
            another CRC32.
    """

    number: int
    etag: str
    crc32: str | None = None


@dataclass(frozen=True, slots=True)
class ListedObject:
    """One object of a listing. The ETag has no quotes."""

    key: str
    size: int
    etag: str
    last_modified: datetime
    storage_class: str | None


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of ListObjectsV2. `token` requests the next page. It is None on the last page."""

    objects: list[ListedObject]
    token: str | None


def parse_listing(body: bytes) -> Listing:
    """Parse a page of ListObjectsV2. Keys are decoded if it has ``<EncodingType>url``. Some servers leave that out.

    Raises:
        StorageOperationException: The body is not a valid answer.
    """
    with _well_formed():
        root = ET.fromstring(body)  # noqa: S314 - expat refuses entity bombs since 2.4.1, and nothing external is read
        decode = _decoder(root)
        objects = [
            ListedObject(
                key=decode(_text(item, "Key")),
                size=int(_text(item, "Size")),
                etag=_text(item, "ETag").strip('"'),
                last_modified=_time(_text(item, "LastModified")),
                storage_class=_find(item, "StorageClass"),
            )
            for item in _children(root, "Contents")
        ]
        is_last = _find(root, "IsTruncated") != "true"
        return Listing(objects, None if is_last else _text(root, "NextContinuationToken"))


def parse_uploads(body: bytes) -> list[tuple[str, str]]:
    """Return key and id of the uploads on a page of ListMultipartUploads, decoded as in a listing.

    Raises:
        StorageOperationException: The body is not a valid answer.
    """
    with _well_formed():
        root = ET.fromstring(body)  # noqa: S314 - as above
        decode = _decoder(root)
        return [(decode(_text(item, "Key")), _text(item, "UploadId")) for item in _children(root, "Upload")]


def parse_parts(body: bytes) -> tuple[list[StoredPart], str | None]:
    """Return the parts on a page of ListParts, and the marker that requests the next page.

    Raises:
        StorageOperationException: The body is not a valid answer.
    """
    with _well_formed():
        root = ET.fromstring(body)  # noqa: S314 - as above
        parts = [
            StoredPart(int(_text(item, "PartNumber")), int(_text(item, "Size")), _text(item, "ETag").strip('"'))
            for item in _children(root, "Part")
        ]
        is_last = _find(root, "IsTruncated") != "true"
        return parts, None if is_last else _text(root, "NextPartNumberMarker")


def parse_delete_result(body: bytes) -> dict[str, ErrorResponse]:
    """Return the failures of a multi-object delete, by key. A missing object is not a failure.

    Raises:
        StorageOperationException: The body is not a valid answer.
    """
    with _well_formed():
        root = ET.fromstring(body)  # noqa: S314 - as above
        codes = {_text(item, "Key"): _find(item, "Code") or "InternalError" for item in _children(root, "Error")}
        return {key: ErrorResponse(200, code) for key, code in codes.items() if code not in _MISSING}


def parse_copied_part(number: int, body: bytes) -> UploadedPart:
    """Return the part that UploadPartCopy made. S3 demands its checksum again when the parts are put together.

    Raises:
        StorageOperationException: The answer names no part.
    """
    with _well_formed():
        root = ET.fromstring(body)  # noqa: S314 - as above
        return UploadedPart(number, _text(root, "ETag"), _find(root, "ChecksumCRC32"))


def parse_lifecycle_rules(body: bytes) -> list[tuple[str | None, str]]:
    """Return id and XML of each rule of a bucket's lifecycle, without namespaces.

    Raises:
        StorageOperationException: The body is not a valid answer.
    """
    with _well_formed():
        root = ET.fromstring(body)  # noqa: S314 - as above
        for element in root.iter():
            element.tag = _name(element)
        return [(_find(rule, "ID"), ET.tostring(rule, encoding="unicode")) for rule in _children(root, "Rule")]


def parse_text(body: bytes, name: str) -> str:
    """Return the text of the root's child with this name, such as ``"UploadId"``.

    Raises:
        StorageOperationException: There is no such child.
    """
    with _well_formed():
        return _text(ET.fromstring(body), name)  # noqa: S314 - as above


def found_text(body: bytes, name: str) -> str:
    """Return the text of the root's child with this name. Empty if there is none."""
    return child_texts(body).get(name, "")


def delete_objects_body(keys: Iterable[str]) -> bytes:
    """Return the body of DeleteObjects. It requests only the failures."""
    objects = "".join(f"<Object><Key>{escape(key)}</Key></Object>" for key in keys)
    return f"<Delete {NAMESPACE}><Quiet>true</Quiet>{objects}</Delete>".encode()


def complete_multipart_body(parts: Iterable[UploadedPart]) -> bytes:
    """Return the body of CompleteMultipartUpload, with the parts in order."""
    listed = "".join(
        f"<Part><PartNumber>{part.number}</PartNumber><ETag>{escape(part.etag)}</ETag>"
        + (f"<ChecksumCRC32>{part.crc32}</ChecksumCRC32>" if part.crc32 else "")
        + "</Part>"
        for part in parts
    )
    return f"<CompleteMultipartUpload {NAMESPACE}>{listed}</CompleteMultipartUpload>".encode()


@contextmanager
def _well_formed() -> Iterator[None]:
    try:
        yield
    except (ET.ParseError, ValueError, LookupError) as error:
        raise StorageOperationException(
            "the answer is not what was asked for: the endpoint_url may not be that of S3"
        ) from error


def _children(parent: ET.Element, name: str) -> list[ET.Element]:
    return [child for child in parent if _name(child) == name]


def _find(parent: ET.Element, name: str) -> str | None:
    return next((child.text or "" for child in _children(parent, name)), None)


def _text(parent: ET.Element, name: str) -> str:
    found = _find(parent, name)
    if found is None:
        raise LookupError(f"there is no {name}")
    return found


def _decoder(root: ET.Element) -> Callable[[str], str]:
    """Return the function that decodes the keys of a listing."""
    return unquote_plus if (_find(root, "EncodingType") or "").strip().lower() == "url" else str


def _name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _time(text: str) -> datetime:
    """Parse a time in S3's form of ISO 8601."""
    return datetime.fromisoformat(text).astimezone(UTC)
