"""Two transactions at once that drop, copy and claim the same files: none waits for the other, and no file is left."""

import asyncio
from functools import partial

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlalchemy.util import await_only

from tests.support.databases import every_database  # noqa: F401 - the fixture `database_url`
from tests.support.ledgers import only_level_1
from tests.support.named import named, saved
from tests.support.tracked import Base, Book

pytestmark = pytest.mark.matrix

with_row_locks = pytest.mark.parametrize("database_url", ["postgresql", "mariadb"], indirect=True)
"""SQLite has one writer."""

only_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
"""MariaDB has no lock for a claim that a dropped file would leave alone."""


@pytest.fixture
def names(engine):
    return partial(named, engine, Base.metadata)


@pytest.fixture
async def twice(sessions, storage):
    """Rows 1 and 2 name the file "a", rows 3 and 4 the file "b"."""
    files = {name: await saved(storage, name) for name in "ab"}
    async with sessions.begin() as session:
        session.add_all(Book(id=id_, file=files[name]) for id_, name in ((1, "a"), (2, "a"), (3, "b"), (4, "b")))


async def drop(session, id_):
    (await session.get(Book, id_)).file = None
    await session.flush()


async def copy(session, from_, to):
    session.add(Book(id=to, file=(await session.get(Book, from_)).file))
    await session.flush()


# ---- locks of the ledger's entries


@pytest.mark.usefixtures("twice")
class TestOrderOfLocks:
    @with_row_locks
    @pytest.mark.parametrize("ends", [("commit", "commit"), ("commit", "rollback"), ("rollback", "commit")])
    async def test_two_that_drop_the_same_files_the_other_way_round(self, sessions, names, left, ends):
        async with sessions() as one, sessions() as two:
            await drop(one, 1)
            await drop(two, 3)
            await asyncio.gather(drop(one, 4), drop(two, 2))
            for session, end in zip((one, two), ends, strict=True):
                await getattr(session, end)()
        found = await names()
        assert found == ([] if set(ends) == {"commit"} else ["a", "b"])
        assert await left() == set(found)

    @only_postgresql
    @pytest.mark.parametrize("end", ["commit", "rollback"])
    async def test_two_that_copy_what_the_other_drops(self, sessions, names, left, end):
        async with sessions() as one, sessions() as two:
            for session in (one, two):
                for id_ in (1, 2, 3, 4):
                    await session.get(Book, id_)
            await drop(one, 1)
            await drop(two, 3)
            await asyncio.gather(copy(one, 4, 5), copy(two, 2, 6))
            await one.commit()
            await getattr(two, end)()
        found = await names()
        assert found == (["a", "a", "b", "b"] if end == "commit" else ["a", "b", "b", "b"])
        assert await left() == {"a", "b"}


# ---- without a ledger: the last one to commit removes


@with_row_locks
@only_level_1
class TestLastTwoRows:
    @pytest.fixture
    async def pair(self, sessions, storage):
        """Rows 1 and 2, which name one file."""
        file = await saved(storage, "old")
        async with sessions.begin() as session:
            session.add_all([Book(id=1, file=file), Book(id=2, file=file)])

    @pytest.fixture
    def before_commit(self, engine):
        """A barrier for two sessions that have looked their files up, and have not committed."""
        barrier = asyncio.Barrier(2)
        event.listen(engine.sync_engine, "commit", lambda _: await_only(barrier.wait()))
        return barrier

    @pytest.mark.usefixtures("pair", "before_commit")
    async def test_each_is_dropped_before_the_other_is_committed(self, sessions, names, left):
        async with sessions() as one, sessions() as two:
            await drop(one, 1)
            await drop(two, 2)
            await asyncio.gather(one.commit(), two.commit())
        assert await names() == []
        assert await left() == set()

    @pytest.mark.usefixtures("pair")
    async def test_a_snapshot_that_is_older_than_the_other_commit(self, engine, track, names, left):
        sessions = track(async_sessionmaker(engine.execution_options(isolation_level="REPEATABLE READ")))
        async with sessions() as one, sessions() as two:
            await two.get(Book, 2)
            await drop(one, 1)
            await one.commit()
            await drop(two, 2)
            await two.commit()
        assert await names() == []
        assert await left() == set()
