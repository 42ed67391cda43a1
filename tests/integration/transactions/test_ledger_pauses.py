"""Processes that stand still beyond their lease or grace, and storages that answer late: nothing is lost or left."""

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from itertools import count
from types import SimpleNamespace

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, delete, select
from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlalchemy.orm import registry as mappers

from async_storages import FileExistsException, FileGoneException, InvalidFileTypeException, StorageUnavailableException
from async_storages import _deadlines as deadlines
from async_storages.integrations.sqlalchemy import FileLedger, FileType, enable_file_tracking
from async_storages.integrations.sqlalchemy.ledger import journal
from tests.support.ledgers import pass_time, settle
from tests.support.tracked import Base, Book, files, pending


@pytest.fixture
def level():
    return 2


class Clocks:
    """Of this process: they jump ahead when it has stood still."""

    def __init__(self):
        self.stood_still = {"monotonic": 0.0, "time": 0.0}

    def monotonic(self):
        return time.monotonic() + self.stood_still["monotonic"]

    def time(self):
        return time.time() + self.stood_still["time"]


@pytest.fixture
def clocks(monkeypatch):
    clocks = Clocks()
    # the clocks of deadlines alone: the event loop keeps its own
    monkeypatch.setattr(deadlines, "time", clocks)
    return clocks


BOTH = {"stopped": ("monotonic", "time"), "suspended": ("time",), "the clock was set back": ("monotonic",)}


async def doom(sessions, *names):
    """Rows come and go; returns the ids of their files."""
    async with sessions.begin() as session:
        session.add_all([Book(id=number, file=pending(name)) for number, name in enumerate(names, 1)])
    async with sessions() as session:
        found = list(await session.scalars(select(Book.file).order_by(Book.id)))
    async with sessions.begin() as session:
        await session.execute(delete(Book))
    return [each.file_id for each in found]


class TestLeases:
    @pytest.mark.parametrize("which", BOTH.values(), ids=BOTH.keys())
    async def test_no_delete_is_sent_after_a_pause_beyond_the_lease(
        self, engine, sessions, storage, ledger, clocks, which, monkeypatch, caplog
    ):
        await doom(sessions, *"abcd")
        worker = FileLedger(engine, Base.metadata, lease=timedelta(minutes=5), concurrency=1)
        remove = storage.delete

        async def stand_still(name):
            await remove(name)
            clocks.stood_still |= dict.fromkeys(which, 301.0)

        monkeypatch.setattr(storage, "delete", stand_still)
        done = await worker.drain()
        assert (done.deleted, done.failed, len(await files(storage))) == (1, 3, 3)
        assert "half of the lease" in caplog.text

    async def test_storages_look_at_the_time_before_each_attempt(self, clocks):
        from async_storages.backends.transport.retries import Retries

        sent = []

        async def attempt():
            sent.append("a request")
            clocks.stood_still["time"] += 10
            raise StorageUnavailableException("no answer")

        with deadlines.Deadline(5).bounding(), pytest.raises(StorageUnavailableException, match="its time is over"):
            await Retries(base=0).run(attempt)
        assert len(sent) == 1


@pytest.fixture
async def exact(engine, storage, ledger):
    """Sessions, and a class whose files have keys of their own."""
    metadata = MetaData()
    file = Column("file", FileType("documents", upload_to=lambda target, name: f"reports/{name}"))
    table = Table("exact", metadata, Column("id", Integer, primary_key=True), file)
    class_ = type("Exact", (), {})
    mappers().map_imperatively(class_, table)
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    ledgers = [FileLedger(engine, metadata) for _ in range(2)]

    async def write(id_=1):
        async with enable_file_tracking(async_sessionmaker(engine), ledger=ledgers[0]).begin() as session:
            session.add(row := class_())
            row.id, row.file = id_, pending("q3.pdf")

    async def drop():
        async with enable_file_tracking(async_sessionmaker(engine), ledger=ledgers[0]).begin() as session:
            await session.execute(delete(class_))

    yield SimpleNamespace(write=write, drop=drop, ledger=ledgers[0], other=ledgers[1])
    for each in ledgers:
        await each.aclose()


class TestTombstones:
    """A key of one's own is not used again while the late request of another worker may be under way."""

    async def test_a_late_delete_meets_no_new_file(self, exact, storage):
        await exact.write()
        await exact.drop()
        storage.held = {"delete"}
        late = asyncio.create_task(exact.other.drain())
        await storage.reached.wait()
        storage.held = set()
        await pass_time(exact.ledger)  # the lease of the first
        assert (await exact.ledger.drain()).deleted == 1
        with pytest.raises(FileExistsException, match="the ledger knows a file of this key"):
            await exact.write()
        storage.go_on.set()
        await late
        with pytest.raises(FileExistsException):
            await exact.write()
        await pass_time(exact.ledger)
        await exact.ledger.drain()
        await exact.write()
        await settle(exact.ledger)
        assert await files(storage) == {"q3.pdf"}

    async def test_nor_after_a_delete_that_failed(self, exact, storage):
        """The storage may have done it, or may still do it, and only its answer was lost."""
        await exact.write()
        await exact.drop()
        storage.refused = {"delete"}
        assert (await exact.ledger.drain()).failed == 1
        storage.refused = set()
        await pass_time(exact.ledger)
        assert (await exact.ledger.drain()).deleted == 1
        with pytest.raises(FileExistsException):
            await exact.write()

    async def test_nobody_can_name_it(self, exact, storage):
        await exact.write()
        await exact.drop()
        storage.refused = {"delete"}
        await exact.ledger.drain()
        storage.refused = set()
        await pass_time(exact.ledger)
        await exact.ledger.drain()
        with pytest.raises(FileGoneException):
            await exact.ledger.pin("mem:reports/q3.pdf", storage)

    async def test_at_once_where_all_went_well(self, exact, storage):
        for _ in range(2):
            await exact.write()
            await exact.drop()
            assert (await exact.ledger.drain()).deleted == 1

    async def test_a_worker_forgets_nothing_that_another_has_taken_over(self, exact, storage):
        """The first comes back while the second is still deleting."""
        await exact.write()
        await exact.drop()
        storage.held = {"delete"}
        first = asyncio.create_task(exact.other.drain())
        await storage.reached.wait()
        await pass_time(exact.ledger)
        storage.reached.clear()
        second = asyncio.create_task(exact.ledger.drain())
        await storage.reached.wait()
        second_holds, storage.go_on = storage.go_on, asyncio.Event()
        del second_holds
        first.cancel()
        with suppress(asyncio.CancelledError):
            await first
        with pytest.raises(FileExistsException):
            await exact.write()
        second.cancel()
        with suppress(asyncio.CancelledError):
            await second


class TestUnknownOutcomes:
    """The client gave up, and the storage finishes the upload later."""

    @pytest.fixture
    def slow(self, storage, monkeypatch):
        """Uploads end without an answer, and `finish()` lets the storage store them."""
        write, begun = storage.write, []

        async def write_later(content, key, *, overwrite=True):
            if "slow" not in str(key):
                return await write(content, key, overwrite=overwrite)
            begun.append(key)
            raise StorageUnavailableException("no answer in time")

        async def finish():
            for key in begun:
                await storage.upload(b"late", key)

        monkeypatch.setattr(storage, "write", write_later)
        return finish

    async def test_an_upload_that_is_finished_later_is_looked_for_after_the_grace(
        self, sessions, storage, ledger, slow, monkeypatch
    ):
        with pytest.raises(StorageUnavailableException):
            async with sessions.begin() as session:
                session.add(Book(id=1, file=pending("slow")))
        done = await ledger.drain()
        assert done.deleted == 0  # it is not known whether there is anything
        monkeypatch.undo()
        await slow()
        assert await files(storage) == {"slow"}
        await ledger.drain()
        assert await files(storage) == {"slow"}
        await pass_time(ledger)
        await ledger.drain()
        assert await files(storage) == set()

    async def test_what_was_cancelled_likewise(self, sessions, storage, ledger):
        async def work():
            async with sessions() as session:
                session.add(Book(id=1, file=pending("new")))
                await session.flush()

        storage.held = {"new"}
        task = asyncio.create_task(work())
        await storage.reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await ledger.stats()).uploading == 1
        await ledger.drain()
        assert (await ledger.stats()).uploading == 1

    async def test_its_fellows_that_were_stored_go_at_once(self, sessions, storage, ledger, slow):
        async with sessions() as session:
            session.add(Book(id=1, file=pending("new")))
            await session.flush()
            session.add(Book(id=2, file=pending("slow")))
            with pytest.raises(StorageUnavailableException):
                await session.commit()
        assert (await ledger.drain()).deleted == 1
        assert (await files(storage), (await ledger.stats()).uploading) == (set(), 1)

    async def test_a_refusal_is_no_unknown_outcome(self, engine, storage, ledger, sessions, monkeypatch):
        class Refusing:
            max_file_size = None

            async def check(self, content):
                raise InvalidFileTypeException("not this")

        monkeypatch.setattr(Book.__table__.c.file.type, "validators", (Refusing(),))
        with pytest.raises(InvalidFileTypeException):
            async with sessions.begin() as session:
                session.add(Book(id=1, file=pending("new")))
        await ledger.drain()
        assert (await ledger.stats()).uploading == 0


async def come_to_the_end(content):
    """The end of content is only given when the upload is announced."""
    async for _ in content:
        pass


class TestPausedUploaders:
    """They stand still for longer than the grace, in which a worker has given up their uploads."""

    @pytest.fixture
    async def paused(self, ledger, storage, clocks, monkeypatch):
        """Before the object is written."""

        @asynccontextmanager
        async def paused():
            write = storage.write

            async def write_late(content, key, *, overwrite=True):
                if str(key).endswith("new"):
                    await come_to_the_end(content)
                    await pass_time(ledger)
                    await ledger.drain()
                    clocks.stood_still = dict.fromkeys(clocks.stood_still, 3601.0)
                return await write(content, key, overwrite=overwrite)

            with monkeypatch.context() as patch:
                patch.setattr(storage, "write", write_late)
                yield

        return paused

    async def test_save_removes_what_it_wrote_and_says_so(self, ledger, storage, paused):
        async with paused():
            with pytest.raises(FileGoneException, match="longer than the ledger's grace"):
                await ledger.save(storage, b"", "new")
        assert await files(storage) == set()

    async def test_a_flush_does_so_too(self, ledger, sessions, storage, rows, paused):
        async with paused():
            with pytest.raises(FileGoneException):
                async with sessions.begin() as session:
                    session.add(Book(id=1, file=pending("new")))
        assert (await rows(), await files(storage)) == ({}, set())

    async def test_while_the_worker_is_about_to_delete(self, ledger, storage, clocks, monkeypatch):
        """It has taken the entry over, and has not forgotten it yet."""
        write = storage.write

        async def write_late(content, key, *, overwrite=True):
            if str(key).endswith("new"):
                await come_to_the_end(content)
                await pass_time(ledger)
                storage.refused = {"delete"}
                assert (await ledger.drain()).failed == 1
                storage.refused = set()
                clocks.stood_still = dict.fromkeys(clocks.stood_still, 3601.0)
            return await write(content, key, overwrite=overwrite)

        monkeypatch.setattr(storage, "write", write_late)
        with pytest.raises(FileGoneException):
            await ledger.save(storage, b"", "new")
        assert await files(storage) == set()

    async def test_nothing_happens_where_no_worker_came(self, ledger, storage, clocks, monkeypatch):
        write = storage.write

        async def write_late(content, key, *, overwrite=True):
            clocks.stood_still = dict.fromkeys(clocks.stood_still, clocks.stood_still["time"] + 3601.0)
            return await write(content, key, overwrite=overwrite)

        monkeypatch.setattr(storage, "write", write_late)
        await ledger.save(storage, b"", "new")
        await ledger.drain()
        assert await files(storage) == {"new"}

    async def test_the_renewal_notices_it(self, engine, storage, ledger, monkeypatch):
        """Also of an upload that goes on for long afterwards."""
        hasty = FileLedger(engine, Base.metadata, grace=timedelta(seconds=0.3))
        renew, times, noticed = journal.renew, count(), asyncio.Event()

        def notice(connection, table, ids, grace):
            renewed = renew(connection, table, ids, grace)
            if ids and not renewed and next(times):  # the first of them has ended
                noticed.set()
            return renewed

        # nothing else tells of a renewal that finds nothing
        monkeypatch.setattr(journal, "renew", notice)
        await hasty.drain()  # it has left its mark
        storage.held = {"write"}
        task = asyncio.create_task(hasty.save(storage, b"", "new"))
        await storage.reached.wait()
        while (await ledger.stats()).uploading:
            await pass_time(ledger)
            await ledger.drain()
        await noticed.wait()
        storage.go_on.set()
        with pytest.raises(FileGoneException):
            await task
        assert await files(storage) == set()
        await hasty.aclose()
