"""Read and write times, sizes and ranges as people write them. Pure."""

import re
from datetime import UTC, datetime, timedelta

from async_storages.errors import InvalidArgumentException

__all__ = ["byte_range_of", "counted", "duration", "escaped", "size_text", "time_text"]

_DURATION = re.compile(r"([0-9]{1,9})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_RANGE = re.compile(r"([0-9]{1,18})?-([0-9]{1,18})?")
_KIBI = 1024
_UNITS = ("KiB", "MiB", "GiB", "TiB")


def duration(text: str) -> timedelta:
    """Return the time that a text such as ``15m``, ``1h`` or ``7d`` means.

    Raises:
        InvalidArgumentException: The text is not a time.

    Example:
        >>> duration("15m")
        datetime.timedelta(seconds=900)
    """
    found = _DURATION.fullmatch(text)
    if found is None:
        raise InvalidArgumentException(f"{text!r} is no time: write a number and s, m, h, d or w, such as 15m or 7d")
    return timedelta(seconds=int(found[1]) * _SECONDS[found[2]])


def byte_range_of(text: str) -> tuple[int, int | None]:
    """Return offset and length of a range: ``0-99`` (both ends included), ``100-`` or ``-50`` (the last 50 bytes).

    Raises:
        InvalidArgumentException: The text is not a range.

    Example:
        >>> byte_range_of("0-99")
        (0, 100)
    """
    found = _RANGE.fullmatch(text)
    if found is None or text == "-" or (found[1] and found[2] and int(found[2]) < int(found[1])):
        raise InvalidArgumentException(f"{text!r} is no range: write 0-99, 100- or -50 (the last 50 bytes)")
    if not found[1]:
        return -int(found[2]), int(found[2])
    return int(found[1]), None if not found[2] else int(found[2]) - int(found[1]) + 1


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 file``, ``2 files``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def size_text(size: int) -> str:
    """Return a number of bytes, for people.

    Example:
        >>> size_text(1536)
        '1.5 KiB'
    """
    if size < _KIBI:
        return f"{size} B"
    power = min((size.bit_length() - 1) // 10, len(_UNITS))
    return f"{size / _KIBI**power:.1f} {_UNITS[power - 1]}"


def time_text(time: datetime | None) -> str:
    """Return a time in UTC, to the second. Blanks if the time is not known."""
    return " " * 20 if time is None else f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def escaped(text: str) -> str:
    r"""Return a name that a terminal can show, with unprintable characters escaped.

    Example:
        >>> escaped("a\x9b31mb")
        'a\\x9b31mb'
    """
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape", "surrogatepass").decode() for each in text
    )
