"""Announcements of uploads: they share transactions, and no file exists before its announcement is committed."""

import asyncio

import pytest
from sqlalchemy import Engine, event, text

from async_storages import StorageException
from async_storages.integrations.sqlalchemy.ledger import crash_points
from async_storages.integrations.sqlalchemy.ledger.crash_points import Step
from tests.support.tracked import Book, files, pending

UPLOADS = 10


@pytest.fixture
def database_url(postgres_database):
    return postgres_database


@pytest.fixture
def level():
    return 2


@pytest.fixture
def waiting():
    """Released for each upload that waits for its announcement."""
    waiting = asyncio.Semaphore(0)

    def hook(step):
        if step is Step.END_HELD:
            waiting.release()

    crash_points.hooks.append(hook)
    yield waiting
    crash_points.hooks.remove(hook)


async def add_book(sessions, number):
    async with sessions.begin() as session:
        session.add(Book(id=number, file=pending(f"{number}")))


async def test_uploads_at_once_share_a_transaction(engine, sessions, storage, waiting):
    """The first one's is under way when the others come, and these wait for one together."""
    await add_book(sessions, 0)  # it marks the storage
    inserts = []

    def record(_connection, _cursor, statement, *_):
        if statement.startswith("INSERT INTO stored_files_journal"):
            inserts.append(statement)

    event.listen(Engine, "before_cursor_execute", record)
    async with engine.begin() as other:
        await other.execute(text("LOCK TABLE stored_files_journal IN ACCESS EXCLUSIVE MODE"))
        uploads = [asyncio.create_task(add_book(sessions, number)) for number in range(1, UPLOADS + 1)]
        for _ in range(1 + UPLOADS):
            await waiting.acquire()
        assert await files(storage) == {"0"}
    await asyncio.gather(*uploads)
    event.remove(Engine, "before_cursor_execute", record)
    assert len(inserts) == 2
    assert await files(storage) == {f"{number}" for number in range(UPLOADS + 1)}


async def test_of_an_upload_that_cannot_be_announced_nothing_is_stored(engine, sessions, storage):
    async with engine.begin() as connection:
        await connection.execute(text("DROP TABLE stored_files_journal"))
    with pytest.raises(StorageException, match="'stored_files_journal' is not in the database"):
        await add_book(sessions, 1)
    assert await files(storage) == set()


async def test_one_file_given_up_by_many_at_once(engine, ledger, sessions, storage):
    """They share a transaction, which writes the file's intent once."""
    stored = []
    for number in (1, 2):
        await add_book(sessions, number)
        async with sessions.begin() as session:
            book = await session.get(Book, number)
            stored.append(book.file)
            book.file = None
    refused = []

    def record(context):
        refused.append(context.original_exception)

    event.listen(Engine, "handle_error", record)
    async with engine.begin() as other:
        await other.execute(text("LOCK TABLE stored_files_journal IN ACCESS EXCLUSIVE MODE"))
        deletions = [asyncio.create_task(each.delete()) for each in (stored[0], *[stored[1]] * UPLOADS)]
        for _ in range(5):
            await asyncio.sleep(0)
    await asyncio.gather(*deletions)
    event.remove(Engine, "handle_error", record)
    assert refused == []
    await ledger.drain()
    assert await files(storage) == set()
