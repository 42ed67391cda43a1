"""Deleting variants with their original. Variants are deleted first, so after a crash they still have an original."""

from collections.abc import AsyncGenerator, Collection, Iterable, Iterator, Mapping
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

from async_storages.errors import FileNotFoundException, InvalidArgumentException
from async_storages.files import StoredFile
from async_storages.ids import FileId
from async_storages.images.recipes import Variant
from async_storages.storage.base import FileName, Storage
from async_storages.storage.capabilities import SupportsList
from async_storages.variants.keys import folder_of, is_variant, variant_id

__all__ = [
    "KeepsSlaves",
    "delete_orphans",
    "delete_variants",
    "delete_with_variants",
    "find_variants",
    "list_variants",
]

type Recipes = Mapping[str, Variant]


@runtime_checkable
class KeepsSlaves(Protocol):
    """A storage that chooses its ids and can store slave files. The id of a slave depends on the id of its master."""

    async def save_slave(
        self, content: Any, master: FileName, prefix: str, filename: str | None = None, **options: Any
    ) -> StoredFile:
        """Store a slave file of another file: see `FastDFSStorage.save_slave`."""
        ...


async def delete_with_variants(storage: Storage, file_id: FileName, declared: Collection[Recipes]) -> None:
    """Delete the variants of a file, and then the file. Missing ones are no error.

    Variants that are made after the upload may be stored during this call. So it searches for them again at the end.
    Code that stores a variant even later notices that the original is gone.

    Args:
        storage: The storage of the file and its variants.
        file_id: The original.
        declared: The recipes of possible variants. If empty, it does not search for variants.

    Raises:
        StorageException: A variant or the file could not be deleted. The file still exists then.
    """
    if declared:
        await delete_variants(storage, file_id, declared)
    await storage.delete(file_id)
    if any(recipe.when != "flush" for recipes in declared for recipe in recipes.values()):
        await delete_orphans(storage, file_id, declared)


async def delete_variants(storage: Storage, original: FileName, declared: Iterable[Recipes]) -> None:
    """Delete the variants of an original. If the storage can list files, this includes variants of earlier recipes.

    Args:
        storage: The storage of the original and its variants.
        original: The original. It may be missing.
        declared: The recipes. If the storage cannot list files, only their variants are deleted.

    Raises:
        StorageException: A variant could not be deleted. It tried to delete all of them.
    """
    await _delete(storage, await find_variants(storage, original, declared))


async def delete_orphans(storage: Storage, original: FileName, declared: Iterable[Recipes]) -> None:
    """Delete the variants of a deleted original, unless another file has its key now.

    Args:
        storage: The storage of the original and its variants.
        original: The original.
        declared: As for `delete_variants`.

    Raises:
        StorageException: A variant could not be deleted. It tried to delete all of them.
    """
    found = await find_variants(storage, original, declared)
    if found and not await storage.exists(original):
        await _delete(storage, found)


async def find_variants(storage: Storage, original: FileName, declared: Iterable[Recipes]) -> list[str]:
    """Return the ids of the variants of an original. If the storage cannot list files, some may be missing.

    Args:
        storage: The storage of the original and its variants.
        original: The original.
        declared: As for `delete_variants`.
    """
    file = storage.identify(original)
    if isinstance(storage, SupportsList) and not storage.chooses_ids:
        return [each async for each in list_variants(storage, file)]
    if storage.chooses_ids and not isinstance(storage, KeepsSlaves):
        return []
    return list(_computed(file, declared))


async def _delete(storage: Storage, found: list[str]) -> None:
    if found:
        with suppress(FileNotFoundException):
            await storage.delete_many(found)


async def list_variants(storage: Any, original: FileId) -> AsyncGenerator[str]:
    """Yield the ids of all variants of an original, of any recipe, in a storage that can list its files."""
    folder = folder_of(original.key)
    if folder is None:
        return
    async with aclosing(storage.list(storage.bare_key(replace(original, key=folder)))) as listed:
        async for info in listed:
            found = storage.identify(info.file_id)
            if is_variant(found) and found.key.rpartition("/")[0] == folder[:-1]:
                yield str(found)


def _computed(original: FileId, declared: Iterable[Recipes]) -> Iterator[str]:
    for recipes in declared:
        for name, recipe in recipes.items():
            with suppress(InvalidArgumentException):  # the key has no room for variants
                yield str(variant_id(original, name, recipe))
