"""PostgreSQL's ARRAY of file ids."""

import pytest
from sqlalchemy import ARRAY, Column, String, any_, cast, literal, select, type_coerce, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.ext.mutable import MutableList

from async_storages import InvalidArgumentException, PendingFile, StoredFile, StoredImage
from async_storages.integrations.sqlalchemy import FileType, ImageType
from tests.support.documents import row_class

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

A, B = StoredFile("mem:a.txt"), StoredFile("mem:b.txt")

Album = row_class(
    files=Column(postgresql.ARRAY(FileType("documents"))),
    photos=Column(ARRAY(ImageType("documents")), default=["cover.png"]),
    table=Column(ARRAY(FileType("documents"), dimensions=2)),
    watched=Column(MutableList.as_mutable(ARRAY(FileType("documents")))),
)


@pytest.fixture
async def session(engine, create):
    await create(Album)
    async with AsyncSession(engine) as session:
        yield session


@pytest.fixture
async def album(session):
    session.add(Album(id=1, files=["a.txt", None, "mem:b.txt"]))
    await session.commit()
    session.expunge_all()
    return await session.get(Album, 1)


async def test_elements_are_stored_as_ids_and_loaded_as_files(session, storage, album):
    raw = await session.scalar(select(type_coerce(Album.files, ARRAY(String))))
    assert raw == ["mem:a.txt", None, "mem:b.txt"]
    assert album.files == [A, None, B]
    assert album.files[0].storage is storage


async def test_images_defaults_and_dimensions(session, album):
    assert album.photos == [StoredImage("mem:cover.png")]
    assert type(album.photos[0]) is StoredImage
    album.table = [["a.txt", "b.txt"], ["b.txt", "a.txt"]]
    await session.commit()
    await session.refresh(album)
    assert album.table == [[A, B], [B, A]]


async def test_equal_elements_are_no_change(session, album):
    album.files = ("a.txt", None, B)
    assert not session.is_modified(album)
    album.files = ["a.txt"]
    assert session.is_modified(album)


async def test_a_mutable_list_is_watched(session, album):
    album.watched = ["a.txt"]
    await session.commit()
    await session.refresh(album)
    album.watched.append("b.txt")
    await session.commit()
    await session.refresh(album)
    assert album.watched == [A, B]
    album.watched.remove(A)
    await session.commit()
    assert await session.scalar(select(Album.watched)) == [B]


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        (literal("a.txt", FileType("documents")) == any_(Album.files), True),
        (literal(B, FileType("documents")) == any_(Album.files), True),
        (literal("c.txt", FileType("documents")) == any_(Album.files), False),
        (Album.files.contains(["a.txt", B]), True),
        (Album.files.contains(["c.txt"]), False),
        (Album.files.overlap(["c.txt", "a.txt"]), True),
        (Album.files[1] == "a.txt", True),
        (Album.files == ["a.txt", None, "b.txt"], True),
        (Album.files == cast(["a.txt", None, "b.txt"], postgresql.ARRAY(FileType("documents"))), True),
    ],
    ids=[
        "any_ of a bare key",
        "any_ of a StoredFile",
        "any_, not there",
        "contains",
        "contains, not there",
        "overlap",
        "an element",
        "equals",
        "a cast",
    ],
)
async def test_where(session, album, condition, found):
    assert (await session.scalar(select(Album.id).where(condition)) == 1) is found


async def test_an_element_is_a_file(session, album, storage):
    element = await session.scalar(select(Album.files[3]))
    assert (element, element.storage) == (B, storage)


@pytest.mark.parametrize("how", ["evaluate", "auto", "fetch"])
async def test_a_bulk_update_leaves_files(session, album, storage, how):
    statement = update(Album).where(Album.id == 1).values(files=["c.txt"])
    await session.execute(statement, execution_options={"synchronize_session": how})
    assert [type(file) for file in album.files] == [StoredFile]
    assert album.files[0].storage is storage


async def test_pending_elements_are_refused(session, album):
    album.files = ["a.txt", pending := PendingFile(b"x", filename="c.txt")]
    assert album.files == [A, pending]
    with pytest.raises(InvalidArgumentException, match="enable_file_tracking"):
        await session.flush()
