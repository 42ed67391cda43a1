"""Error responses of S3: their codes, and the exceptions for them. No I/O.

Specified in the Amazon S3 API reference, "Error responses".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from xml.etree import ElementTree as ET

from async_storages.backends.buckets.server_errors import FileChanged, HeaderRefused, NoSuchUpload, RangeBeyondEnd
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

__all__ = ["BucketIsOwn", "ErrorResponse", "NoSuchRegion", "child_texts", "is_failure", "is_web_page", "require_etag"]


class BucketIsOwn(StorageOperationException):
    """The bucket to create exists already and is your own."""


class NoSuchRegion(StorageOperationException):
    """The server does not know the region for a new bucket."""


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
class ErrorResponse:
    """An answer that is not a success.

    Attributes:
        status: The HTTP status.
        code: S3's error code from the body. For a HEAD, whose answer has no body, a code from the status.
        region: The bucket's region. None if the answer does not tell it.
        time: The time by the server's clock. None if the answer does not tell it.
        condition: The precondition that failed. Empty if the answer does not tell it.
        header: The header that was refused. Empty if the answer does not tell it.
        elsewhere: The hosts of a redirect, as text. Empty for other answers.
        retry_after: The seconds that the server demands to wait. None if it demands none.
        is_of_head: True for the answer to a HEAD, which has no body with a reason.
    """

    # a server may quote the request, signature included
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
    def of(cls, status: int, headers: Mapping[str, str], body: bytes, *, method: str = "") -> "ErrorResponse":
        """Parse a response. A body that is not XML gives no details."""
        fields = child_texts(body)
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

    def is_like(self, other: "ErrorResponse") -> bool:
        """Return True if both seem to have the same cause."""
        return (self.status, self.code) == (other.status, other.code)

    @property
    def can_pass(self) -> bool:
        """True if the same request may succeed later."""
        if self.status == 400 and not self.code:  # not from S3: the connection is out of step
            return not self.is_of_head
        return self.status in {429, 500, 502, 503, 504} or self.code in _PASSING or self.code in _CORRUPTED

    def error(self) -> StorageException:
        """Return the exception for this response. It leaves out the server's message, which may quote the signature."""
        if self.code == "PreconditionFailed" and "source" in self.condition:
            return FileChanged("the file was replaced while it was copied")
        if self.code in _REASONS:
            kind, reason = _REASONS[self.code]
            return kind(reason)
        return self._unnamed()

    def _unnamed(self) -> StorageException:
        """Return the exception for the status and the kind of the code."""
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
        elif self.can_pass:
            error = StorageUnavailableException(f"S3 answered {said}")
            error.retry_after = self.retry_after
        return error


def is_failure(body: bytes) -> bool:
    """Return True if the body of a 200 reports a failure. Copies and completions answer before they are done."""
    return b"<Error" in body and "Code" in child_texts(body)


def require_etag(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Return the headers of an answer about an object. S3 always sends an ETag in them.

    Raises:
        StorageOperationException: The ETag is missing. The server may have stored nothing.
    """
    if headers.get("ETag"):
        return headers
    del headers  # tracebacks would show what the server echoes
    raise StorageOperationException(
        "the answer has no ETag, so it is not S3's: the endpoint_url may be that of a console or a web server"
    )


def is_web_page(body: bytes) -> bool:
    """Return True for HTML. Consoles and web servers send it as answer to every request."""
    return body.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html"))


def child_texts(body: bytes) -> dict[str, str]:
    """Return the texts of the root's children, by name. Empty if the body is not XML."""
    try:
        root = ET.fromstring(body)  # noqa: S314 - expat refuses entity bombs since 2.4.1, and nothing external is read
    except (ET.ParseError, ValueError, LookupError):  # also of another encoding than it says
        return {}
    return {child.tag.rpartition("}")[2]: child.text or "" for child in root}


def _elsewhere(location: str, endpoint: str) -> str:
    """Return the hosts of a redirect, as text. The rest of the URL may hold a signature, so it is left out."""
    hosts = dict.fromkeys(host for text in (location, endpoint) if (host := _host(text)))
    return f", and sends to {' and '.join(hosts)}" if hosts else ""


def _host(text: str) -> str:
    found = _HOST.fullmatch(text)
    return found[1] if found else ""
