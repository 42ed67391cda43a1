"""Times of files in an archive."""

import struct
from datetime import UTC, datetime

__all__ = ["EARLIEST", "dos_time", "time_extra", "within_zip"]

EARLIEST = datetime(1980, 1, 1, tzinfo=UTC)
"""The earliest time that ZIP can hold."""

_LATEST = datetime(2107, 12, 31, 23, 59, 58, tzinfo=UTC)
_TIME_EXTRA = 0x5455


def within_zip(modified: datetime) -> datetime:
    """Return the nearest time that ZIP can store, in UTC. The calendar's first and last years have no time zones."""
    if not EARLIEST.year <= modified.year <= _LATEST.year:
        return EARLIEST if modified.year < EARLIEST.year else _LATEST
    return min(max(modified.astimezone(UTC), EARLIEST), _LATEST)


def dos_time(at: datetime) -> int:
    """APPNOTE 4.4.6: date and time in steps of 2 s, from 1980 to 2107."""
    date = at.year - 1980 << 9 | at.month << 5 | at.day
    return date << 16 | at.hour << 11 | at.minute << 5 | at.second // 2


def time_extra(modified: datetime) -> bytes:
    """Info-ZIP's field "UT": seconds since 1970, as DOS times have no time zone."""
    seconds = int(modified.timestamp())
    is_representable = -(1 << 31) <= seconds < 1 << 31
    return struct.pack("<2HBl", _TIME_EXTRA, 5, 1, seconds) if is_representable else b""
