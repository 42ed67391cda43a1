"""A read that breaks in one storage and continues in another."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from async_storages._checksums import new_checksum
from async_storages.errors import StorageOperationException

__all__ = ["ReadSoFar"]


class ReadSoFar:
    """The bytes that a reader has got so far. They show whether another copy of the file has the same content.

    Attributes:
        received: The number of bytes.
    """

    def __init__(self) -> None:
        self.received = 0
        self._checksum = new_checksum("crc32")

    async def rest_of(self, chunks: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
        """Yield the bytes that the reader still needs of a file, or of a range of it.

        Args:
            chunks: All bytes of the file or range, from the beginning.

        Raises:
            StorageOperationException: The chunks do not begin with the bytes that the reader has got.
        """
        missing, begun = self.received, new_checksum("crc32")
        async with aclosing(chunks):
            async for chunk in chunks:
                again, new = chunk[:missing], chunk[missing:]
                begun.update(again)
                missing -= len(again)
                if again and not missing and begun.digest() != self._checksum.digest():
                    break
                if new:
                    self.received += len(new)
                    self._checksum.update(new)
                    yield new
            else:
                if not missing:
                    return
        raise StorageOperationException("the file was replaced while it was read: read it again")
