"""A copy within a storage that stays only if it turns out to be what it should."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Protocol

from async_storages.backends.cleanup import clean_up
from async_storages.errors import OperationNotSupportedException
from async_storages.files import StoredFile
from async_storages.storage import FileName, Storage, SupportsCopy

__all__ = ["Announcer", "copied"]

_UNDO_WITHIN = 30.0  # seconds


class Announcer(Protocol):
    """What is told of files before they are written, such as a `FileLedger`."""

    def announcing(self, storage: Storage, name: FileName) -> AbstractAsyncContextManager[object]:
        """The file is written within it."""
        ...


@asynccontextmanager
async def copied(
    storage: Storage, source: FileName, target: str, ledger: Announcer | None
) -> AsyncGenerator[StoredFile]:
    """A copy that nobody else knows, for the block to look at; it is removed if the block raises.

    Args:
        storage: Holds both.
        source: The file; the copy is of one version of it.
        target: A fresh key.
        ledger: Told of the copy before there is one.

    Raises:
        FileNotFoundException: There is no source.
        FileExistsException: The target is taken.
        OperationNotSupportedException: The storage cannot copy.
    """
    if not isinstance(storage, SupportsCopy):
        raise OperationNotSupportedException(f"{type(storage).__name__} cannot copy files")
    async with nullcontext() if ledger is None else ledger.announcing(storage, target):
        file = StoredFile(await storage.copy(source, target, overwrite=False), storage)
        try:
            yield file
        except BaseException as error:
            await clean_up(file.delete(), error, within=_UNDO_WITHIN)
            raise
        file.remember(is_new=True)
