"""Making a whole mirror equal to the primary, in one pass over both listings."""

import logging
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from async_storages._checksums import new_checksum
from async_storages._tasks import map_bounded
from async_storages.backends.combined.listings import paired
from async_storages.backends.mirrored.following import find, follow, is_same
from async_storages.errors import StorageException
from async_storages.ids import FileId
from async_storages.storage.base import Storage

__all__ = ["Resynced", "resync"]

logger = logging.getLogger("async_storages")

_BATCH = 256


@dataclass(frozen=True, slots=True)
class Resynced:
    """The result of `MirroredStorage.resync`.

    Attributes:
        unchanged: The number of files that were equal already.
        copied: The number of files that were copied to a mirror.
        deleted: The number of files that the primary lacks and that were deleted in a mirror.
        extra: The number of files that the primary lacks and that are still in a mirror.
        failed: The number of files that could not be copied or deleted. The log gives the reasons.
    """

    unchanged: int = 0
    copied: int = 0
    deleted: int = 0
    extra: int = 0
    failed: int = 0

    def __add__(self, other: "Resynced") -> "Resynced":
        return Resynced(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))


async def resync(primary: Any, mirror: Any, prefix: str, *, delete: bool, verify: bool, concurrency: int) -> Resynced:
    """Make a mirror equal to the primary.

    Two files count as equal if their sizes are equal, and their ETags too if these are checksums of the content.
    Without such ETags, the mirror's file must be the later one. `verify` compares the content.

    Args:
        primary: A storage that can list its files.
        mirror: Another storage that can list its files.
        prefix: The beginning of the keys.
        delete: True deletes files in the mirror that the primary lacks.
        verify: True reads each file in both storages and compares the content.
        concurrency: The number of files at a time.

    Raises:
        StorageException: A listing failed.
    """
    total, differing = Resynced(), list[FileId]()

    async def settle(file: FileId) -> Resynced:
        return await _settle(primary, mirror, file, delete=delete, verify=verify)

    async def settle_all() -> Resynced:
        done = sum(await map_bounded(settle, differing, limit=concurrency), Resynced())
        differing.clear()
        return done

    async with aclosing(paired(primary.list(prefix), mirror.list(prefix))) as pairs:
        async for theirs, ours in pairs:
            if not verify and theirs is not None and ours is not None and is_same(theirs, ours):
                total += Resynced(unchanged=1)
            elif (info := theirs or ours) is not None:
                differing.append(FileId.parse(info.file_id))
            if len(differing) == _BATCH:
                total += await settle_all()
    return total + await settle_all()


async def _settle(primary: Storage, mirror: Storage, file: FileId, *, delete: bool, verify: bool) -> Resynced:
    """Check a file again, as the listings are of different moments, and make the mirror equal."""
    try:
        theirs, ours = await find(primary, file), await find(mirror, file)
        if theirs is None and (ours is None or not delete):
            return Resynced(extra=1) if ours else Resynced()
        matches = theirs is not None and ours is not None and is_same(theirs, ours) and theirs.metadata == ours.metadata
        if matches and not (verify and await _checksum(primary, file) != await _checksum(mirror, file)):
            return Resynced(unchanged=1)
        await follow(primary, mirror, file)
    except StorageException as error:
        logger.warning("%r could not be mirrored in %r: %s", str(file), mirror, error)
        return Resynced(failed=1)
    return Resynced(deleted=1) if theirs is None else Resynced(copied=1)


async def _checksum(storage: Storage, file: FileId) -> bytes:
    checksum = new_checksum("sha256")
    async with aclosing(storage.stream(file)) as chunks:
        async for chunk in chunks:
            checksum.update(chunk)
    return checksum.digest()
