"""Nothing that a ledger does holds the event loop: the application's requests are answered meanwhile."""

from datetime import timedelta

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Unicode, delete, insert, text
from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlalchemy.orm import declarative_base

from async_storages import PendingFile
from async_storages.integrations.sqlalchemy import FileLedger, FileType, enable_file_tracking
from tests.support.heartbeat import has_short_steps, heartbeat, most

FILES = 100_000
TABLES = 10


@pytest.fixture
def level():
    return 2


def many_tables(count, columns):
    """Tables of a file column each, and of other columns."""
    metadata = MetaData()
    for number in range(count):
        id_, file = Column("id", Integer, primary_key=True), Column("file", FileType("documents"), index=True)
        others = [Column(f"other{number}", Unicode(20)) for number in range(columns - 2)]
        Table(f"table{number}", metadata, id_, file, *others)
    return metadata


@pytest.fixture
async def made(engine):
    """A ledger over tables that are there."""
    ledgers = []

    async def made(count, columns=20):
        metadata = many_tables(count, columns)
        ledgers.append(ledger := FileLedger(engine, metadata))
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        await ledger.create()
        await ledger.drain()  # which says once which columns have no index
        return ledger

    yield made
    for ledger in ledgers:
        await ledger.aclose()


NUMBERS = {
    "sqlite": "(WITH RECURSIVE s(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s WHERE n < {0} - 1) SELECT n FROM s)",
    "postgresql": "(SELECT n FROM generate_series(0, {0} - 1) AS n)",
    "mysql": "(SELECT seq AS n FROM seq_0_to_{0} WHERE seq < {0})",
}
IDS = {
    "sqlite": "printf('mem:%016x_file.txt', n)",
    "postgresql": "'mem:' || lpad(to_hex(n), 16, '0') || '_file.txt'",
    "mysql": "concat('mem:', lpad(lower(hex(n)), 16, '0'), '_file.txt')",
}


async def fill_in(engine, ledger, unnamed=20):
    """So many live files, all but one of `unnamed` of which are named by some table."""
    name = engine.dialect.name
    numbers, id_ = f"{NUMBERS[name].format(FILES)} AS s", IDS[name]
    async with engine.begin() as connection:
        names = "id, storage, state, until, since, pinned"
        live = f"SELECT {id_}, 'documents', 'live', 0, 0, false FROM {numbers}"
        await connection.execute(text(f"INSERT INTO stored_files ({names}) {live}"))
        for number in range(TABLES):
            theirs = f"n % {TABLES} = {number} AND ((n - {number}) / {TABLES}) % {unnamed} <> 0"
            rows = f"SELECT n, {id_} FROM {numbers} WHERE {theirs}"
            await connection.execute(text(f"INSERT INTO table{number} (id, file) {rows}"))
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        tables = [f"table{number}" for number in range(TABLES)]
        await connection.exec_driver_sql(f"ANALYZE TABLE {', '.join(tables)}" if name == "mysql" else "ANALYZE")


async def test_an_idle_drain_of_200_tables(made):
    ledger = await made(200)
    assert await has_short_steps(ledger.drain)


@pytest.mark.timeout(300)
async def test_a_sweep_of_100000_files(engine, made, is_sqlite):
    """All of it takes seconds, too."""
    ledger = await made(TABLES)
    await fill_in(engine, ledger)
    async with heartbeat() as heart:
        assert await ledger.sweep(timedelta(0)) == FILES / 20
    assert heart.total < 1200 * most()
    if heart.longest > most():  # something else may have been in the way
        await fill_in_again(engine)
        assert await has_short_steps(ledger.sweep, attempts=2)


async def fill_in_again(engine):
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE stored_files SET state = 'live' WHERE state = 'doomed'"))


async def test_deleting_2000_files(engine, made):
    ledger = await made(TABLES)
    doomed = {"storage": "documents", "state": "doomed", "until": 0.0, "since": 0.0, "pinned": False}
    rows = [{"id": f"mem:{number:016x}_file.txt", **doomed} for number in range(2000)]
    for _ in range(4):
        async with engine.begin() as connection:
            await connection.execute(insert(ledger.table), rows)
        async with heartbeat() as heart:
            assert (await ledger.drain()).deleted == 2000
        if heart.longest < most():
            return
    pytest.fail(f"the best of some attempts still took {heart.longest} s")


@pytest.mark.parametrize("level", [1, 2], ids=["level 1", "level 2"], indirect=True)
class TestSessions:
    @pytest.fixture
    async def sessions(self, engine, level):
        """Sessions of a class beside 200 tables with file columns."""
        metadata = many_tables(200, 20)
        document = type("Document", (declarative_base(metadata=metadata),), {"__table__": metadata.tables["table0"]})
        ledger = FileLedger(engine, metadata) if level == 2 else None
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        yield enable_file_tracking(async_sessionmaker(engine, info={"class": document}), ledger=ledger)
        if ledger is not None:
            await ledger.aclose()

    async def test_flushes(self, sessions):
        document = sessions.kw["info"]["class"]

        async def work():
            async with sessions.begin() as session:
                session.add(new := document(file=PendingFile(b"new", filename="new.txt")))
                await session.flush()
                new.file = PendingFile(b"newer", filename="newer.txt")

        await work()  # which also finds out which columns have no index, once
        assert await has_short_steps(work)

    @pytest.mark.timeout(300)
    async def test_a_bulk_delete_of_50000_rows(self, engine, sessions, level):
        document, name = sessions.kw["info"]["class"], engine.dialect.name
        rows = f"SELECT n + 1, {IDS[name]} FROM {NUMBERS[name].format(50_000)} AS s"
        for _ in range(4):
            async with engine.begin() as connection:
                await connection.execute(text(f"INSERT INTO table0 (id, file) {rows}"))
            async with heartbeat() as heart, sessions.begin() as session:
                assert (await session.execute(delete(document))).rowcount == 50_000
            if heart.longest < most():
                return
        pytest.fail(f"the best of some attempts still took {heart.longest} s")
