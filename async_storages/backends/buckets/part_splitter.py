"""Content cut into the parts of an upload."""

from collections.abc import Iterator

from async_storages.content import Content

__all__ = ["PartSplitter"]


class PartSplitter:
    """Cuts content into parts, looking one chunk ahead: which is the last one is sure, and so is that it was right.

    Args:
        content: Whose chunks divide every part size evenly.
        sizes: The bytes of each part, as many as may be needed.

    Attributes:
        ended: Whether the part given last was the last one.
    """

    def __init__(self, content: Content, sizes: Iterator[int]) -> None:
        self._chunks = aiter(content)
        self._sizes = sizes
        self._ahead = b""
        self.ended = False
        self._first: list[bytes] = []

    async def are_one(self) -> bool:
        """Whether the first part, which may be empty, is the only one."""
        self._first = [await self._fill()]
        return self.ended

    async def next(self) -> bytes:
        """The next part, empty after the last."""
        return self._first.pop() if self._first else await self._fill()

    async def _fill(self) -> bytes:
        if self.ended:
            return b""
        part, size = bytearray(), next(self._sizes)
        while not self.ended and len(part) + len(self._ahead) <= size:
            part += self._ahead
            self._ahead = await anext(self._chunks, b"")
            self.ended = not self._ahead
        return bytes(part)

    async def aclose(self) -> None:
        """Close the content's iteration."""
        await self._chunks.aclose()
