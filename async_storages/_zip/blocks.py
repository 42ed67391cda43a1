"""Deflate without compression: stored blocks (RFC 1951, 3.2.4), with five extra bytes for each 65,535.

The blocks mark the end of the data, and plain stored data does not. Readers that cannot seek, such as Java's
ZipInputStream, need that mark if size and checksum come behind the data.
"""

import struct
from collections.abc import Iterator

__all__ = ["StoredBlocks", "blocks_size"]

_LONGEST = 0xFFFF
_HEAD = struct.Struct("<?2H")
_EMPTY_LAST = b"\1\0\0\xff\xff"


def blocks_size(size: int) -> int:
    """Return the number of bytes that `size` bytes take in blocks."""
    return size + 5 * max(1, -(-size // _LONGEST))


class StoredBlocks:
    """Puts content into blocks while it passes.

    Args:
        size: The number of bytes to come, if known. The blocks then take `blocks_size(size)` bytes.

    Attributes:
        open: The number of bytes that the current block still needs.
    """

    def __init__(self, size: int | None) -> None:
        self._missing = size
        self.open = 0
        self._is_last = False

    def pack(self, chunk: bytes) -> bytes:
        """The next bytes of the stream."""
        return b"".join(self._packed(memoryview(chunk)))

    def finish(self) -> bytes:
        """The end of the stream, once no block is open."""
        return b"" if self._is_last else _EMPTY_LAST

    def _packed(self, chunk: memoryview) -> Iterator[bytes | memoryview]:
        while chunk:
            if not self.open:
                yield self._begin(len(chunk))
            part = chunk[: self.open]
            self.open -= len(part)
            chunk = chunk[len(part) :]
            yield part

    def _begin(self, waiting: int) -> bytes:
        """Return the head of a block for the missing bytes if their number is known, else for the waiting ones."""
        self.open = min(_LONGEST, waiting if self._missing is None else self._missing)
        if self._missing is not None:
            self._missing -= self.open
            self._is_last = not self._missing
        return _HEAD.pack(self._is_last, self.open, self.open ^ _LONGEST)
