"""Files of the old storage that are brought into the new one."""

from async_storages.backends.combined.transfer import content_of
from async_storages.content import Content
from async_storages.errors import FileExistsException, FileNotFoundException
from async_storages.ids import FileId
from async_storages.storage.base import Storage

__all__ = ["bring", "store_unless_deleted"]


async def bring(old: Storage, new: Storage, file: FileId) -> None:
    """Copy a file into the new storage, unless that has it.

    Raises:
        FileNotFoundException: The old storage does not hold it, or no longer.
    """
    info = await old.stat(file)
    await store_unless_deleted(old, new, file, content_of(info, old.stream(file), new))


async def store_unless_deleted(old: Storage, new: Storage, file: FileId, content: Content) -> None:
    """Store the content of a file of the old storage in the new one, unless that has it.

    Whoever deletes the file deletes it in the old storage first: so if it is still there afterwards, the copy will be
    deleted as well, and if it is not, it must go.

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
