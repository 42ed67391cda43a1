"""The Range header (RFC 9110 section 14.2): at most one range of bytes is ever served; pure."""

import re

__all__ = ["parse_range"]

# 14.1.2, for one range; the digits are bounded, as `int` is slow and then refuses beyond that
_ONE_RANGE = re.compile(r"bytes=(?:([0-9]{1,99})-([0-9]{0,99})|-([0-9]{1,99}))", re.IGNORECASE | re.ASCII)


def parse_range(header: str | None, size: int) -> range | None:
    """The positions that a Range header asks for, of a file of `size` bytes.

    Args:
        header: Its value, several lines joined by commas; None if there is none.
        size: Bytes.

    Returns:
        ``range(first, last + 1)`` within the file; an empty one where what is asked for lies beyond its end: 416. None
        where the whole file is to be sent, as there is no header, or one that 14.2 allows to ignore: it is malformed,
        of another unit, or asks for several ranges, or the file is empty, of which no answer 206 can tell a range.

    Example:
        >>> parse_range("bytes=-5", 100)
        range(95, 100)
    """
    found = _ONE_RANGE.fullmatch((header or "").strip(" \t"))
    if found is None or not size:
        return None
    first, last, suffix = (int(digits) if digits else None for digits in found.groups())
    if first is None:
        return range(max(0, size - (suffix or 0)), size)
    if last is not None and last < first:
        return None
    return range(first, size if last is None else min(last + 1, size))
