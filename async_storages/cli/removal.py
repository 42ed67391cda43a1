"""Remove stored files. If there is a ledger, it removes only files that no row in the database names."""

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from async_storages._tasks import map_bounded
from async_storages.cli.application import Application
from async_storages.cli.folder_copying import list_files
from async_storages.cli.places import StoredPlace
from async_storages.cli.printing import note
from async_storages.errors import InvalidArgumentException, StorageException
from async_storages.ids import FileId
from async_storages.models import FileBasicInfo
from async_storages.storage.base import Storage
from async_storages.variants.keys import find_original

if TYPE_CHECKING:
    from async_storages.integrations.sqlalchemy import FileLedger

__all__ = ["Removal", "Removed", "batches_in"]

_AT_ONCE = 16
_BATCH = 500
_SHOWN = 3


@dataclass(slots=True)
class Removed:
    """The outcome of a removal.

    Attributes:
        removed: The number of removed files.
        kept: The number of files that the ledger keeps: rows name them, or `retain` is not over.
        failed: The number of files that could not be removed.
    """

    removed: int = 0
    kept: int = 0
    failed: int = 0


class Removal:
    """Removes files.

    Args:
        application: The storages, and perhaps a ledger.
        force: True removes files even if rows name them.
    """

    def __init__(self, application: Application, *, force: bool) -> None:
        self._application = application
        self._force = force
        self.done = Removed()

    async def require_unnamed(self, ids: Sequence[FileId], advice: str) -> None:
        """Require that no row names these files. For image variants: that no row names their originals.

        Raises:
            InvalidArgumentException: Rows name them, and `force` is False.
        """
        ledger = self._application.ledger
        if ledger is None or self._force:
            return
        if named := sorted(await _find_named(ledger, ids), key=str):
            shown = ", ".join(map(str, named[:_SHOWN])) + (", …" if len(named) > _SHOWN else "")
            why = " (a variant counts as its image)" if any(_image_of(each) != each for each in named) else ""
            raise InvalidArgumentException(
                f"rows of the database name {len(named)} of the files ({shown}){why}: {advice}; "
                "--force does it all the same"
            )

    async def count(self, folder: StoredPlace, advice: str) -> tuple[int, int]:
        """Return the number of files in a folder, and their bytes. No row may name any of them.

        Raises:
            InvalidArgumentException: As for `require_unnamed`.
        """
        files = size = 0
        async with aclosing(batches_in(folder)) as batches:
            async for infos in batches:
                files += len(infos)
                size += sum(info.file_size for info in infos)
                await self.require_unnamed([folder.storage.identify(info.file_id) for info in infos], advice)
        return files, size

    async def remove(self, storage: Storage, ids: Sequence[FileId]) -> None:
        """Remove files of one storage, and count them. It reports failures on stderr."""
        ledger = self._application.ledger
        if ledger is None or self._force:
            await map_bounded(lambda each: self._remove(storage, each), ids, limit=_AT_ONCE)
            return
        named = await _find_named(ledger, ids)  # the ledger itself asks for no variant's image
        for each in ids:
            if each not in named:
                await ledger.claims.request_deletion(storage.file(each))
        await ledger.drain()
        left = await map_bounded(storage.exists, ids, limit=_AT_ONCE)
        for each in _chosen(ids, left):
            note(f"kept: the ledger keeps {each}: a row names it, or its time to be kept is not over")
        self.done.kept += sum(left)
        self.done.removed += len(left) - sum(left)

    async def _remove(self, storage: Storage, file: FileId) -> None:
        try:
            await storage.delete(file)
        except StorageException as error:
            self.done.failed += 1
            note(f"failed: {error}")
        else:
            self.done.removed += 1


async def batches_in(folder: StoredPlace) -> AsyncGenerator[list[FileBasicInfo]]:
    """Yield the facts of the files in a folder, in batches."""
    batch: list[FileBasicInfo] = []
    async with aclosing(list_files(folder)) as found:
        async for info in found:
            batch.append(info)
            if len(batch) == _BATCH:
                yield batch
                batch = []
    if batch:
        yield batch


async def _find_named(ledger: "FileLedger", ids: Iterable[FileId]) -> set[FileId]:
    """Find the ids that rows name, and the ids of variants whose originals rows name."""
    images = {each: _image_of(each) for each in ids}
    named = await ledger.find_named({*images.values()})
    return {each for each, image in images.items() if str(image) in named}


def _image_of(file: FileId) -> FileId:
    """Return the original of a variant, if the id shows it. Return any other file itself."""
    return replace(file, key=find_original(file.key) or file.key)


def _chosen(ids: Iterable[FileId], are_chosen: Iterable[bool]) -> list[FileId]:
    return [each for each, is_chosen in zip(ids, are_chosen, strict=True) if is_chosen]
