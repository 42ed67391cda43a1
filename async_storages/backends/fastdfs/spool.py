"""Content whose size is known before it is sent: FastDFS demands the size first, then the bytes."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from tempfile import SpooledTemporaryFile

from async_storages._tasks import offload
from async_storages.content import Content
from async_storages.sources import ByteSource, open_source

__all__ = ["Measured", "measured"]

_LARGEST_IN_MEMORY = 1 << 20  # bytes


class Measured:
    """Content of known size.

    Args:
        size: Bytes.
        content: What gives them.
        is_replayable: Whether it can do so again.
    """

    def __init__(self, size: int, content: Content | ByteSource, *, is_replayable: bool) -> None:
        self.size = size
        self.is_replayable = is_replayable
        self._content = content

    def chunks(self) -> AsyncGenerator[bytes]:
        """The bytes, from the first one on."""
        return self._content.chunks() if isinstance(self._content, ByteSource) else aiter(self._content)


@asynccontextmanager
async def measured(content: Content) -> AsyncIterator[Measured]:
    """The content itself if it knows its size, else a copy of it, from 1 MiB on in a temporary file."""
    size = await content.measure()
    if size is not None:
        yield Measured(size, content, is_replayable=content.replayable)
        return
    with SpooledTemporaryFile(max_size=_LARGEST_IN_MEMORY) as file:
        size = 0
        async with aclosing(aiter(content)) as chunks:
            async for chunk in chunks:
                await offload(file.write, chunk)
                size += len(chunk)
        await offload(file.seek, 0)
        yield Measured(size, open_source(file), is_replayable=True)
