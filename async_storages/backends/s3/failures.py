"""Answers of S3 that are no success: their codes, which of them may pass, and the errors they become. Pure.

Specified in the Amazon S3 API reference, "Error responses".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from xml.etree import ElementTree as ET

from async_storages.backends.buckets.errors import FileChanged, HeaderRefused, NoSuchUpload, RangeBeyondEnd
from async_storages.backends.transport.dates import http_date
from async_storages.backends.transport.retries import retry_after
from async_storages.errors import (
    AccessDeniedException,
    ChecksumMismatchException,
    FileArchivedException,
    FileExistsException,
    FileNotFoundException,
    FileTooLargeException,
    InvalidArgumentException,
    StorageException,
    StorageOperationException,
    StorageUnavailableException,
)

__all__ = ["BucketIsOwn", "Failure", "NoSuchRegion", "is_failure", "is_web_page", "of_s3", "texts_of"]


class BucketIsOwn(StorageOperationException):
    """The bucket that was to be made is there, and one's own."""


class NoSuchRegion(StorageOperationException):
    """The server has no region of the name that a bucket was to be made in."""


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
    "InvalidLocationConstraint": (NoSuchRegion, "the server knows no such region"),
    "InvalidObjectState": (FileArchivedException, "the file is archived: restore it first"),
    "InvalidRange": (RangeBeyondEnd, "the range is beyond the file"),
    "InvalidRegion": (NoSuchRegion, "the server knows no such region"),
    "InvalidRegionName": (NoSuchRegion, "the server knows no such region"),
    "KeyTooLongError": (InvalidArgumentException, "the key is too long for the server"),
    "MetadataTooLarge": (InvalidArgumentException, "the metadata is larger than the server allows"),
    "NoSuchBucket": (StorageOperationException, "no such bucket"),
    "NoSuchKey": (FileNotFoundException, "no such file"),
    "NoSuchLifecycleConfiguration": (FileNotFoundException, "no lifecycle rules"),
    "NoSuchUpload": (NoSuchUpload, "no such multipart upload: it was completed or aborted, or has expired"),
    "NoSuchVersion": (FileNotFoundException, "no such file"),
    "PreconditionFailed": (FileExistsException, "the key is taken"),
}
_CONDITIONS = frozenset({"if-none-match", "x-amz-copy-source-if-match"})
_CODE_OF_STATUS = {403: "AccessDenied", 404: "NoSuchKey", 412: "PreconditionFailed", 416: "InvalidRange"}
_HOST = re.compile(r"(?:https?://)?(?:[^/@]*@)?([A-Za-z0-9.:\[\]-]{1,255})(?:[/?#].*)?", re.ASCII)
_NOT_FOLLOWED = (
    ", which is not followed, as the credentials are for this server: the endpoint_url or the region_name is that of "
    "another one"
)
_WITHOUT_REASON = (
    ", which never has a reason: a file that is encrypted with a customer's key (SSE-C), for example, needs that key"
)


@dataclass(frozen=True, slots=True)
class Failure:
    """An answer that is no success.

    Attributes:
        status: The HTTP status.
        code: S3's error code: from the body, else told from the status, as HEAD has no body.
        region: The region that the bucket is in, where the answer says so.
        time: The server's clock, where the answer says so.
        condition: The precondition that failed, where the answer says so.
        header: The header that was refused, where the answer says so.
        elsewhere: The hosts that the answer sends to, where it does.
        retry_after: Seconds that the server asks to wait, where it does.
        is_of_head: Whether it answers a HEAD, and so has no body that gives the reason.
    """

    # what a server says may quote what was sent, signature included
    status: int
    code: str = field(repr=False)
    region: str | None = field(default=None, repr=False)
    time: datetime | None = None
    condition: str = field(default="", repr=False)
    header: str = field(default="", repr=False)
    elsewhere: str = ""
    retry_after: float | None = None
    is_of_head: bool = False

    @classmethod
    def of(cls, status: int, headers: Mapping[str, str], body: bytes, *, method: str = "") -> "Failure":
        """Take an answer apart; a body that is no XML tells nothing."""
        fields = texts_of(body)
        return cls(
            status,
            code=fields.get("Code") or _CODE_OF_STATUS.get(status, ""),
            region=headers.get("x-amz-bucket-region") or fields.get("Region"),
            time=http_date(headers.get("Date", "")),
            condition=fields.get("Condition", ""),
            header=(fields.get("Header") or fields.get("ArgumentName") or "").lower(),
            elsewhere=_elsewhere(headers.get("Location", ""), fields.get("Endpoint", "")) if status < 400 else "",
            retry_after=retry_after(headers),
            is_of_head=method == "HEAD",
        )

    @property
    def _is_of_a_header(self) -> bool:
        return (
            self.status == 501 or self.code == "NotImplemented" or (self.status == 400 and self.header in _CONDITIONS)
        )

    def is_like(self, other: "Failure") -> bool:
        """Whether both have one cause, as far as can be seen."""
        return (self.status, self.code) == (other.status, other.code)

    @property
    def may_pass(self) -> bool:
        """Whether the same request may succeed later."""
        if self.status == 400 and not self.code:  # it was not S3 that said so: the connection is out of step
            return not self.is_of_head
        return self.status in {429, 500, 502, 503, 504} or self.code in _PASSING or self.code in _CORRUPTED

    def error(self) -> StorageException:
        """The failure as an exception; the server's own message stays out of it, as it may quote the signature."""
        if self.code == "PreconditionFailed" and "source" in self.condition:
            return FileChanged("the file was replaced while it was copied")
        if self.code in _REASONS:
            kind, reason = _REASONS[self.code]
            return kind(reason)
        return self._unnamed()

    def _unnamed(self) -> StorageException:
        """The failure by its status, and the kind of its code."""
        said = f"{self.status} {self.code}".rstrip() if self.status >= 300 else self.code
        error: StorageException = StorageOperationException(f"S3 answered {said}")
        if 300 <= self.status < 400:
            error = StorageOperationException(f"S3 answered {said}{self.elsewhere}{_NOT_FOLLOWED}")
        elif self.status == 400 and self.is_of_head:
            error = StorageOperationException(f"S3 answered 400 to a HEAD{_WITHOUT_REASON}")
        elif self.code in _CORRUPTED:
            error = ChecksumMismatchException(f"the bytes arrived altered ({said})")
        elif self.code in _FORBIDDEN or self.status in {401, 403}:
            error = AccessDeniedException(f"S3 refused ({said})")
        elif self._is_of_a_header:
            error = HeaderRefused(f"S3 answered {said}", self.header)
        elif self.may_pass:
            error = StorageUnavailableException(f"S3 answered {said}")
            error.retry_after = self.retry_after
        return error


def is_failure(body: bytes) -> bool:
    """Whether the body of a 200 tells of a failure: copies and completions begin to answer before they are done."""
    return b"<Error" in body and "Code" in texts_of(body)


def of_s3(headers: Mapping[str, str]) -> Mapping[str, str]:
    """The headers of an answer that concerns an object, which S3 never gives without an ETag.

    Raises:
        StorageOperationException: There is none: who answered may have stored nothing.
    """
    if not headers.get("ETag"):
        raise StorageOperationException(
            "the answer has no ETag, so it is not S3's: the endpoint_url may be that of a console or a web server"
        )
    return headers


def is_web_page(body: bytes) -> bool:
    """Whether it is HTML, as consoles and web servers answer everything."""
    return body.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html"))


def texts_of(body: bytes) -> dict[str, str]:
    """The texts of an element's children by name; nothing where it is no XML."""
    try:
        root = ET.fromstring(body)  # noqa: S314 - expat refuses entity bombs since 2.4.1, and nothing external is read
    except (ET.ParseError, ValueError, LookupError):  # also of another encoding than it says
        return {}
    return {child.tag.rpartition("}")[2]: child.text or "" for child in root}


def _elsewhere(location: str, endpoint: str) -> str:
    """The hosts of a redirect, in words; the rest of its URL may hold a signature."""
    hosts = dict.fromkeys(host for text in (location, endpoint) if (host := _host(text)))
    return f", and sends to {' and '.join(hosts)}" if hosts else ""


def _host(text: str) -> str:
    found = _HOST.fullmatch(text)
    return found[1] if found else ""
