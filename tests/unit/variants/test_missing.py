"""Variants that are made when the original is stored already: each once, and none whose original has gone."""

import asyncio

import pytest

from async_storages import (
    FileNotFoundException,
    ImagePool,
    InvalidFileTypeException,
    LocalStorage,
    OperationNotSupportedException,
    StorageUnavailableException,
    UploadOptions,
    Variant,
)
from async_storages.variants.keys import variant_id
from async_storages.variants.missing import make_missing
from async_storages.variants.removal import delete_with_variants
from tests.support.chosen_ids import ChosenIdsStorage
from tests.support.fastdfs import fastdfs_storage
from tests.support.images import displayed_size, encode
from tests.support.photos import RECIPES, SIZE, PickyStorage

LATER = {"later": Variant(width=20, when="request")}


@pytest.fixture
async def pool():
    async with ImagePool(workers=1) as pool:
        yield pool


@pytest.fixture
def storage():
    return PickyStorage()


@pytest.fixture
async def original(storage):
    return (await storage.save(encode("PNG", SIZE), filename="cat.png", folder="a")).file_id


async def keys(storage):
    return {info.file_id async for info in storage.list()}


def ids_of(storage, original, recipes):
    return {str(variant_id(storage.identify(original), name, recipe)) for name, recipe in recipes.items()}


async def test_those_that_are_missing_are_made_and_no_others(storage, original, pool):
    card = {"card": RECIPES["card"]}
    options = UploadOptions(cache_control="public, max-age=9")
    assert await make_missing(storage, original, card, pool, options=options) == ["card"]
    [before] = [await storage.stat(each) for each in ids_of(storage, original, card)]
    assert (before.cache_control, before.content_type) == ("public, max-age=9", "image/webp")
    assert await make_missing(storage, original, RECIPES, pool) == ["thumb", "large"]
    assert await make_missing(storage, original, RECIPES, pool) == []
    assert await keys(storage) == {original} | ids_of(storage, original, RECIPES)
    assert await storage.stat(before.file_id) == before


async def test_two_callers_at_once_store_one(storage, original, pool):
    storage.held = {"thumb"}
    thumb = {"thumb": RECIPES["thumb"]}
    late = asyncio.create_task(make_missing(storage, original, thumb, pool))
    await storage.reached.wait()
    storage.held = set()
    assert await make_missing(storage, original, thumb, pool) == ["thumb"]
    storage.go_on.set()
    assert await late == []


async def test_a_missing_original_is_an_error_and_leaves_nothing(storage, original, pool):
    await storage.delete(original)
    with pytest.raises(FileNotFoundException):
        await make_missing(storage, original, RECIPES, pool)
    assert await keys(storage) == set()


@pytest.mark.parametrize("content", [b"no image", encode("PNG", SIZE)[:60]])
async def test_a_damaged_original_is_an_error_and_leaves_nothing(storage, pool, content):
    original = (await storage.save(content, filename="cat.png")).file_id
    with pytest.raises(InvalidFileTypeException):
        await make_missing(storage, original, RECIPES, pool)
    assert await keys(storage) == {original}


async def test_an_original_that_is_removed_before_the_variant_is_stored_leaves_nothing(storage, original, pool):
    storage.held = {"later"}
    making = asyncio.create_task(make_missing(storage, original, LATER, pool))
    await storage.reached.wait()
    await delete_with_variants(storage, original, [LATER])
    storage.go_on.set()
    with pytest.raises(FileNotFoundException):
        await making
    assert await keys(storage) == set()


class Asked(PickyStorage):
    """Waits between the storing of a variant and the question for the original, or within the removal of one."""

    def __init__(self):
        super().__init__()
        self.waits_at_stat = 0

    async def stat(self, name):
        self.waits_at_stat -= 1
        if self.waits_at_stat == 0:
            self.reached.set()
            await self.go_on.wait()
        return await super().stat(name)


async def asked(pool):
    """A storage with an original, and a task that has stored a variant and has not asked for the original yet."""
    storage = Asked()
    original = (await storage.save(encode("PNG", SIZE), filename="cat.png")).file_id
    storage.waits_at_stat = 3  # does the variant exist, the original before, and after
    making = asyncio.create_task(make_missing(storage, original, LATER, pool))
    await storage.reached.wait()
    assert ids_of(storage, original, LATER) < await keys(storage)
    return storage, original, making


async def test_an_original_that_is_removed_after_the_variant_is_stored_leaves_nothing(pool):
    storage, original, making = await asked(pool)
    await delete_with_variants(storage, original, [LATER])
    storage.go_on.set()
    with pytest.raises(FileNotFoundException):
        await making
    assert await keys(storage) == set()


async def test_a_variant_that_is_stored_after_the_removal_has_looked_is_removed(storage, original, pool):
    """The maker's question comes too early, so it is the remover that finds the variant."""
    storage.held = {"delete"}
    removing = asyncio.create_task(delete_with_variants(storage, original, [LATER]))
    await storage.reached.wait()
    assert await make_missing(storage, original, LATER, pool) == ["later"]
    storage.held = set()
    storage.go_on.set()
    await removing
    assert await keys(storage) == set()


async def test_whoever_is_cancelled_before_the_question_asks_it_all_the_same(pool):
    storage, original, making = await asked(pool)
    await storage.delete(original)
    making.cancel()
    storage.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await making
    assert await keys(storage) == set()


async def test_whoever_is_cancelled_leaves_the_variant_of_an_original_that_is_there(pool):
    storage, original, making = await asked(pool)
    making.cancel()
    storage.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await making
    assert await keys(storage) == {original} | ids_of(storage, original, LATER)


async def test_a_key_that_got_another_image_meanwhile_has_no_variant_of_the_old_one(pool):
    storage, original, making = await asked(pool)
    await storage.upload(encode("PNG", (9, 9)), original)
    storage.go_on.set()
    with pytest.raises(FileNotFoundException, match="the image was replaced while"):
        await making
    assert await keys(storage) == {original}


class Reusing(PickyStorage):
    """Gives the key of an original that is deleted to another one, with a variant, at once."""

    def __init__(self, pool):
        super().__init__()
        self.pool = pool

    async def delete(self, name):
        await super().delete(name)
        await self.upload(encode("PNG", SIZE), name)
        await make_missing(self, name, LATER, self.pool)


async def test_a_removal_leaves_the_variants_of_a_new_image_under_the_key(pool):
    storage = Reusing(pool)
    await storage.upload(b"", "cat.png")
    await delete_with_variants(storage, "cat.png", [LATER])
    assert await keys(storage) == {"mem:cat.png"} | ids_of(storage, "cat.png", LATER)


async def test_a_storage_that_fails_is_an_error_and_what_was_stored_stays(storage, original, pool):
    storage.refused = {"large"}
    with pytest.raises(StorageUnavailableException):
        await make_missing(storage, original, RECIPES, pool)
    assert original in await keys(storage)
    storage.refused = set()
    await make_missing(storage, original, RECIPES, pool)
    assert await keys(storage) == {original} | ids_of(storage, original, RECIPES)


async def test_a_storage_that_cannot_keep_variants_says_so(pool):
    storage = ChosenIdsStorage()
    original = (await storage.save(encode("PNG", SIZE), filename="cat.png")).file_id
    with pytest.raises(OperationNotSupportedException):
        await make_missing(storage, original, RECIPES, pool)


async def test_slaves_in_fastdfs(fastdfs_server, pool):
    async with fastdfs_storage(fastdfs_server) as storage:
        original = (await storage.save(encode("PNG", SIZE), filename="cat.png")).file_id
        assert await make_missing(storage, original, RECIPES, pool) == list(RECIPES)
        assert await make_missing(storage, original, RECIPES, pool) == []
        await delete_with_variants(storage, original, [RECIPES, LATER])
        for each in ids_of(storage, original, RECIPES):
            assert not await storage.exists(each)


async def test_the_original_of_a_folder_is_read_and_left(tmp_path, pool):
    storage = LocalStorage(tmp_path / "files")
    original = (await storage.save(encode("PNG", SIZE), filename="cat.png")).file_id
    await make_missing(storage, original, RECIPES, pool)
    for each, recipe in RECIPES.items():
        made = await storage.read(variant_id(storage.identify(original), each, recipe))
        assert displayed_size(made)[0] <= SIZE[0]
