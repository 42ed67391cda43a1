"""A copy within a storage that is deleted again if a check fails."""

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
    """An object that records files before they are written, for example a `FileLedger`."""

    def announcing(self, storage: Storage, name: FileName) -> AbstractAsyncContextManager[object]:
        """Return a context manager for the time in which the file is written."""
        ...


@asynccontextmanager
async def copied(
    storage: Storage, source: FileName, name: str, ledger: Announcer | None, *, folder: str = ""
) -> AsyncGenerator[StoredFile]:
    """Yield a private copy of a file, which the block checks. If the block raises, the copy is deleted.

    The copy has a fresh key. So no other file has this key, even on servers without conditional writes, and no other
    file is deleted.

    Args:
        storage: The storage of the file and its copy.
        source: The file. If the server distinguishes versions, the copy is a copy of one version.
        name: The file name of the copy.
        ledger: Records the copy before it is written.
        folder: The folder of the copy.

    Raises:
        FileNotFoundException: The source is missing.
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
