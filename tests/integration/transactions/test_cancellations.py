"""Work that is cancelled at each of its awaits: rows and files agree afterwards, whatever had happened."""

from itertools import count

import pytest
from sqlalchemy import select

from async_storages.testing.contract.cancellation import every_cancellation
from tests.support.databases import DATABASES_THAT_END_THREADS
from tests.support.tracked import Book, files, pending


async def commit(session):
    await session.commit()


async def roll_back(session):
    await session.flush()
    await session.rollback()


async def close(session):
    await session.flush()
    await session.close()


async def savepoint(session):
    async with session.begin_nested():
        await session.flush()
    await session.commit()


# SQLAlchemy before 2.1 drops connections of aiosqlite when closing them is cancelled
@pytest.mark.filterwarnings("ignore:Exception ignored in. <function Connection:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("database_url", DATABASES_THAT_END_THREADS, indirect=True)
@pytest.mark.parametrize("end", [commit, roll_back, close, savepoint])
async def test_no_row_without_its_file_and_no_file_without_its_row(sessions, end, rows, left, level, storage):
    numbers = count()

    async def work():
        number = next(numbers)
        async with sessions() as session:
            book = await session.scalar(select(Book).order_by(Book.id.desc()).limit(1))
            if book is not None:
                book.file = pending(f"replaced {number}")
            session.add(Book(file=pending(f"new {number}")))
            await end(session)

    async for _ in every_cancellation(work):
        there = await files(storage)
        named = set((await rows()).values())
        assert named == there if level == 1 else named <= there
    assert set((await rows()).values()) == await left()
    assert next(numbers) > 5
