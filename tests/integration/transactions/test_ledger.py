"""Level 2 by itself: what the ledger keeps, what its worker and its sweeps do, and what they refuse."""

import asyncio
import shutil
import sqlite3
from datetime import timedelta

import pytest
from sqlalchemy import (
    ARRAY,
    JSON,
    Column,
    Integer,
    MetaData,
    Table,
    Unicode,
    create_engine,
    delete,
    event,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import HSTORE
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import sessionmaker
from sqlalchemy.pool import NullPool, StaticPool
from sqlalchemy.types import TypeDecorator

from async_storages import (
    FileExistsException,
    FileGoneException,
    InvalidArgumentException,
    LocalStorage,
    OperationNotSupportedException,
    StorageException,
    StoredFile,
    SweepRefusedException,
    events,
    registry,
)
from async_storages.integrations.sqlalchemy import FileLedger, FileListType, FileType, LedgerStats, enable_file_tracking
from async_storages.integrations.sqlalchemy.ledger import journal
from async_storages.integrations.sqlalchemy.ledger.storage_marks import FOLDER
from tests.support.chosen_ids import ChosenIdsStorage
from tests.support.ledgers import in_journal, pass_time, settle
from tests.support.tracked import Base, Book, Loan, TroubledStorage, files, pending


@pytest.fixture
def level():
    return 2


AT_ONCE = timedelta(0)


async def test_processes_that_start_together_make_the_tables_once(engine, ledger):
    await ledger.create()
    names = [name for name in Base.metadata.tables if name.startswith(ledger.table.name)]
    tables = [Base.metadata.tables[name] for name in names]
    engines = [create_async_engine(engine.url, poolclass=NullPool) for _ in range(6)]
    for _ in range(3):
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.drop_all, tables)
        await asyncio.gather(*(FileLedger(each, Base.metadata).create() for each in engines))
    assert len(names) == 3
    assert (await ledger.stats()).live == 0


async def add(sessions, *names, class_=Book):
    """One row for each name; returns their files."""
    async with sessions.begin() as session:
        rows = [class_(id=number, file=pending(name)) for number, name in enumerate(names, 1)]
        session.add_all(rows)
    async with sessions() as session:
        return list(await session.scalars(select(class_.file).order_by(class_.id)))


async def until(condition):
    """Let others run until something is so; if it never is, the test's own timeout ends this."""
    while not await condition():  # noqa: ASYNC110 - what the worker has done is seen in the storage only
        await asyncio.sleep(0.01)


async def is_empty(storage):
    return not await files(storage)


async def told(caplog, words):
    return words in caplog.text


async def is_due(ledger):
    """True if the time of an upload is over."""
    return await in_journal(ledger, journal.has_expired)


async def is_in_force(ledger):
    return not await is_due(ledger)


class TestWorker:
    async def test_deletes_what_no_row_names_and_says_so(self, sessions, storage, ledger, monkeypatch):
        await add(sessions, "one", "two", "three")
        monkeypatch.setattr(events, "hooks", seen := [])
        seen_events = []
        seen.append(seen_events.append)
        async with sessions.begin() as session:
            await session.execute(delete(Book).where(Book.id < 3))
        done = await ledger.drain()
        assert (done.deleted, done.kept, done.failed, await files(storage)) == (2, 0, 0, {"three"})
        assert [each.outcome for each in seen_events if each.operation == "remove"] == ["ok", "ok"]

    async def test_keeps_what_is_named_again(self, sessions, storage, ledger):
        [file] = await add(sessions, "one")
        async with sessions.begin() as session:
            (await session.get(Book, 1)).file = None
        async with sessions.begin() as session:
            (await session.get(Book, 1)).file = file
        done = await ledger.drain()
        assert (done.deleted, done.kept, await files(storage)) == (0, 1, {"one"})
        assert (await ledger.stats()).live == 1

    @pytest.mark.parametrize(
        "statement",
        [
            update(Loan).values(file=StoredFile("mem:x")),
            text("UPDATE loans SET file = 'mem:x'"),
        ],
        ids=["Core", "text"],
    )
    async def test_a_row_that_nobody_told_of_keeps_its_file(self, engine, sessions, storage, ledger, statement):
        """Raw SQL claims nothing, but is seen before a file is deleted."""
        [file] = await add(sessions, "one")
        async with engine.begin() as connection:
            await connection.execute(text("INSERT INTO loans (id, file) VALUES (1, :file)"), {"file": file.file_id})
        async with sessions.begin() as session:
            await session.delete(await session.get(Book, 1))
        await settle(ledger)
        assert await files(storage) == {"one"}

    @pytest.mark.parametrize("folder", ["", "tenant"], ids=["whole storage", "folder"])
    async def test_finds_bare_keys(self, engine, sessions, storage, ledger, folder):
        with registry.override("documents", storage.within(folder) if folder else storage):
            [file] = await add(sessions, "one")
            key = file.name.removeprefix(f"{folder}/")
            async with engine.begin() as connection:
                await connection.execute(text("INSERT INTO loans (id, file) VALUES (1, :file)"), {"file": key})
            async with sessions.begin() as session:
                await session.delete(await session.get(Book, 1))
            await settle(ledger)
        assert await files(storage) == {"one"}

    async def test_an_id_in_two_tables_lives_until_the_last_row_goes(self, sessions, storage, ledger):
        [file] = await add(sessions, "one")
        async with sessions.begin() as session:
            session.add(Loan(id=1, file=file))
        for class_, expected in ((Book, {"one"}), (Loan, set())):
            async with sessions.begin() as session:
                await session.delete(await session.get(class_, 1))
            await settle(ledger)
            assert await files(storage) == expected

    async def test_storage_down_at_delete_is_tried_again(self, sessions, storage, ledger, rows, caplog):
        await add(sessions, "one")
        async with sessions.begin() as session:
            (await session.get(Book, 1)).file = None
        storage.refused = {"delete"}
        assert (await ledger.drain()).failed == 1
        storage.refused = set()
        assert (await ledger.drain()).deleted == 0  # the lease of the first attempt is not over
        await pass_time(ledger)
        assert (await ledger.drain()).deleted == 1
        assert (await rows(), await files(storage)) == ({1: None}, set())
        assert "one" in caplog.text

    async def test_slow_deletions_end_with_the_lease(self, engine, sessions, storage, ledger, caplog):
        await add(sessions, "one")
        hasty = FileLedger(engine, Base.metadata, lease=timedelta(seconds=0.2))
        async with sessions.begin() as session:
            (await session.get(Book, 1)).file = None
        storage.held = {"delete"}
        assert (await hasty.drain()).failed == 1
        assert "half of the lease" in caplog.text

    async def test_one_storage_is_down(self, engine, tmp_path, storage, caplog):
        """The files of the others are deleted."""
        metadata = MetaData()
        down = TroubledStorage()
        down.refused = {"write", "stream"}
        kinds = {
            "up": FileType("documents"),
            "down": FileType(down),
            "archive": FileType(LocalStorage(tmp_path, read_only=True)),
        }
        table = Table(
            "kinds", metadata, Column("id", Integer, primary_key=True), *(Column(*kind) for kind in kinds.items())
        )
        ledger = FileLedger(engine, metadata)
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        sessions = enable_file_tracking(async_sessionmaker(engine), ledger=ledger)
        kind = mapped(table)
        async with sessions.begin() as session:
            session.add(kind(id=1, up=pending("one")))
        async with sessions.begin() as session:
            await session.delete(await session.get(kind, 1))
        assert (await ledger.drain()).deleted == 1
        assert "could not be marked" in caplog.text

    async def test_old_object_already_missing(self, sessions, storage, ledger):
        [file] = await add(sessions, "one")
        await storage.delete(file.file_id)
        async with sessions.begin() as session:
            (await session.get(Book, 1)).file = None
        assert (await ledger.drain()).deleted == 1
        assert await ledger.stats() == LedgerStats(0, 0, 0, 0, 0, 0.0, (await ledger.stats()).unindexed)

    async def test_two_workers_at_once(self, engine, sessions, storage, ledger, is_sqlite):
        await add(sessions, *map(str, range(50)))
        async with sessions.begin() as session:
            await session.execute(delete(Book))
        others = [FileLedger(engine, Base.metadata) for _ in range(2)]
        done = await asyncio.gather(*(each.drain() for each in (ledger, *others)))
        assert (sum(each.deleted for each in done), await files(storage)) == (50, set())

    async def test_retained(self, engine, storage, rows):
        ledger = FileLedger(engine, Base.metadata, retain=timedelta(days=7))
        sessions = enable_file_tracking(async_sessionmaker(engine), ledger=ledger)
        await add(sessions, "one")
        async with sessions.begin() as session:
            (await session.get(Book, 1)).file = None
        await ledger.drain()
        assert await files(storage) == {"one"}
        await pass_time(ledger)
        await ledger.drain()
        assert await files(storage) == set()

    async def test_runs_beside_an_application(self, sessions, storage, ledger):
        await add(sessions, "one")
        async with sessions.begin() as session:
            (await session.get(Book, 1)).file = None
        async with ledger.running(interval=timedelta(seconds=0.01)):
            await until(lambda: is_empty(storage))
        assert "FileLedger.run" not in {task.get_name() for task in asyncio.all_tasks()}

    async def test_outlives_failures(self, engine, sessions, storage, ledger, caplog):
        await add(sessions, "one")
        async with sessions.begin() as session:
            await session.delete(await session.get(Book, 1))
        async with engine.begin() as connection:
            await connection.execute(text("ALTER TABLE loans RENAME TO lent"))
        async with ledger.running(interval=timedelta(seconds=0.01)):
            await until(lambda: told(caplog, "loans.file is mapped and not in the database"))
            async with engine.begin() as connection:
                await connection.execute(text("ALTER TABLE lent RENAME TO loans"))
            await until(lambda: is_empty(storage))


ELSEWHERE = {
    "nothing stays locked": ({"isolation_level": "AUTOCOMMIT"}, [], "isolation_level with transactions"),
    "another schema": ({"schema_translate_map": {None: "x"}}, [], r"in transactions_\w+\.x for this session"),
    "another search path": (
        {},
        ["CREATE SCHEMA x", "CREATE TABLE x.books ()", "SET LOCAL search_path TO x, public"],
        r"'books' is in transactions_\w+\.x for this session, in transactions_\w+\.public for the ledger: let them use",
    ),
    "a ledger of its own": (
        {},
        ["CREATE SCHEMA x", "CREATE TABLE x.stored_files ()", "SET LOCAL search_path TO x, public"],
        r"'stored_files' is in transactions_\w+\.x",
    ),
    "a temporary table": ({}, ["CREATE TEMP TABLE books (LIKE books)"], r"'books' is in transactions_\w+\.pg_temp"),
}
THE_SAME = {
    "a tenant's schema before public": ({}, ["CREATE SCHEMA x", "SET LOCAL search_path TO x, public"]),
    "a search path with more in it": ({}, ["SET LOCAL search_path TO public, pg_catalog"]),
    "a schema of other tables": ({"schema_translate_map": {"tenant": "x"}}, []),
    "its schema by name": ({"schema_translate_map": {None: "public"}}, []),
    "made in the same transaction": (
        {},
        ["ALTER TABLE books RENAME TO before", "CREATE TABLE books (LIKE before INCLUDING ALL)"],
    ),
    "isolation": ({"isolation_level": "SERIALIZABLE"}, []),
}


class TestOnPostgreSQL:
    @pytest.fixture
    def database_url(self, postgres_database):
        return postgres_database

    async def test_an_open_transaction_does_not_hold_up_the_worker(self, engine, storage, rows):
        ledger = FileLedger(engine, Base.metadata, grace=timedelta(seconds=0.01))
        await ledger.create()
        sessions = enable_file_tracking(async_sessionmaker(engine), ledger=ledger)
        async with sessions() as session:
            session.add(Book(id=1, file=pending("new")))
            await session.flush()
            await until(lambda: is_due(ledger))
            assert (await ledger.drain()).deleted == 0
            await session.commit()
        await settle(ledger)
        assert (await rows(), await files(storage)) == ({1: "new"}, {"new"})

    @pytest.mark.parametrize("isolation", ["AUTOCOMMIT", "REPEATABLE READ"])
    async def test_its_own_transactions_are_not_those_of_the_engine(self, engine, storage, isolation):
        seen = set()

        def look(connection, ids):
            transactions = {connection.scalar(text("SELECT pg_current_xact_id()::text")) for _ in range(2)}
            seen.add((connection.scalar(text("SHOW transaction_isolation")), len(transactions)))
            return ()

        theirs = engine.execution_options(isolation_level=isolation)
        ledger = FileLedger(theirs, Base.metadata, references=[look])
        await ledger.create()
        await ledger.save(storage, b"", "unnamed")
        await settle(ledger)
        assert (seen, await files(storage)) == ({("read committed", 1)}, set())

    @pytest.mark.parametrize(("options", "sql", "problem"), ELSEWHERE.values(), ids=ELSEWHERE.keys())
    async def test_sessions_whose_rows_the_worker_would_not_find(self, engine, sessions, options, sql, problem):
        async with sessions(bind=engine.execution_options(**options)) as session:
            for statement in sql:
                await session.execute(text(statement))
            session.add(Book(id=1, file=pending("new")))
            with pytest.raises(InvalidArgumentException, match=problem):
                await session.flush()

    @pytest.mark.parametrize(("options", "sql"), THE_SAME.values(), ids=THE_SAME.keys())
    async def test_sessions_whose_rows_the_worker_finds(self, engine, sessions, options, sql):
        async with sessions(bind=engine.execution_options(**options)) as session:
            for statement in sql:
                await session.execute(text(statement))
            session.add(book := Book(id=1, file=pending("new")))
            await session.flush()
            assert (await session.get(Book, 1)).file is book.file

    async def test_a_statement_on_another_schema(self, sessions):
        async with sessions() as session:
            with pytest.raises(InvalidArgumentException, match=r"in transactions_\w+\.x for this session"):
                await session.execute(
                    insert(Book).values(id=1, file="mem:x"), execution_options={"schema_translate_map": {None: "x"}}
                )

    async def test_pins_with_a_pool_of_one(self, engine, storage):
        file = await FileLedger(engine, Base.metadata).save(storage, b"content", "name")
        narrow = create_async_engine(engine.url, pool_size=1, max_overflow=0, pool_timeout=1)
        await FileLedger(narrow, Base.metadata).pin(file)
        await narrow.dispose()

    async def test_rows_that_the_worker_may_not_see(self, engine, database_url, ledger):
        await ledger.create()
        async with engine.begin() as connection:
            await connection.execute(text("ALTER TABLE loans ENABLE ROW LEVEL SECURITY"))
        other = create_async_engine(database_url, connect_args={"server_settings": {"role": "pg_read_all_data"}})
        with pytest.raises(SweepRefusedException, match=r"loans\.file hides rows"):
            await FileLedger(other, Base.metadata).sweep()
        await other.dispose()
        async with engine.begin() as connection:
            await connection.execute(text("ALTER TABLE loans DISABLE ROW LEVEL SECURITY"))


class TestClaims:
    async def test_a_file_that_is_being_deleted_is_not_named(self, sessions, storage, ledger, rows):
        [file] = await add(sessions, "one")
        async with sessions.begin() as session:
            (await session.get(Book, 1)).file = None
        storage.held = {"delete"}
        worker = asyncio.create_task(ledger.drain())
        await storage.reached.wait()
        with pytest.raises(FileGoneException, match="being deleted"):
            async with sessions.begin() as session:
                session.add(Book(id=2, file=file))
        storage.go_on.set()
        await worker
        with pytest.raises(FileGoneException, match="no such file"):
            async with sessions.begin() as session:
                session.add(Book(id=2, file=file))
        assert await rows() == {1: None}

    async def test_grace_is_over(self, engine, storage, rows):
        """A file that was saved too long ago is gone, and says so: no row names it."""
        ledger = FileLedger(engine, Base.metadata)
        sessions = enable_file_tracking(async_sessionmaker(engine), ledger=ledger)
        saved = await ledger.save(storage, b"content", "new")
        await settle(ledger)
        assert await files(storage) == set()
        with pytest.raises(FileGoneException):
            async with sessions.begin() as session:
                session.add(Book(id=1, file=saved))
        assert await rows() == {}

    async def test_grace_is_renewed_while_an_upload_goes_on(self, engine, storage, rows):
        ledger = FileLedger(engine, Base.metadata, grace=timedelta(seconds=3))
        sessions = enable_file_tracking(async_sessionmaker(engine), ledger=ledger)
        storage.held = {"new"}

        async def work():
            async with sessions.begin() as session:
                session.add(Book(id=1, file=pending("new")))

        task = asyncio.create_task(work())
        await storage.reached.wait()
        await pass_time(ledger)
        await until(lambda: is_in_force(ledger))
        assert (await ledger.drain()).deleted == 0
        storage.go_on.set()
        await task
        await settle(ledger)
        assert (await rows(), await files(storage)) == ({1: "new"}, {"new"})

    async def test_saved_with_the_ledger(self, sessions, storage, ledger, rows):
        saved = await ledger.save(storage, b"content", "new", folder="a")
        async with sessions.begin() as session:
            session.add(Book(id=1, file=saved))
        await settle(ledger)
        assert (await rows(), await saved.read(), saved.known_size) == ({1: "new"}, b"content", 7)

    async def test_upload_to_a_key_that_is_in_use(self, sessions, storage, ledger, engine):
        table = Table(
            "keyed",
            MetaData(),
            Column("id", Integer, primary_key=True),
            Column("file", FileType("documents", upload_to=lambda target, name: name)),
        )
        ledger = FileLedger(engine, table.metadata)
        sessions = enable_file_tracking(async_sessionmaker(engine), ledger=ledger)
        async with engine.begin() as connection:
            await connection.run_sync(table.metadata.create_all)
        keyed = mapped(table)
        async with sessions.begin() as session:
            session.add(keyed(id=1, file=pending("me")))
        with pytest.raises(FileExistsException):
            async with sessions.begin() as session:
                session.add(keyed(id=2, file=pending("me")))
        await storage.upload(b"somebody else's", "logo")
        with pytest.raises(FileExistsException):
            async with sessions.begin() as session:
                session.add(keyed(id=2, file=pending("logo")))
        await settle(ledger)
        assert await files(storage) == {"me", "logo"}

    async def test_a_statement_writes_a_claimed_file_into_a_column_that_the_ledger_does_not_know(
        self, engine, sessions, rows
    ):
        other = Table("others", MetaData(), Column("id", Integer), Column("file", FileType("documents")))
        async with engine.begin() as connection:
            await connection.run_sync(other.metadata.create_all)
        async with sessions() as session:
            session.add(book := Book(id=1, file=pending("new")))
            await session.flush()
            with pytest.raises(InvalidArgumentException, match=r"does not know the column others\.file"):
                await session.execute(insert(other).values(id=1, file=book.file))

    async def test_a_statement_writes_a_claimed_file_into_a_column_that_keeps(self, sessions, rows, left):
        async with sessions.begin() as session:
            session.add(book := Book(id=1, file=pending("new")))
            await session.flush()
            await session.execute(insert(Book).values(id=2, kept=book.file))
        async with sessions.begin() as session:
            for id_ in (1, 2):
                await session.delete(await session.get(Book, id_))
        assert await left() == {"new"}

    async def test_a_column_that_the_ledger_does_not_know(self, engine, storage, rows):
        other = MetaData()
        Table("others", other, Column("id", Integer, primary_key=True), Column("file", FileType("documents")))
        ledger = FileLedger(engine, other)
        sessions = enable_file_tracking(async_sessionmaker(engine), ledger=ledger)
        with pytest.raises(InvalidArgumentException, match=r"does not know the column books\.file"):
            async with sessions.begin() as session:
                session.add(Book(id=1, file=pending("new")))
        assert await rows() == {}

    @pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
    async def test_sessions_of_another_database(self, sessions, sqlite_template, tmp_path):
        other = create_async_engine(f"sqlite+aiosqlite:///{shutil.copy(sqlite_template, tmp_path / 'other.sqlite')}")
        async with sessions(bind=other) as session:
            session.add(Book(id=1, file=pending("new")))
            with pytest.raises(InvalidArgumentException, match=r"other\.sqlite\.main for this session"):
                await session.flush()
        await other.dispose()

    @pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
    @pytest.mark.parametrize(
        "path", ["{0}/../{0.name}/{1}", "{0}/link/{1}", "file:{0}/{1}?uri=true"], ids=["..", "link", "URI"]
    )
    async def test_the_same_file_by_another_path(self, engine, sessions, rows, tmp_path, path):
        (tmp_path / "link").symlink_to(tmp_path)
        other = create_async_engine(f"sqlite+aiosqlite:///{path.format(tmp_path, 'test.sqlite')}")
        async with sessions(bind=other) as session:
            session.add(Book(id=1, file=pending("new")))
            await session.commit()
        await other.dispose()
        assert await rows() == {1: "new"}

    @pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
    async def test_a_database_beside_it(self, engine, sessions, storage, rows):
        """Binds for each class: no file of one database is looked for in the other."""
        beside = create_async_engine("sqlite+aiosqlite://", poolclass=StaticPool)
        table = Table(
            "others",
            MetaData(),
            Column("id", Integer, primary_key=True),
            Column("file", FileType("documents", on_delete="keep")),
        )
        other = mapped(table)
        async with beside.begin() as connection:
            await connection.run_sync(table.metadata.create_all)
            await connection.execute(insert(table).values(id=1, file="mem:x"))
        async with sessions(binds={other: beside, Book: engine}) as session:
            session.add(Book(id=1, file=pending("new")))
            await session.commit()
            for row in [await session.get(Book, 1), await session.get(other, 1)]:
                await session.delete(row)
            await session.commit()
        await beside.dispose()
        assert await rows() == {}

    async def test_ids_that_the_storage_chooses(self, engine, tmp_path, rows):
        with registry.override("documents", ChosenIdsStorage()):
            ledger = FileLedger(engine, Base.metadata)
            sessions = enable_file_tracking(async_sessionmaker(engine), ledger=ledger)
            await ledger.create()
            [kept] = await add(sessions, "one.txt")
            async with sessions() as session:
                session.add(Book(id=2, file=pending("two.txt")))
                await session.flush()
                left = (await session.get(Book, 2)).file
            await settle(ledger)
            assert (await kept.read(), await left.exists()) == (b"one.txt", False)

    async def test_stored_delete_only_condemns(self, engine, sessions, storage, ledger):
        [file] = await add(sessions, "one")
        await engine.dispose()  # which may be used again, as after a fork
        await file.delete()
        await settle(ledger)
        assert await files(storage) == {"one"}  # a row names it
        async with sessions.begin() as session:
            (await session.get(Book, 1)).kept = await storage.save(b"", "kept")
        async with sessions.begin() as session:
            kept = (await session.get(Book, 1)).kept
            (await session.get(Book, 1)).kept = None
        await settle(ledger)
        assert await files(storage) == {"one", "kept"}
        assert await kept.exists()

    async def test_content_is_never_replaced(self, sessions, ledger):
        [file] = await add(sessions, "one")
        with pytest.raises(OperationNotSupportedException, match="a ledger replaces no files"):
            await file.upload(b"other")

    async def test_two_storages_with_one_id(self, engine, tmp_path):
        metadata = MetaData()
        storages = [LocalStorage(tmp_path / name) for name in "ab"]
        table = Table(
            "two",
            metadata,
            Column("id", Integer, primary_key=True),
            *(Column(name, FileType(storage)) for name, storage in zip("ab", storages, strict=True)),
        )
        ledger = FileLedger(engine, metadata)
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        for storage in storages:
            await storage.upload(b"", "same.txt")
        sessions = enable_file_tracking(async_sessionmaker(engine), ledger=ledger)
        two = mapped(table)
        async with sessions.begin() as session:
            session.add(two(id=1, a="same.txt"))
        with pytest.raises(InvalidArgumentException, match="two storages can hold files of one id"):
            async with sessions.begin() as session:
                session.add(two(id=2, b="same.txt"))


def mapped(table):
    from sqlalchemy.orm import registry as mappers

    return mappers().mapped(type("Mapped", (), {"__table__": table}))


class TestSweep:
    async def test_leaves_what_is_young(self, engine, sessions, storage, ledger):
        await add(sessions, "one")
        async with engine.begin() as connection:
            await connection.execute(text("DELETE FROM books"))
        assert await ledger.sweep(force=True) == 0
        assert await ledger.sweep(AT_ONCE, force=True) == 1

    @pytest.mark.parametrize("what", ["drain", "sweep"])
    async def test_refuses_when_a_table_is_missing(self, engine, sessions, storage, ledger, what):
        await add(sessions, "one")
        async with sessions.begin() as session:
            await session.delete(await session.get(Book, 1))
        async with engine.begin() as connection:
            await connection.execute(text("DROP TABLE loans"))
        with pytest.raises(SweepRefusedException, match=r"loans\.file is mapped"):
            await getattr(ledger, what)()
        assert await files(storage) == {"one"}

    async def test_refuses_when_no_column_is_known(self, engine):
        ledger = FileLedger(engine, MetaData())
        await ledger.create()
        with pytest.raises(SweepRefusedException, match="import the models"):
            await ledger.sweep()

    @pytest.mark.parametrize("what", ["drain", "sweep"])
    async def test_staging_copy_of_the_database_sweeps_the_same_bucket(
        self, engine, sessions, storage, ledger, tmp_path, request, is_sqlite, what
    ):
        await ledger.create()
        await add(sessions, *map(str, range(20)))
        async with sessions.begin() as session:
            await session.delete(await session.get(Book, 1))
        copy = await copy_of(engine, tmp_path, is_sqlite)
        staging = FileLedger(copy, Base.metadata)
        async with copy.begin() as connection:
            await connection.execute(text("DELETE FROM books"))
        with pytest.raises(SweepRefusedException, match="marked by another database"):
            await getattr(staging, what)()
        assert len(await files(storage)) == 20
        assert (await ledger.drain()).deleted == 1
        if what == "sweep":  # the original is lost, and the copy takes its place
            await staging.take_ownership()
            await staging.sweep(AT_ONCE, force=True)
            await staging.drain()
            assert await files(storage) == set()
        await copy.dispose()
        await drop_copy(engine, is_sqlite)

    async def test_a_mark_that_is_lost(self, engine, sessions, storage, ledger):
        await ledger.create()
        [mark] = [info.file_id async for info in storage.list(FOLDER)]
        await storage.delete(mark)
        with pytest.raises(SweepRefusedException, match="lost its mark"):
            await FileLedger(engine, Base.metadata).sweep()

    async def test_a_name_for_the_database(self, engine, storage):
        """The same address in two deployments, such as that of a container."""
        await FileLedger(engine, Base.metadata, owner="production").sweep()
        await FileLedger(engine, Base.metadata, owner="production").sweep()
        with pytest.raises(SweepRefusedException):
            await FileLedger(engine, Base.metadata, owner="staging").sweep()


async def copy_of(engine, tmp_path, is_sqlite):
    if is_sqlite:
        with sqlite3.connect(engine.url.database) as source, sqlite3.connect(tmp_path / "copy.sqlite") as target:
            source.backup(target)
        source.close()
        target.close()
        return create_async_engine(engine.url.set(database=str(tmp_path / "copy.sqlite")))
    name = engine.url.database
    if engine.dialect.name == "mysql":
        return await copy_of_mariadb(engine, f"{name}_copy")
    await engine.dispose()  # a template has no other users
    maintenance = create_async_engine(engine.url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    async with maintenance.connect() as connection:
        await connection.execute(text(f'CREATE DATABASE "{name}_copy" TEMPLATE "{name}"'))
    await maintenance.dispose()
    return create_async_engine(engine.url.set(database=f"{name}_copy"))


async def copy_of_mariadb(engine, name):
    async with engine.connect() as connection:
        await connection.exec_driver_sql(f"CREATE DATABASE {name}")
        for [table] in await connection.exec_driver_sql("SHOW TABLES"):
            await connection.exec_driver_sql(f"CREATE TABLE {name}.{table} LIKE {table}")
            await connection.exec_driver_sql(f"INSERT INTO {name}.{table} SELECT * FROM {table}")
        await connection.commit()
    return create_async_engine(engine.url.set(database=name))


async def drop_copy(engine, is_sqlite):
    if engine.dialect.name == "mysql":
        async with engine.connect() as connection:
            await connection.exec_driver_sql(f"DROP DATABASE {engine.url.database}_copy")
    if is_sqlite or engine.dialect.name == "mysql":
        return
    maintenance = create_async_engine(engine.url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    async with maintenance.connect() as connection:
        await connection.execute(text(f'DROP DATABASE "{engine.url.database}_copy" WITH (FORCE)'))
    await maintenance.dispose()


class TestKept:
    async def test_adopt(self, engine, storage, ledger, rows):
        untracked = async_sessionmaker(engine)
        saved = [await storage.save(b"", name) for name in "abc"]
        async with untracked.begin() as session:
            session.add_all([Book(id=1, file=saved[0], kept=saved[1]), Loan(id=1, file=saved[0])])
        async with engine.begin() as connection:
            await connection.execute(text("INSERT INTO loans (id, file) VALUES (2, :key)"), {"key": saved[2].name})
        assert await ledger.adopt() == 3
        assert await ledger.adopt(Base.metadata) == 0
        async with engine.begin() as connection:
            await connection.execute(text("DELETE FROM loans"))
            await connection.execute(text("DELETE FROM books"))
        await settle(ledger)
        assert await files(storage) == {"b"}  # that of a column with on_delete="keep"

    async def test_rows_that_were_not_adopted(self, engine, sessions, storage, ledger):
        async with async_sessionmaker(engine).begin() as session:
            session.add(Book(id=1, file=await storage.save(b"", "old")))
        async with sessions.begin() as session:
            (await session.get(Book, 1)).file = pending("new")
        await ledger.drain()
        assert await files(storage) == {"new"}

    async def test_pin(self, storage, ledger):
        saved = await storage.save(b"", "pinned")
        await ledger.pin(saved)
        await settle(ledger)
        assert (await files(storage), (await ledger.stats()).pinned) == ({"pinned"}, 1)
        await ledger.unpin(saved)
        await settle(ledger)
        assert await files(storage) == set()

    async def test_pin_what_is_not_there(self, ledger, storage):
        with pytest.raises(FileGoneException):
            await ledger.pin("mem:nowhere", storage)

    @pytest.mark.parametrize("is_async", [True, False], ids=["async", "sync"])
    async def test_references_elsewhere(self, engine, storage, is_async):
        used = set()

        def ask(connection, ids):
            return used & set(ids)

        async def ask_later(connection, ids):
            await asyncio.sleep(0)
            return used & set(ids)

        ledger = FileLedger(engine, Base.metadata, references=[ask_later if is_async else ask])
        saved = await ledger.save(storage, b"", "elsewhere")
        used.add(saved.file_id)
        await settle(ledger)
        assert await files(storage) == {"elsewhere"}
        used.clear()
        await settle(ledger)
        assert await files(storage) == set()

    async def test_statistics(self, sessions, storage, ledger):
        await add(sessions, "one", "two")
        await ledger.save(storage, b"", "saved")
        async with sessions.begin() as session:
            await session.delete(await session.get(Book, 1))
        stats = await ledger.stats()
        assert (stats.live, stats.doomed, stats.deleting, stats.pinned) == (1, 1, 0, 0)
        assert stats.uploading >= 1
        assert stats.overdue >= 0
        assert "books.file" in stats.unindexed
        assert "books.shared" not in stats.unindexed

    async def test_says_once_when_an_index_is_missing(self, sessions, ledger, caplog):
        await ledger.drain()
        await add(sessions, "one")
        async with sessions.begin() as session:
            await session.delete(await session.get(Book, 1))
        assert (await ledger.drain()).deleted == 1
        told = [each.getMessage() for each in caplog.records if "books.file has no index" in each.getMessage()]
        assert told == ["books.file has no index: its table is read whole to see whether rows name a file"]


class Encrypted(FileType):
    def process_bind_param(self, value, dialect):
        return "secret"


class EncryptedList(FileListType):
    def process_bind_param(self, value, dialect):
        return ["secret"]


class EncryptedText(TypeDecorator):
    impl = Unicode
    cache_ok = True


class OfEncryptedText(FileType):
    impl = EncryptedText


class Wrapped(TypeDecorator):
    impl = ARRAY(FileType("documents"))
    cache_ok = True


UNREADABLE = {
    "a subclass that changes the id": Encrypted(),
    "a subclass that changes the list": EncryptedList(),
    "a list of a subclass": type("Secrets", (FileListType,), {"item_class": Encrypted})(),
    "a subclass of another text": OfEncryptedText(),
    "a variant that changes the id": FileType().with_variant(Encrypted(), "postgresql"),
    "a variant of another type": FileType().with_variant(EncryptedText(), "postgresql"),
    "a type around it": Wrapped(),
    "hstore": HSTORE(FileType()),
}
READABLE = {
    "a file": FileType(),
    "a list": FileListType(),
    "an array": ARRAY(FileType()),
    "arrays of arrays": ARRAY(FileType(), dimensions=2),
    "a variant": FileType().with_variant(ARRAY(FileType()), "postgresql"),
    "no files": JSON(),
}


class TestRefused:
    @pytest.fixture
    def database_url(self, tmp_path):
        return f"sqlite+aiosqlite:///{tmp_path / 'never made.sqlite'}"

    @pytest.mark.parametrize("type_", UNREADABLE.values(), ids=UNREADABLE.keys())
    async def test_columns_that_cannot_be_looked_into(self, engine, type_):
        metadata = MetaData()
        Table("table", metadata, Column("id", Integer, primary_key=True), Column("hidden", type_))
        with pytest.raises(InvalidArgumentException, match=r"table\.hidden holds files in a way"):
            FileLedger(engine, metadata)

    @pytest.mark.parametrize("type_", READABLE.values(), ids=READABLE.keys())
    async def test_columns_that_can(self, engine, type_):
        metadata = MetaData()
        Table("table", metadata, Column("id", Integer, primary_key=True), Column("seen", type_))
        FileLedger(engine, metadata)

    @pytest.mark.parametrize(
        "url",
        ["sqlite+aiosqlite://", "sqlite+aiosqlite:///:memory:", "sqlite+aiosqlite:///file:x.sqlite?uri=true"],
    )
    async def test_sqlite_in_memory(self, url):
        engine = create_async_engine(url)
        with pytest.raises(InvalidArgumentException, match="a file of its own"):
            FileLedger(engine, Base.metadata)

    @pytest.mark.parametrize(
        "options",
        [
            {"grace": timedelta(0)},
            {"retain": timedelta(-1)},
            {"lease": timedelta(0)},
            {"concurrency": 0},
            {"metadata": "Base"},
            {"metadata": []},
        ],
        ids=["grace", "retain", "lease", "concurrency", "metadata", "no metadata"],
    )
    async def test_options(self, engine, options):
        with pytest.raises(InvalidArgumentException):
            FileLedger(engine, **{"metadata": Base, **options})


async def test_its_connections_are_made_as_those_of_the_engine(engine, ledger):
    """Also what is said after the ledger was made, such as a search path."""
    seen = []
    event.listen(engine.sync_engine, "connect", lambda *_: seen.append("a connection"))
    await ledger.create()
    assert seen


def test_two_event_loops(sqlite_template, tmp_path, storage):
    """An engine without a pool may be used in several, and so may its ledger."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{shutil.copy(sqlite_template, tmp_path)}", poolclass=NullPool)
    ledger = FileLedger(engine, Base.metadata)
    sessions = enable_file_tracking(async_sessionmaker(engine), ledger=ledger)
    for _ in range(2):
        asyncio.run(add(sessions, "new"))
        asyncio.run(empty(sessions))
    asyncio.run(settle(ledger))
    assert asyncio.run(files(storage)) == set()


async def empty(sessions):
    async with sessions.begin() as session:
        await session.execute(delete(Book))


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
async def test_isolation_levels(postgres_database, storage, driver, isolation):
    url = postgres_database.replace("+asyncpg", f"+{driver}")
    engine = create_async_engine(url, isolation_level=isolation)
    ledger = FileLedger(engine, Base.metadata)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    sessions = enable_file_tracking(async_sessionmaker(engine), ledger=ledger)
    async with sessions() as session:
        assert list(await session.scalars(select(Book))) == []  # the snapshot is older than the upload
        session.add(Book(id=1, file=pending("old")))
        await session.commit()
    async with sessions() as session:
        book = await session.get(Book, 1)
        book.file = pending("new")
        session.add(Book(id=2, file=await storage.save(b"", "saved")))
        await session.flush()
        await ledger.drain()  # a worker in the middle
        await session.commit()
    async with sessions() as session:
        (await session.get(Book, 1)).file = pending("rolled back")
        await session.flush()
        await session.rollback()
    await settle(ledger)
    assert await files(storage) == {"new", "saved"}
    await engine.dispose()


class TestPlainSessions:
    """With explicit ids the ledger serves a synchronous Session."""

    @pytest.fixture(params=["sqlite", "postgresql"])
    def sync_engine(self, request, tmp_path):
        url = f"sqlite:///{tmp_path / 'sync.sqlite'}"
        if request.param == "postgresql":
            url = request.getfixturevalue("postgres_database").replace("+asyncpg", "+psycopg")
        engine = create_engine(url)
        Base.metadata.create_all(engine)
        yield engine
        engine.dispose()

    @pytest.fixture
    def sync_ledger(self, sync_engine, storage):
        return FileLedger(sync_engine, Base.metadata)

    def test_ids(self, sync_engine, sync_ledger, storage):
        sessions = enable_file_tracking(sessionmaker(sync_engine), ledger=sync_ledger)
        asyncio.run(sync_ledger.create())
        old, new, lost = (asyncio.run(sync_ledger.save(storage, b"", name)) for name in ("old", "new", "lost"))
        with sessions.begin() as session:
            session.add(Book(id=1, file=old))
        with sessions.begin() as session:
            session.get(Book, 1).file = new
        with sessions() as session:
            session.get(Book, 1).file = lost
            session.flush()
        with pytest.raises(FileGoneException), sessions.begin() as session:
            session.get(Book, 1).file = "mem:nowhere"
        asyncio.run(settle(sync_ledger))
        assert asyncio.run(files(storage)) == {"new"}

    def test_a_ledger_for_async_sessions_says_so(self, sync_engine, storage, tmp_path):
        engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'sync.sqlite'}")
        ledger = FileLedger(engine, Base.metadata)
        asyncio.run(ledger.create())
        asyncio.run(engine.dispose())
        Base.metadata.create_all(sync_engine)
        sessions = enable_file_tracking(sessionmaker(sync_engine), ledger=ledger)
        with pytest.raises(InvalidArgumentException, match="AsyncEngine"), sessions.begin() as session:
            session.add(Book(id=1, file="mem:x"))


WORK = {
    "stats": lambda ledger, storage: ledger.stats(),
    "drain": lambda ledger, storage: ledger.drain(),
    "save": lambda ledger, storage: ledger.save(storage, b"", "a.txt"),
}


@pytest.mark.parametrize("work", WORK.values(), ids=WORK)
async def test_a_missing_table_says_how_it_is_made(postgres_database, storage, work):
    engine = create_async_engine(postgres_database)
    ledger = FileLedger(engine, Base.metadata, name="not_made")
    try:
        with pytest.raises(StorageException, match=r"'not_made\w*' is not in the database.*ledger\.create\(\)"):
            await work(ledger, storage)
    finally:
        await ledger.aclose()
        await engine.dispose()
        for table in [table for name, table in Base.metadata.tables.items() if name.startswith("not_made")]:
            Base.metadata.remove(table)
