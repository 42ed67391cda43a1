"""Mirrors through the ledger's queue: copied after the commit by any worker, none for what has gone, none forgotten."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import Engine, event, func, select, update
from sqlalchemy.ext.asyncio import async_sessionmaker

from async_storages import InvalidArgumentException, MirroredStorage, events, registry
from async_storages.integrations.sqlalchemy import FileLedger, enable_file_tracking
from tests.integration.transactions.test_variant_queue import pool  # noqa: F401 - a fixture
from tests.support.databases import every_database  # noqa: F401 - the fixture `database_url`
from tests.support.later_photos import LaterBase, LaterPhoto, keep_later_in
from tests.support.ledgers import forget_ledgers, in_ledger, pass_time, settle
from tests.support.photos import UNUSED, Photo, PhotoBase, keep_in, photo
from tests.support.tracked import Base, Book, TroubledStorage, files, pending

pytestmark = pytest.mark.matrix

SOON = timedelta(milliseconds=10)


class Member(TroubledStorage):
    """Also refuses and waits by "written", when a file is there; notes each write."""

    def __init__(self):
        super().__init__()
        self.writes = []

    async def write(self, content, key, *, overwrite=True):
        written = await super().write(content, key, overwrite=overwrite)
        self.writes.append(overwrite)
        if "written" in self.held | self.refused:
            await self._meet("written", key)
        return written


@pytest.fixture
def level():
    return 2


@pytest.fixture
def primary():
    return Member()


@pytest.fixture
def mirror():
    return Member()


@pytest.fixture(autouse=True)
async def storage(primary, mirror):
    async with MirroredStorage(primary, mirror, queue=True) as made:
        with registry.override("documents", made):
            yield made
    forget_ledgers(Base.metadata)


@pytest.fixture
async def marked(ledger, primary, mirror):
    """The ledger has written its mark, so that what is written now are files."""
    await ledger.drain()
    primary.writes.clear()
    mirror.writes.clear()


@pytest.fixture
def told():
    """The names and outcomes of operations so far."""
    operations = []

    def note(event):
        operations.append((event.operation, event.outcome))

    events.hooks.append(note)
    yield operations
    events.hooks.remove(note)


async def add(sessions, *names):
    async with sessions.begin() as session:
        session.add_all([Book(file=pending(name)) for name in names])


async def remove_all(sessions):
    async with sessions.begin() as session:
        for book in await session.scalars(select(Book)):
            await session.delete(book)


async def backlog(ledger):
    return (await ledger.stats()).copies


async def make_due(ledger, **values):
    def change(connection, table):
        connection.execute(update(table).where(table.c.state == "copy").values(until=1, **values))

    await in_ledger(ledger, change)


async def test_a_flush_writes_the_primary_and_drain_the_mirror(sessions, ledger, primary, mirror):
    await add(sessions, "a.txt", "b.txt")
    assert (await files(primary), await files(mirror)) == ({"a.txt", "b.txt"}, set())
    assert await backlog(ledger) == 2
    await ledger.drain()
    assert await files(mirror) == {"a.txt", "b.txt"}
    assert await backlog(ledger) == 0
    assert await ledger.mirror() == 0


async def test_the_copy_is_what_the_original_is(sessions, ledger, primary, mirror):
    async with sessions.begin() as session:
        session.add(Book(id=1, file=pending("a.html")))
    await ledger.drain()
    async with sessions() as session:
        key = (await session.get(Book, 1)).file.file_id
    ours, theirs = await mirror.stat(key), await primary.stat(key)
    assert await mirror.read(key) == b"a.html"
    assert (ours.content_type, ours.metadata) == (theirs.content_type, theirs.metadata)


@pytest.mark.parametrize("how", ["transaction", "savepoint"])
async def test_a_rollback_queues_nothing(sessions, ledger, primary, mirror, how):
    async with sessions.begin() as session:
        inner = await session.begin_nested() if how == "savepoint" else session
        session.add(Book(file=pending("a.txt")))
        await session.flush()
        await inner.rollback()
    assert await backlog(ledger) == 0
    await settle(ledger)
    assert (await files(primary), await files(mirror)) == (set(), set())


async def test_a_mirror_that_is_away_gets_its_copies_when_it_is_back(sessions, ledger, mirror, caplog, marked):
    mirror.refused = {"write"}
    await add(sessions, "a.txt")
    await ledger.drain()
    assert "could not be copied into a mirror" in caplog.text
    assert "tried again in 30 s" in caplog.text
    await ledger.drain()  # it is not due yet
    stats = await ledger.stats()
    assert (stats.copies, await files(mirror)) == (1, set())
    assert 0 <= stats.copies_overdue < 30
    mirror.refused = set()
    await make_due(ledger)
    await ledger.drain()
    assert (await backlog(ledger), await files(mirror)) == (0, {"a.txt"})


async def test_it_is_not_given_up_and_pauses_end_at_a_quarter_of_an_hour(sessions, ledger, mirror, caplog, marked):
    mirror.refused = {"write"}
    await add(sessions, "a.txt")
    await ledger.mirror()
    await in_ledger(ledger, lambda connection, table: connection.execute(update(table).values(since=0)))
    await make_due(ledger)
    await ledger.mirror()
    assert "tried again in 900 s" in caplog.text
    stats = await ledger.stats()
    assert stats.copies == 1
    assert stats.copies_overdue > 1e9


async def test_of_two_mirrors_only_the_one_that_was_away_is_written_again(engine, primary, mirror):
    other = Member()
    async with MirroredStorage(primary, mirror, other, queue=True) as both:
        with registry.override("documents", both):
            ledger = FileLedger(engine, Base.metadata)
            await ledger.drain()
            mirror.writes.clear()
            other.refused = {"write"}
            await add(enable_file_tracking(async_sessionmaker(engine), ledger=ledger), "a.txt")
            assert await ledger.mirror() == 1
            other.refused = set()
            await make_due(ledger)
            assert await ledger.mirror() == 1
        assert mirror.writes == [False]  # and only if nothing was there
        assert (await files(mirror), await files(other)) == ({"a.txt"}, {"a.txt"})


async def test_removed_before_the_copy(sessions, ledger, primary, mirror, marked):
    await add(sessions, "a.txt")
    await remove_all(sessions)
    await ledger.drain()
    assert (await files(primary), await files(mirror), mirror.writes) == (set(), set(), [])
    assert await backlog(ledger) == 0


async def test_removed_after_the_copy(sessions, ledger, primary, mirror):
    await add(sessions, "a.txt")
    await ledger.drain()
    await remove_all(sessions)
    await ledger.drain()
    assert (await files(primary), await files(mirror)) == (set(), set())


@pytest.mark.parametrize("moment", ["write", "written"])
async def test_removed_while_it_is_copied(sessions, ledger, primary, mirror, marked, moment):
    await add(sessions, "a.txt")
    mirror.held = {moment}
    copying = asyncio.create_task(ledger.mirror())
    await mirror.reached.wait()
    await remove_all(sessions)
    await ledger.drain()
    assert await files(primary) == set()
    mirror.go_on.set()
    assert await copying == 1
    assert (await files(mirror), await backlog(ledger)) == (set(), 0)


async def test_the_next_worker_removes_what_a_lost_one_has_copied_too_late(sessions, ledger, primary, mirror, marked):
    await add(sessions, "a.txt")
    mirror.held = {"written"}
    first = asyncio.create_task(ledger.mirror())
    await mirror.reached.wait()
    [key] = [info.file_id async for info in mirror.list() if info.file_name == "a.txt"]
    await remove_all(sessions)
    await ledger.drain()
    assert (await files(primary), await files(mirror)) == (set(), set())
    mirror.held = set()
    await mirror.upload(b"a.txt", key)  # as if the request had been on its way
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await ledger.drain()
    assert await files(mirror) == {"a.txt"}  # the lease is not over
    await pass_time(ledger)
    await ledger.drain()
    assert (await files(mirror), await backlog(ledger)) == (set(), 0)


async def test_a_delete_that_fails_on_a_mirror_is_repeated(sessions, ledger, primary, mirror):
    await add(sessions, "a.txt")
    await ledger.drain()
    await remove_all(sessions)
    mirror.refused = {"delete"}
    assert (await ledger.drain()).failed == 1
    assert (await ledger.stats()).deleting == 1
    mirror.refused = set()
    await pass_time(ledger)
    assert (await ledger.drain()).deleted == 1
    assert (await files(primary), await files(mirror)) == (set(), set())


async def test_several_workers_share_the_copies(sessions, ledger, engine, mirror, marked):
    await add(sessions, *(f"{number}.txt" for number in range(12)))
    workers = [ledger, *(FileLedger(engine, Base.metadata) for _ in range(2))]
    assert sum(await asyncio.gather(*(each.mirror() for each in workers))) == 12
    assert len(await files(mirror)) == len(mirror.writes) == 12


async def test_a_copy_that_takes_longer_than_the_lease_keeps_it(sessions, engine, mirror, marked):
    slow = FileLedger(engine, Base.metadata, lease=timedelta(seconds=3))
    await add(sessions, "a.txt")
    mirror.held = {"write"}
    copying = asyncio.create_task(slow.mirror())
    await mirror.reached.wait()
    first = await lease_of(slow)
    async with asyncio.timeout(60):
        while await lease_of(slow) == first:  # noqa: ASYNC110 - only the clock goes on
            await asyncio.sleep(0.1)
    mirror.go_on.set()
    assert await copying == 1
    assert mirror.writes == [False]
    assert await backlog(slow) == 0


async def lease_of(ledger):
    def read(connection, table):
        return connection.scalar(select(table.c.until).where(table.c.state == "copy"))

    return await in_ledger(ledger, read)


async def test_what_is_queued_anew_while_it_is_copied_stays_queued(sessions, ledger, mirror, marked):
    await add(sessions, "a.txt")
    mirror.held = {"write"}
    copying = asyncio.create_task(ledger.mirror())
    await mirror.reached.wait()
    await in_ledger(ledger, lambda connection, table: connection.execute(update(table).values(until=0)))
    mirror.go_on.set()
    assert await copying == 2  # the same call went on with it, and found the copy
    assert (await backlog(ledger), len(mirror.writes)) == (0, 1)


async def test_a_copy_that_is_not_the_same_is_made_again(sessions, ledger, mirror, caplog, monkeypatch, marked):
    stat = Member.stat

    async def short(self, name):
        info = await stat(self, name)
        return info.model_copy(update={"file_size": 1}) if self.refused == {"size"} else info

    monkeypatch.setattr(Member, "stat", short)
    await add(sessions, "a.txt")
    mirror.refused = {"size"}
    assert await ledger.mirror() == 0
    assert "is not the same as the original" in caplog.text
    mirror.refused = set()
    await make_due(ledger)
    assert await ledger.mirror() == 1


@pytest.mark.parametrize("how", ["storage", "ledger", "pin"])
async def test_a_file_that_was_stored_before_the_flush(sessions, ledger, storage, primary, mirror, how, marked):
    """The storage copies in the same call, and the ledger's queue finds the copy."""
    if how == "storage":
        stored = await storage.save(b"a", "a.txt")
        assert await files(mirror) == {"a.txt"}
    else:
        stored = await ledger.save(storage, b"a", "a.txt")
        assert await files(mirror) == set()
    if how == "pin":
        await ledger.pin(stored)
    else:
        async with sessions.begin() as session:
            session.add(Book(file=stored))
    assert await backlog(ledger) == 1
    await ledger.drain()
    assert (await files(mirror), len(mirror.writes)) == ({"a.txt"}, 1)


async def test_a_file_that_another_row_gets_as_well_is_not_queued_again(sessions, ledger):
    await add(sessions, "a.txt")
    await ledger.drain()
    async with sessions.begin() as session:
        book = await session.scalar(select(Book))
        session.add(Book(shared=book.file))
    assert await backlog(ledger) == 0


async def test_a_doomed_file_that_a_row_names_again_is_queued(sessions, ledger, storage, mirror):
    stored = await ledger.save(storage, b"a", "a.txt")
    await in_ledger(ledger, enter_doomed, str(storage.identify(stored.file_id)))
    async with sessions.begin() as session:
        session.add(Book(file=stored))
    await ledger.drain()
    assert await files(mirror) == {"a.txt"}


def enter_doomed(connection, table, file_id):
    values = {"id": file_id, "storage": "documents", "state": "doomed", "until": 1e12, "since": 0, "pinned": False}
    connection.execute(table.insert().values(**values))


async def test_without_a_ledger_the_mirror_is_written_in_the_flush(engine, mirror, storage):
    forget_ledgers(Base.metadata)
    await add(enable_file_tracking(async_sessionmaker(engine)), "a.txt")
    assert await files(mirror) == {"a.txt"}


async def test_a_mirror_that_the_storage_does_not_have_is_given_up_after_a_day(
    sessions, ledger, told, caplog, primary, mirror
):
    await add(sessions, "a.txt")
    with registry.override("documents", MirroredStorage(primary, mirror, Member(), queue=True)):
        await add(sessions, "b.txt")
    assert await backlog(ledger) == 3
    await ledger.mirror()
    assert "has no such mirror" in caplog.text
    assert (await backlog(ledger), ("give_up", "ok") in told) == (1, False)
    await in_ledger(ledger, lambda connection, table: connection.execute(update(table).values(since=0)))
    await make_due(ledger)
    await ledger.mirror()
    assert (await backlog(ledger), ("give_up", "ok") in told) == (0, True)


async def test_the_worker_copies_beside_its_other_work(sessions, ledger, mirror, marked, caplog):
    copied = asyncio.Event()

    def note(event):
        if event.operation == "mirror":
            copied.set()

    events.hooks.append(note)
    try:
        async with ledger.running(SOON, sweep_every=None):
            await add(sessions, "a.txt")
            await copied.wait()
    finally:
        events.hooks.remove(note)
    assert await files(mirror) == {"a.txt"}
    assert "could not" not in caplog.text


async def test_the_queue_is_no_file_of_the_ledger(sessions, ledger, primary):
    await add(sessions, "a.txt")
    stats = await ledger.stats()
    assert (stats.live, stats.doomed, stats.copies) == (1, 0, 1)
    assert await ledger.sweep(timedelta(0)) == 0
    assert await files(primary) == {"a.txt"}


async def test_an_id_without_room_for_the_queue_is_refused(sessions, storage):
    long = await storage.primary.upload(b"a", "a/" * 506 + "b.png")
    with pytest.raises(InvalidArgumentException, match="choose a shorter folder"):
        async with sessions.begin() as session:
            session.add(Book(file=storage.file(long)))


def test_strict_and_queue_are_one_or_the_other(primary, mirror):
    with pytest.raises(InvalidArgumentException, match="give one"):
        MirroredStorage(primary, mirror, strict=True, queue=True)


# ---- variants


@pytest.fixture(params=["flush", "worker"])
async def photos(request, engine, storage, pool):  # noqa: F811 - the fixture
    """A column with variants made at a moment, its sessions and its ledger."""
    class_, base, keep = (
        (Photo, PhotoBase, keep_in) if request.param == "flush" else (LaterPhoto, LaterBase, keep_later_in)
    )
    keep(storage)
    ledger = FileLedger(engine, base.metadata, image_pool=pool)
    async with engine.begin() as connection:
        await connection.run_sync(base.metadata.drop_all)
        await connection.run_sync(base.metadata.create_all)
    yield class_, enable_file_tracking(async_sessionmaker(engine), ledger=ledger, image_pool=pool), ledger
    keep(UNUSED)
    forget_ledgers(base.metadata)


async def all_files(storage):
    return {info.file_id async for info in storage.list() if "async-storages-ledger" not in info.file_id}


async def test_variants_are_copied_and_deleted_with_their_original(photos, primary, mirror):
    class_, sessions, ledger = photos
    async with sessions.begin() as session:
        session.add(class_(image=photo()))
    assert await all_files(mirror) == set()
    await ledger.make_variants()
    await ledger.drain()
    assert len(await all_files(primary)) >= 3
    assert await all_files(mirror) == await all_files(primary)
    async with sessions.begin() as session:
        await session.delete(await session.scalar(select(class_)))
    mirror.refused = {"delete"}
    assert (await ledger.drain()).failed == 1
    mirror.refused = set()
    await pass_time(ledger)
    await ledger.drain()
    assert (await all_files(primary), await all_files(mirror)) == (set(), set())
    async with sessions() as session:
        assert await session.scalar(select(func.count()).select_from(class_)) == 0


async def test_a_pass_without_work_asks_once_for_copies(ledger, marked):
    asked = []

    def note(connection, cursor, statement, parameters, context, executemany):
        values = parameters.values() if isinstance(parameters, dict) else parameters
        asked.extend(each for each in values if each == "copy")

    event.listen(Engine, "before_cursor_execute", note)
    await ledger.drain()
    event.remove(Engine, "before_cursor_execute", note)
    assert asked == ["copy"]
