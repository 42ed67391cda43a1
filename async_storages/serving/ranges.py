"""The header Range (RFC 9110 section 14.2). Only a single range of bytes is served. No I/O."""

import re

__all__ = ["parse_range"]

# 14.1.2, for one range; the digits are bounded, as `int` is slow and then refuses beyond that
_ONE_RANGE = re.compile(r"bytes=(?:([0-9]{1,99})-([0-9]{0,99})|-([0-9]{1,99}))", re.IGNORECASE | re.ASCII)


def parse_range(header: str | None, size: int) -> range | None:
    """Return the range of a file of `size` bytes that a Range header requests.

    Args:
        header: The value of the header. Repeated headers are joined by commas. None if there is none.
        size: The size of the file in bytes.

    Returns:
        ``range(first, last + 1)`` within the file. An empty range means that the request is beyond the end: send 416.
        None means: send the whole file. There is no header, the file is empty, or 14.2 allows ignoring the header,
        because it is malformed, has another unit or requests several ranges.

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
