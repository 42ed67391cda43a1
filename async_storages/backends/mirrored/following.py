"""A mirror that is brought up to the primary, one file at a time."""

from contextlib import suppress

from async_storages.backends.combined.transfer import transfer
from async_storages.errors import FileNotFoundException, StorageException, StorageOperationException
from async_storages.ids import FileId
from async_storages.models import FileBasicInfo
from async_storages.storage.base import Storage

__all__ = ["find", "follow"]

_ATTEMPTS = 5


async def follow(primary: Storage, mirror: Storage, file: FileId) -> None:
    """Let the mirror have what the primary has under an id, a file or none, whoever changes it meanwhile.

    The primary is asked again afterwards: of two callers at once, the one who ends last has seen the last version.

    Raises:
        StorageOperationException: Others keep changing the file, or a storage failed.
    """
    for _ in range(_ATTEMPTS):
        before, failure = await find(primary, file), None
        try:
            await _bring_up(primary, mirror, file, before)
        except StorageException as error:  # perhaps only because it was changed meanwhile
            failure = error
        if not _is_same(before, await find(primary, file)):
            continue
        if failure is not None:
            raise failure
        return
    raise StorageOperationException("others keep changing the file: resync() mirrors it later", file_id=str(file))


async def _bring_up(primary: Storage, mirror: Storage, file: FileId, info: FileBasicInfo | None) -> None:
    if info is not None:
        await transfer(primary, file, mirror, file, overwrite=True, info=info)
        return
    with suppress(FileNotFoundException):  # for some storages an error
        await mirror.delete(file)


async def find(storage: Storage, file: FileId) -> FileBasicInfo | None:
    """The facts about a file; None if there is none."""
    try:
        return await storage.stat(file)
    except FileNotFoundException:
        return None


def _is_same(before: FileBasicInfo | None, now: FileBasicInfo | None) -> bool:
    if before is None or now is None:
        return before is now
    facts = ("etag", "last_modify_time", "file_size", "metadata")
    return all(getattr(before, fact) == getattr(now, fact) for fact in facts)
