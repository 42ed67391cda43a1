"""Error responses of Google Cloud Storage, and the exceptions for them. No I/O.

Specified in the JSON API reference of Cloud Storage: "HTTP status and error codes".
"""

import json
import re
from dataclasses import dataclass, field

from async_storages.backends.buckets.server_errors import NoSuchUpload, RangeBeyondEnd
from async_storages.errors import (
    AccessDeniedException,
    ChecksumMismatchException,
    FileExistsException,
    FileNotFoundException,
    FileTooLargeException,
    StorageException,
    StorageOperationException,
    StorageUnavailableException,
)

__all__ = ["Conflict", "ErrorResponse", "NoSuchBucket", "TokenRefused"]

_REASON = re.compile(r"[A-Za-z_]{1,60}")
_CHECKSUM = re.compile(r"(MD5|CRC32C) hash", re.IGNORECASE)
_PASSING = frozenset({408, 429, 500, 502, 503, 504})
_REFUSALS = frozenset({400, 401, 403, 412})
_LIMITED = frozenset({"rateLimitExceeded", "userRateLimitExceeded"})


class NoSuchBucket(StorageOperationException):
    """The bucket does not exist."""


class Conflict(StorageOperationException):
    """The bucket or object exists already, is not empty, or another client is changing it (409)."""


class TokenRefused(AccessDeniedException):
    """The token has expired or was revoked, or is missing (401)."""


_HINTS = {
    "requester pays": "requesters pay for this bucket: give a user_project",
    "uniform bucket-level access": "the bucket has no ACLs: give no predefined_acl",
    "public access prevention": "the bucket allows nothing public: give no public predefined_acl",
}
"""Advice on a refusal, by words in its message."""


_REASONS: dict[int, tuple[type[StorageException], str]] = {
    404: (FileNotFoundException, "no such file"),
    409: (Conflict, "it is there already, or not empty, or being changed by others"),
    410: (NoSuchUpload, "no such upload: it was completed or given up, or has expired"),
    412: (FileExistsException, "the key is taken"),
    413: (FileTooLargeException, "larger than the server allows"),
    416: (RangeBeyondEnd, "the range is beyond the file"),
}


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """An answer that is not a success.

    Attributes:
        status: The HTTP status.
        reason: Google's reason, such as ``"rateLimitExceeded"``. Empty if the body has none.
        message: Google's message. It is never shown, as it may quote the request.
    """

    status: int
    reason: str = ""
    message: str = field(default="", repr=False)

    @classmethod
    def of(cls, status: int, body: bytes) -> "ErrorResponse":
        """Parse a response. A body that is not JSON, as for downloads, is the message."""
        text = body[:10_000].decode(errors="replace")
        try:
            error = json.loads(text)["error"]
            [first, *_] = error.get("errors") or [{}]
            found = str(first.get("reason") or error.get("status", "")).replace(" ", "")
            return cls(status, found if _REASON.fullmatch(found) else "", str(error.get("message", "")))
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return cls(status, message=text)

    @property
    def _hint(self) -> str:
        """Return advice on a refusal. Empty if there is none."""
        said = self.message.lower() if self.status in _REFUSALS else ""  # other answers quote keys
        return next((f": {hint}" for words, hint in _HINTS.items() if words in said), "")

    @property
    def _is_refusal(self) -> bool:
        if self.status == 412:  # an organization's policies are preconditions, too
            return self.reason not in {"", "conditionNotMet"} or bool(self._hint)
        return self.status in {401, 403} or bool(self._hint)

    @property
    def _can_pass(self) -> bool:
        """Return True if the same request may succeed later."""
        if self.status == 400:
            return not (self.reason or self._hint)  # without a reason it is not from GCS: the connection is out of step
        return self.status in _PASSING or (self.status == 403 and self.reason in _LIMITED)

    def error(self) -> StorageException:
        """Return the exception: StorageUnavailableException if the same request may succeed later."""
        said = f"{self.status} {self.reason}".rstrip()
        if self.status == 400 and _CHECKSUM.search(self.message):
            return ChecksumMismatchException(f"the bytes arrived altered ({said})")
        if self._can_pass:
            return StorageUnavailableException(f"GCS answered {said}")
        if self._is_refusal:
            return (TokenRefused if self.status == 401 else AccessDeniedException)(f"GCS refused ({said}){self._hint}")
        if self.status == 404 and "bucket does not exist" in self.message:
            return NoSuchBucket("no such bucket")
        if self.status in _REASONS:
            kind, reason = _REASONS[self.status]
            return kind(reason)
        return StorageOperationException(f"GCS answered {said}")
