"""Variants of the images of a list: made for each that joins it, removed with each that leaves it."""

# ruff: noqa: F811 - fixtures of another module
import asyncio

import pytest
from sqlalchemy import JSON, select, type_coerce, update

from async_storages import InvalidFileTypeException, PendingFile, StorageUnavailableException, events, file_urls
from async_storages.integrations.sqlalchemy.ledger.storage_marks import FOLDER
from tests.integration.transactions.test_variants import (  # noqa: F401 - fixtures
    ALL,
    every_storage,
    ledger,
    left,
    opening,
    photos,
    sessions,
    storage_kind,
    tables,
)
from tests.support.ledgers import settle
from tests.support.photos import RECIPES, SIZE, Gallery, photo

pytestmark = pytest.mark.matrix

ONE = sorted(ALL)
TWO = sorted([*ALL, *ALL])


@pytest.fixture
async def gallery(sessions):
    """Row 1, with two images."""
    async with sessions() as session:
        session.add(row := Gallery(id=1, images=[photo("cat.png"), photo("dog.jpg", (40, 30))]))
        await session.commit()
    return row


@every_storage
async def test_each_image_has_them_and_its_list_tells_their_dimensions(sessions, gallery, left, monkeypatch):
    asked = []
    async with sessions() as session:
        monkeypatch.setattr(events, "hooks", [lambda event: asked.append(event.operation)])
        images = (await session.get(Gallery, 1)).images
        variants = [image.variant(name) for image in images for name in RECIPES]
        known = [each.known_dimensions for each in variants]
        assert asked == []
        assert known == [await each.get_dimensions() for each in variants]
    assert [image.known_dimensions for image in images] == [SIZE, (40, 30)]
    assert all(len(image.known_placeholder) > 20 for image in images)
    assert await left() == TWO


CHANGES = {
    "append": (lambda images: images.append(photo("cow.png")), sorted([*ALL] * 3)),
    "remove": (lambda images: images.remove(images[0]), ONE),
    "replace": (lambda images: images.__setitem__(0, photo("cow.png")), TWO),
    "reorder": (lambda images: images.reverse(), TWO),
    "clear": (lambda images: images.clear(), []),
}


@every_storage
@pytest.mark.parametrize(("change", "after"), CHANGES.values(), ids=CHANGES.keys())
async def test_they_come_and_go_with_it(sessions, gallery, left, change, after):
    async with sessions() as session:
        found = await session.get(Gallery, 1)
        change(found.images)
        await session.flush()
        await session.rollback()
        assert await left() == TWO
        found = await session.get(Gallery, 1)
        change(found.images)
        await session.commit()
        for image in found.images:
            assert all([await image.variant(name).exists() for name in RECIPES])
    assert await left() == after


async def test_the_row_is_deleted_or_updated_by_a_statement(sessions, gallery, left):
    async with sessions.begin() as session:
        session.add(Gallery(id=2, images=[photo("cow.png")]))
    async with sessions.begin() as session:
        await session.delete(await session.get(Gallery, 1))
        await session.execute(update(Gallery).where(Gallery.id == 2).values(images=[]))
    assert await left() == []


async def test_savepoints(sessions, gallery, left):
    async with sessions() as session:
        found = await session.get(Gallery, 1)
        inner = await session.begin_nested()
        found.images.append(photo("inner.png"))
        await session.flush()
        await inner.rollback()
        found = await session.get(Gallery, 1, populate_existing=True)
        async with session.begin_nested():
            found.images[0] = photo("released.png")
        await session.commit()
    assert await left() == TWO


@pytest.mark.parametrize("refused", ["thumb", "large", "cow.png"])
async def test_a_storage_that_fails_at_one_of_them(sessions, gallery, photos, left, refused):
    photos.refused = {refused}
    async with sessions() as session:
        found = await session.get(Gallery, 1)
        found.images += [photo("hen.png"), photo("cow.png")]
        with pytest.raises(StorageUnavailableException):
            await session.commit()
    photos.refused = set()
    assert await left() == TWO


async def test_cancelled_between_image_and_variant(sessions, gallery, photos, left):
    async def add():
        async with sessions() as session:
            found = await session.get(Gallery, 1)
            found.images.append(photo("cow.png"))
            await session.commit()

    photos.held = {"card"}
    task = asyncio.create_task(add())
    await photos.reached.wait()
    task.cancel()
    photos.held = set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await left() == TWO


async def test_one_that_is_no_image_is_refused_with_the_list(sessions, photos, left):
    async with sessions() as session:
        session.add(Gallery(id=1, images=[photo("cat.png"), PendingFile(b"no image", filename="dog.png")]))
        with pytest.raises(InvalidFileTypeException):
            await session.flush()
    assert await left() == []
    assert [info async for info in photos.list() if FOLDER not in info.file_id] == []


async def test_an_image_in_two_lists_keeps_them(sessions, gallery, left):
    async with sessions.begin() as session:
        first = await session.get(Gallery, 1)
        session.add(Gallery(id=2, images=[first.images[0]]))
    async with sessions.begin() as session:
        await session.delete(await session.get(Gallery, 1))
    assert await left() == ONE
    async with sessions() as session:
        [image] = (await session.get(Gallery, 2)).images
        assert image.known_dimensions == SIZE
        assert await image.variant("thumb").get_dimensions() == (20, 20)


@pytest.mark.parametrize("storage_kind", ["folder"])
async def test_a_listing_asks_for_nothing(sessions, gallery, monkeypatch):
    asked = []
    monkeypatch.setattr(events, "hooks", [lambda event: asked.append(event.operation)])
    async with sessions() as session:
        rows = (await session.scalars(select(Gallery))).all()
        urls = await file_urls([rows, [image.variant("thumb") for row in rows for image in row.images]], presign=False)
        raw = await session.scalar(select(type_coerce(Gallery.images, JSON)))
    assert len(urls) == 4
    assert not {"stat", "stream", "list"} & set(asked)
    assert {each["width"] for each in raw[-1].values()} == {64, 40}


class TestFastDFS:
    @pytest.fixture
    def storage_kind(self):
        return "fastdfs"

    async def test_slaves(self, sessions, ledger, photos, fastdfs_server):
        async with sessions() as session:
            session.add(row := Gallery(id=1, images=[photo(), photo("dog.jpg")]))
            await session.commit()
            dropped, kept = row.images
            row.images.pop(0)
            await session.commit()
        if ledger is not None:
            await settle(ledger)
        assert [await each.variant("thumb").exists() for each in (dropped, kept)] == [False, True]
        async with sessions.begin() as session:
            await session.delete(await session.get(Gallery, 1))
        if ledger is not None:
            await settle(ledger)
        assert not await kept.variant("thumb").exists()
