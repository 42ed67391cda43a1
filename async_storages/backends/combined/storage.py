"""The base class of storages that consist of others with the same ids."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

from async_storages.backends.combined.members import part_of_another
from async_storages.content import Content
from async_storages.errors import StorageException
from async_storages.ids import FileId
from async_storages.storage.base import Storage
from async_storages.upload_options import UploadOptions

__all__ = ["CombinedStorage", "parts_of"]


class CombinedStorage(Storage):
    """A storage that consists of others. The first one takes new files. It opens and closes all of them.

    Subclasses work with `_parts`, which emit no events. Each operation emits one event, of the combined storage.

    Args:
        members: The storages, which `check_members` has accepted.
        name: The registered name of the storage.
        read_only: True refuses every write and delete.

    Attributes:
        members: The given storages.
    """

    def __init__(self, members: Sequence[Storage], *, name: str | None, read_only: bool) -> None:
        first = members[0]
        self.bucket, self.location, self.prefix = first.bucket, first.location, first.prefix
        self.upload_options = first.upload_options
        super().__init__(name=name, read_only=read_only or first.read_only)
        self.members = tuple(members)
        self._parts = self._parts_of(members)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.members))})"

    @property
    def _first(self) -> Any:
        return self._parts[0]

    def _parts_of(self, members: Sequence[Storage]) -> tuple[Any, ...]:
        return tuple(part_of_another(member, read_only=self.read_only) for member in members)

    # ---- lifetime

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opened:
            for storage in self.members:
                await opened.enter_async_context(storage)
            opened.pop_all()
        return await super().__aenter__()

    async def aclose(self) -> None:
        """Close all storages, even if one of them raises: see `Storage.aclose`."""
        await super().aclose()
        async with AsyncExitStack() as closing:
            for storage in self.members:
                closing.push_async_callback(storage.aclose)

    # ---- what the first one decides

    def check_key(self, file_id: FileId) -> None:
        """Refuse keys that the storage for new files refuses: see `Storage.check_key`."""
        self._first.check_key(file_id)

    def check_id(self, file_id: FileId) -> None:
        """Refuse ids that the storage for new files refuses: see `Storage.check_id`."""
        self._first.check_id(file_id)

    def options_for(self, content: Content) -> UploadOptions:
        """Return the options of a new file: see `Storage.options_for`."""
        options: UploadOptions = self._first.options_for(content)
        return options

    async def prepare(self) -> None:
        """Prepare the storage for new files to presign: see `Storage.prepare`."""
        await self._first.prepare()

    def presigned_headers(
        self, *, content_type: str | None = None, content_length: int | None = None
    ) -> dict[str, str]:
        """Return the headers of a PUT to the storage for new files: see `Storage.presigned_headers`."""
        headers: dict[str, str] = self._first.presigned_headers(
            content_type=content_type, content_length=content_length
        )
        return headers


class parts_of:  # noqa: N801 - it reads like a function
    """Raises errors of an operation's parts as errors of the combined storage."""

    __slots__ = ("_operation",)

    def __init__(self, operation: str) -> None:
        self._operation = operation

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, StorageException):
            error.operation = self._operation
