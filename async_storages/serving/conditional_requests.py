"""Conditional requests (RFC 9110 section 13), for files that a client may already have. No I/O."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

__all__ = ["Validators", "failed_condition", "wants_range"]

_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')  # 8.8.3
_OPAQUE = re.compile(r"[\x21\x23-\x7e]+")


@dataclass(frozen=True, slots=True)
class Validators:
    """The ETag and the time by which a client recognises the state of a file.

    Attributes:
        etag: The strong ETag, with its quotes. None if there is none.
        modified: The time of the last change, in whole seconds. None if unknown.
    """

    etag: str | None = None
    modified: datetime | None = None

    @classmethod
    def of(cls, etag: str | None, modified: datetime | None) -> "Validators":
        """Return the validators for the ETag (without quotes) and the time that the storage reports."""
        quoted = f'"{etag}"' if etag and _OPAQUE.fullmatch(etag) else None
        return cls(quoted, None if modified is None else modified.astimezone(UTC).replace(microsecond=0))

    def headers(self, now: datetime) -> dict[str, str]:
        """Return the headers ETag and Last-Modified. Last-Modified is never in the future (8.8.2.1)."""
        etag = {} if self.etag is None else {"etag": self.etag}
        return etag if self.modified is None else {**etag, "last-modified": http_date(min(self.modified, now))}


def failed_condition(headers: Mapping[str, str], current: Validators) -> int | None:
    """Check the conditions of a GET or HEAD in the order of section 13.2.2, and return the status if one fails.

    Args:
        headers: The headers of the request by their names in lower case. Repeated headers are joined by commas.
        current: The state of the file.

    Returns:
        304 or 412. None if every condition is true.
    """
    if "if-match" in headers:
        if not _is_listed(headers["if-match"], current.etag, strongly=True):
            return 412
    elif _changed_since(headers.get("if-unmodified-since"), current):
        return 412
    if "if-none-match" in headers:
        return 304 if _is_listed(headers["if-none-match"], current.etag) else None
    since = headers.get("if-modified-since")
    return 304 if _changed_since(since, current) is False else None


def wants_range(headers: Mapping[str, str], current: Validators) -> bool:
    """Return True if the request's condition If-Range (13.1.5) is true, or if it has none.

    An ETag is compared strongly. A date must equal the Last-Modified that was sent.
    """
    condition = headers.get("if-range")
    if condition is None:
        return True
    if current.etag is not None and condition.strip() == current.etag:
        return True
    return current.modified is not None and _http_date(condition) == current.modified


def http_date(moment: datetime) -> str:
    """Return a time in the format of HTTP (5.6.7)."""
    return format_datetime(moment.astimezone(UTC), usegmt=True)


def _is_listed(field: str, etag: str | None, *, strongly: bool = False) -> bool:
    """Return True if an If-Match or If-None-Match names the ETag. ``*`` matches every existing file."""
    if field.strip() == "*":
        return True
    tags = _ETAG.findall(field)
    return etag in (tags if strongly else [tag.removeprefix("W/") for tag in tags])


def _changed_since(field: str | None, current: Validators) -> bool | None:
    """Return True if the file changed after the time. None if a time is unknown, or the field is not one date."""
    since = _http_date(field)
    return None if since is None or current.modified is None else current.modified > since


def _http_date(field: str | None) -> datetime | None:
    """Parse a time in any of the three formats of section 5.6.7."""
    try:
        moment = parsedate_to_datetime(field or "")
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
