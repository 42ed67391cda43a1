"""Images and their variants in transactions, without a ledger and with one: both or none, and removed together."""

import asyncio
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import create_engine, select, text
from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlalchemy.orm import sessionmaker

from async_storages import (
    FileTooLargeException,
    FileValidator,
    ImageLimits,
    ImagePool,
    ImageProcessingException,
    InvalidArgumentException,
    InvalidFileTypeException,
    LocalStorage,
    PendingFile,
    S3Storage,
    StorageUnavailableException,
    StoredImage,
    events,
    file_urls,
)
from async_storages.integrations.sqlalchemy import (
    FileLedger,
    clean_variants,
    enable_file_tracking,
    regenerate_variants,
)
from async_storages.integrations.sqlalchemy.ledger.storage_marks import FOLDER
from async_storages.variants.making import close_shared_pool
from tests.support.fastdfs import fastdfs_storage
from tests.support.images import encode
from tests.support.ledgers import forget_ledgers, in_journal, only_level_2, settle
from tests.support.photos import RECIPES, SIZE, UNUSED, Photo, PhotoBase, PickyStorage, keep_in, photo

pytestmark = pytest.mark.matrix

ALL = {"original", *RECIPES}
AT_ONCE = timedelta(0)


@pytest.fixture
async def photos(opening):
    """The storage of the columns."""
    async with opening as storage:
        keep_in(storage)
        yield storage
    keep_in(UNUSED)
    forget_ledgers(PhotoBase.metadata)


@pytest.fixture
def opening(storage_kind, request):
    """The storage, not open yet."""
    kind = storage_kind
    if kind == "memory":
        return PickyStorage()
    if kind == "folder":
        return LocalStorage(request.getfixturevalue("tmp_path") / "files", base_url="http://files.example")
    if kind == "fastdfs":
        return fastdfs_storage(request.getfixturevalue("fastdfs_server"))
    server = request.getfixturevalue("s3_server")
    return S3Storage(
        request.getfixturevalue("s3_bucket"),
        endpoint_url=server.endpoint_url,
        aws_access_key_id=server.access_key_id,
        aws_secret_access_key=server.secret_access_key,
    )


@pytest.fixture
def storage_kind():
    return "memory"


@pytest.fixture
async def tables(engine):
    async with engine.begin() as connection:
        await connection.run_sync(PhotoBase.metadata.drop_all)
        await connection.run_sync(PhotoBase.metadata.create_all)


@pytest.fixture
async def ledger(level, engine, photos, tables):
    return FileLedger(engine, PhotoBase.metadata) if level == 2 else None


@pytest.fixture
async def sessions(engine, ledger, photos, tables):
    async with ImagePool(workers=1) as pool:
        made = async_sessionmaker(engine, expire_on_commit=False)
        yield enable_file_tracking(made, ledger=ledger, image_pool=pool)


@pytest.fixture
def left(ledger, photos):
    """The names of the variants that are there in the end, and "original", once for each file."""
    return partial(_left, ledger, photos)


async def _left(ledger, photos):
    if ledger is not None:
        await settle(ledger)
    return sorted([_name(info.file_id) async for info in photos.list() if FOLDER not in info.file_id])


def _name(file_id):
    name = file_id.rpartition("/")[2]
    return name.partition("-")[0] if "variants/" in file_id else "original"


async def add(sessions, **values):
    async with sessions() as session:
        session.add(row := Photo(**{"image": photo(), **values}))
        await session.flush()
        await session.commit()
    return row


every_storage = pytest.mark.parametrize("storage_kind", ["memory", "folder", "s3"])


@every_storage
async def test_an_upload_stores_its_variants(sessions, photos, left):
    await add(sessions, id=1)
    async with sessions() as session:
        image = (await session.get(Photo, 1)).image
        for name, recipe in RECIPES.items():
            variant = image.variant(name)
            info = await variant.get_info()
            assert (variant.known_dimensions, info.content_type) == (
                await variant.get_dimensions(),
                variant.content_type,
            )
            assert recipe.format_for("image/png").content_type == info.content_type
    assert await left() == sorted(ALL)


@every_storage
@pytest.mark.parametrize("how", ["replace", "set to None", "delete"])
async def test_they_go_with_their_original(sessions, left, how):
    await add(sessions, id=1)
    async with sessions.begin() as session:
        row = await session.get(Photo, 1)
        if how == "delete":
            await session.delete(row)
        else:
            row.image = photo("dog.jpg", (40, 40)) if how == "replace" else None
    assert await left() == (sorted(ALL) if how == "replace" else [])


@every_storage
async def test_roll_back(sessions, left):
    await add(sessions, id=1)
    async with sessions() as session:
        (await session.get(Photo, 1)).image = photo("dog.png")
        session.add(Photo(id=2, image=photo("cow.png")))
        await session.flush()
        await session.rollback()
    assert await left() == sorted(ALL)


async def test_savepoints(sessions, left):
    async with sessions() as session:
        session.add(Photo(image=photo("outer.png")))
        async with session.begin_nested():
            session.add(Photo(image=photo("released.png")))
        inner = await session.begin_nested()
        session.add(Photo(image=photo("inner.png")))
        await session.flush()
        await inner.rollback()
        await session.commit()
    assert await left() == sorted([*ALL, *ALL])


@pytest.mark.parametrize("refused", ["thumb", "card", "large", "original"])
async def test_a_storage_that_fails_at_one_of_them(sessions, photos, left, refused):
    photos.refused = {"cat.png" if refused == "original" else refused}
    with pytest.raises(StorageUnavailableException):
        await add(sessions)
    photos.refused = set()
    assert await left() == []


async def test_deleting_a_variant_fails_and_the_original_stays(sessions, photos, ledger, left):
    await add(sessions, id=1)
    photos.refused = {"delete"}
    async with sessions.begin() as session:
        await session.delete(await session.get(Photo, 1))
    if ledger is None:
        assert "original" in await left()
    else:
        assert (await ledger.drain()).failed == 1
        photos.refused = set()
        assert await left() == []


@pytest.mark.parametrize("held", ["card", "cat.png"])
async def test_cancelled_between_original_and_variant(sessions, photos, left, held):
    photos.held = {held}
    task = asyncio.create_task(add(sessions))
    await photos.reached.wait()
    task.cancel()
    photos.held = set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await left() == []


@pytest.mark.parametrize("content", [b"no image", encode("PNG", SIZE)[:60], b""])
async def test_what_is_no_image_is_refused_before_anything_is_stored(sessions, photos, left, content):
    with pytest.raises(InvalidFileTypeException):
        await add(sessions, image=PendingFile(content, filename="cat.png"))
    assert [info async for info in photos.list() if FOLDER not in info.file_id] == []
    assert await left() == []


async def test_the_pool_that_is_named(engine, ledger, photos, tables, left):
    async with ImagePool(workers=1, limits=ImageLimits(max_pixels=100)) as pool:
        sessions = enable_file_tracking(async_sessionmaker(engine), ledger=ledger, image_pool=pool)
        with pytest.raises(InvalidFileTypeException, match="100"):
            await add(sessions)
    async with ImagePool(workers=1, limits=ImageLimits(timeout=0.001)) as pool:
        sessions = enable_file_tracking(async_sessionmaker(engine), ledger=ledger, image_pool=pool)
        with pytest.raises(ImageProcessingException):
            await add(sessions)
    assert await left() == []


async def test_the_shared_pool(engine, ledger, photos, tables, left):
    await add(enable_file_tracking(async_sessionmaker(engine), ledger=ledger))
    await close_shared_pool()
    assert await left() == sorted(ALL)


async def test_facts_and_a_placeholder(sessions, tmp_path):
    path = tmp_path / "a path.jpg"
    path.write_bytes(encode("JPEG", SIZE))
    row = await add(sessions, id=1, image=path_content(path))
    assert (row.width, row.height, row.image.known_placeholder) == (*SIZE, row.placeholder)
    assert path.exists()
    async with sessions() as session:
        found = await session.get(Photo, 1)
        assert len(found.placeholder) > 20
        assert found.image.known_placeholder == found.placeholder
        found.image = None
        await session.commit()
        assert found.placeholder is None


def path_content(path):
    return PendingFile(path, filename=path.name)


async def test_sources_that_can_be_read_once(sessions, left):
    async def chunks():
        yield encode("PNG", SIZE)

    await add(sessions, image=PendingFile(chunks(), filename="cat.png"))
    assert await left() == sorted(ALL)


async def test_a_listing_asks_for_nothing(sessions, photos, engine, monkeypatch, tmp_path):
    keep_in(LocalStorage(tmp_path / "files", base_url="http://files.example"))
    async with engine.begin() as connection:
        for number in range(100):
            row = {"id": number + 1, "image": f"file:{number}.png"}
            await connection.execute(
                text("INSERT INTO photos (id, image, width, height) VALUES (:id, :image, 9, 8)"), row
            )
    asked = []
    async with sessions() as session:
        rows = (await session.scalars(select(Photo).order_by(Photo.id))).all()
        monkeypatch.setattr(events, "hooks", [lambda event: asked.append(event.operation)])
        variants = [row.image.variant(name) for row in rows for name in RECIPES]
        urls = await file_urls(variants, presign=False)
    assert len(urls) == 300
    assert not {"stat", "stream", "list"} & set(asked)
    assert urls[variants[1]].endswith(f"/variants/0.png/card-{RECIPES['card'].digest}.webp")


def test_plain_sessions(sqlite_url):
    storage = PickyStorage()
    keep_in(storage)
    engine = create_engine(sqlite_url.replace("+aiosqlite", ""))
    PhotoBase.metadata.create_all(engine)
    sessions = enable_file_tracking(sessionmaker(engine))
    with sessions.begin() as session:
        session.add(Photo(id=1, image=photo()))
    with sessions.begin() as session:
        image = session.get(Photo, 1).image
        assert image.variant("thumb").sync.read()
        session.delete(session.get(Photo, 1))
    assert not storage.sync.exists(image.file_id)
    assert not image.variant("thumb").sync.exists()
    engine.dispose()
    keep_in(UNUSED)


class TestColumns:
    async def test_no_row_names_a_variant(self, sessions):
        row = await add(sessions, id=1)
        variant = row.image.variant("thumb")
        for value in (variant, variant.file_id):
            for name in ("image", "document"):
                with pytest.raises(InvalidArgumentException, match="belongs to its original"):
                    setattr(row, name, value)

    async def test_an_image_that_is_deleted_by_itself(self, sessions, level, left):
        row = await add(sessions, id=1)
        async with sessions.begin() as session:
            (await session.get(Photo, 1)).image = None
        await row.image.delete()
        assert await left() == []

    async def test_validators_come_first(self, sessions, monkeypatch, left):
        type_ = Photo.__table__.c.image.type
        monkeypatch.setattr(type_, "validators", (FileValidator(max_file_size=10),))
        with pytest.raises(FileTooLargeException):
            await add(sessions)
        assert await left() == []

    async def test_files_of_other_columns_have_none(self, sessions, left):
        await add(sessions, id=1, image=None, document=PendingFile(b"text", filename="a.txt"))
        assert await left() == ["original"]

    async def test_saved_images_have_none(self, sessions, photos, left):
        row = await add(sessions, id=1, image=await photos.save(encode("PNG", SIZE), "cat.png"))
        assert isinstance(row.image, StoredImage)
        assert not await row.image.variant("thumb").exists()
        assert await left() == ["original"]


async def test_made_again_and_cleaned(engine, sessions, photos, left):
    await add(sessions, id=1)
    await add(sessions, id=2, image=await photos.save(encode("PNG", SIZE), "cat.png"))
    assert (await regenerate_variants(engine, Photo.image, batch=1)).made == 3
    assert (await clean_variants(engine, Photo.image, older_than=AT_ONCE)).ids == ()
    async with sessions.begin() as session:
        await session.delete(await session.get(Photo, 2))
    assert await left() == sorted(ALL)


@only_level_2
class TestInventory:
    async def test_a_variant_counts_as_its_original(self, engine, sessions, ledger, photos, left):
        await add(sessions, id=1)
        async with sessions() as session:
            image = (await session.get(Photo, 1)).image
        async with engine.begin() as connection:
            await connection.execute(text("DELETE FROM stored_files WHERE state <> 'mark'"))
        await in_journal(ledger, lambda connection, journal: connection.execute(journal.delete()))
        await ledger.sweep(AT_ONCE, inventory=True, force=True)
        assert (await ledger.drain()).deleted == 0
        await photos.delete(image.file_id)  # its variants are there
        async with engine.begin() as connection:
            await connection.execute(text("DELETE FROM photos"))
        assert await ledger.sweep(AT_ONCE, inventory=True) == 1
        await ledger.drain()
        assert await left() == []

    async def test_what_looks_like_one_stays(self, ledger, photos, sessions):
        for key in ("variants/cat.png/thumb-0123456789abcdef.png", "variants/5f0c7a4be11c9d20_a.png/other.png"):
            await photos.upload(b"", key)
        assert await ledger.sweep(AT_ONCE, inventory=True, force=True) == 0


class TestFastDFS:
    @pytest.fixture
    def storage_kind(self):
        return "fastdfs"

    @pytest.mark.parametrize("how", ["commit", "roll back", "replace"])
    async def test_slaves(self, sessions, ledger, photos, fastdfs_server, how):
        await add(sessions, id=1)
        async with sessions() as session:
            image = (await session.get(Photo, 1)).image
        for name in RECIPES:
            variant = image.variant(name)
            assert await variant.get_dimensions() == variant.known_dimensions
        async with sessions() as session:
            row = await session.get(Photo, 1)
            row.image = None if how == "commit" else photo("dog.png")
            await (session.rollback() if how == "roll back" else session.commit())
        if ledger is not None:
            await settle(ledger)
        there = [await each.exists() for each in (image, *map(image.variant, RECIPES))]
        assert there == [how == "roll back"] * 4
        async with sessions.begin() as session:
            await session.delete(await session.get(Photo, 1))
