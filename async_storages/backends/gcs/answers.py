"""What Google Cloud Storage answers, taken apart: pure, no I/O.

Specified in the JSON API reference of Cloud Storage: "HTTP status and error codes", Objects, Objects: list, rewrite.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from async_storages.backends.buckets.errors import NoSuchUpload, RangeBeyondEnd
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

__all__ = ["Conflict", "Failure", "NoSuchBucket", "Page", "Rewritten", "StoredObject", "TokenRefused", "parsed"]

_REASON = re.compile(r"[A-Za-z_]{1,60}")
_CHECKSUM = re.compile(r"(MD5|CRC32C) hash", re.IGNORECASE)
_PASSING = frozenset({408, 429, 500, 502, 503, 504})
_REFUSALS = frozenset({400, 401, 403, 412})
_LIMITED = frozenset({"rateLimitExceeded", "userRateLimitExceeded"})


class NoSuchBucket(StorageOperationException):
    """There is no such bucket."""


class Conflict(StorageOperationException):
    """It is there already, or something is in it, or somebody else changes it at this moment."""


class TokenRefused(AccessDeniedException):
    """The token is no good any more, or there is none (401)."""


_HINTS = {
    "requester pays": "who asks pays for what this bucket does: give a user_project",
    "uniform bucket-level access": "the bucket has no ACLs: give no predefined_acl",
    "public access prevention": "the bucket lets nothing be public: give no such predefined_acl",
}
"""What to do about a refusal whose sentence holds these words."""


_REASONS: dict[int, tuple[type[StorageException], str]] = {
    404: (FileNotFoundException, "no such file"),
    409: (Conflict, "it is there already, or not empty, or being changed by others"),
    410: (NoSuchUpload, "no such upload: it was completed or given up, or has expired"),
    412: (FileExistsException, "the key is taken"),
    413: (FileTooLargeException, "larger than the server allows"),
    416: (RangeBeyondEnd, "the range is beyond the file"),
}


@dataclass(frozen=True, slots=True)
class Failure:
    """An answer that is no success.

    Attributes:
        status: The HTTP status.
        reason: Google's word for it, such as ``"rateLimitExceeded"``; empty where the body does not tell.
        message: Google's sentence, which is never shown, as it may quote what was sent.
    """

    status: int
    reason: str = ""
    message: str = field(default="", repr=False)

    @classmethod
    def of(cls, status: int, body: bytes) -> "Failure":
        """Take an answer apart; what is no JSON is a message, as downloads are answered."""
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
        """What can be done about a refusal."""
        said = self.message.lower() if self.status in _REFUSALS else ""  # others quote keys
        return next((f": {hint}" for words, hint in _HINTS.items() if words in said), "")

    @property
    def _is_refusal(self) -> bool:
        if self.status == 412:  # policies of an organization are preconditions, too
            return self.reason not in {"", "conditionNotMet"} or bool(self._hint)
        return self.status in {401, 403} or bool(self._hint)

    @property
    def _may_pass(self) -> bool:
        """Whether the same request may succeed later."""
        if self.status == 400:
            return not (self.reason or self._hint)  # then it was not GCS: the connection is out of step
        return self.status in _PASSING or (self.status == 403 and self.reason in _LIMITED)

    def error(self) -> StorageException:
        """The failure as an exception; StorageUnavailableException where the same request may succeed later."""
        said = f"{self.status} {self.reason}".rstrip()
        if self.status == 400 and _CHECKSUM.search(self.message):
            return ChecksumMismatchException(f"the bytes arrived altered ({said})")
        if self._may_pass:
            return StorageUnavailableException(f"GCS answered {said}")
        if self._is_refusal:
            return (TokenRefused if self.status == 401 else AccessDeniedException)(f"GCS refused ({said}){self._hint}")
        if self.status == 404 and "bucket does not exist" in self.message:
            return NoSuchBucket("no such bucket")
        if self.status in _REASONS:
            kind, reason = _REASONS[self.status]
            return kind(reason)
        return StorageOperationException(f"GCS answered {said}")


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One version of an object.

    Attributes:
        key: Its name in the bucket.
        size: Bytes.
        generation: Tells this content from any that was or will be there.
        metageneration: Counts the changes of what describes this content.
        md5: Of the content, in base64; None for objects that were composed of others.
        updated: When the content or what describes it was changed last.
        resource: All that was said of it.
    """

    key: str
    size: int
    generation: str
    metageneration: str
    md5: str | None
    updated: datetime | None
    resource: Mapping[str, Any]

    @classmethod
    def of(cls, resource: Mapping[str, Any]) -> "StoredObject":
        """The object that a resource of the JSON API tells of; raises LookupError, TypeError or ValueError."""
        updated = resource.get("updated")
        return cls(
            key=str(resource["name"]),
            size=int(resource["size"]),
            generation=str(int(resource["generation"])),
            metageneration=str(resource.get("metageneration", "1")),
            md5=resource.get("md5Hash") or None,
            updated=None if updated is None else datetime.fromisoformat(updated),
            resource=resource,
        )

    @property
    def metadata(self) -> dict[str, str]:
        """The user's metadata."""
        found = self.resource.get("metadata") or {}
        return {str(name): str(value) for name, value in found.items()}


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing; `token` asks for the next one."""

    objects: list[StoredObject]
    token: str | None

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> "Page":
        """A page of Objects: list; raises as `StoredObject.of` does."""
        return cls([StoredObject.of(item) for item in answer.get("items", [])], answer.get("nextPageToken") or None)


@dataclass(frozen=True, slots=True)
class Rewritten:
    """How far a copy has got: done, as this object, or to be continued with this token."""

    made: StoredObject | None
    token: str | None

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> "Rewritten":
        """An answer of Objects: rewrite; raises as `StoredObject.of` does."""
        if answer.get("done"):
            return cls(StoredObject.of(answer["resource"]), None)
        return cls(None, str(answer["rewriteToken"]))


def parsed[Result](body: bytes, read: Callable[[Mapping[str, Any]], Result]) -> Result:
    """What `read` makes of a JSON object.

    Raises:
        StorageOperationException: It is none, or lacks what was asked for.
    """
    with _well_formed():
        return read(json.loads(body))


@contextmanager
def _well_formed() -> Iterator[None]:
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise StorageOperationException("GCS answered something that was not asked for") from error
