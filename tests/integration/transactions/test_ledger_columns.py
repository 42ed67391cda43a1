"""Workers that run with other models than the applications: during a deployment, or after a table was renamed."""

import re
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, delete, event, insert, select, text
from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlalchemy.orm import registry as mappers

from async_storages import StorageException, SweepRefusedException
from async_storages.integrations.sqlalchemy import FileLedger, FileListType, FileType, enable_file_tracking
from tests.support.ledgers import pass_time, settle
from tests.support.tracked import files, pending


@pytest.fixture
def level():
    return 2


def models(**tables):
    """A MetaData with tables of one column each, and classes for them."""
    metadata, classes = MetaData(), []
    for name, type_ in tables.items():
        table = Table(name, metadata, Column("id", Integer, primary_key=True), Column("file", type_))
        classes.append(type(name, (), {}))
        mappers().map_imperatively(classes[-1], table)
    return metadata, *classes


def yesterdays():
    return models(reports=FileType("documents"))


def todays():
    return models(reports=FileType("documents"), invoices=FileType("documents"), scans=FileListType("documents"))


@pytest.fixture
async def deploy(engine):
    """Makes the tables of some models, and an application: its ledger, and its sessions."""
    ledgers = []

    async def deploy(metadata):
        ledgers.append(ledger := FileLedger(engine, metadata))
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        return ledger, enable_file_tracking(async_sessionmaker(engine), ledger=ledger)

    yield deploy
    for ledger in ledgers:
        await ledger.aclose()


async def write(sessions, class_, name):
    async with sessions.begin() as session:
        session.add(row := class_())
        row.id, row.file = 1, pending(name)


async def move(sessions, old, new):
    """Let a row of another table name the file of row 1, which is then deleted."""
    async with sessions.begin() as session:
        row = await session.get(old, 1)
        session.add(other := new())
        other.id, other.file = 1, row.file if new.__name__ != "scans" else [row.file]
    async with sessions.begin() as session:
        await session.delete(await session.get(old, 1))


@pytest.mark.parametrize("work", ["drain", "sweep"])
@pytest.mark.parametrize("column", ["invoices", "scans"])
async def test_a_worker_with_yesterdays_models_deletes_nothing_and_says_which_column(deploy, storage, work, column):
    metadata, report = yesterdays()
    worker, before = await deploy(metadata)
    await write(before, report, "moved")
    metadata, report, *others = todays()
    ledger, sessions = await deploy(metadata)
    await move(sessions, report, others[column == "scans"])
    await pass_time(worker)
    call = worker.drain if work == "drain" else partial(worker.sweep, timedelta(0), force=True)
    with pytest.raises(
        SweepRefusedException, match=rf"the column {column}\.file names files, and this worker does not"
    ):
        await call()
    await settle(ledger)
    assert await files(storage) == {"moved"}


async def test_it_goes_on_with_the_models_of_today(deploy, storage):
    metadata, report = yesterdays()
    old, before = await deploy(metadata)
    await write(before, report, "moved")
    metadata, report, invoice, _ = todays()
    ledger, sessions = await deploy(metadata)
    await move(sessions, report, invoice)
    async with sessions.begin() as session:
        await session.delete(await session.get(invoice, 1))
    with pytest.raises(SweepRefusedException):
        await settle(old)
    await settle(ledger)
    assert await files(storage) == set()


async def test_a_column_is_known_before_a_row_of_it_can_name_a_file(engine, deploy, is_sqlite):
    """On PostgreSQL from the flush on, on SQLite, where nobody else writes meanwhile, from the commit on."""
    metadata, report = yesterdays()
    ledger, sessions = await deploy(metadata)
    async with sessions() as session:
        session.add(row := report())
        row.id, row.file = 1, pending("new")
        await session.flush()
        assert (await known(engine) == [("reports", "file")]) is not is_sqlite
        await session.rollback()
    assert (await known(engine) == []) is is_sqlite
    await write(sessions, report, "new")
    assert await known(engine) == [("reports", "file")]
    await ledger.drain()
    assert await known(engine) == [("reports", "file")]


async def known(engine):
    async with engine.connect() as connection:
        rows = await connection.execute(text("SELECT table_name, column_name FROM stored_files_columns"))
        return [tuple(name.decode() if isinstance(name, bytes) else name for name in row) for row in rows]


async def test_bulk_statements_make_columns_known_as_well(engine, deploy, storage):
    metadata, report = yesterdays()
    ledger, sessions = await deploy(metadata)
    saved = await ledger.save(storage, b"", "new")
    async with sessions.begin() as session:
        await session.execute(insert(report).values(id=1, file=saved))
    assert await known(engine) == [("reports", "file")]


async def test_create_and_drain_know_what_is_in_the_database(engine, deploy):
    """A table that a migration has not made yet must not keep other workers from their work."""
    metadata, *_ = todays()
    ledger, _ = await deploy(metadata)
    Table("later", metadata, Column("id", Integer, primary_key=True), Column("file", FileType("documents")))
    metadata.tables["reports"].append_column(Column("second", FileType("documents")))
    await ledger.create()
    assert sorted(await known(engine)) == [("invoices", "file"), ("reports", "file"), ("scans", "file")]


async def test_columns_are_asked_for_once_in_a_process(engine, deploy):
    metadata, report = yesterdays()
    ledger, sessions = await deploy(metadata)
    await ledger.create()
    await write(sessions, report, "first")
    seen = []
    event.listen(engine.sync_engine, "before_cursor_execute", lambda *args: seen.append(args[2]))
    async with sessions.begin() as session:
        (await session.get(report, 1)).file = pending("second")
    assert seen
    assert not [each for each in seen if "stored_files_columns" in each]


class TestForgotten:
    @pytest.fixture
    async def renamed(self, engine, deploy):
        """A table was renamed, and the models with it."""
        metadata, report = yesterdays()
        _, before = await deploy(metadata)
        await write(before, report, "one")
        async with engine.begin() as connection:
            await connection.exec_driver_sql("ALTER TABLE reports RENAME TO renamed")
        metadata, class_ = models(renamed=FileType("documents"))
        ledger, sessions = await deploy(metadata)
        async with sessions.begin() as session:
            await session.execute(delete(class_))
        return ledger

    async def test_a_renamed_table(self, renamed, storage):
        with pytest.raises(SweepRefusedException, match=r"await ledger\.forget_columns\('reports', 'file'\)"):
            await renamed.drain()
        assert await files(storage) == {"one"}
        assert await renamed.forget_columns("reports", "file") == 1
        await renamed.drain()
        assert await files(storage) == set()

    async def test_all_columns_of_a_table(self, renamed):
        assert await renamed.forget_columns("reports", "other") == await renamed.forget_columns("other") == 0
        assert await renamed.forget_columns("reports") == 1

    async def test_a_column_that_is_used_is_known_again(self, engine, renamed):
        await renamed.forget_columns("reports")
        assert await renamed.forget_columns("renamed") == 1
        await renamed.drain()
        assert await known(engine) == [("renamed", "file")]

    async def test_a_detached_table(self, engine, deploy, storage):
        """Its models are gone; its rows are not."""
        metadata, report, invoice, _ = todays()
        _, sessions = await deploy(metadata)
        await write(sessions, invoice, "kept")
        metadata, report = yesterdays()
        ledger, sessions = await deploy(metadata)
        await write(sessions, report, "one")
        async with sessions.begin() as session:
            await session.execute(delete(report))
        with pytest.raises(SweepRefusedException, match=r"the column invoices\.file"):
            await ledger.drain()
        async with engine.connect() as connection:
            assert await connection.scalar(select(text("count(*) FROM invoices"))) == 1
        assert await files(storage) == {"one", "kept"}


class TestOlderLedgers:
    """Their databases have no such table."""

    @pytest.fixture
    async def older(self, engine, deploy):
        metadata, report = yesterdays()
        ledger, sessions = await deploy(metadata)
        async with engine.begin() as connection:
            await connection.exec_driver_sql("DROP TABLE stored_files_columns")
        return ledger, sessions, report

    async def test_the_error_says_what_to_run(self, older):
        ledger, sessions, report = older
        words = re.escape("run `await ledger.create()`, or a migration with `op.create_file_ledger()`")
        for work in (lambda: write(sessions, report, "one"), ledger.drain, ledger.sweep):
            with pytest.raises(StorageException, match=words):
                await work()

    async def test_create_adds_it(self, engine, older, storage):
        ledger, sessions, report = older
        await ledger.create()
        await write(sessions, report, "one")
        await settle(ledger)
        assert (await known(engine), await files(storage)) == ([("reports", "file")], {"one"})
