"""Making and storing the variants of an original, all or nothing."""

import asyncio

import pytest

from async_storages import (
    FileExistsException,
    FileTooLargeException,
    ImagePool,
    InvalidArgumentException,
    InvalidFileTypeException,
    OperationNotSupportedException,
    StorageUnavailableException,
    UploadOptions,
    Variant,
)
from async_storages.ids import FileId
from async_storages.sources import open_source
from async_storages.variants.keys import variant_id
from async_storages.variants.making import make_variants, new_variants, require_room
from async_storages.variants.removal import delete_variants
from tests.support.chosen_ids import ChosenIdsStorage
from tests.support.images import encode
from tests.support.photos import RECIPES, SIZE, PickyStorage


@pytest.fixture
async def pool():
    async with ImagePool(workers=1) as pool:
        yield pool


@pytest.fixture
def storage():
    return PickyStorage()


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "cat.png"
    path.write_bytes(encode("PNG", SIZE))
    return path


async def keys(storage):
    return {info.file_id async for info in storage.list()}


async def test_they_are_stored_beside_it_and_deleted(storage, path, pool):
    original = (await storage.save(path, folder="a")).file_id
    options = UploadOptions(cache_control="no-cache", content_disposition='attachment; filename="cat.png"')
    await make_variants(storage, original, path, RECIPES, pool=pool, options=options)
    variants = {str(variant_id(FileId.parse(original), name, recipe)) for name, recipe in RECIPES.items()}
    assert await keys(storage) == {original, *variants}
    info = await storage.stat(min(variants))
    assert (info.cache_control, info.content_disposition) == ("no-cache", None)
    with pytest.raises(FileExistsException):
        await make_variants(storage, original, path, RECIPES, pool=pool)
    assert await keys(storage) == {original, *variants}
    await delete_variants(storage, original, [])
    assert await keys(storage) == {original}
    assert path.exists()


async def test_a_variant_may_have_any_name(storage, path, pool):
    original = (await storage.save(path)).file_id
    content = path.read_bytes()
    recipes = {"original": Variant(width=9), "thumb": Variant(width=8)}
    async with new_variants(recipes, pool, "cat.png") as variants:
        taken = await variants.take(content, open_source(content))
        await variants.make()
        assert taken.read_bytes() == content
        await variants.store(storage, original)


async def test_all_or_nothing(storage, path, pool):
    original = (await storage.save(path)).file_id
    storage.refused = {"large"}
    with pytest.raises(StorageUnavailableException):
        await make_variants(storage, original, path, RECIPES, pool=pool)
    storage.refused, storage.held = set(), {"card"}
    task = asyncio.create_task(make_variants(storage, original, path, RECIPES, pool=pool))
    await storage.reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    path.write_bytes(b"no image")
    with pytest.raises(InvalidFileTypeException):
        await make_variants(storage, original, path, RECIPES, pool=pool)
    assert await keys(storage) == {original}


async def test_content_is_taken_as_a_file(path, pool):
    async with new_variants(RECIPES, pool, "cat.png") as variants:
        assert await variants.take(path, open_source(path)) == path
        taken = await variants.take(b"123", open_source(b"123"), max_size=3)
        assert taken.read_bytes() == b"123"
        with pytest.raises(FileTooLargeException):
            await variants.take(b"1234", open_source(b"1234"), max_size=3)


def test_storages_without_room():
    with pytest.raises(OperationNotSupportedException, match="leave them out"):
        require_room(ChosenIdsStorage(), "cat.png", RECIPES)
    require_room(ChosenIdsStorage(), "cat.png", {})
    with pytest.raises(InvalidArgumentException, match="too long"):
        require_room(PickyStorage(), "f" * 990 + "/cat.png", {"thumb": Variant(width=9)})
