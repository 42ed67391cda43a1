"""Variants that are made when they are asked for: once, and not again where they cannot be made."""

import asyncio
import time

import pytest

from async_storages import (
    FileNotFoundException,
    ImagePool,
    ImageProcessingException,
    InvalidFileTypeException,
    StorageUnavailableException,
    Variant,
    events,
)
from async_storages.variants.lazy import LazyVariants
from async_storages.variants.links import LinkedVariant
from async_storages.variants.making import close_shared_pool
from tests.support.images import encode
from tests.support.photos import SIZE, PickyStorage

CARD = Variant(width=30, when="request")


@pytest.fixture
async def pool():
    async with ImagePool(workers=1) as pool:
        yield pool


@pytest.fixture
def storage():
    return PickyStorage()


@pytest.fixture
def lazy(pool):
    return LazyVariants(pool)


@pytest.fixture
def told():
    """The operations so far, by what they did."""
    operations = []

    def note(event):
        operations.append(event.operation)

    events.hooks.append(note)
    yield operations
    events.hooks.remove(note)


async def linked(storage, content=None, name="card"):
    stored = await storage.save(content or encode("PNG", SIZE), filename="cat.png")
    return LinkedVariant(storage, storage.identify(stored), name, CARD, None)


async def test_many_who_ask_at_once_have_it_made_once(storage, lazy, told):
    variant = await linked(storage)
    await asyncio.gather(*(lazy.make(variant) for _ in range(50)))
    assert await variant.file.exists()
    assert told.count("stream") == 1
    assert told.count("write") == 2
    await lazy.make(variant)
    assert told.count("stream") == 1


async def test_if_who_came_first_is_cancelled_the_others_get_it(storage, lazy):
    variant = await linked(storage)
    storage.held = {"write"}
    tasks = [asyncio.create_task(lazy.make(variant)) for _ in range(3)]
    await storage.reached.wait()
    storage.held = set()
    tasks[0].cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(each) for each in outcomes] == [asyncio.CancelledError, type(None), type(None)]
    assert await variant.file.exists()


async def test_a_cancelled_request_leaves_nothing(storage, lazy):
    variant = await linked(storage)
    storage.held = {"write"}
    task = asyncio.create_task(lazy.make(variant))
    await storage.reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert {info.file_id async for info in storage.list()} == {str(variant.original)}


@pytest.mark.parametrize("content", [b"no image", encode("PNG", SIZE)[:70]])
async def test_a_damaged_image_is_read_once_in_a_minute(storage, lazy, told, content, monkeypatch):
    variant = await linked(storage, content)
    for _ in range(3):
        with pytest.raises(InvalidFileTypeException):
            await lazy.make(variant)
    assert told.count("stream") == 1
    later = time.monotonic() + 61
    monkeypatch.setattr(time, "monotonic", lambda: later)
    with pytest.raises(InvalidFileTypeException):
        await lazy.make(variant)
    assert told.count("stream") == 2


async def test_what_is_remembered_is_bounded(storage, lazy, told, monkeypatch):
    monkeypatch.setattr("async_storages.variants.lazy.REMEMBERED", 3)
    variants = [await linked(storage, b"no image", f"card{number}") for number in range(4)]
    for each in [*variants, *variants[1:], variants[0]]:
        with pytest.raises(InvalidFileTypeException):
            await lazy.make(each)
    assert told.count("stream") == 5


async def test_an_image_that_takes_too_long_is_remembered_too(storage, told):
    async with ImagePool(workers=1) as pool:
        variant = await linked(storage)

        async def too_slow(*_arguments):
            raise ImageProcessingException("it took too long")

        pool.make_many = too_slow
        lazy = LazyVariants(pool)
        for _ in range(2):
            with pytest.raises(ImageProcessingException):
                await lazy.make(variant)
    assert told.count("stream") == 1


async def test_a_storage_that_fails_is_asked_again(storage, lazy):
    variant = await linked(storage)
    storage.refused = {"write"}
    with pytest.raises(StorageUnavailableException):
        await lazy.make(variant)
    storage.refused = set()
    await lazy.make(variant)
    assert await variant.file.exists()


async def test_a_missing_image_may_come_yet(storage, lazy):
    variant = await linked(storage)
    await storage.delete(variant.original)
    with pytest.raises(FileNotFoundException):
        await lazy.make(variant)
    await storage.upload(encode("PNG", SIZE), variant.original)
    await lazy.make(variant)


async def test_no_more_than_some_are_made_at_once(storage, pool):
    lazy = LazyVariants(pool, concurrency=2)
    variants = [await linked(storage, name=f"card{number}") for number in range(4)]
    storage.held = {"write"}
    tasks = [asyncio.create_task(lazy.make(each)) for each in variants]
    await storage.reached.wait()
    storage.held = set()
    storage.go_on.set()
    await asyncio.gather(*tasks)
    assert all([await each.file.exists() for each in variants])


def test_it_works_in_one_event_loop_after_the_other(storage):
    lazy = LazyVariants()

    async def make():
        variants = [await linked(storage, name=name) for name in ("one", "other")]
        await asyncio.gather(*(lazy.make(each) for each in variants * 3))
        await close_shared_pool()

    for _ in range(2):
        asyncio.run(make())
