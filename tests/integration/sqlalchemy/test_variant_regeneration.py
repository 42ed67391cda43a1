"""`regenerate_variants`: images get the variants that they lack, whoever else is at work."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from async_storages import ImagePool, ImageSize, InvalidArgumentException, StoredImage, Variant, Variants, events
from async_storages.integrations.sqlalchemy import ImageType, enable_file_tracking, regenerate_variants
from async_storages.integrations.sqlalchemy.columns.file_rows import FileRows
from tests.support.fastdfs import fastdfs_storage
from tests.support.images import encode
from tests.support.photos import RECIPES, SIZE, UNUSED, Gallery, Photo, PhotoBase, PickyStorage, declare, keep_in, photo


@pytest.fixture
def opening(request):
    """The storage of the columns, not open yet."""
    if getattr(request, "param", None) == "fastdfs":
        return fastdfs_storage(request.getfixturevalue("fastdfs_server"))
    return PickyStorage()


@pytest.fixture
async def photos(opening):
    async with opening as storage:
        keep_in(storage)
        yield storage
    keep_in(UNUSED)
    declare(RECIPES)


@pytest.fixture
async def pool():
    async with ImagePool(workers=1) as pool:
        yield pool


@pytest.fixture
async def old_rows(engine, photos):
    """Insert rows with images, as they were before the column declared variants."""
    async with engine.begin() as connection:
        await connection.run_sync(PhotoBase.metadata.drop_all)
        await connection.run_sync(PhotoBase.metadata.create_all)

    async def insert_rows(count, content=None, name="cat.png"):
        kept = [await photos.save(content or encode("PNG", SIZE), name) for _ in range(count)]
        ids = [stored.file_id for stored in kept]
        async with engine.begin() as connection:
            rows = [{"id": number, "image": each} for number, each in enumerate(ids, 1)]
            await connection.execute(insert(Photo.__table__), rows)
        return ids

    return insert_rows


async def images(engine):
    async with async_sessionmaker(engine)() as session:
        return (await session.scalars(select(Photo.image).order_by(Photo.id))).all()


async def there(images):
    return [[await image.variant(name).exists() for name in RECIPES] for image in images]


@pytest.mark.parametrize("opening", ["memory", "fastdfs"], indirect=True)
@pytest.mark.parametrize("every", [False, True])
async def test_images_without_variants_get_them(engine, old_rows, pool, every):
    await old_rows(3)
    seen = []
    done = await regenerate_variants(engine, Photo.image, batch=2, pool=pool, on_progress=seen.append)
    assert (done.rows, done.made, done.is_right, done.after) == (3, 9, True, (3,))
    assert [(each.rows, each.after) for each in seen] == [(2, (2,)), (3, (3,))]
    assert await there(await images(engine)) == [[True] * 3] * 3
    for image in await images(engine):
        for name, recipe in RECIPES.items():
            assert await image.variant(name).get_dimensions() == recipe.size_of(ImageSize(*SIZE)).dimensions
    again = await regenerate_variants(engine, Photo.image, pool=pool, every=every)
    assert (again.rows, again.made) == (3, 9 if every else 0)
    assert await there(await images(engine)) == [[True] * 3] * 3


async def test_only_what_is_missing_is_made(engine, old_rows, photos, pool):
    await old_rows(2)
    await regenerate_variants(engine, Photo.image, pool=pool)
    first, second = await images(engine)
    kept = await first.variant("card").get_info()
    await first.variant("thumb").delete()
    await second.variant("card").delete()
    assert (await regenerate_variants(engine, Photo.image, pool=pool)).made == 2
    assert await there([first, second]) == [[True] * 3] * 2
    assert (await first.variant("card").get_info()).last_modify_time == kept.last_modify_time


async def test_nothing_is_read_where_nothing_is_missing(engine, old_rows, pool, monkeypatch):
    await old_rows(2)
    await regenerate_variants(engine, Photo.image, pool=pool)
    asked = []
    monkeypatch.setattr(events, "hooks", [lambda event: asked.append(event.operation)])
    await regenerate_variants(engine, Photo.image, pool=pool)
    assert set(asked) == {"stat"}


async def test_an_image_is_read_once_for_all_its_variants(engine, old_rows, pool, monkeypatch):
    await old_rows(1)
    asked = []
    monkeypatch.setattr(events, "hooks", [lambda event: asked.append(event.operation)])
    await regenerate_variants(engine, Photo.image, pool=pool)
    assert asked.count("stream") == 1


async def test_a_changed_recipe(engine, photos, pool):
    async with engine.begin() as connection:
        await connection.run_sync(PhotoBase.metadata.drop_all)
        await connection.run_sync(PhotoBase.metadata.create_all)
    sessions = enable_file_tracking(async_sessionmaker(engine), image_pool=pool)
    async with sessions.begin() as session:
        session.add(Photo(image=photo()))
    [before] = await images(engine)
    old = before.variant("card").file_id
    declare(Variants(**{**RECIPES, "card": Variant(width=40, format="webp"), "tiny": Variant(width=4)}))
    assert (await regenerate_variants(engine, Photo.image, pool=pool)).made == 2
    [image] = await images(engine)
    assert await image.variant("card").get_dimensions() == (40, 30)
    assert await image.variant("tiny").exists()
    assert await photos.exists(old)


async def test_damaged_and_missing_originals_are_listed_and_the_others_go_on(engine, old_rows, photos, pool):
    ids = await old_rows(5)
    await photos.upload(encode("PNG", SIZE)[:70], ids[0])
    await photos.upload(b"no image", ids[1])
    await photos.delete(ids[2])
    photos.refused = {"card"}
    done = await regenerate_variants(engine, Photo.image, pool=pool)
    photos.refused = set()
    assert (done.rows, done.missing, set(done.damaged)) == (5, (ids[2],), set(ids[:2]))
    assert set(done.failed) == {*ids[3:]}
    assert all("told to" in reason for reason in done.failed.values())
    assert "text/plain" in done.damaged[ids[1]] or "octet-stream" in done.damaged[ids[1]]
    assert not done.is_right
    done = await regenerate_variants(engine, Photo.image, pool=pool)
    assert await there((await images(engine))[3:]) == [[True] * 3] * 2
    assert (len(done.damaged), len(done.failed)) == (2, 0)


async def test_two_at_once(engine, old_rows, pool):
    await old_rows(6)
    both = [regenerate_variants(engine, Photo.image, pool=pool, batch=4) for _ in range(2)]
    done = await asyncio.gather(*both)
    assert [(each.rows, each.is_right) for each in done] == [(6, True)] * 2
    assert sum(each.made for each in done) == 18
    assert await there(await images(engine)) == [[True] * 3] * 6


async def test_cancelled_it_goes_on_behind_the_last_batch(engine, old_rows, photos, pool):
    await old_rows(5)
    seen = []

    def note(done):
        seen.append(done)
        photos.held = {"card"}

    first = asyncio.create_task(
        regenerate_variants(engine, Photo.image, pool=pool, batch=2, every=True, on_progress=note)
    )
    await photos.reached.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    photos.held = set()
    assert [done.after for done in seen] == [(2,)]
    done = await regenerate_variants(engine, Photo.image, pool=pool, every=True, after=seen[0].after)
    assert (done.rows, done.made) == (3, 9)
    assert await there(await images(engine)) == [[True] * 3] * 5


@pytest.mark.parametrize("how", ["deleted", "replaced", "set to None"])
async def test_an_image_that_no_row_names_meanwhile_has_no_variants(engine, old_rows, photos, pool, how):
    """The row is changed, and the image, which has no variants yet, is about to be removed when one is stored."""
    await old_rows(1)
    photos.held = {"card"}
    task = asyncio.create_task(regenerate_variants(engine, Photo.image, pool=pool))
    await photos.reached.wait()
    row = update(Photo.__table__).values(image="mem:other.png" if how == "replaced" else None)
    async with engine.begin() as connection:
        await connection.execute(delete(Photo.__table__) if how == "deleted" else row)
    photos.held = set()
    photos.go_on.set()
    done = await task
    assert (done.made, done.is_right) == (0, True)
    assert [info async for info in photos.list() if "variants/" in info.file_id] == []


async def test_cancelled_it_leaves_only_whole_variants(engine, old_rows, photos, pool):
    await old_rows(1)
    photos.held = {"large"}
    task = asyncio.create_task(regenerate_variants(engine, Photo.image, pool=pool))
    await photos.reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    photos.held = set()
    assert (await regenerate_variants(engine, Photo.image, pool=pool)).is_right
    assert await there(await images(engine)) == [[True] * 3]


async def test_the_shared_pool_and_a_storage_in_trouble(engine, old_rows, photos):
    [file_id] = await old_rows(1)
    photos.refused = {"write"}
    assert list((await regenerate_variants(engine, Photo.image)).failed) == [file_id]


async def test_columns_that_declare_none_are_refused(engine, photos):
    declare(None)
    with pytest.raises(InvalidArgumentException, match=r"Photo\.image declares no variants: give its ImageType"):
        await regenerate_variants(engine, Photo.image)
    with pytest.raises(InvalidArgumentException, match=r"such as Document\.file, not Photo\.width"):
        await regenerate_variants(engine, Photo.width)


async def test_lists(engine, photos, pool):
    """Each image of a list, and no variant of one that the list has lost meanwhile."""
    async with engine.begin() as connection:
        await connection.run_sync(PhotoBase.metadata.drop_all)
        await connection.run_sync(PhotoBase.metadata.create_all)
    kept = [await photos.save(encode("PNG", SIZE), f"{number}.png") for number in range(3)]
    async with async_sessionmaker(engine).begin() as session:
        session.add_all(
            [Gallery(id=1, images=[*kept[:2], kept[0]]), Gallery(id=2, images=[]), Gallery(id=3, images=kept[2:])]
        )
    photos.held = {"card"}
    task = asyncio.create_task(regenerate_variants(engine, Gallery.images, pool=pool))
    await photos.reached.wait()
    async with async_sessionmaker(engine).begin() as session:
        (await session.get(Gallery, 1)).images = kept[:1]
    photos.held = set()
    photos.go_on.set()
    done = await task
    assert (done.rows, done.made, done.is_right) == (3, 6, True)
    async with async_sessionmaker(engine)() as session:
        rows = (await session.scalars(select(Gallery).order_by(Gallery.id))).all()
    assert [await there(row.images) for row in rows] == [[[True] * 3], [], [[True] * 3]]
    variants = [info.file_id async for info in photos.list() if "variants/" in info.file_id]
    assert len(variants) == 6


def test_keys_in_words():
    class Base(DeclarativeBase):
        pass

    class Row(Base):
        __tablename__ = "t"
        a: Mapped[UUID] = mapped_column(primary_key=True)
        b: Mapped[datetime] = mapped_column(primary_key=True)
        c: Mapped[str] = mapped_column(primary_key=True)
        image: Mapped[StoredImage] = mapped_column(ImageType(UNUSED))

    when, which = datetime(2026, 1, 2, tzinfo=UTC), UUID(int=7)
    rows = FileRows.of(Row.image, "test")
    assert rows.parse_key([str(which), when.isoformat(), "x"]) == (which, when, "x")
    for wrong in (["1"], ["1", "2", "3"], [str(which), when.isoformat(), "x", "y"]):
        with pytest.raises(InvalidArgumentException, match=r"is no primary key of t\.a, t\.b, t\.c"):
            rows.parse_key(wrong)
