"""The five methods that every storage implements."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from async_storages.content import Content
from async_storages.files import StoredFile
from async_storages.ids import FileId
from async_storages.sources import CHUNK_SIZE

if TYPE_CHECKING:
    from async_storages.models import FileBasicInfo

__all__ = ["AbstractStorage", "FileName"]

type FileName = str | FileId | StoredFile
"""The argument that methods take for a file: a bare key, a file id as a str or a `FileId`, or a `StoredFile`."""


class AbstractStorage(ABC):
    """The five methods that every storage implements. Derive from `Storage`, which has all other methods."""

    @abstractmethod
    async def write(self, content: Content, key: FileName, *, overwrite: bool = True) -> str:
        """Store the whole content, or nothing.

        Args:
            content: The content. Iterate it once. If the iteration raises, leave nothing in the storage.
                `Storage.options_for` returns its options.
            key: The exact key. A backend that chooses its ids uses only the extension, and keeps the name as
                information.
            overwrite: False refuses a key that exists, even if two writers race for it. A backend that chooses its ids
                ignores it, because `save` always passes False.

        Returns:
            The file id.

        Raises:
            FileExistsException: The key exists and `overwrite` is False.
            StorageOperationException: The backend failed and stored nothing.
        """

    @abstractmethod
    def stream(
        self, name: FileName, offset: int = 0, length: int | None = None, *, chunk_size: int = CHUNK_SIZE
    ) -> AsyncGenerator[bytes]:
        """Yield the bytes of a file or of a range of it, in chunks of at most `chunk_size` bytes.

        Args:
            name: The file.
            offset: The position of the first byte, from 0. A negative offset counts from the end. An offset past the
                end yields nothing.
            length: The largest number of bytes. None yields all, 0 yields none.
            chunk_size: Bytes, at least 1.

        Raises:
            FileNotFoundException: The file is missing. The first step of the iteration raises this.
            InvalidArgumentException: `length` is negative, or `chunk_size` is below 1.
        """

    @abstractmethod
    async def stat(self, name: FileName) -> "FileBasicInfo":
        """Return size, content type, ETag, time and metadata.

        Raises:
            FileNotFoundException: The file is missing.
        """

    @abstractmethod
    async def delete(self, name: FileName) -> None:
        """Delete a file. It is not an error if the file does not exist.

        Raises:
            DeleteNotSupportedException: The storage is read-only.
        """

    @abstractmethod
    async def url(self, name: FileName) -> str:
        """Return the file's percent-encoded URL. It does not check that the file exists."""
