"""A file column from end to end: what is stored, and what is loaded, by ORM and Core."""

import pytest
from sqlalchemy import Column, MetaData, String, create_engine, insert, select, text, type_coerce, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from starlette.datastructures import UploadFile

from async_storages import (
    FileAttach,
    FileNotFoundException,
    InvalidArgumentException,
    LocalStorage,
    PendingFile,
    RouteNotSupportedException,
    StoredFile,
    StoredImage,
    registry,
)
from async_storages.integrations.sqlalchemy import FileType
from tests.support.documents import Base, Document, row_class
from tests.support.images import encode

TABLE = Document.__table__


async def stored_text(session, column=Document.file):
    return await session.scalar(select(type_coerce(column, String)))


async def add_raw(session, value):
    """A row as other programs write it."""
    await session.execute(
        text("INSERT INTO documents (id, title, file) VALUES (1, 'report', :value)"), {"value": value}
    )
    await session.commit()


async def test_the_main_job(session, tmp_path):
    with registry.override(
        "documents", LocalStorage(tmp_path, base_url="https://example.com", secret_key="s")
    ) as storage:
        key = await storage.upload(b"hello", "notes/hello world.txt")
        session.add(Document(file=key, photo=await storage.save(encode("PNG", (32, 16)), "photo.png")))
        await session.commit()

        document = await session.scalar(select(Document))
        assert await document.file.get_path() == "https://example.com/notes/hello%20world.txt"
        assert await document.file.get_size() == 5
        assert await document.file.read() == b"hello"
        assert "token=" in await document.file.get_presigned_url(expires_in=60)
        assert await document.photo.get_dimensions() == (32, 16)
        assert document.photo_width == 32
        await document.file.delete()
        assert not await document.file.exists()


async def add(session, value):
    session.add(Document(file=value))
    await session.flush()


async def executemany(session, value):
    await (await session.connection()).execute(insert(TABLE), [{"file": value}, {"file": None}])


INSERTS = {
    "ORM": add,
    "ORM bulk": lambda session, value: session.execute(insert(Document), [{"file": value}, {"file": None}]),
    "Core": lambda session, value: session.execute(insert(TABLE).values(file=value)),
    "Core executemany": executemany,
}
OTHER_STATEMENTS = {
    "update": lambda session, value: session.execute(update(TABLE).values(file=value)),
    "ORM update": lambda session, value: session.execute(update(Document).values(file=value)),
    "where": lambda session, value: session.execute(select(Document).where(Document.file == value)),
}
VALUES = {
    "a bare key": "a.txt",
    "a fusion id": "mem:a.txt",
    "a StoredFile": StoredFile("mem:a.txt"),
    "a FileAttach": FileAttach(file_id="mem:a.txt", file_name="a.txt"),
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
@pytest.mark.parametrize("how", INSERTS.values(), ids=INSERTS.keys())
async def test_the_database_holds_the_fusion_id(session, value, how):
    await how(session, value)
    assert await stored_text(session) == "mem:a.txt"


async def refreshed(session):
    document = await session.get(Document, 1)
    await session.refresh(document)
    return document.file


async def expired(session):
    document = await session.get(Document, 1)
    session.expire(document, ["file"])
    await session.refresh(document, ["file"])
    return document.file


async def got(session):
    return (await session.get(Document, 1)).file


async def streamed(session):
    [document] = [document async for document in await session.stream_scalars(select(Document))]
    return document.file


LOADS = {
    "get": got,
    "after refresh": refreshed,
    "after expire": expired,
    "a stream": streamed,
    "select the class": lambda session: session.scalar(select(Document).with_only_columns(Document.file)),
    "select the attribute": lambda session: session.scalar(select(Document.file)),
    "select from the table": lambda session: session.scalar(select(TABLE.c.file)),
    "text with columns": lambda session: session.scalar(text("SELECT file FROM documents").columns(TABLE.c.file)),
}


@pytest.mark.parametrize("load", LOADS.values(), ids=LOADS.keys())
async def test_whatever_loads_it_gives_a_file_of_the_columns_storage(session, storage, load):
    await storage.upload(b"%PDF", "a.pdf")
    session.add(Document(id=1, file="a.pdf"))
    await session.commit()
    session.expunge_all()

    file = await load(session)

    assert type(file) is StoredFile
    assert (file.file_id, file.storage) == ("mem:a.pdf", storage)
    assert await file.read() == b"%PDF"


async def test_none_and_images(session):
    session.add_all([Document(id=1, photo="a.png"), Document(id=2)])
    await session.commit()
    photos = (await session.scalars(select(Document.photo).order_by(Document.id))).all()
    assert (type(photos[0]), photos[1]) == (StoredImage, None)


class TestRowsThatOtherProgramsWrote:
    async def test_a_bare_key_works(self, session, storage):
        await storage.upload(b"12345", "old/report.pdf")
        await add_raw(session, "old/report.pdf")
        file = (await session.get(Document, 1)).file
        assert (str(file), file.scheme, file.name) == ("old/report.pdf", "mem", "old/report.pdf")
        assert await file.get_size() == 5

    @pytest.mark.parametrize(
        ("value", "error"),
        [
            ("nosuch:a.txt", InvalidArgumentException),
            ("s3:bucket/a.txt", RouteNotSupportedException),
            ("../../etc/passwd", InvalidArgumentException),
            ("", InvalidArgumentException),
            ("mem:missing.txt", FileNotFoundException),
        ],
    )
    async def test_a_bad_id_loads_and_only_its_use_fails(self, session, value, error):
        await add_raw(session, value)
        document = await session.get(Document, 1)
        document.title = "changed"
        await session.commit()
        await session.refresh(document)
        assert (document.title, str(document.file)) == ("changed", value)
        with pytest.raises(error) as refused:
            await document.file.get_size()
        assert refused.value.file_id.endswith(value)
        document.file = "replaced.txt"
        await session.commit()
        assert await stored_text(session) == "mem:replaced.txt"


async def test_an_unregistered_storage_is_missed_only_when_a_file_is_used(engine, create):
    row = row_class(file=Column(FileType("nobody")), title=Column(String))
    await create(row)
    async with AsyncSession(engine) as session:
        session.add(row(id=1, file="mem:a.txt"))
        await session.commit()
        loaded = await session.get(row, 1, populate_existing=True)
        loaded.title = "changed"
        await session.commit()
        await session.refresh(loaded)
        with pytest.raises(InvalidArgumentException, match=r"no storage is registered as 'nobody'.*registry\.register"):
            await loaded.file.get_size()


PENDING = {
    "a PendingFile": PendingFile(b"x", filename="a.txt"),
    "an upload": UploadFile(filename="a.txt", file=None),
}
REFUSED = {
    **PENDING,
    "bytes": b"x",
    "a number": 7,
    "an empty string": "",
    "a file of another storage": "s3:bucket/a.txt",
    "too long an id": "x" * 1021,
}


STATEMENTS = {**INSERTS, **OTHER_STATEMENTS}
COMBINATIONS = {
    **{name: (how, PENDING["a PendingFile"]) for name, how in STATEMENTS.items()},
    **{f"Core, {name}": (INSERTS["Core"], value) for name, value in REFUSED.items()},
}


@pytest.mark.parametrize(("how", "value"), COMBINATIONS.values(), ids=COMBINATIONS.keys())
async def test_statements_raise_our_own_errors(session, how, value):
    with pytest.raises((InvalidArgumentException, RouteNotSupportedException)) as refused:
        await how(session, value)
    assert refused.value.__cause__ is not refused.value, "a cycle, in which some error reporters hang"
    await session.rollback()
    assert await stored_text(session) is None


@pytest.mark.parametrize("value", PENDING.values(), ids=PENDING.keys())
async def test_a_flush_without_tracking_refuses_what_is_pending(session, value):
    document = Document(file=value)
    session.add(document)
    with pytest.raises(InvalidArgumentException, match=r"enable_file_tracking\(sessionmaker\)") as refused:
        await session.commit()
    assert refused.value.file_id == "a.txt"
    await session.rollback()
    assert isinstance(document.file, PendingFile)
    document.file = "uploaded.txt"
    session.add(document)
    await session.commit()
    assert await stored_text(session) == "mem:uploaded.txt"


async def test_the_database_sees_a_plain_string_column(session):
    reflected = MetaData()
    await (await session.connection()).run_sync(reflected.reflect)
    columns = reflected.tables["documents"].c
    assert [columns[name].type.length for name in ("file", "copy", "photo")] == [1024, 64, 1024]


def test_a_synchronous_session_does_for_ids():
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Document(id=1, file="a.txt"))
        session.commit()
        assert session.scalars(select(Document).where(Document.file == "a.txt")).one().file.name == "a.txt"
        session.add(Document(id=2, file=PendingFile(b"x")))
        with pytest.raises(InvalidArgumentException, match="enable_file_tracking"):
            session.flush()
    engine.dispose()
