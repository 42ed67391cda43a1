"""Variants that a ledger's worker makes: queued with the row, made by any worker, none for a row that has gone."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import async_sessionmaker

from async_storages import (
    FallbackStorage,
    ImagePool,
    InvalidArgumentException,
    MemoryStorage,
    PendingFile,
    Variants,
    events,
)
from async_storages.integrations.sqlalchemy import FileLedger, enable_file_tracking
from async_storages.integrations.sqlalchemy.ledger.storage_marks import FOLDER
from async_storages.variants.lazy import LazyVariants
from tests.support.databases import every_database  # noqa: F401 - the fixture `database_url`
from tests.support.later_photos import LaterBase, LaterPhoto, keep_later_in, linked
from tests.support.ledgers import forget_ledgers, in_ledger, pass_time, settle
from tests.support.photos import UNUSED, PickyStorage, photo

pytestmark = pytest.mark.matrix

WORKER = {"thumb", "card"}
SOON = timedelta(milliseconds=10)


@pytest.fixture
def level():
    return 2


@pytest.fixture
async def photos():
    async with PickyStorage() as storage:
        keep_later_in(storage)
        yield storage
    keep_later_in(UNUSED)
    forget_ledgers(LaterBase.metadata)


@pytest.fixture
async def pool():
    async with ImagePool(workers=1) as pool:
        yield pool


@pytest.fixture
async def ledger(engine, photos, pool):
    ledger = FileLedger(engine, LaterBase.metadata, image_pool=pool)
    async with engine.begin() as connection:
        await connection.run_sync(LaterBase.metadata.drop_all)
        await connection.run_sync(LaterBase.metadata.create_all)
    return ledger


@pytest.fixture
def sessions(engine, ledger, pool):
    return enable_file_tracking(async_sessionmaker(engine, expire_on_commit=False), ledger=ledger, image_pool=pool)


@pytest.fixture
def told():
    """The names and outcomes of operations so far."""
    operations = []

    def note(event):
        operations.append((event.operation, event.outcome))

    events.hooks.append(note)
    yield operations
    events.hooks.remove(note)


async def add(sessions, count=1, content=None):
    async with sessions.begin() as session:
        rows = [LaterPhoto(image=content or photo()) for _ in range(count)]
        session.add_all(rows)
    return rows


async def there(image, *names):
    return {name for name in names or (*WORKER, "large") if await image.variant(name).exists()}


async def left(photos):
    return {info.file_id async for info in photos.list() if FOLDER not in info.file_id}


async def queued(ledger):
    return (await ledger.stats()).variants


async def test_they_are_queued_with_the_row_and_made_by_the_worker(sessions, ledger):
    [row] = await add(sessions)
    assert await queued(ledger) == 1
    assert await there(row.image) == set()
    assert await ledger.drain() == await ledger.drain()
    assert await ledger.make_variants() == 2
    assert await there(row.image) == WORKER
    assert (await row.image.variant("card").get_dimensions()) == (30, 23)
    assert (await ledger.make_variants(), await queued(ledger)) == (0, 0)
    assert (await row.image.variant("card").get_path()).startswith("/variants/")


async def test_those_that_no_worker_makes_are_overdue(sessions, ledger):
    await add(sessions, 2)
    await in_ledger(
        ledger, lambda connection, table: connection.execute(update(table).values(since=table.c.since - 60))
    )
    assert 60 <= (await ledger.stats()).overdue < 120
    await ledger.make_variants()
    assert (await ledger.stats()).overdue < 60


async def test_those_of_a_recipe_that_is_gone_are_given_up_after_a_day(sessions, ledger, monkeypatch, caplog):
    await add(sessions)
    monkeypatch.setattr(LaterPhoto.__table__.c.image.type, "variants", Variants())
    assert await ledger.make_variants() == 0
    assert await queued(ledger) == 1  # another process may still have it
    await in_ledger(ledger, lambda connection, table: due(connection, table, since=0))
    assert await ledger.make_variants() == 0
    assert (await queued(ledger), (await ledger.stats()).overdue) == (0, 0.0)
    assert "they are given up" in caplog.text


async def test_a_new_storage_is_marked_once_whoever_comes_first(ledger, photos):
    async with FallbackStorage(MemoryStorage(), photos) as moved:
        keep_later_in(moved)
        anew = FileLedger(ledger.engine, LaterBase.metadata)
        await asyncio.gather(anew.drain(), *(anew.check_ownership() for _ in range(3)))
        assert len([info async for info in moved.new.list(FOLDER)]) == 1


async def test_a_file_that_save_has_stored_gets_them_too(sessions, ledger, photos):
    content = photo()
    stored = await photos.save(content.content, filename="cat.png")
    [row] = await add(sessions, content=stored)
    assert await ledger.make_variants() == 2
    assert await there(row.image) == WORKER


async def test_those_that_were_asked_for_meanwhile_are_not_made_again(sessions, ledger, pool):
    [row] = await add(sessions)
    await LazyVariants(pool).make(linked(row.image, "card"))
    assert await ledger.make_variants() == 1


@pytest.mark.parametrize("how", ["transaction", "savepoint"])
async def test_nothing_is_queued_by_what_is_rolled_back(sessions, ledger, photos, how):
    async with sessions.begin() as session:
        inner = await session.begin_nested() if how == "savepoint" else session
        session.add(LaterPhoto(image=photo()))
        await session.flush()
        await inner.rollback()
    assert await queued(ledger) == 0
    assert await ledger.make_variants() == 0
    await settle(ledger)
    assert await left(photos) == set()


@pytest.mark.parametrize("how", ["delete", "replace", "raw"])
async def test_nothing_is_made_for_a_row_that_has_gone(sessions, ledger, photos, engine, told, how):
    [row] = await add(sessions)
    async with sessions.begin() as session:
        row = await session.get(LaterPhoto, row.id)
        if how == "delete":
            await session.delete(row)
        elif how == "replace":
            row.image = None
    if how == "raw":
        async with engine.begin() as connection:
            await connection.execute(delete(LaterPhoto.__table__))
    told.clear()
    assert await ledger.make_variants() == 0
    assert "make_variants" not in dict(told)
    assert await queued(ledger) == 0
    await settle(ledger)
    assert await left(photos) == set()


async def test_a_row_that_goes_while_they_are_made_leaves_nothing(sessions, ledger, photos):
    [row] = await add(sessions)
    photos.held = {"thumb", "card"}
    making = asyncio.create_task(ledger.make_variants())
    await photos.reached.wait()
    async with sessions.begin() as session:
        await session.delete(await session.get(LaterPhoto, row.id))
    await ledger.drain()
    photos.held = set()
    photos.go_on.set()
    assert await making == 0
    assert await left(photos) == set()
    await pass_time(ledger)
    assert (await ledger.make_variants(), await queued(ledger)) == (0, 0)


async def test_several_workers_share_the_work(sessions, ledger, engine, pool, told):
    rows = await add(sessions, 12)
    workers = [ledger, *(FileLedger(engine, LaterBase.metadata, image_pool=pool) for _ in range(2))]
    told.clear()
    assert sum(await asyncio.gather(*(each.make_variants() for each in workers))) == 24
    assert [await there(row.image) for row in rows] == [WORKER] * 12
    assert told.count(("make_variants", "ok")) == 12


async def test_what_fails_is_tried_again_later(sessions, ledger, photos, told, caplog):
    [row] = await add(sessions)
    photos.refused = {"card"}
    assert await ledger.make_variants() == 0
    assert "could not be made" in caplog.text
    assert "tried again in 30 s" in caplog.text
    photos.refused = set()
    assert (await ledger.make_variants(), await queued(ledger)) == (0, 1)  # it is not due yet
    assert told.count(("make_variants", "StorageUnavailableException")) == 1
    await in_ledger(ledger, due)
    assert await ledger.make_variants() >= 1
    assert await there(row.image) == WORKER


def due(connection, table, **values):
    connection.execute(update(table).where(table.c.state == "wanted").values(until=1, **values))


async def test_pauses_grow(sessions, ledger, photos, caplog):
    await add(sessions)
    photos.refused = {"card"}
    await ledger.make_variants()
    await in_ledger(ledger, lambda connection, table: due(connection, table, since=table.c.since - 1000))
    await ledger.make_variants()
    assert "tried again in 100" in caplog.text


async def test_after_a_day_they_are_given_up_with_an_event(sessions, ledger, photos, told, caplog):
    await add(sessions)
    photos.refused = {"card"}
    await ledger.make_variants()
    await in_ledger(ledger, lambda connection, table: due(connection, table, since=0))
    await ledger.make_variants()
    assert "they are given up" in caplog.text
    assert ("give_up", "ok") in told
    assert await queued(ledger) == 0


async def test_a_worker_that_did_not_run_for_days_does_not_give_up_at_once(sessions, ledger, photos):
    await add(sessions)
    await in_ledger(
        ledger,
        lambda connection, table: connection.execute(update(table).where(table.c.state == "wanted").values(since=0)),
    )
    photos.refused = {"card"}
    await ledger.make_variants()
    assert await queued(ledger) == 1


async def test_what_is_no_image_is_given_up_at_once(sessions, ledger, told):
    await add(sessions, content=PendingFile(b"no image", filename="cat.png"))
    assert await ledger.make_variants() == 0
    assert ("give_up", "ok") in told
    assert await queued(ledger) == 0


async def test_another_worker_takes_over_what_one_has_left(sessions, ledger, photos, engine, pool):
    [row] = await add(sessions)
    photos.held = {"card"}
    first = asyncio.create_task(ledger.make_variants())
    await photos.reached.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    photos.held = set()
    other = FileLedger(engine, LaterBase.metadata, image_pool=pool)
    assert await other.make_variants() == 0  # the lease is not over
    await pass_time(ledger)
    assert await other.make_variants() >= 1
    assert await there(row.image) == WORKER


async def test_what_is_queued_anew_while_it_is_made_stays_queued(sessions, ledger, photos):
    [row] = await add(sessions)
    photos.held = {"card"}
    making = asyncio.create_task(ledger.make_variants())
    await photos.reached.wait()
    await add(sessions, content=row.image)
    photos.held = set()
    photos.go_on.set()
    assert await making == 2
    assert await queued(ledger) == 0  # the same call went on with it


async def test_a_column_that_no_worker_knows_is_waited_for(sessions, ledger, caplog):
    await add(sessions)

    def rename(connection, table):
        entry = connection.execute(select(table).where(table.c.state == "wanted")).one()
        connection.execute(delete(table).where(table.c.id == entry.id))
        changed = f"{entry.id.rpartition(' ')[0]} 00000000"
        connection.execute(insert(table).values(**{**entry._mapping, "id": changed}))

    await in_ledger(ledger, rename)
    assert await ledger.make_variants() == 0
    assert "are not known here" in caplog.text
    assert await queued(ledger) == 1


async def test_the_worker_makes_them_beside_its_other_work(sessions, ledger, caplog):
    made = asyncio.Event()

    def note(event):
        if event.operation == "make_variants":
            made.set()

    events.hooks.append(note)
    try:
        async with ledger.running(SOON, sweep_every=None):
            [row] = await add(sessions)
            await made.wait()
    finally:
        events.hooks.remove(note)
    assert await there(row.image) == WORKER
    assert "could not" not in caplog.text


async def test_the_queue_is_no_file_of_the_ledger(sessions, ledger, photos):
    rows = await add(sessions, 3)
    stats = await ledger.stats()
    assert (stats.live, stats.doomed, stats.variants) == (3, 0, 3)
    assert await ledger.sweep(timedelta(0)) == 0
    await settle(ledger)
    assert len(await left(photos)) == len(rows)
    assert await queued(ledger) == 3


async def test_without_a_ledger_the_flush_says_what_is_missing(engine, photos, ledger):
    sessions = enable_file_tracking(async_sessionmaker(engine))
    with pytest.raises(InvalidArgumentException, match=r"later_photos.image: the variant 'thumb' has when='worker'"):
        await add(sessions)
    assert await left(photos) == set()
    async with sessions.begin() as session:
        session.add(LaterPhoto(image=None))
    async with engine.connect() as connection:
        assert await connection.scalar(select(func.count()).select_from(LaterPhoto)) == 1


async def test_an_id_without_room_for_the_queue_is_refused(sessions, photos):
    long = await photos.upload(photo().content, "a/" * 505 + "b.png")
    with pytest.raises(InvalidArgumentException, match="choose a shorter folder"):
        await add(sessions, content=long)
