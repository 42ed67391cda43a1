"""Splitting content into the parts of an upload."""

from collections.abc import Iterator

from async_storages.content import Content
from async_storages.errors import InvalidArgumentException
from async_storages.sources import CHUNK_SIZE

__all__ = ["PART_SIZE", "PartSplitter", "checked_part_size"]

PART_SIZE = 8 << 20
"""The default size of a part in bytes. Smaller content is uploaded in one request."""

_LARGEST_PART = 5 << 30


class PartSplitter:
    """Splits content into parts. It reads one chunk ahead and returns the last part only if the content was valid.

    Args:
        content: The content. The size of its chunks divides every part size.
        sizes: The size of each part in bytes, for as many parts as may be needed.

    Attributes:
        has_ended: True once the last part was returned.
    """

    def __init__(self, content: Content, sizes: Iterator[int]) -> None:
        self._chunks = aiter(content)
        self._sizes = sizes
        self._ahead = b""
        self.has_ended = False
        self._first: list[list[bytes]] = []

    async def has_single_part(self) -> bool:
        """True if the first part, which may be empty, is the only one."""
        self._first = [await self._fill()]
        return self.has_ended

    async def next_part(self) -> bytes:
        """Return the next part. Empty after the last one."""
        return b"".join(await self.next_pieces())

    async def next_pieces(self) -> list[bytes]:
        """Return the next part in pieces, as they came. This copies nothing. Empty after the last part."""
        return self._first.pop() if self._first else await self._fill()

    async def _fill(self) -> list[bytes]:
        part: list[bytes] = []
        room = 0 if self.has_ended else next(self._sizes)
        while not self.has_ended and len(self._ahead) <= room:
            if self._ahead:
                part.append(self._ahead)
            room -= len(self._ahead)
            self._ahead = await anext(self._chunks, b"")
            self.has_ended = not self._ahead
        return part

    async def aclose(self) -> None:
        """Close the content's iteration."""
        await self._chunks.aclose()


def checked_part_size(part_size: int) -> int:
    """Return the part size in bytes, a multiple of 256 KiB up to 5 GiB. Servers may demand more than 256 KiB.

    Raises:
        InvalidArgumentException: The size is another number.
    """
    if not isinstance(part_size, int) or not CHUNK_SIZE <= part_size <= _LARGEST_PART or part_size % CHUNK_SIZE:
        raise InvalidArgumentException(f"part_size is {part_size!r}: give a multiple of {CHUNK_SIZE} bytes up to 5 GiB")
    return part_size
