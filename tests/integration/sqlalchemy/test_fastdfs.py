"""File columns whose storage chooses the ids."""

import pytest
from sqlalchemy import Column, String, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from async_storages import FileAttach, RouteNotSupportedException, StoredFile
from async_storages.integrations.sqlalchemy import FileType, ImageType
from tests.support.documents import row_class
from tests.support.fastdfs import fastdfs_storage, leaving
from tests.support.images import encode


@pytest.fixture
async def storage(fastdfs_server):
    async with fastdfs_storage(fastdfs_server) as storage:
        yield storage


@pytest.fixture
async def rows(storage, tmp_path):
    """A class with a file and an image, and a session."""
    row = row_class(
        file=Column(FileType(storage=storage)),
        photo=Column(ImageType(storage=storage)),
    )
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'test.sqlite'}")
    async with engine.begin() as connection:
        await connection.run_sync(row.metadata.create_all)
    async with AsyncSession(engine) as session:
        yield row, session
    await engine.dispose()


@pytest.fixture
async def _one_is_left(fastdfs_server):
    async with leaving(fastdfs_server, 1):
        yield


@pytest.mark.usefixtures("_one_is_left")
async def test_a_file_from_end_to_end(rows, storage):
    row, session = rows
    stored = await storage.save(b"hello", "report.txt", metadata={"author": "Лев"})
    photo = await storage.save(encode("PNG", (32, 16)), "photo.png")
    session.add(row(id=1, file=stored, photo=photo))
    await session.commit()
    session.expunge_all()

    assert await session.scalar(select(type_coerce(row.file, String))) == str(stored.file_id)
    found = await session.get(row, 1)
    assert found.file == stored
    assert (found.file.known_size, await found.file.get_size(), await found.file.read()) == (5, 5, b"hello")
    assert await found.file.get_path() == f"http://files.example/{stored.file_id}"
    assert (await found.photo.get_dimensions(), await found.photo.exists()) == ((32, 16), True)
    info = await found.file.storage.info(found.file)
    assert (info.file_name, info.metadata) == ("report.txt", {"author": "Лев"})

    found.file = None
    await session.commit()
    assert await session.scalar(select(row.file)) is None
    await stored.delete()
    assert (await stored.exists(), await photo.exists()) == (False, True)


@pytest.mark.parametrize("as_", [str, StoredFile, lambda text: FileAttach(file_id=text, file_name="a.txt")])
async def test_an_id_in_any_form_is_found(rows, storage, as_):
    row, session = rows
    file_id = await storage.upload(b"hello", "a.txt")
    session.add(row(id=1, file=as_(file_id)))
    await session.commit()
    assert (await session.scalar(select(row).where(row.file == file_id))).id == 1


async def test_ids_of_other_storages_are_refused(rows):
    row, _ = rows
    with pytest.raises(RouteNotSupportedException, match="does not serve this id"):
        row(file="s3:bucket/a.txt")
