"""A database, a storage and sessions that track files, without a ledger (level 1) and with one (level 2)."""

from functools import partial

import pytest
from sqlalchemy import event, select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from async_storages import registry
from async_storages.integrations.sqlalchemy import FileLedger, enable_file_tracking
from tests.support.ledgers import settle
from tests.support.tracked import Base, Book, TroubledStorage, files


@pytest.fixture(autouse=True)
def storage():
    with registry.override("documents", TroubledStorage()) as storage:
        yield storage


@pytest.fixture
async def engine(database_url):
    engine = create_async_engine(database_url)
    if engine.dialect.name == "sqlite":
        begin_with_begin(engine.sync_engine)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield engine
    await engine.dispose()


def begin_with_begin(engine):
    """So that savepoints work: see "Enabling Non-Legacy SQLite Transactional Modes" in SQLAlchemy's documentation."""
    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))


def connected(connection, record):
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


@pytest.fixture
def is_sqlite(engine):
    return engine.dialect.name == "sqlite"


@pytest.fixture(params=[1, 2], ids=["level 1", "level 2"])
def level(request):
    return request.param


@pytest.fixture
async def ledger(level, engine):
    if level == 1:
        return None
    ledger = FileLedger(engine, Base.metadata)
    await ledger.create()
    return ledger


@pytest.fixture
def track(ledger):
    """What gives sessions their level."""
    return partial(enable_file_tracking, ledger=ledger)


@pytest.fixture
def sessions(engine, track):
    return track(async_sessionmaker(engine))


@pytest.fixture
def track_metadata(engine, storage, level):
    """What makes the tables of other classes, and gives them sessions and a `left` of their own."""

    async def track_metadata(metadata):
        ledger = FileLedger(engine, metadata) if level == 2 else None
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        return enable_file_tracking(async_sessionmaker(engine), ledger=ledger), partial(_left, storage, ledger)

    return track_metadata


async def _left(storage, ledger):
    if ledger is not None:
        await settle(ledger)
    return await files(storage)


@pytest.fixture
def left(storage, ledger):
    """The names of the files that are there in the end: with a ledger, after its worker and a sweep."""

    return partial(_left, storage, ledger)


@pytest.fixture
async def book(sessions, storage):
    """Row 1, which names the file "old" in three columns."""
    async with sessions.begin() as session:
        saved = {name: await storage.save(b"", name) for name in ("old", "old-deferred", "old-kept")}
        session.add(Book(id=1, file=saved["old"], deferred=saved["old-deferred"], kept=saved["old-kept"]))


@pytest.fixture
def rows(sessions):
    """The ids of rows, and the names of the files they name."""

    async def rows(class_=Book):
        async with sessions() as session:
            found = await session.execute(select(class_.id, class_.file))
            return {id_: file and file.filename for id_, file in found}

    return rows
