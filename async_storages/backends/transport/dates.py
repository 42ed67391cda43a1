"""Dates in the format of HTTP. No I/O."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

__all__ = ["http_date"]

_MONTHS = {
    f" {name} ": f"{number:02}"
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1
    )
}


def http_date(text: str) -> datetime | None:
    """Parse a date of RFC 9110 section 5.6.7. Return None for other texts.

    Example:
        >>> http_date("Sun, 06 Nov 1994 08:49:37 GMT")
        datetime.datetime(1994, 11, 6, 8, 49, 37, tzinfo=datetime.timezone.utc)
    """
    if not text:
        return None
    try:
        if text[25:] == " GMT" and (month := _MONTHS.get(text[7:12])):  # four times as fast as the parser below
            return datetime.fromisoformat(f"{text[12:16]}-{month}-{text[5:7]}T{text[17:25]}+00:00")
        return parsedate_to_datetime(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
