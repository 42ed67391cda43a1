"""A window on a file that is fetched in pieces: the last bytes read, the next range, and limits for both.

Header walks are generators: they yield the `Range` they need and are sent the bytes, so they do no I/O.
"""

import re
from collections.abc import Generator
from dataclasses import dataclass

from async_storages.errors import InvalidArgumentException

__all__ = ["ENDLESS", "FIRST_RANGE", "MAX_BYTES", "MAX_RANGES", "Range", "Walk", "Window", "broken"]

FIRST_RANGE = 65536
"""The size of the first range in bytes. 4 KiB would miss the header of every camera JPEG, and a round trip is slow."""

MAX_RANGES = 64
"""The largest number of ranges for one image."""

MAX_BYTES = 4 << 20
"""The largest number of bytes in all ranges for one image."""

ENDLESS = 1 << 64
"""An offset beyond the end of every file, for walks that end with the file."""

# After a jump one packet's worth is enough for most headers; 2 MB of APP segments stay below 128 KiB.
_AFTER_JUMP = 1024

# Bounds the time spent on headers made of a million empty segments: about 1 µs each.
_MAX_PARTS = 2048


@dataclass(frozen=True, slots=True)
class Range:
    """A range of a file to read.

    Attributes:
        offset: The position of the first byte, from 0. It may be beyond the end of the file.
        length: The number of bytes, at least 1.
    """

    offset: int
    length: int


type Walk[T] = Generator[Range, tuple[bytes, bool], T]
"""A generator that yields the range it needs, receives the bytes and True if the file ends there, and returns a `T`."""


def broken(reason: str) -> InvalidArgumentException:
    """Return the error for a header that is wrong."""
    return InvalidArgumentException(reason, operation="probe")


class Window:
    """The bytes fetched last. A read inside them needs no I/O; another read requests the missing range."""

    def __init__(self) -> None:
        self._start = 0
        self._data = b""
        self._at_file_end = False
        self._ahead = FIRST_RANGE
        self._ranges = 0
        self._bytes = 0
        self._parts = 0

    @property
    def end(self) -> int:
        """The offset directly after the bytes in the window."""
        return self._start + len(self._data)

    def read(self, offset: int, length: int) -> Walk[bytes]:
        """Return exactly `length` bytes at `offset`.

        Raises:
            InvalidArgumentException: The file ends before them, or a limit is reached.
        """
        here = offset - self._start
        if 0 <= here <= len(self._data) - length:  # what is here already is most of all reads
            self.spend(1)
            return self._data[here : here + length]
        data = yield from self.peek(offset, length)
        if len(data) < length:
            raise broken(f"the image ends inside its header: nothing at byte {offset + len(data)}")
        return data

    def peek(self, offset: int, length: int) -> Walk[bytes]:
        """Return up to `length` bytes at `offset`. There are fewer only at the end of the file."""
        self.spend(1)
        while not self._reaches(offset, offset + length):
            yield from self._fetch(offset, offset + length)
        return self._data[offset - self._start : offset - self._start + length]

    def spend(self, parts: int) -> None:
        """Count the inspected parts of the header.

        Raises:
            InvalidArgumentException: The header has so many parts that it would cost too much time.
        """
        self._parts += parts
        if self._parts > _MAX_PARTS:
            raise broken(f"the image's header has more than {_MAX_PARTS} parts")

    def search(self, pattern: re.Pattern[bytes], offset: int) -> int | None:
        """Find the first match of `pattern` at or after `offset`, in the bytes that have arrived."""
        found = pattern.search(self._data, offset - self._start)
        return None if found is None else self._start + found.start()

    def _reaches(self, offset: int, end: int) -> bool:
        return self._start <= offset and (end <= self.end or self._at_file_end)

    def _fetch(self, offset: int, end: int) -> Walk[None]:
        self._move(offset)
        wanted = Range(self.end, max(end - self.end, self._ahead))
        self._count(wanted)
        data, self._at_file_end = yield wanted
        self._data += data
        self._ahead = _AFTER_JUMP if self._ranges == 1 else min(2 * self._ahead, FIRST_RANGE)

    def _move(self, offset: int) -> None:
        """Forget the bytes before `offset`. If none remain, the window jumps there."""
        if not self._start <= offset <= self.end:
            self._data = b""
            self._ahead = _AFTER_JUMP
        self._data = self._data[offset - self._start :]
        self._start = offset

    def _count(self, wanted: Range) -> None:
        self._ranges += 1
        self._bytes += wanted.length
        if self._ranges > MAX_RANGES or self._bytes > MAX_BYTES:
            raise broken(f"the image's header is spread over more than {MAX_RANGES} ranges or {MAX_BYTES} bytes")
