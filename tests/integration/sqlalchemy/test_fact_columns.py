"""Facts in the row: sibling columns that an upload fills, and that answer for the files of loaded rows."""

from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256

import pytest
from sqlalchemy import BigInteger, Column, DateTime, Integer, String, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import defer

from async_storages import FastDFSStorage, InvalidArgumentException, PendingFile, StoredFile, StoredImage, events
from async_storages.integrations.sqlalchemy import FileType, ImageType, enable_file_tracking
from tests.support.documents import row_class
from tests.support.images import encode

PNG = encode("PNG", (5, 7))
NAMES = {
    "size": "file_size",
    "content_type": "file_type",
    "filename": "file_name",
    "sha256": "file_hash",
    "uploaded_at": "file_time",
}


def fact_columns(time=None):
    return {
        "file_size": Column(BigInteger),
        "file_type": Column(String(100)),
        "file_name": Column(String(255)),
        "file_hash": Column(String(64)),
        "file_time": Column(time or DateTime(timezone=True)),
        "width": Column(Integer),
        "height": Column(Integer),
    }


@pytest.fixture
def photo():
    return row_class(file=Column(ImageType("documents", width="width", height="height", **NAMES)), **fact_columns())


@pytest.fixture
async def sessions(engine, create, photo):
    await create(photo)
    return enable_file_tracking(async_sessionmaker(engine))


@pytest.fixture
def asked(monkeypatch):
    """The operations of storages, as they end."""
    seen = []
    monkeypatch.setattr(events, "hooks", [lambda event: seen.append(event.operation)])
    return seen


async def row(sessions, photo):
    async with sessions() as session:
        return (await session.execute(select(*photo.__table__.c))).one()


async def test_an_upload_fills_them(sessions, photo):
    before = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=1)
    async with sessions() as session:
        session.add(photo(id=1, file=PendingFile(PNG, filename="../My cat?.png")))
        await session.commit()
    found = await row(sessions, photo)
    assert (found.file_size, found.file_type, found.file_name) == (len(PNG), "image/png", "My cat_.png")
    assert (found.file_hash, found.width, found.height) == (sha256(PNG).hexdigest(), 5, 7)
    time = found.file_time if found.file_time.tzinfo else found.file_time.replace(tzinfo=UTC)
    assert before <= time <= datetime.now(UTC)


async def test_files_of_loaded_rows_answer_without_a_request(sessions, photo, asked):
    async with sessions() as session:
        session.add(photo(id=1, file=PendingFile(PNG, filename="My cat.png", content_type="image/x-cat")))
        await session.commit()
    asked.clear()
    async with sessions() as session:
        file = (await session.get(photo, 1)).file
        assert (file.known_size, file.content_type, file.filename) == (len(PNG), "image/x-cat", "My cat.png")
        assert (file.known_sha256, file.known_dimensions) == (sha256(PNG).hexdigest(), (5, 7))
        assert file.known_upload_time.tzinfo is not None
        assert abs(file.known_upload_time - datetime.now(UTC)) < timedelta(hours=1)
    assert asked == []


async def test_files_know_them_after_a_commit_and_a_refresh(sessions, photo):
    async with sessions() as session:
        new = photo(id=1, file=PendingFile(PNG, filename="a.png"))
        session.add(new)
        await session.commit()
        await session.refresh(new)
        assert (new.file.known_size, new.file.known_sha256) == (len(PNG), sha256(PNG).hexdigest())


async def test_columns_that_are_not_loaded_tell_nothing(sessions, photo):
    async with sessions() as session:
        session.add(photo(id=1, file=PendingFile(PNG, filename="a.png")))
        await session.commit()
    async with sessions() as session:
        [found] = await session.scalars(select(photo).options(defer(photo.file_size), defer(photo.file_hash)))
        assert (found.file.known_size, found.file.known_sha256) == (None, None)
        assert found.file.known_dimensions == (5, 7)


async def test_a_saved_file_fills_what_it_knows(sessions, photo, storage):
    plain = await storage.save(PNG, "a.png")
    hashed = await storage.save(PNG, "b.png", checksums=["sha256"])
    async with sessions() as session:
        session.add_all([photo(id=1, file=plain), photo(id=2, file=hashed)])
        await session.commit()
        found = (await session.execute(select(photo.file_size, photo.file_hash).order_by(photo.id))).all()
    assert found == [(len(PNG), None), (len(PNG), sha256(PNG).hexdigest())]


async def test_another_file_of_which_nothing_is_known_empties_them(sessions, photo, storage):
    await storage.upload(b"x", "other.png")
    async with sessions() as session:
        session.add(photo(id=1, file=PendingFile(PNG, filename="a.png")))
        await session.commit()
    async with sessions() as session:
        (await session.get(photo, 1)).file = "other.png"
        await session.commit()
    found = await row(sessions, photo)
    assert {found.file_size, found.file_type, found.file_name, found.file_hash, found.file_time, found.width} == {None}


async def test_no_file_empties_them(sessions, photo):
    async with sessions() as session:
        session.add(photo(id=1, file=PendingFile(PNG, filename="a.png")))
        await session.commit()
    async with sessions() as session:
        (await session.get(photo, 1)).file = None
        await session.commit()
    found = await row(sessions, photo)
    assert set(found[1:]) == {None}


async def test_the_same_file_changes_nothing(sessions, photo):
    async with sessions() as session:
        session.add(photo(id=1, file=PendingFile(PNG, filename="a.png")))
        await session.commit()
    before = await row(sessions, photo)
    async with sessions() as session:
        found = await session.get(photo, 1)
        found.file = str(found.file)
        await session.commit()
    assert await row(sessions, photo) == before


async def test_values_given_with_a_new_row_stay(sessions, photo, storage):
    await storage.upload(PNG, "a.png")
    async with sessions() as session:
        session.add(photo(id=1, file_size=3, file="a.png", file_name="by hand.png"))
        await session.commit()
    found = await row(sessions, photo)
    assert (found.file_size, found.file_name) == (3, "by hand.png")


async def test_an_answer_of_the_storage_fills_them(sessions, photo, storage):
    await storage.upload(PNG, "a.png")
    stored = StoredImage("mem:a.png", storage)
    await stored.get_info()
    await stored.get_dimensions()
    async with sessions() as session:
        session.add(photo(id=1, file=stored))
        await session.commit()
    found = await row(sessions, photo)
    assert (found.file_size, found.file_type, found.width) == (len(PNG), "image/png", 5)
    assert found.file_time is not None


async def test_a_column_without_a_time_zone_holds_utc(engine, create, storage):
    document = row_class(file=Column(FileType("documents", **NAMES)), **fact_columns(DateTime()))
    await create(document)
    stored = await storage.save(b"x", "a.txt")
    east = datetime(2026, 1, 1, 8, tzinfo=timezone(timedelta(hours=8)))
    stored.remember(upload_time=east)
    async with AsyncSession(engine) as session:
        session.add(document(id=1, file=stored))
        await session.commit()
        assert await session.scalar(select(document.file_time)) == datetime(2026, 1, 1)  # noqa: DTZ001 - so it is stored
    async with AsyncSession(engine) as session:
        assert (await session.get(document, 1)).file.known_upload_time == east


async def test_a_rollback_takes_them_back(sessions, photo):
    async with sessions() as session:
        session.add(photo(id=1, file=PendingFile(PNG, filename="a.png")))
        await session.commit()
        found = await session.get(photo, 1)
        found.file = PendingFile(b"text", filename="b.txt")
        await session.flush()
        assert found.file_size == 4
        await session.rollback()
        await session.refresh(found)
        assert (found.file_size, found.file.known_size, found.file.filename) == (len(PNG), len(PNG), "a.png")


async def test_a_thousand_rows_are_listed_without_a_request(sessions, photo, storage, asked):
    stored = await storage.save(PNG, "a.png", checksums=["sha256"])
    async with sessions() as session:
        session.add_all(photo(id=n, file=stored) for n in range(1000))
        await session.commit()
    asked.clear()
    async with sessions() as session:
        listed = [
            (each.file.filename, each.file.known_size, each.file.content_type)
            for each in await session.scalars(select(photo))
        ]
    assert listed == [("a.png", len(PNG), "image/png")] * 1000
    assert asked == []


async def test_a_name_that_the_class_lacks_is_refused():
    class_ = row_class(file=Column(FileType("documents", size="file_sise")), file_size=Column(Integer))
    with pytest.raises(InvalidArgumentException, match=r"no attribute 'file_sise', which size= of a file names"):
        class_(id=1)


async def test_an_id_of_fastdfs_tells_its_size(engine, create):
    document = row_class(
        file=Column(FileType(FastDFSStorage(["127.0.0.1:1"]), size="file_size")), file_size=Column(Integer)
    )
    await create(document)
    async with AsyncSession(engine) as session:
        session.add(document(id=1, file=StoredFile("group1/M00/00/00/wKgDhF7zb-GAdBjQAAAADcNDGRM463.txt")))
        await session.commit()
        assert await session.scalar(select(document.file_size)) == 13
