"""Copying files of the old storage into the new one."""

from async_storages.backends.combined.transfer import content_of
from async_storages.content import Content
from async_storages.errors import FileExistsException, FileNotFoundException
from async_storages.ids import FileId
from async_storages.storage.base import Storage

__all__ = ["bring", "store_unless_deleted"]


async def bring(old: Storage, new: Storage, file: FileId) -> None:
    """Copy a file into the new storage, if it is missing there.

    Raises:
        FileNotFoundException: The old storage does not have the file, or it was deleted meanwhile.
    """
    info = await old.stat(file)
    await store_unless_deleted(old, new, file, content_of(info, old.stream(file), new))


async def store_unless_deleted(old: Storage, new: Storage, file: FileId, content: Content) -> None:
    """Store the content of the old storage's file in the new one, if it is missing there.

    A delete removes the file from the old storage first. If the old file still exists after the copy, a later delete
    will find the copy too. If it does not exist any more, this function deletes the copy.

    Raises:
        FileNotFoundException: The file was deleted meanwhile.
    """
    async with content:
        try:
            await new.write(content, file, overwrite=False)
        except FileExistsException:
            return
    made = await new.stat(file)
    if await old.exists(file):
        return
    if (await new.stat(file)).etag == made.etag:  # nobody has stored another one
        await new.delete(file)
    raise FileNotFoundException("the file was deleted while it was copied", file_id=str(file))
