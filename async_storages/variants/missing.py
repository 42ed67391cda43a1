"""Making the missing variants of a stored original. A variant stays only if its original stays.

Code that deletes an original deletes its variants before and after it. Code that makes a variant checks, after it has
stored the variant, that the original is unchanged. So one of the two finds every variant without an original.
"""

from collections.abc import Mapping

from async_storages._cleanup import UNDO_WITHIN, clean_up
from async_storages._tasks import map_bounded
from async_storages.errors import FileExistsException, FileNotFoundException
from async_storages.ids import FileId
from async_storages.images.recipes import Variant
from async_storages.imaging.pool import ImagePool
from async_storages.models import FileBasicInfo
from async_storages.storage.base import FileName, Storage
from async_storages.upload_options import UploadOptions
from async_storages.variants.keys import variant_id
from async_storages.variants.making import AT_ONCE, new_variants, require_room

__all__ = ["make_missing"]


async def make_missing(
    storage: Storage,
    original: FileName,
    recipes: Mapping[str, Variant],
    pool: ImagePool,
    *,
    options: UploadOptions | None = None,
    every: bool = False,
) -> list[str]:
    """Make and store the missing variants of an original. Several callers may do this at the same time.

    Args:
        storage: The storage of the original.
        original: The original.
        recipes: The recipes by name.
        pool: The pool that makes the images.
        options: The upload options of the original.
        every: True also makes existing variants again, and overwrites them.

    Returns:
        The names of the variants that this call stored, in the order of the recipes.

    Raises:
        FileNotFoundException: The original is missing, or was deleted or replaced during the call. The new variants are
            deleted.
        InvalidFileTypeException: The original is not an image of an allowed format, or is damaged.
        ImageProcessingException: It took too much time or memory.
        StorageException: A variant could not be stored. Others may be stored.
    """
    file = storage.identify(original)
    require_room(storage, storage.bare_key(file), recipes)

    async def is_there(name: str) -> bool:
        return not every and await storage.exists(variant_id(file, name, recipes[name]))

    found = await map_bounded(is_there, recipes, limit=AT_ONCE)
    missing = {name: recipes[name] for name, is_found in zip(recipes, found, strict=True) if not is_found}
    if not missing:
        return []
    before = await storage.stat(file)
    stored: dict[str, str] = {}
    async with new_variants(missing, pool, file.key) as variants:

        async def store(name: str) -> None:
            try:
                stored[name] = await variants.store_one(name, storage, file, options, overwrite=every)
            except FileExistsException:  # somebody else was faster, and looks after it
                return

        await variants.fetch(storage, file)
        await variants.make()
        try:
            await map_bounded(store, missing, limit=AT_ONCE)
            if stored:
                await _require(storage, file, before)
        except BaseException as error:
            if stored:
                removal = _remove_orphans(storage, file, before, stored)
                await clean_up(removal, error, within=UNDO_WITHIN, what="variants of an image that has gone")
            raise
    return [name for name in missing if name in stored]


async def _require(storage: Storage, original: FileId, before: FileBasicInfo) -> None:
    """Check that an original exists and is unchanged. Another file may have replaced it under the same key."""
    now = await storage.stat(original)
    if (now.etag, now.file_size, now.last_modify_time) != (before.etag, before.file_size, before.last_modify_time):
        raise FileNotFoundException(
            "the image was replaced while its variants were made", operation="make_missing", file_id=str(original)
        )


async def _remove_orphans(storage: Storage, original: FileId, before: FileBasicInfo, stored: Mapping[str, str]) -> None:
    try:
        await _require(storage, original, before)
    except FileNotFoundException:
        await storage.delete_many(list(stored.values()))
