"""A read that breaks off in one storage, and goes on in another."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from async_storages._checksums import new_checksum
from async_storages.errors import StorageOperationException

__all__ = ["ReadSoFar"]


class ReadSoFar:
    """The bytes that a reader has been given, by which another copy of the file is known for the same.

    Attributes:
        received: How many there are.
    """

    def __init__(self) -> None:
        self.received = 0
        self._checksum = new_checksum("crc32")

    async def rest_of(self, chunks: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
        """The bytes that the reader lacks of a file, or of the range of it that he asked for.

        Args:
            chunks: All of it, from its beginning.

        Raises:
            StorageOperationException: It does not begin with what the reader has been given.
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
