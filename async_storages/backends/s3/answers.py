"""What S3 answers, taken apart, and the XML it is sent: pure, no I/O.

Specified in the Amazon S3 API reference: "Error responses", ListObjectsV2, ListMultipartUploads, DeleteObjects,
UploadPartCopy, CompleteMultipartUpload, GetBucketLifecycleConfiguration.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import unquote_plus
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from async_storages.backends.parts import StoredPart
from async_storages.backends.refusals import FileChanged, NoSuchUpload, RangeBeyondEnd
from async_storages.errors import (
    AccessDeniedException,
    ChecksumMismatchException,
    FileExistsException,
    FileNotFoundException,
    FileTooLargeException,
    InvalidArgumentException,
    StorageException,
    StorageOperationException,
    StorageUnavailableException,
)

__all__ = [
    "NAMESPACE",
    "BucketIsOwn",
    "Failure",
    "ListedObject",
    "Listing",
    "Part",
    "complete_multipart_body",
    "delete_objects_body",
    "http_date",
    "is_failure",
    "parse_copied_part",
    "parse_delete_result",
    "parse_lifecycle_rules",
    "parse_listing",
    "parse_parts",
    "parse_text",
    "parse_uploads",
]

NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
"""Of every body's root."""


class BucketIsOwn(StorageOperationException):
    """The bucket that was to be made is there, and one's own."""


_MONTHS = {
    f" {name} ": f"{number:02}"
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1
    )
}

_PASSING = frozenset(
    {
        "ConditionalRequestConflict",
        "InternalError",
        "OperationAborted",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "ThrottlingException",
        "TooManyRequests",
    }
)
_CORRUPTED = frozenset({"BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch"})
_FORBIDDEN = frozenset({"AccessDenied", "AllAccessDisabled", "ExpiredToken", "InvalidToken", "SignatureDoesNotMatch"})

_REASONS: dict[str, tuple[type[StorageException], str]] = {
    "BucketAlreadyExists": (StorageOperationException, "somebody else has a bucket of this name"),
    "BucketAlreadyOwnedByYou": (BucketIsOwn, "the bucket is there already"),
    "EntityTooLarge": (FileTooLargeException, "larger than the server allows"),
    "InvalidRange": (RangeBeyondEnd, "the range is beyond the file"),
    "KeyTooLongError": (InvalidArgumentException, "the key is too long for the server"),
    "MetadataTooLarge": (InvalidArgumentException, "the metadata is larger than the server allows"),
    "NoSuchBucket": (StorageOperationException, "no such bucket"),
    "NoSuchKey": (FileNotFoundException, "no such file"),
    "NoSuchLifecycleConfiguration": (FileNotFoundException, "no lifecycle rules"),
    "NoSuchUpload": (NoSuchUpload, "no such multipart upload: it was completed or aborted, or has expired"),
    "NoSuchVersion": (FileNotFoundException, "no such file"),
    "PreconditionFailed": (FileExistsException, "the key is taken"),
}
_MISSING = frozenset({"NoSuchKey", "NoSuchVersion"})
_CODE_OF_STATUS = {403: "AccessDenied", 404: "NoSuchKey", 412: "PreconditionFailed", 416: "InvalidRange"}


@dataclass(frozen=True, slots=True)
class Failure:
    """An answer that is no success.

    Attributes:
        status: The HTTP status.
        code: S3's error code: from the body, else told from the status, as HEAD has no body.
        region: The region that the bucket is in, where the answer says so.
        time: The server's clock, where the answer says so.
        condition: The precondition that failed, where the answer says so.
    """

    status: int
    code: str
    region: str | None = None
    time: datetime | None = None
    condition: str = ""

    @classmethod
    def of(cls, status: int, headers: Mapping[str, str], body: bytes) -> "Failure":
        """Take an answer apart; a body that is no XML tells nothing."""
        fields = _fields(body)
        return cls(
            status,
            code=fields.get("Code") or _CODE_OF_STATUS.get(status, ""),
            region=headers.get("x-amz-bucket-region") or fields.get("Region"),
            time=http_date(headers.get("Date", "")),
            condition=fields.get("Condition", ""),
        )

    @property
    def may_pass(self) -> bool:
        """Whether the same request may succeed later."""
        if self.status == 400 and not self.code:  # it was not S3 that said so: the connection is out of step
            return True
        return self.status in {429, 500, 502, 503, 504} or self.code in _PASSING or self.code in _CORRUPTED

    def error(self) -> StorageException:
        """The failure as an exception; the server's own message stays out of it, as it may quote the signature."""
        if self.code == "PreconditionFailed" and "source" in self.condition:
            return FileChanged("the file was replaced while it was copied")
        if self.code in _REASONS:
            kind, reason = _REASONS[self.code]
            return kind(reason)
        said = f"{self.status} {self.code}".rstrip() if self.status >= 300 else self.code
        if self.code in _CORRUPTED:
            return ChecksumMismatchException(f"the bytes arrived altered ({said})")
        if self.code in _FORBIDDEN or self.status in {401, 403}:
            return AccessDeniedException(f"S3 refused ({said})")
        kind = StorageUnavailableException if self.may_pass else StorageOperationException
        return kind(f"S3 answered {said}")


def is_failure(body: bytes) -> bool:
    """Whether the body of a 200 tells of a failure: copies and completions begin to answer before they are done."""
    return b"<Error" in body and "Code" in _fields(body)


@dataclass(frozen=True, slots=True)
class Part:
    """One uploaded part of a multipart upload.

    Attributes:
        number: From 1.
        etag: As the server answered it, in quotes.
        crc32: Base64, where the server answered it; a completion that names others is refused by some.
    """

    number: int
    etag: str
    crc32: str | None = None


@dataclass(frozen=True, slots=True)
class ListedObject:
    """One object of a listing; the ETag without quotes."""

    key: str
    size: int
    etag: str
    last_modified: datetime
    storage_class: str | None


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of ListObjectsV2; `token` asks for the next one."""

    objects: list[ListedObject]
    token: str | None


def parse_listing(body: bytes) -> Listing:
    """A page of ListObjectsV2; keys are decoded where it says ``<EncodingType>url``, as some servers ignore the wish.

    Raises:
        StorageOperationException: It is none.
    """
    with _well_formed():
        root = ET.fromstring(body)  # noqa: S314 - see _fields
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
    """Key and id of the uploads on a page of ListMultipartUploads, decoded as in a listing.

    Raises:
        StorageOperationException: It is none.
    """
    with _well_formed():
        root = ET.fromstring(body)  # noqa: S314 - see _fields
        decode = _decoder(root)
        return [(decode(_text(item, "Key")), _text(item, "UploadId")) for item in _children(root, "Upload")]


def parse_parts(body: bytes) -> tuple[list[StoredPart], str | None]:
    """The parts on a page of ListParts, and the marker that asks for the next page.

    Raises:
        StorageOperationException: It is none.
    """
    with _well_formed():
        root = ET.fromstring(body)  # noqa: S314 - see _fields
        parts = [
            StoredPart(int(_text(item, "PartNumber")), int(_text(item, "Size")), _text(item, "ETag").strip('"'))
            for item in _children(root, "Part")
        ]
        is_last = _find(root, "IsTruncated") != "true"
        return parts, None if is_last else _text(root, "NextPartNumberMarker")


def parse_delete_result(body: bytes) -> dict[str, Failure]:
    """The keys that a multi-object delete could not delete, and why; one that is missing needs no delete.

    Raises:
        StorageOperationException: It is no such result.
    """
    with _well_formed():
        root = ET.fromstring(body)  # noqa: S314 - see _fields
        codes = {_text(item, "Key"): _find(item, "Code") or "InternalError" for item in _children(root, "Error")}
        return {key: Failure(200, code) for key, code in codes.items() if code not in _MISSING}


def parse_copied_part(number: int, body: bytes) -> Part:
    """The part that UploadPartCopy made; S3 asks for its checksum again when the parts are put together.

    Raises:
        StorageOperationException: None was made.
    """
    with _well_formed():
        root = ET.fromstring(body)  # noqa: S314 - see _fields
        return Part(number, _text(root, "ETag"), _find(root, "ChecksumCRC32"))


def parse_lifecycle_rules(body: bytes) -> list[tuple[str | None, str]]:
    """Id and XML of each rule of a bucket's lifecycle, without namespaces.

    Raises:
        StorageOperationException: They are none.
    """
    with _well_formed():
        root = ET.fromstring(body)  # noqa: S314 - see _fields
        for element in root.iter():
            element.tag = _name(element)
        return [(_find(rule, "ID"), ET.tostring(rule, encoding="unicode")) for rule in _children(root, "Rule")]


def parse_text(body: bytes, name: str) -> str:
    """The text of the root's child of that name, such as ``"UploadId"``.

    Raises:
        StorageOperationException: There is none.
    """
    with _well_formed():
        return _text(ET.fromstring(body), name)  # noqa: S314 - see _fields


def delete_objects_body(keys: Iterable[str]) -> bytes:
    """The body of DeleteObjects; only failures are answered."""
    objects = "".join(f"<Object><Key>{escape(key)}</Key></Object>" for key in keys)
    return f"<Delete {NAMESPACE}><Quiet>true</Quiet>{objects}</Delete>".encode()


def complete_multipart_body(parts: Iterable[Part]) -> bytes:
    """The body of CompleteMultipartUpload; the parts in order."""
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
        raise StorageOperationException("S3 answered something that was not asked for") from error


def _fields(body: bytes) -> dict[str, str]:
    """The texts of an element's children by name; nothing where it is no XML."""
    try:
        root = ET.fromstring(body)  # noqa: S314 - expat refuses entity bombs since 2.4.1, and nothing external is read
    except (ET.ParseError, ValueError, LookupError):  # also of another encoding than it says
        return {}
    return {_name(child): child.text or "" for child in root}


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
    """What gives the keys of a listing."""
    return unquote_plus if (_find(root, "EncodingType") or "").strip().lower() == "url" else str


def _name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _time(text: str) -> datetime:
    """ISO 8601, as S3 writes it."""
    return datetime.fromisoformat(text).astimezone(UTC)


def http_date(text: str) -> datetime | None:
    """A date of RFC 9110 section 5.6.7; None where it is none.

    Example:
        >>> http_date("Sun, 06 Nov 1994 08:49:37 GMT")
        datetime.datetime(1994, 11, 6, 8, 49, 37, tzinfo=datetime.timezone.utc)
    """
    try:
        if text[25:] == " GMT" and (month := _MONTHS.get(text[7:12])):  # four times as fast
            return datetime.fromisoformat(f"{text[12:16]}-{month}-{text[5:7]}T{text[17:25]}+00:00")
        return parsedate_to_datetime(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
