"""`clean_variants`: variants that nobody needs any more are removed, and nothing else is."""

import os
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Column, delete, insert, select, update
from sqlalchemy.ext.asyncio import async_sessionmaker

from async_storages import (
    ImagePool,
    InvalidArgumentException,
    LocalStorage,
    OperationNotSupportedException,
    S3Storage,
    StorageUnavailableException,
    Variant,
    Variants,
)
from async_storages.integrations.sqlalchemy import ImageType, clean_variants, enable_file_tracking, regenerate_variants
from tests.support import photos as usual
from tests.support.documents import row_class
from tests.support.fastdfs import fastdfs_storage
from tests.support.images import encode
from tests.support.photos import SIZE, UNUSED, Gallery, Photo, PhotoBase, PickyStorage, declare, keep_in, photo

NOW = timedelta(0)
RECIPES = Variants(**{name: replace(each, sharpen=0.25) for name, each in usual.RECIPES.items()})
"""No other test has these: what any column in the process declares is kept, if nobody knows where its files are."""

CHANGED = Variants(**{**RECIPES, "card": Variant(width=40, format="webp")})


@pytest.fixture
def storage_kind():
    return "memory"


@pytest.fixture
def opening(storage_kind, request):
    """The storage of the columns, not open yet."""
    if storage_kind == "fastdfs":
        return fastdfs_storage(request.getfixturevalue("fastdfs_server"))
    if storage_kind == "folder":
        return LocalStorage(request.getfixturevalue("tmp_path") / "files")
    if storage_kind == "memory":
        return PickyStorage()
    server = request.getfixturevalue("s3_server")
    return S3Storage(
        request.getfixturevalue("s3_bucket"),
        endpoint_url=server.endpoint_url,
        aws_access_key_id=server.access_key_id,
        aws_secret_access_key=server.secret_access_key,
    )


@pytest.fixture
async def photos(opening):
    async with opening as storage:
        keep_in(storage)
        declare(RECIPES)
        yield storage
    keep_in(UNUSED)
    declare(usual.RECIPES)


@pytest.fixture
async def pool():
    async with ImagePool(workers=1) as pool:
        yield pool


@pytest.fixture
async def rows(engine, photos, pool):
    """Three rows with an image that has variants."""
    async with engine.begin() as connection:
        await connection.run_sync(PhotoBase.metadata.drop_all)
        await connection.run_sync(PhotoBase.metadata.create_all)
    sessions = enable_file_tracking(async_sessionmaker(engine), image_pool=pool)
    async with sessions.begin() as session:
        session.add_all(Photo(id=number, image=photo()) for number in (1, 2, 3))
    return sessions


async def images(engine):
    async with async_sessionmaker(engine)() as session:
        return (await session.scalars(select(Photo.image).order_by(Photo.id))).all()


async def present(photos):
    return {info.file_id async for info in photos.list()}


async def wanted(engine):
    """The ids of all images and of the variants that are declared."""
    found = await images(engine)
    names = Photo.__table__.c.image.type.variants
    return {each.file_id for image in found for each in (image, *map(image.variant, names))}


@pytest.mark.parametrize("storage_kind", ["memory", "folder", "s3"])
async def test_a_changed_recipe_regenerated_and_cleaned(engine, rows, photos, pool):
    before = await present(photos)
    declare(CHANGED)
    assert (await regenerate_variants(engine, Photo.image, pool=pool)).made == 3
    assert len(await present(photos)) == 15
    told = await clean_variants(engine, Photo.image, older_than=NOW, dry_run=True)
    assert (told.variants, told.outdated, told.orphaned) == (12, 3, 0)
    assert len(await present(photos)) == 15
    done = await clean_variants(engine, Photo.image, older_than=NOW)
    assert done == told
    assert set(done.ids) == before - await wanted(engine)
    assert await present(photos) == await wanted(engine)
    assert (await clean_variants(engine, Photo.image, older_than=NOW)).ids == ()


async def test_a_column_without_variants_loses_those_that_it_had(engine, rows, photos):
    declare(Variants())
    assert (await clean_variants(engine, Photo.image, older_than=NOW)).outdated == 9
    assert await present(photos) == await wanted(engine)


@pytest.mark.parametrize("storage_kind", ["memory", "folder", "s3"])
async def test_variants_of_images_that_have_gone(engine, rows, photos):
    [first, second, _] = await images(engine)
    async with engine.begin() as connection:
        await connection.execute(delete(Photo.__table__).where(Photo.id == 1))
    await photos.delete(first.file_id)
    await photos.delete(second.file_id)  # which a row names: somebody may bring it back
    done = await clean_variants(engine, Photo.image, older_than=NOW)
    assert (done.variants, done.outdated, done.orphaned) == (9, 0, 3)
    assert await present(photos) == await wanted(engine) - {second.file_id}


async def test_an_image_that_no_row_of_the_column_names_keeps_its_variants(engine, rows, photos):
    declare(CHANGED)
    async with engine.begin() as connection:
        await connection.execute(update(Photo.__table__).values(image=None))
    assert (await clean_variants(engine, Photo.image, older_than=NOW)).ids == ()
    assert len(await present(photos)) == 12


async def test_young_ones_stay(engine, rows, photos):
    declare(Variants())
    assert (await clean_variants(engine, Photo.image)).variants == 0
    assert len(await present(photos)) == 12


@pytest.mark.parametrize("storage_kind", ["folder"])
async def test_old_ones_go(engine, rows, photos, tmp_path):
    declare(Variants())
    long_ago = time.time() - 2 * 86400
    for file in (tmp_path / "files").rglob("thumb-*.png"):
        os.utime(file, (long_ago, long_ago))
    assert (await clean_variants(engine, Photo.image)).outdated == 3


async def test_what_only_looks_like_a_variant_stays(engine, rows, photos):
    strange = {"variants/cat.png/thumb-0123456789abcdef.png", "variants/5f0c7a4be11c9d20_a.png/other.png"}
    for key in strange:
        await photos.upload(b"", key)
    assert (await clean_variants(engine, Photo.image, older_than=NOW, prefix="")).ids == ()
    assert len(await present(photos)) == 14


async def test_only_the_folder_of_the_column_is_listed_unless_another_is_named(engine, rows, photos, monkeypatch):
    type_ = Photo.__table__.c.image.type
    declare(Variants())
    kept = await photos.save(encode("PNG", SIZE), folder="a/b")
    await photos.upload(b"", f"a/b/variants/{kept.file_id.rpartition('/')[2]}/thumb-0123456789abcdef.png")
    async with engine.begin() as connection:
        await connection.execute(insert(Photo.__table__).values(id=4, image=kept.file_id))
    monkeypatch.setattr(type_, "folder", "a/b")
    assert (await clean_variants(engine, Photo.image, older_than=NOW)).outdated == 1
    monkeypatch.setattr(type_, "folder", "")
    assert (await clean_variants(engine, Photo.image, older_than=NOW, prefix="a/")).variants == 0
    assert (await clean_variants(engine, Photo.image, older_than=NOW)).outdated == 9
    monkeypatch.setattr(type_, "upload_to", lambda row, name: name)
    assert (await clean_variants(engine, Photo.image, older_than=NOW)).variants == 0


async def test_another_column_declares_what_this_one_does_not(engine, rows, photos):
    """Both may have the same images, as rows are copied from one to the other."""
    other = row_class(image=Column(ImageType(photos, variants=RECIPES)))
    try:
        declare(Variants())
        assert (await clean_variants(engine, Photo.image, older_than=NOW)).ids == ()
    finally:
        other.image.type.variants = None  # or they would be kept for it in the tests that follow
    assert (await clean_variants(engine, Photo.image, older_than=NOW)).outdated == 9


async def test_lists(engine, rows, photos, monkeypatch):
    """What a list names is named, although its column's variants are declared by it alone."""
    [first, second, _] = await images(engine)
    async with async_sessionmaker(engine).begin() as session:
        session.add(Gallery(id=1, images=[first.file_id, second.file_id]))
    declare(Variants())
    type_ = Gallery.images.type.item_type
    monkeypatch.setattr(type_, "variants", CHANGED)
    done = await clean_variants(engine, Gallery.images, older_than=NOW)
    assert (done.variants, done.outdated) == (9, 2)
    assert {each.rpartition("/")[2].partition("-")[0] for each in done.ids} == {"card"}


async def test_two_at_once_and_a_storage_in_trouble(engine, rows, photos):
    declare(Variants())
    photos.refused = {"delete"}
    done = await clean_variants(engine, Photo.image, older_than=NOW)
    assert (done.outdated, done.is_right, len(done.failed)) == (0, False, 1)
    photos.refused = set()
    assert (await clean_variants(engine, Photo.image, older_than=NOW)).outdated == 9


async def test_an_image_that_cannot_be_asked_for_keeps_its_variants(engine, rows, photos, monkeypatch):
    async with engine.begin() as connection:
        await connection.execute(delete(Photo.__table__))

    async def failing(name):
        raise StorageUnavailableException("503", file_id=str(name))

    monkeypatch.setattr(photos, "stat", failing)
    done = await clean_variants(engine, Photo.image, older_than=NOW)
    assert (done.ids, len(done.failed)) == ((), 3)


@pytest.mark.parametrize("storage_kind", ["fastdfs"])
async def test_a_storage_that_cannot_list(engine, photos):
    with pytest.raises(OperationNotSupportedException, match="FastDFSStorage cannot list its files"):
        await clean_variants(engine, Photo.image)


async def test_columns_that_declare_none_are_refused(engine, photos):
    declare(None)
    with pytest.raises(InvalidArgumentException, match=r"Photo\.image declares no variants"):
        await clean_variants(engine, Photo.image)
