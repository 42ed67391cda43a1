"""MariaDB: many uploads at once do not wait for each other's gaps, and lists are compared by characters."""

import asyncio

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import create_async_engine

from async_storages import PendingFile
from tests.support.tracked import Album, Book, pending


@pytest.fixture(params=["asyncmy", "aiomysql"])
def database_url(request, mariadb_database):
    return mariadb_database.replace("+asyncmy", f"+{request.param}")


@pytest.fixture(params=["REPEATABLE READ", "READ COMMITTED"])
async def engine(request, database_url):
    engine = create_async_engine(database_url, isolation_level=request.param)
    yield engine
    await engine.dispose()


async def test_many_sessions_upload_and_replace_at_once(sessions, rows, left):
    async def work(number):
        async with sessions.begin() as session:
            await session.scalar(select(Book.id))  # its snapshot is older than the other sessions' files
            session.add(Book(id=number, file=pending(f"first-{number}")))
        async with sessions.begin() as session:
            (await session.get(Book, number)).file = pending(f"second-{number}")

    await asyncio.gather(*(work(number) for number in range(1, 13)))
    names = {number: f"second-{number}" for number in range(1, 13)}
    assert (await rows(), await left()) == (names, {*names.values()})


async def test_lists_are_searched_by_characters(sessions):
    async with sessions.begin() as session:
        session.add(Album(id=1, pages=[PendingFile(b"", filename="Ärger.txt")]))
    async with sessions() as session:
        album = await session.scalar(select(Album))
        assert await session.scalar(select(Album.id).where(Album.pages.contains(album.pages[0]))) == 1
        other = str(album.pages[0].file_id).swapcase().replace("MEM", "mem")
        assert await session.scalar(select(Album.id).where(Album.pages.contains(other))) is None


async def test_a_statement_that_ends_the_transaction_leaves_the_file_of_its_row(sessions, rows, left):
    async with sessions() as session:
        session.add(Book(id=1, file=pending("new")))
        await session.flush()
        await session.execute(text("CREATE TABLE others (id INTEGER)"))  # commits
        await session.rollback()
    assert (await rows(), await left()) == ({1: "new"}, {"new"})
