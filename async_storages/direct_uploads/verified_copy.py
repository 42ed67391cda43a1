"""A copy within a storage that stays only if it passes a check."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Protocol

from async_storages._cleanup import UNDO_WITHIN, clean_up
from async_storages.errors import OperationNotSupportedException
from async_storages.files import StoredFile
from async_storages.naming import unique_key
from async_storages.storage.base import FileName, Storage
from async_storages.storage.capabilities import SupportsCopy

__all__ = ["Announcer", "copied"]


class Announcer(Protocol):
    """Is told of files before they are written, as a `FileLedger` is."""

    def announcing(self, storage: Storage, name: FileName) -> AbstractAsyncContextManager[object]:
        """The time in which the file is written."""
        ...


@asynccontextmanager
async def copied(
    storage: Storage, source: FileName, name: str, ledger: Announcer | None, *, folder: str = ""
) -> AsyncGenerator[StoredFile]:
    """A copy that nobody else knows, for the block to look at; it is removed if the block raises.

    Its key is made here: nothing can be there before, whatever the server makes of conditions, and what is removed is
    nobody else's.

    Args:
        storage: Holds both.
        source: The file; the copy is of one version of it where the server can tell versions apart.
        name: The copy's, for people.
        ledger: Told of the copy before there is one.
        folder: The folder of the copy.

    Raises:
        FileNotFoundException: There is no source.
        OperationNotSupportedException: The storage cannot copy.
    """
    if not isinstance(storage, SupportsCopy):
        raise OperationNotSupportedException(f"{type(storage).__name__} cannot copy files")
    target = unique_key(name, folder)
    async with nullcontext() if ledger is None else ledger.announcing(storage, target):
        file = StoredFile(storage.identify(target), storage)
        try:
            await storage.copy(source, target, overwrite=False)
            yield file
        except BaseException as error:
            await clean_up(file.delete(), error, within=UNDO_WITHIN)
            raise
        file.remember(is_new=True)
