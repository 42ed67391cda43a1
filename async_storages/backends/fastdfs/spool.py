"""Content whose size is known before it is sent. FastDFS demands the size first, then the bytes."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from tempfile import SpooledTemporaryFile

from async_storages._tasks import offload
from async_storages.content import Content
from async_storages.sources import ByteSource, open_source

__all__ = ["Measured", "measured"]

_LARGEST_IN_MEMORY = 1 << 20  # bytes


class Measured:
    """Content of known size.

    Args:
        size: The size in bytes.
        content: The source of the bytes.
        is_replayable: True if the source can be read again.
    """

    __slots__ = ("_content", "is_replayable", "size")

    def __init__(self, size: int, content: Content | ByteSource, *, is_replayable: bool) -> None:
        self.size = size
        self.is_replayable = is_replayable
        self._content = content

    def chunks(self) -> AsyncGenerator[bytes]:
        """Yield the bytes, from the first one on."""
        return self._content.chunks() if isinstance(self._content, ByteSource) else aiter(self._content)


class measured:  # noqa: N801 - it reads like a function
    """The content itself if its size is known, else a copy of it. A copy from 1 MiB on is in a temporary file.

    This is a class, as a generator costs three times as much, and every upload uses it.
    """

    def __init__(self, content: Content) -> None:
        self._content = content
        self._copy: SpooledTemporaryFile[bytes] | None = None

    async def __aenter__(self) -> Measured:
        content = self._content
        size = await content.measure()
        if size is not None:
            content.let_give_views(True)
            return Measured(size, content, is_replayable=content.replayable)
        self._copy = SpooledTemporaryFile(max_size=_LARGEST_IN_MEMORY)  # noqa: SIM115 - closed on leaving
        try:
            return await self._spooled(self._copy)
        except BaseException:
            self._copy.close()
            raise

    async def _spooled(self, copy: SpooledTemporaryFile[bytes]) -> Measured:
        size = 0
        async with aclosing(aiter(self._content)) as chunks:
            async for chunk in chunks:
                await offload(copy.write, chunk)
                size += len(chunk)
        await offload(copy.seek, 0)
        return Measured(size, open_source(copy), is_replayable=True)

    async def __aexit__(self, *_error: object) -> None:
        self._content.let_give_views(False)
        if self._copy is not None:
            self._copy.close()
