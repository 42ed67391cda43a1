"""Removal of variants: by a listing where there is one, else by their ids; nothing else goes."""

import pytest

from async_storages import MemoryStorage, StorageUnavailableException, Variant
from async_storages.ids import FileId
from async_storages.variants.keys import variant_id
from async_storages.variants.removal import delete_variants, delete_with_variants
from tests.support.chosen_ids import ChosenIdsStorage
from tests.support.photos import PickyStorage

RECIPES = {"thumb": Variant(width=9)}
ORIGINAL = "mem:a/cat.png"
THUMB = str(variant_id(FileId.parse(ORIGINAL), "thumb", RECIPES["thumb"]))
OLD = "mem:a/variants/cat.png/card-0123456789abcdef.webp"
OTHERS = {
    "mem:a/variants/cat.png/5f0c7a4be11c9d20_thumb-0123456789abcdef.webp",
    "mem:a/variants/cat.png/notes.txt",
    "mem:a/variants/cat.png/more/thumb-0123456789abcdef.webp",
    "mem:a/variants/cat.png.webp",
    "mem:a/variants/dog.png/thumb-0123456789abcdef.webp",
}


class WithoutListing(MemoryStorage):
    list = None


async def fill(storage):
    for file_id in (ORIGINAL, THUMB, OLD, *OTHERS):
        await storage.upload(b"", file_id)
    return storage


async def test_all_variants_go_by_a_listing():
    storage = await fill(PickyStorage())
    await delete_with_variants(storage, ORIGINAL, [RECIPES])
    assert {info.file_id async for info in storage.list()} == OTHERS
    await delete_with_variants(storage, ORIGINAL, [RECIPES])  # missing ones are no error


async def test_a_storage_within_a_folder_finds_them_too():
    whole = await fill(MemoryStorage())
    await delete_variants(whole.within("a"), "cat.png", [])
    assert not await whole.exists(THUMB)
    assert await whole.exists(ORIGINAL)


async def test_declared_ones_go_without_a_listing():
    storage = await fill(WithoutListing())
    await delete_with_variants(storage, ORIGINAL, [RECIPES])
    there = {each for each in (ORIGINAL, THUMB, OLD, *OTHERS) if await storage.exists(each)}
    assert there == {OLD, *OTHERS}


async def test_nothing_is_looked_for_where_none_are_declared():
    storage = await fill(PickyStorage())
    await delete_with_variants(storage, ORIGINAL, [])
    assert await storage.exists(THUMB)


async def test_the_original_stays_if_a_variant_cannot_be_deleted():
    storage = await fill(PickyStorage())
    storage.refused = {"thumb"}
    with pytest.raises(StorageUnavailableException):
        await delete_with_variants(storage, ORIGINAL, [RECIPES])
    assert await storage.exists(ORIGINAL)


async def test_keys_without_room_for_variants():
    for storage in (MemoryStorage(), WithoutListing()):
        await storage.upload(b"", key := "f" * 100 + "/" + "/".join(["g" * 100] * 8) + "/cat.png")
        await delete_with_variants(storage, key, [RECIPES])
        assert not await storage.exists(key)


async def test_ids_that_are_chosen():
    storage = ChosenIdsStorage()
    saved = await storage.save(b"", "cat.png")
    await delete_with_variants(storage, saved.file_id, [RECIPES])
    assert not await saved.exists()
