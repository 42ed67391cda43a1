"""`verify_files`: rows beside what the storage holds."""

import pytest
from sqlalchemy import BigInteger, Column, String, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from async_storages import InvalidArgumentException, PendingFile, StorageUnavailableException
from async_storages.integrations.sqlalchemy import FileType, enable_file_tracking, verify_files
from tests.support.documents import row_class


@pytest.fixture
def document():
    return row_class(
        file=Column(FileType("documents", size="size", sha256="sha256", upload_to=lambda _row, name: name)),
        size=Column(BigInteger),
        sha256=Column(String(64)),
    )


@pytest.fixture
async def rows(engine, create, document):
    await create(document)
    sessions = enable_file_tracking(async_sessionmaker(engine))
    async with sessions.begin() as session:
        session.add_all(document(id=n, file=PendingFile(b"x" * n, filename=f"{n}.txt")) for n in (1, 2, 3))
        session.add(document(id=4))


async def test_rows_that_are_right(engine, document, rows):
    done = await verify_files(engine, document.file, content=True, batch=2)
    assert (done.rows, done.right, done.is_right) == (3, 3, True)


async def test_a_missing_file_and_another_size(engine, document, rows, storage):
    await storage.delete("1.txt")
    await storage.upload(b"four", "2.txt")
    seen = []
    done = await verify_files(engine, document.file, batch=1, on_progress=lambda done: seen.append(done.rows))
    assert (done.right, done.missing, done.wrong) == (1, ("mem:1.txt",), {"mem:2.txt": "4 bytes, the row says 2"})
    assert not done.is_right
    assert seen == [1, 2, 3]


async def test_other_content_of_the_same_size_is_found_by_its_hash(engine, document, rows, storage):
    await storage.upload(b"y", "1.txt")
    assert (await verify_files(engine, document.file)).is_right
    done = await verify_files(engine, document.file, content=True)
    assert list(done.wrong) == ["mem:1.txt"]
    assert done.wrong["mem:1.txt"].startswith("SHA-256 ")


async def test_a_row_that_is_deleted_meanwhile_misses_nothing(engine, document, rows, storage, monkeypatch):
    await storage.delete("1.txt")
    stat = storage.stat

    async def late(name):
        async with engine.begin() as connection:
            await connection.execute(text("DELETE FROM rows WHERE id = 1"))
        return await stat(name)

    monkeypatch.setattr(storage, "stat", late)
    assert (await verify_files(engine, document.file, concurrency=1)).is_right


async def test_a_storage_in_trouble_is_no_loss(engine, document, rows, storage, monkeypatch):
    async def failing(name):
        raise StorageUnavailableException("503", file_id=str(name))

    monkeypatch.setattr(storage, "stat", failing)
    done = await verify_files(engine, document.file)
    assert (done.right, done.missing, len(done.failed), done.is_right) == (0, (), 3, False)


async def test_rows_without_facts_are_right_if_the_file_is_there(engine, create, storage):
    class_ = row_class(file=Column(FileType("documents")))
    await create(class_)
    await storage.upload(b"x", "a.txt")
    async with AsyncSession(engine) as session:
        session.add_all([class_(id=1, file="a.txt"), class_(id=2, file="b.txt")])
        await session.commit()
    done = await verify_files(engine, class_.file)
    assert (done.right, done.missing) == (1, ("mem:b.txt",))


async def test_what_is_no_file_column_is_refused(engine, document):
    with pytest.raises(InvalidArgumentException, match=r"such as Document.file, not Row.size"):
        await verify_files(engine, document.size)
