"""Making a mirror equal to the primary, one file at a time."""

import re
from contextlib import suppress

from async_storages.backends.combined.transfer import transfer
from async_storages.errors import FileNotFoundException, StorageException, StorageOperationException
from async_storages.ids import FileId
from async_storages.models import FileBasicInfo
from async_storages.storage.base import Storage

__all__ = ["bring_up", "find", "follow", "is_same"]

_MD5 = re.compile(r"[0-9a-f]{32}")

_ATTEMPTS = 5


async def bring_up(primary: Storage, mirror: Storage, file: FileId) -> bool:
    """Do the same as `follow`, unless the mirror's file is equal already. Compare the copy with the original.

    Returns:
        True if the primary has the file.

    Raises:
        StorageOperationException: Others keep changing the file, the copy differs, or a storage failed.
    """
    theirs, ours = await find(primary, file), await find(mirror, file)
    if theirs is not None and ours is not None and is_same(theirs, ours) and theirs.metadata == ours.metadata:
        return True
    await follow(primary, mirror, file, overwrite=ours is not None)
    theirs, ours = await find(primary, file), await find(mirror, file)
    if theirs is not None and (ours is None or not _has_same_content(theirs, ours)):
        raise StorageOperationException("the copy in the mirror is not the same as the original", file_id=str(file))
    return theirs is not None


async def follow(primary: Storage, mirror: Storage, file: FileId, *, overwrite: bool = True) -> None:
    """Make the mirror equal to the primary for one id, even if others change the file meanwhile.

    The primary may have the file or not. This function checks the primary again afterwards: if two callers run at once,
    the one that ends last has seen the last version.

    Args:
        primary: The storage that decides.
        mirror: The storage that follows it.
        file: The id.
        overwrite: False if the mirror does not have the file. A file that another client stores there meanwhile stays.

    Raises:
        FileExistsException: Another client stored the file, with ``overwrite=False``.
        StorageOperationException: Others keep changing the file, or a storage failed.
    """
    for _ in range(_ATTEMPTS):
        before, failure = await find(primary, file), None
        try:
            await _copy_or_delete(primary, mirror, file, before, overwrite=overwrite)
        except StorageException as error:  # perhaps only because it was changed meanwhile
            failure = error
        if not _is_unchanged(before, await find(primary, file)):
            overwrite = True  # it may be ours that is there
            continue
        if failure is not None:
            raise failure
        return
    raise StorageOperationException("others keep changing the file: resync() mirrors it later", file_id=str(file))


async def _copy_or_delete(
    primary: Storage, mirror: Storage, file: FileId, info: FileBasicInfo | None, *, overwrite: bool
) -> None:
    if info is not None:
        await transfer(primary, file, mirror, file, overwrite=overwrite, info=info)
        return
    with suppress(FileNotFoundException):  # for some storages an error
        await mirror.delete(file)


async def find(storage: Storage, file: FileId) -> FileBasicInfo | None:
    """Return the facts about a file. None if there is no file."""
    try:
        return await storage.stat(file)
    except FileNotFoundException:
        return None


def is_same(theirs: FileBasicInfo, ours: FileBasicInfo) -> bool:
    """Return True if the mirror's file equals the primary's, as far as listings tell."""
    if not _has_same_content(theirs, ours):
        return False
    if theirs.last_modify_time is None or ours.last_modify_time is None:
        return (theirs.etag or "") == (ours.etag or "") != ""
    return theirs.last_modify_time <= ours.last_modify_time


def _has_same_content(theirs: FileBasicInfo, ours: FileBasicInfo) -> bool:
    """Return True if the sizes are equal, and the ETags too if they are checksums of the content."""
    if theirs.file_size != ours.file_size:
        return False
    etags = theirs.etag or "", ours.etag or ""
    return etags[0] == etags[1] or not all(map(_MD5.fullmatch, etags))


def _is_unchanged(before: FileBasicInfo | None, now: FileBasicInfo | None) -> bool:
    if before is None or now is None:
        return before is now
    facts = ("etag", "last_modify_time", "file_size", "metadata")
    return all(getattr(before, fact) == getattr(now, fact) for fact in facts)
