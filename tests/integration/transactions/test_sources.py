"""Content that was read before, or is tried a second time, and uploads where no file was chosen."""

import asyncio
from contextlib import suppress
from io import BytesIO
from tempfile import SpooledTemporaryFile

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from starlette.datastructures import UploadFile

from async_storages import InvalidArgumentException, PendingFile, StorageUnavailableException
from async_storages.testing.contract.cancellation import cancelled_at
from tests.support.databases import DATABASES_THAT_END_THREADS, LOST, cut_connection
from tests.support.streams import Closing, empty_input
from tests.support.tracked import Album, Book

pytestmark = pytest.mark.matrix

CONTENT = bytes(range(256)) * 3000


class Stop(Exception):
    """An error of a request handler."""


@pytest.fixture
def closed():
    """Files to be closed afterwards."""
    opened = []
    yield opened
    for file in opened:
        file.close()


def spooled(max_size):
    file = SpooledTemporaryFile(max_size)  # noqa: SIM115 - the fixture closes it
    file.write(CONTENT)
    file.seek(0)
    return file


SOURCES = {
    "UploadFile": lambda: UploadFile(spooled(1), filename="new"),
    "UploadFile in memory": lambda: UploadFile(BytesIO(CONTENT), filename="new"),
    "PendingFile": lambda: PendingFile(UploadFile(BytesIO(CONTENT), filename="theirs"), filename="new"),
    "file on disk": lambda: PendingFile(spooled(1), filename="new"),
    "BytesIO": lambda: PendingFile(BytesIO(CONTENT), filename="new"),
    "bytes": lambda: PendingFile(CONTENT, filename="new"),
}


@pytest.fixture(params=SOURCES.values(), ids=SOURCES)
def source(request, closed):
    made = request.param()
    content = getattr(made, "content", made)
    closed.extend(file for file in (getattr(content, "file", content),) if hasattr(file, "close"))
    return made


async def stored(sessions, number=1):
    async with sessions() as session:
        return await (await session.get(Book, number)).file.read()


def after_a_part(storage):
    """Let it refuse content of which it has read the beginning."""
    write = storage.write

    async def write_after_a_part(body, key, *, overwrite=True):
        await body.head()
        return await write(body, key, overwrite=overwrite)

    storage.write = write_after_a_part


# ---- what ends a transaction


async def roll_back(session, engine):
    await session.flush()
    await session.rollback()


async def violate(session, engine):
    await session.flush()
    session.add_all([Book(title="same"), Book(title="same")])
    with pytest.raises(IntegrityError):
        await session.commit()


async def violate_in_the_flush_that_uploads(session, engine):
    session.add_all([Book(title="same"), Book(title="same")])
    with pytest.raises(IntegrityError):
        await session.flush()


async def lose_the_connection(session, engine):
    await session.flush()
    if engine.dialect.name == "sqlite":  # nothing can cut a connection to a file: the commit fails before it is sent

        @event.listens_for((await session.connection()).sync_connection, "commit")
        def refuse(connection):
            raise Stop
    else:
        await cut_connection(engine, session)
    with pytest.raises((*LOST, Stop)):
        await session.commit()


ENDS = {
    "rollback": roll_back,
    "IntegrityError": violate,
    "IntegrityError in the flush": violate_in_the_flush_that_uploads,
    "a lost connection": lose_the_connection,
}


class TestASecondAttempt:
    @pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
    async def test_the_whole_content_in_a_new_session_and_object(self, engine, sessions, source, end, rows, left):
        async with sessions() as session:
            session.add(Book(id=1, file=source))
            await end(session, engine)
        await engine.dispose()  # SQLAlchemy keeps a connection whose commit failed, and SQLite its transaction
        async with sessions.begin() as session:
            session.add(Book(id=1, file=source))
        assert await stored(sessions) == CONTENT
        assert (await rows(), await left()) == ({1: "new"}, {"new"})

    async def test_the_whole_content_in_the_same_session_and_object(self, engine, sessions, source, rows, left):
        async with sessions() as session:
            session.add(book := Book(id=1, file=source))
            await violate(session, engine)
            await session.rollback()
            session.add(book)
            await session.commit()
        assert await stored(sessions) == CONTENT
        assert (await rows(), await left()) == ({1: "new"}, {"new"})

    async def test_the_whole_content_in_place_of_an_old_file(self, engine, sessions, source, book, rows, left):
        for end in (violate, roll_back):
            async with sessions() as session:
                (await session.get(Book, 1)).file = source
                await end(session, engine)
        assert await rows() == {1: "old"}
        async with sessions.begin() as session:
            (await session.get(Book, 1)).file = source
        assert await stored(sessions) == CONTENT
        assert await left() == {"new", "old-deferred", "old-kept"}

    async def test_after_a_savepoint_that_was_rolled_back(self, sessions, source, rows, left):
        async with sessions.begin() as session:
            for commits in (False, True):
                with suppress(Stop):
                    async with session.begin_nested():
                        session.add(Book(id=1, file=source))
                        await session.flush()
                        if not commits:
                            raise Stop
        assert await stored(sessions) == CONTENT
        assert (await rows(), await left()) == ({1: "new"}, {"new"})

    async def test_after_an_upload_that_failed_half_way(self, sessions, storage, source, rows, left):
        after_a_part(storage)
        storage.refused = {"new"}
        async with sessions() as session:
            session.add(Book(id=1, file=source))
            with pytest.raises(StorageUnavailableException):
                await session.flush()
        storage.refused = set()
        async with sessions.begin() as session:
            session.add(Book(id=1, file=source))
        assert await stored(sessions) == CONTENT
        assert (await rows(), await left()) == ({1: "new"}, {"new"})

    @pytest.mark.parametrize("database_url", DATABASES_THAT_END_THREADS, indirect=True)
    async def test_after_a_cancellation_at_any_step(self, sessions, storage, source, rows, left):
        async def add():
            async with sessions.begin() as session:
                session.add(Book(id=1, file=source))
                await session.flush()
                raise Stop

        for step in range(0, 60, 3):
            with suppress(Stop):
                await cancelled_at(step, add())
        async with sessions.begin() as session:
            session.add(Book(id=1, file=source))
        assert await stored(sessions) == CONTENT
        assert (await rows(), await left()) == ({1: "new"}, {"new"})

    async def test_lists_too(self, engine, sessions, left):
        upload, file = UploadFile(BytesIO(CONTENT), filename="one"), BytesIO(b"xy")
        file.seek(1)
        for end in (violate, roll_back):
            async with sessions() as session:
                session.add(Album(id=1, pages=[upload, PendingFile(file, filename="two")]))
                await end(session, engine)
        async with sessions.begin() as session:
            session.add(Album(id=1, pages=[upload, PendingFile(file, filename="two")]))
        async with sessions() as session:
            assert [await page.read() for page in (await session.get(Album, 1)).pages] == [CONTENT, b"y"]
        assert await left() == {"one", "two"}


class TestSerialization:
    @pytest.fixture
    def database_url(self, postgres_database):
        return postgres_database

    async def test_the_whole_content_after_40001(self, sessions, source, book, rows, left):
        async def attempt(meanwhile):
            async with sessions() as session:
                await session.connection(execution_options={"isolation_level": "SERIALIZABLE"})
                found = await session.get(Book, 1)
                await meanwhile()
                found.file, found.title = source, "mine"
                await session.commit()

        async def interfere():
            async with sessions.begin() as other:
                await other.execute(text("UPDATE books SET title = 'theirs' WHERE id = 1"))

        with pytest.raises(DBAPIError) as failed:
            await attempt(interfere)
        assert failed.value.orig.sqlstate == "40001"
        assert await rows() == {1: "old"}
        await attempt(lambda: asyncio.sleep(0))
        assert await stored(sessions) == CONTENT
        assert await left() == {"new", "old-deferred", "old-kept"}


class TestReadBefore:
    async def test_an_upload_that_a_handler_has_read(self, sessions, book, left):
        upload = UploadFile(BytesIO(CONTENT), filename="new")
        await upload.read()
        async with sessions.begin() as session:
            (await session.get(Book, 1)).file = upload
        assert await stored(sessions) == CONTENT
        assert await left() == {"new", "old-deferred", "old-kept"}

    async def test_a_file_at_its_end_is_refused_and_the_old_one_stays(self, sessions, book, rows, left):
        file = BytesIO(CONTENT)
        file.read()
        async with sessions() as session:
            (await session.get(Book, 1)).file = PendingFile(file, filename="new")
            with pytest.raises(InvalidArgumentException, match=r"seek\(0\)"):
                await session.commit()
        assert (await rows(), await left()) == ({1: "old"}, {"old", "old-deferred", "old-kept"})

    async def test_a_file_is_read_from_where_it_stands(self, sessions):
        file = BytesIO(b"0123")
        file.seek(2)
        async with sessions.begin() as session:
            session.add(Book(id=1, file=PendingFile(file, filename="new")))
        assert await stored(sessions) == b"23"

    async def test_an_empty_file_is_one(self, sessions, rows):
        async with sessions.begin() as session:
            session.add(Book(id=1, file=PendingFile(BytesIO(), filename="new")))
            session.add(Book(id=2, file=UploadFile(BytesIO(), size=0, filename="new")))
        assert [await stored(sessions, number) for number in await rows()] == [b"", b""]

    async def test_one_file_for_two_columns_is_stored_twice(self, sessions):
        upload, file = UploadFile(BytesIO(CONTENT), filename="new"), BytesIO(CONTENT)
        async with sessions.begin() as session:
            for number, content in enumerate([upload, upload, PendingFile(file), PendingFile(file)], 1):
                session.add(Book(id=number, file=content))
        assert [await stored(sessions, number) for number in range(1, 5)] == [CONTENT] * 4


ONCE = {
    "generator": lambda: Closing(b"a", b"b").sync(),
    "async generator": lambda: Closing(b"a", b"b").stream(),
    "iterator": lambda: iter([b"a", b"b"]),
    "map": lambda: map(bytes, [b"a", b"b"]),
}


@pytest.mark.parametrize("make", ONCE.values(), ids=ONCE)
class TestWhatCanBeReadOnlyOnce:
    async def test_a_generator_twice_is_refused_the_row_and_the_old_file_as_they_were(
        self, sessions, book, rows, left, make
    ):
        content = PendingFile(make(), filename="new")
        async with sessions.begin() as session:
            session.add(Book(id=2, file=content))
        async with sessions() as session:
            (await session.get(Book, 1)).file = content
            with pytest.raises(InvalidArgumentException, match="can be read only once, and was"):
                await session.commit()
        assert await stored(sessions, 2) == b"ab"
        assert (await rows(), await left()) == ({1: "old", 2: "new"}, {"new", "old", "old-deferred", "old-kept"})

    async def test_after_a_rollback_in_the_same_object(self, sessions, rows, left, make):
        async with sessions() as session:
            session.add(book := Book(id=1, file=PendingFile(make(), filename="new")))
            await session.flush()
            await session.rollback()
            session.add(book)
            with pytest.raises(InvalidArgumentException, match="only once"):
                await session.commit()
        assert (await rows(), await left()) == ({}, set())

    async def test_after_an_upload_that_failed_half_way(self, sessions, storage, rows, left, make):
        content = PendingFile(make(), filename="new")
        after_a_part(storage)
        storage.refused = {"new"}
        for error in (StorageUnavailableException, InvalidArgumentException):
            async with sessions() as session:
                session.add(Book(id=1, file=content))
                with pytest.raises(error):
                    await session.commit()
            storage.refused = set()
        assert (await rows(), await left()) == ({}, set())

    async def test_two_columns_at_once(self, sessions, rows, left, make):
        content = PendingFile(make(), filename="new")
        async with sessions() as session:
            session.add_all([Book(id=1, file=content), Book(id=2, file=content)])
            with pytest.raises(InvalidArgumentException, match="only once"):
                await session.commit()
        assert (await rows(), await left()) == ({}, set())


async def test_a_fresh_generator_that_gives_nothing_is_an_empty_file(sessions):
    async with sessions.begin() as session:
        session.add(Book(id=1, file=PendingFile((each for each in ()), filename="new")))
    assert await stored(sessions) == b""


class TestNoFileChosen:
    @pytest.mark.parametrize("describe", [lambda upload: upload, PendingFile], ids=["upload", "PendingFile"])
    async def test_none_is_stored(self, sessions, rows, left, describe):
        async with sessions.begin() as session:
            session.add(Book(id=1, file=describe(empty_input())))
        assert (await rows(), await left()) == ({1: None}, set())

    async def test_it_takes_the_place_of_a_file_as_none_does(self, sessions, book, rows, left):
        async with sessions.begin() as session:
            (await session.get(Book, 1)).file = empty_input()
        assert (await rows(), await left()) == ({1: None}, {"old-deferred", "old-kept"})

    async def test_lists_leave_it_out(self, sessions, left):
        async with sessions.begin() as session:
            session.add(Album(id=1, pages=[empty_input(), PendingFile(b"", filename="page"), empty_input()]))
            session.add(Album(id=2, pages=[empty_input()]))
        async with sessions() as session:
            albums = [[page.filename for page in (await session.get(Album, number)).pages] for number in (1, 2)]
        assert (albums, await left()) == ([["page"], []], {"page"})

    async def test_a_ledger_saves_none(self, ledger, storage, left):
        if ledger is None:
            assert await storage.save(empty_input()) is None
        else:
            assert await ledger.save(storage, empty_input(), "a.txt") is None
        assert await left() == set()

    async def test_a_nameless_upload_with_bytes_is_a_file(self, sessions, rows):
        async with sessions.begin() as session:
            session.add(Book(id=1, file=UploadFile(BytesIO(CONTENT), size=len(CONTENT), filename="")))
        assert (await rows(), await stored(sessions)) == ({1: "file"}, CONTENT)
