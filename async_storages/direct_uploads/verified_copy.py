"""A copy within a storage that stays only if it turns out to be what it should."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Protocol

from async_storages._cleanup import clean_up
from async_storages.capabilities import SupportsCopy
from async_storages.errors import OperationNotSupportedException
from async_storages.files import StoredFile
from async_storages.naming import unique_key
from async_storages.storage import FileName, Storage

__all__ = ["Announcer", "copied"]

_UNDO_WITHIN = 30.0  # seconds


class Announcer(Protocol):
    """What is told of files before they are written, such as a `FileLedger`."""

    def announcing(self, storage: Storage, name: FileName) -> AbstractAsyncContextManager[object]:
        """The file is written within it."""
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
        name: What the copy is called.
        ledger: Told of the copy before there is one.
        folder: Of the copy's key.

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
            await clean_up(file.delete(), error, within=_UNDO_WITHIN)
            raise
        file.remember(is_new=True)
