"""`drain(wait=True)`, and the brake of a sweep where there are few files."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import delete, text
from sqlalchemy.ext.asyncio import async_sessionmaker

from async_storages import SweepRefusedException
from async_storages.integrations.sqlalchemy import FileLedger, enable_file_tracking
from tests.support.ledgers import pass_time
from tests.support.patience import HANGS
from tests.support.tracked import Base, Book, files, pending

AT_ONCE = timedelta(0)


@pytest.fixture
def level():
    return 2


@pytest.fixture
async def doom(sessions):
    async def doom(*names, sessions=sessions):
        async with sessions.begin() as session:
            session.add_all([Book(id=number, file=pending(name)) for number, name in enumerate(names, 1)])
        async with sessions.begin() as session:
            await session.execute(delete(Book))

    return doom


class TestWait:
    async def test_waits_for_what_another_worker_has_begun(self, engine, doom, storage, ledger):
        await doom("one", "two")
        other = FileLedger(engine, Base.metadata)
        storage.held = {"delete"}
        first = asyncio.create_task(other.drain())
        await storage.reached.wait()
        storage.held = set()
        assert (await ledger.drain()).deleted == 0
        second = asyncio.create_task(ledger.drain(wait=True))
        done, _ = await asyncio.wait([second], timeout=0.3)
        assert not done
        storage.go_on.set()
        assert ((await first).deleted, (await second).deleted, await files(storage)) == (2, 0, set())

    async def test_takes_over_what_another_one_has_left(self, engine, doom, storage, ledger):
        await doom("one")
        other = FileLedger(engine, Base.metadata)
        storage.held = {"delete"}
        first = asyncio.create_task(other.drain())
        await storage.reached.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        storage.held = set()
        second = asyncio.create_task(ledger.drain(wait=True))
        await asyncio.sleep(0)
        await pass_time(ledger)
        assert ((await second).deleted, await files(storage)) == (1, set())

    async def test_can_be_cancelled(self, engine, doom, storage, ledger):
        await doom("one")
        storage.held = {"delete"}
        first = asyncio.create_task(FileLedger(engine, Base.metadata).drain())
        await storage.reached.wait()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await ledger.drain(wait=True)
        storage.go_on.set()
        await first

    async def test_does_not_wait_for_what_it_could_not_delete(self, doom, storage, ledger):
        await doom("one")
        storage.refused = {"delete"}
        async with asyncio.timeout(20):
            assert (await ledger.drain(wait=True)).failed == 1

    async def test_nor_for_what_is_retained_or_in_its_grace(self, engine, doom, storage, ledger):
        retaining = FileLedger(engine, Base.metadata, retain=timedelta(days=1))
        await doom("retained", sessions=enable_file_tracking(async_sessionmaker(engine), ledger=retaining))
        await ledger.save(storage, b"", "saved")
        async with asyncio.timeout(20):
            assert (await ledger.drain(wait=True)).deleted == 0
        assert await files(storage) == {"retained", "saved"}


class TestRunning:
    async def test_ends_at_any_moment_though_everything_fails(self, engine, storage):
        """A cancellation that arrives while SQLAlchemy handles an error is lost there."""
        without_table = FileLedger(engine, Base.metadata, name="nowhere")
        async with asyncio.timeout(HANGS):
            for steps in range(150):
                async with without_table.running():
                    for _ in range(steps):
                        await asyncio.sleep(0)


class TestFewFiles:
    """One unnamed file must not keep every sweep from working."""

    async def test_ten_files_are_always_swept(self, engine, sessions, storage, ledger):
        async with sessions.begin() as session:
            session.add_all([Book(id=number, file=pending(str(number))) for number in range(1, 12)])
        async with engine.begin() as connection:
            await connection.execute(text("DELETE FROM books WHERE id < 11"))
        assert await ledger.sweep(AT_ONCE) == 10
        await ledger.drain()
        assert await files(storage) == {"11"}

    async def test_eleven_of_a_hundred_are_not(self, engine, sessions, storage, ledger):
        async with sessions.begin() as session:
            session.add_all([Book(id=number, file=pending(str(number))) for number in range(1, 101)])
        async with engine.begin() as connection:
            await connection.execute(text("DELETE FROM books WHERE id < 12"))
        with pytest.raises(SweepRefusedException, match="a tenth of 100"):
            await ledger.sweep(AT_ONCE)
        assert await ledger.sweep(AT_ONCE, force=True) == 11
