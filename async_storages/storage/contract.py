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
"""A file as methods take it: a bare key, a fusion id in either form, or a file object."""


class AbstractStorage(ABC):
    """The contract: derive from `Storage`, which has everything else."""

    @abstractmethod
    async def write(self, content: Content, key: FileName, *, overwrite: bool = True) -> str:
        """Store the content whole or not at all.

        Args:
            content: Iterate it once; whatever it raises must leave nothing behind. `options_for` gives its options.
            key: The exact key; backends that choose their ids use its extension, and keep the name for people.
            overwrite: False refuses a key that exists, without a race; of no effect where ids are chosen, as `save`
                says False everywhere.

        Returns:
            The fusion id.

        Raises:
            FileExistsException: The key exists and `overwrite` is False.
            StorageOperationException: The backend failed; nothing was stored.
        """

    @abstractmethod
    def stream(
        self, name: FileName, offset: int = 0, length: int | None = None, *, chunk_size: int = CHUNK_SIZE
    ) -> AsyncGenerator[bytes]:
        """The bytes of a file or of a range of it, in chunks of at most `chunk_size` bytes.

        Args:
            name: The file.
            offset: The first byte, from 0; negative counts from the end (a suffix); past the end gives nothing.
            length: How many bytes at the most; None for all, 0 for none.
            chunk_size: Bytes, at least 1.

        Raises:
            FileNotFoundException: There is no such file, raised by the first step of the iteration.
            InvalidArgumentException: A negative length, a chunk size below 1.
        """

    @abstractmethod
    async def stat(self, name: FileName) -> "FileBasicInfo":
        """Size, type, etag, time and metadata.

        Raises:
            FileNotFoundException: There is no such file.
        """

    @abstractmethod
    async def delete(self, name: FileName) -> None:
        """Remove a file; a missing one is not an error where the protocol allows.

        Raises:
            DeleteNotSupportedException: The storage is read-only.
        """

    @abstractmethod
    async def url(self, name: FileName) -> str:
        """The file's URL, percent-encoded; without asking whether the file exists."""
