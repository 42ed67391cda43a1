"""Sessions that wait for the ledger's own transaction: not for ever, and the error says what to do."""

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from async_storages import StorageUnavailableException
from async_storages.integrations.sqlalchemy import FileLedger, enable_file_tracking
from tests.support.tracked import Base, Book, files, pending


@pytest.fixture
def database_url(postgres_database):
    return postgres_database


async def add_book(sessions):
    async with sessions.begin() as session:
        session.add(Book(id=1, file=pending("new")))


async def test_a_journal_that_does_not_answer(engine, storage):
    ledger = FileLedger(engine, Base.metadata, wait=timedelta(seconds=3))
    await ledger.create()
    sessions = enable_file_tracking(async_sessionmaker(engine), ledger=ledger)
    async with engine.begin() as other:
        await other.execute(text("LOCK TABLE stored_files_journal IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(StorageUnavailableException, match=r"waited 3 s .* PgBouncer .* direct address"):
            await add_book(sessions)
    assert await files(storage) == set()
    await add_book(sessions)
    assert await files(storage) == {"new"}


async def test_a_ledger_with_an_engine_of_its_own(engine, database_url, storage):
    """As behind PgBouncer: sessions by one address, the ledger by another one."""
    direct = create_async_engine(database_url, pool_size=1, max_overflow=0)
    ledger = FileLedger(direct, Base.metadata, owner="production")
    await ledger.create()
    sessions = enable_file_tracking(async_sessionmaker(engine), ledger=ledger)
    await add_book(sessions)
    async with sessions.begin() as session:
        await session.delete(await session.get(Book, 1))
    await ledger.drain()
    assert await files(storage) == set()
    await direct.dispose()


def test_no_time_to_wait(database_url):
    with pytest.raises(ValueError, match="wait are above 0"):
        FileLedger(create_async_engine(database_url), Base.metadata, wait=timedelta(0))
