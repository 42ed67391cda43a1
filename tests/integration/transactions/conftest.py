"""A database, a storage and sessions that track files, without a ledger (level 1) and with one (level 2)."""

import shutil
from functools import partial
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, event, inspect, select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from async_storages import registry
from async_storages.integrations.sqlalchemy import FileLedger, add_ledger_tables, enable_file_tracking
from tests.support.databases import every_database  # noqa: F401 - the fixture `database_url`
from tests.support.ledgers import forget_ledgers, settle
from tests.support.tracked import Base, Book, TroubledStorage, files


@pytest.fixture(autouse=True)
def storage():
    with registry.override("documents", TroubledStorage()) as storage:
        yield storage
    forget_ledgers(Base.metadata)


# ---- databases with empty tables: making them takes longer than most tests


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory):
    path = tmp_path_factory.mktemp("template") / "empty.sqlite"
    make_tables(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_with_tables(postgres):
    postgres.create_database(name := f"transactions_{uuid4().hex}")  # plain Sessions have these fixtures, too
    url = postgres.url(name)
    make_tables(url.replace("+asyncpg", "+psycopg"))
    return url


@pytest.fixture
def postgres_database(postgres_with_tables):
    """One for all tests, each of which finds it empty."""
    yield postgres_with_tables
    engine = create_engine(postgres_with_tables.replace("+asyncpg", "+psycopg"))
    with engine.begin() as connection:
        clear(connection)
    engine.dispose()


def make_tables(url):
    add_ledger_tables(Base.metadata)
    engine = create_engine(url)
    Base.metadata.create_all(engine)
    engine.dispose()


def clear(connection):
    ours = Base.metadata.tables
    there = set(inspect(connection).get_table_names())
    for name in there - ours.keys():
        connection.exec_driver_sql(f'DROP TABLE "{name}" CASCADE')
    connection.exec_driver_sql(f"TRUNCATE {', '.join(sorted(there & ours.keys()))} RESTART IDENTITY")
    if ours.keys() - there:
        Base.metadata.create_all(connection)


def clear_mariadb(connection):
    ours = Base.metadata.tables
    there = set(inspect(connection).get_table_names())
    connection.exec_driver_sql("SET lock_wait_timeout = 20")
    connection.exec_driver_sql("SET FOREIGN_KEY_CHECKS = 0")
    for trigger in connection.exec_driver_sql("SHOW TRIGGERS").scalars().all():
        connection.exec_driver_sql(f"DROP TRIGGER `{trigger}`")
    for name in there:
        connection.exec_driver_sql(f"{'TRUNCATE' if name in ours else 'DROP'} TABLE `{name}`")
    connection.exec_driver_sql("SET FOREIGN_KEY_CHECKS = 1")
    if ours.keys() - there:
        Base.metadata.create_all(connection)


@pytest.fixture(scope="session")
def mariadb_with_tables(mariadb):
    mariadb.create_database(name := f"transactions_{uuid4().hex}")  # plain Sessions have these fixtures, too
    url = mariadb.url(name)
    make_tables(url.replace("+asyncmy", "+pymysql"))
    return url


@pytest.fixture
def mariadb_database(mariadb_with_tables):
    """One for all tests, each of which finds it empty."""
    yield mariadb_with_tables
    engine = create_engine(mariadb_with_tables.replace("+asyncmy", "+pymysql"))
    with engine.begin() as connection:
        clear_mariadb(connection)
    engine.dispose()


@pytest.fixture
def sqlite_url(sqlite_template, tmp_path):
    return f"sqlite+aiosqlite:///{shutil.copyfile(sqlite_template, tmp_path / 'test.sqlite')}"


@pytest.fixture
async def engine(database_url):
    engine = create_async_engine(database_url)
    if engine.dialect.name == "sqlite":
        begin_with_begin(engine.sync_engine)
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
    return FileLedger(engine, Base.metadata)


@pytest.fixture
def track(ledger):
    """The function that enables tracking, with a ledger on level 2."""
    return partial(enable_file_tracking, ledger=ledger)


@pytest.fixture
def sessions(engine, track):
    return track(async_sessionmaker(engine))


@pytest.fixture
def track_metadata(engine, storage, level):
    """A function that makes the tables of other classes, and their own tracked sessions and `left`."""

    async def track_metadata(metadata, **options):
        ledger = FileLedger(engine, metadata) if level == 2 else None
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        sessions = enable_file_tracking(async_sessionmaker(engine), ledger=ledger, **options)
        return sessions, partial(_left, storage, ledger)

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
