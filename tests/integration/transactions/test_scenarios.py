"""Rows and files in each scenario of the design notes, without a ledger and with one."""

import asyncio
import shutil
from contextlib import suppress

import pytest
from sqlalchemy import bindparam, delete, event, func, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, with_loader_criteria
from sqlalchemy.sql import Delete
from sqlalchemy.util import await_only

from async_storages import (
    FileGoneException,
    InvalidArgumentException,
    StorageUnavailableException,
    StoredFile,
    events,
    registry,
)
from async_storages.integrations.sqlalchemy import enable_file_tracking
from tests.support.databases import LOST, cut_connection, only_servers
from tests.support.ledgers import only_level_1, only_level_2
from tests.support.tracked import Album, Book, Loan, Shelf, files, pending

OLD = {"old", "old-deferred", "old-kept"}


class Stop(Exception):
    """An error of a request handler."""


class TestCommit:
    @pytest.mark.parametrize("expire_on_commit", [True, False], ids=["expired", "not expired"])
    @pytest.mark.parametrize("flush", [True, False], ids=["flush then commit", "commit"])
    async def test_new_kept(self, engine, track, rows, flush, expire_on_commit, left):
        sessions = track(async_sessionmaker(engine, expire_on_commit=expire_on_commit))
        async with sessions() as session:
            session.add(book := Book(id=1, file=pending("new")))
            if flush:
                await session.flush()
            await session.commit()
            await session.refresh(book)
            assert await book.file.read() == b"new"
        assert (await rows(), await left()) == ({1: "new"}, {"new"})

    async def test_saved_file_kept(self, sessions, storage, rows, left):
        async with sessions.begin() as session:
            session.add(Book(id=1, file=await storage.save(b"", "new")))
        assert (await rows(), await left()) == ({1: "new"}, {"new"})


async def rollback(session):
    await session.flush()
    await session.rollback()


async def close(session):
    await session.flush()
    await session.close()


async def never_flushed(session):
    await session.close()


async def fail(session):
    await session.flush()
    raise Stop


async def violate(session):
    session.add_all([Book(title="same"), Book(title="same")])
    with pytest.raises(IntegrityError):
        await session.commit()


async def violate_in_flush(session):
    session.add_all([Book(title="same"), Book(title="same")])
    with pytest.raises(IntegrityError):
        await session.flush()
    await session.rollback()


ENDINGS = {
    "rollback": rollback,
    "close without commit": never_flushed,
    "exception inside async with": fail,
    "flush then close": close,
    "IntegrityError": violate,
    "IntegrityError in flush": violate_in_flush,
}


class TestNoCommit:
    @pytest.mark.parametrize("end", ENDINGS.values(), ids=ENDINGS.keys())
    async def test_new_removed_old_kept(self, sessions, storage, book, rows, end, left):
        with suppress(Stop):
            async with sessions() as session:
                found = await session.get(Book, 1)
                found.file, found.shared = pending("new"), await storage.save(b"", "saved")
                await end(session)
        assert (await rows(), await left()) == ({1: "old"}, OLD)

    async def test_exception_before_the_flush(self, sessions, storage, left):
        async def work():
            async with sessions.begin() as session:
                session.add(Book(file=await storage.save(b"", "new")))
                raise Stop

        with pytest.raises(Stop):
            await work()
        assert await left() == set()

    async def test_connection_lost_at_commit(self, engine, sessions, book, rows, is_sqlite, left):
        async with sessions() as session:
            (await session.get(Book, 1)).file = pending("new")
            await session.flush()
            await lose_connection(engine, session, is_sqlite)
            with pytest.raises((*LOST, Stop)):
                await session.commit()
        await engine.dispose()  # SQLAlchemy keeps a connection whose commit failed, and SQLite its transaction
        assert (await rows(), await left()) == ({1: "old"}, OLD)

    async def test_the_answer_lost_at_commit(self, engine, sessions, book, rows, left):
        """The database has committed, and the row must not name a file that is removed."""
        async with sessions() as session:
            (await session.get(Book, 1)).file = pending("new")
            await session.flush()
            connection = (await session.connection()).sync_connection
            dialect, commit = connection.dialect, connection.dialect.do_commit

            def commit_and_fail(dbapi_connection):
                commit(dbapi_connection)
                raise Stop

            dialect.do_commit = commit_and_fail
            with pytest.raises(Stop):
                await session.commit()
            dialect.do_commit = commit
        assert (await rows(), await left()) == ({1: "new"}, OLD - {"old"} | {"new"})


async def lose_connection(engine, session, is_sqlite):
    if is_sqlite:  # nothing can cut a connection to a file: the commit fails before it is sent

        @event.listens_for((await session.connection()).sync_connection, "commit")
        def refuse(connection):
            raise Stop

        return
    await cut_connection(engine, session)


class TestUploads:
    async def test_upload_fails(self, sessions, storage, rows, left):
        storage.refused = {"new"}
        with pytest.raises(StorageUnavailableException):
            async with sessions.begin() as session:
                session.add(Book(id=1, file=pending("new")))
        assert (await rows(), await left()) == ({}, set())

    async def test_second_of_two_uploads_fails(self, sessions, storage, rows, left):
        storage.refused = {"second"}
        with pytest.raises(StorageUnavailableException):
            async with sessions.begin() as session:
                session.add_all([Book(id=1, file=pending("first")), Book(id=2, file=pending("second"))])
        assert (await rows(), await left()) == ({}, set())

    @pytest.mark.parametrize("held", ["new", "write"], ids=["cancelled while uploading", "cancelled in flush"])
    async def test_cancelled(self, sessions, storage, rows, held, left):
        storage.held = {held}

        async def work():
            async with sessions() as session:
                session.add_all([Book(id=1, file=pending("first")), Book(id=2, file=pending("new"))])
                await session.commit()

        task = asyncio.create_task(work())
        await storage.reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        storage.held.clear()
        assert (await rows(), await left()) == ({}, set())

    @pytest.mark.parametrize("when", ["before", "after"])
    async def test_cancelled_at_commit(self, sessions, book, rows, when, left):
        """Before or after the database has committed: nobody has heard its answer."""
        asked = asyncio.Event()

        async def work():
            async with sessions() as session:
                (await session.get(Book, 1)).file = pending("new")
                await session.flush()
                dialect = (await session.connection()).sync_connection.dialect
                commit = dialect.do_commit

                def wait(dbapi_connection):
                    dialect.do_commit = commit
                    if when == "after":
                        commit(dbapi_connection)
                    asked.set()
                    await_only(asyncio.Event().wait())

                dialect.do_commit = wait
                await session.commit()

        task = asyncio.create_task(work())
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        now = "old" if when == "before" else "new"
        assert (await rows(), await left()) == ({1: now}, OLD - {"old"} | {now})

    @only_level_1
    async def test_cancelled_while_old_files_are_removed(self, sessions, storage, book, rows, left):
        storage.held = {"delete"}

        async def work():
            async with sessions() as session:
                (await session.get(Book, 1)).file = pending("new")
                await session.commit()

        task = asyncio.create_task(work())
        await storage.reached.wait()
        task.cancel()
        await asyncio.sleep(0)
        storage.go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await rows(), await left()) == ({1: "new"}, OLD - {"old"} | {"new"})


class TestSavepoints:
    async def test_released_and_outer_commit(self, sessions, rows, left):
        async with sessions.begin() as session:
            session.add(Book(id=1, file=pending("outer")))
            async with session.begin_nested():
                session.add(Book(id=2, file=pending("inner")))
        assert (await rows(), await left()) == ({1: "outer", 2: "inner"}, {"outer", "inner"})

    async def test_released_and_outer_rollback(self, sessions, book, rows, left):
        async with sessions() as session:
            async with session.begin_nested():
                (await session.get(Book, 1)).file = pending("inner")
            await session.rollback()
        assert (await rows(), await left()) == ({1: "old"}, OLD)

    async def test_inner_rolled_back_and_outer_commit(self, sessions, book, rows, left):
        async with sessions.begin() as session:
            session.add(Book(id=2, file=pending("outer")))
            inner = await session.begin_nested()
            (await session.get(Book, 1)).file = pending("inner")
            await session.flush()
            await inner.rollback()
        assert (await rows(), await left()) == ({1: "old", 2: "outer"}, OLD | {"outer"})

    async def test_integrity_error_in_a_savepoint(self, sessions, book, rows, left):
        async with sessions.begin() as session:
            session.add(Book(id=2, title="same", file=pending("outer")))
            await session.flush()
            with pytest.raises(IntegrityError):
                async with session.begin_nested():
                    session.add(Book(id=3, title="same", file=pending("inner")))
        assert (await rows(), await left()) == ({1: "old", 2: "outer"}, OLD | {"outer"})

    async def test_a_file_of_a_rolled_back_savepoint_may_be_named_again(self, sessions, storage, rows, left):
        saved = await storage.save(b"", "new")
        async with sessions.begin() as session:
            inner = await session.begin_nested()
            session.add(Book(id=1, file=saved))
            await session.flush()
            await inner.rollback()
            session.add(Book(id=2, file=saved))
        assert (await rows(), await left()) == ({2: "new"}, {"new"})


async def replace(session):
    (await session.get(Book, 1)).file = pending("new")


async def replace_by_an_id(session):
    (await session.get(Book, 1)).file = await registry.get("documents").upload(b"", "plain")


async def set_to_none(session):
    (await session.get(Book, 1)).file = None


async def delete_row(session):
    await session.delete(await session.get(Book, 1))


async def orphan(session):
    shelf = Shelf(books=[await session.get(Book, 1)])
    session.add(shelf)
    await session.flush()
    shelf.books.clear()


async def replace_expired(session):
    book = await session.get(Book, 1)
    session.expire(book)
    book.file = pending("new")


async def replace_deferred(session):
    (await session.get(Book, 1)).deferred = pending("new")


async def replace_twice(session):
    book = await session.get(Book, 1)
    book.file = pending("superseded")
    await session.flush()
    book.file = pending("new")


async def replace_in_savepoint(session):
    async with session.begin_nested():
        await replace(session)


async def replace_kept(session):
    (await session.get(Book, 1)).kept = pending("new")


async def change_and_orphan(session):
    shelf = Shelf(books=[await session.get(Book, 1)])
    session.add(shelf)
    await session.flush()
    shelf.books[0].file = pending("new")
    shelf.books.clear()


REPLACEMENTS = {
    "replace": (replace, {"new", "old-deferred", "old-kept"}),
    "replace by an id": (replace_by_an_id, {"plain", "old-deferred", "old-kept"}),
    "set to None": (set_to_none, {"old-deferred", "old-kept"}),
    "delete row": (delete_row, {"old-kept"}),
    "delete-orphan cascade": (orphan, {"old-kept"}),
    "delete-orphan cascade of a changed object": (change_and_orphan, {"old-kept"}),
    "replace on an expired instance": (replace_expired, {"new", "old-deferred", "old-kept"}),
    "replace on a deferred column": (replace_deferred, {"old", "new", "old-kept"}),
    "replace twice in one transaction": (replace_twice, {"new", "old-deferred", "old-kept"}),
    "replace in a released savepoint": (replace_in_savepoint, {"new", "old-deferred", "old-kept"}),
    "replace with on_delete=keep": (replace_kept, OLD | {"new"}),
}


class TestOldFiles:
    @pytest.mark.parametrize(("change", "expected"), REPLACEMENTS.values(), ids=REPLACEMENTS.keys())
    async def test_kept_after_rollback_and_removed_after_commit(
        self, sessions, storage, book, rows, change, expected, left
    ):
        async with sessions() as session:
            await change(session)
            await session.flush()
            await session.rollback()
            assert (await rows(), await left()) == ({1: "old"}, OLD | (expected & {"plain"}))
            await change(session)
            await session.flush()
            assert await files(storage) >= OLD
            await session.commit()
        assert await left() == expected


class TestMoves:
    async def test_delete_and_add_of_the_same_id(self, sessions, book, rows, left):
        async with sessions.begin() as session:
            first = await session.get(Book, 1)
            session.add(Book(id=1, file=first.file))
            await session.delete(first)
        assert (await rows(), await left()) == ({1: "old"}, OLD)  # SQLAlchemy lets the row be, and the other columns

    @pytest.mark.parametrize("flushes", [1, 2])
    async def test_move_an_id_between_rows(self, sessions, book, rows, flushes, left):
        async with sessions.begin() as session:
            first = await session.get(Book, 1)
            file, first.file = first.file, None
            if flushes == 2:
                await session.flush()
            session.add(Book(id=2, file=file))
        assert (await rows(), await left()) == ({1: None, 2: "old"}, OLD)

    @pytest.mark.parametrize("class_", [Book, Loan], ids=["a second row", "two tables"])
    async def test_shared_until_the_last_one_goes(self, sessions, storage, class_, left):
        async with sessions.begin() as session:
            file = await storage.save(b"", "shared")
            session.add_all([Book(id=1, shared=file), class_(id=2, shared=file)])
        async with sessions.begin() as session:
            await session.delete(await session.get(Book, 1))
        assert await left() == {"shared"}
        async with sessions.begin() as session:
            await session.delete(await session.get(class_, 2))
        assert await left() == set()


WAITING = {
    "postgresql": text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"),
    "mysql": text("SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"),
}


class TestTwoSessions:
    async def test_replace_one_row(self, sessions, book, rows, is_sqlite, left):
        async def work(name):
            async with sessions.begin() as session:
                (await session.get(Book, 1)).file = pending(name)

        done = await asyncio.gather(work("one"), work("two"), return_exceptions=True)
        winner = (await rows())[1]
        assert winner in {"one", "two"}
        assert is_sqlite or done == [None, None]
        assert await left() == OLD - {"old"} | {winner}

    async def test_the_second_waits_for_what_the_first_names(self, engine, sessions, book, rows, is_sqlite, left):
        async with sessions() as one, sessions() as two, engine.connect() as watcher:
            (await one.get(Book, 1)).file = pending("one")
            if not is_sqlite:  # which has one writer at a time
                (await two.get(Book, 1)).file = pending("two")
            await one.flush()
            second = asyncio.create_task(two.commit())
            while not is_sqlite and not await watcher.scalar(WAITING[engine.dialect.name]):
                await watcher.rollback()
                await asyncio.sleep(0.2)  # MariaDB looks again only if nobody has asked for 0.1 s
            await one.commit()
            await second
        last = "one" if is_sqlite else "two"
        assert (await rows(), await left()) == ({1: last}, OLD - {"old"} | {last})

    async def test_a_file_that_both_name_stays_if_one_commits(self, engine, sessions, storage, rows, is_sqlite, left):
        saved = await storage.save(b"", "new")
        async with sessions() as one, sessions() as two, engine.connect() as watcher:
            one.add(Book(id=1, file=saved))
            await one.flush()
            if is_sqlite:  # which has one writer at a time
                await one.rollback()
            two.add(Book(id=2, file=saved if not is_sqlite else (saved := await storage.save(b"", "new"))))
            second = asyncio.create_task(two.flush())
            while not (
                is_sqlite or second.done() or await watcher.scalar(WAITING[engine.dialect.name])
            ):  # with a ledger it waits for the first
                await watcher.rollback()
                await asyncio.sleep(0.2)  # MariaDB looks again only if nobody has asked for 0.1 s
            await one.rollback()
            await second
            await two.commit()
        assert (await rows(), await left()) == ({2: "new"}, {"new"})


async def passive_delete(session):
    await session.delete(await session.get(Shelf, 1))


async def text_delete(session):
    await session.execute(text("DELETE FROM loans"))


async def raw_sql(session):
    await (await session.connection()).exec_driver_sql("DELETE FROM loans")


async def bulk_update_mappings(session):
    await session.run_sync(lambda sync: sync.bulk_update_mappings(Loan, [{"id": 1, "file": None}]))


class TestUnseen:
    @pytest.mark.parametrize("change", [text_delete, raw_sql, bulk_update_mappings, passive_delete])
    async def test_left_without_a_ledger(self, sessions, change, left, level):
        async with sessions.begin() as session:
            session.add(Shelf(id=1, loans=[Loan(id=1, file=pending("old"))]))
        async with sessions() as session:
            await change(session)
            await session.commit()
            assert await session.scalar(select(Loan.file)) is None
        assert await left() == ({"old"} if level == 1 else set())


RETURNING = delete(Book).returning(Book.id)
BULK = {
    "bulk delete": (delete(Book).where(Book.id == 1), {"old-kept"}),
    "bulk update": (update(Book).where(Book.id == 1).values(file=None), {"old-deferred", "old-kept"}),
    "bulk update of another column": (update(Book).where(Book.id == 1).values(title="x"), OLD),
    "Core delete": (delete(Book.__table__).where(Book.__table__.c.id == 1), {"old-kept"}),
    "Core update": (update(Book.__table__).values(file=None), {"old-deferred", "old-kept"}),
    "bulk delete of none": (delete(Book).where(Book.id == 2), OLD),
    "with RETURNING": (RETURNING, {"old-kept"}),
}
REFUSED = {
    "an SQL expression": update(Book).values(file=func.lower("mem:X")),
    "pending content": update(Book).values(file=pending("new")),
}
MANY = {
    "ORM": delete(Book).where(Book.id == bindparam("x")),
    "Core": delete(Book.__table__).where(Book.__table__.c.id == bindparam("x")),
    "one file for many": update(Book.__table__).where(Book.__table__.c.id == bindparam("x")).values(file=None),
}


class TestBulkStatements:
    @pytest.mark.parametrize(("statement", "expected"), BULK.values(), ids=BULK.keys())
    async def test_kept_after_rollback_and_removed_after_commit(
        self, engine, sessions, storage, book, rows, statement, expected, left
    ):
        if statement is RETURNING:
            async with engine.connect() as connection:  # a dialect knows its server once it is connected
                if not connection.dialect.delete_returning:
                    pytest.skip("MySQL has no RETURNING")
        async with sessions() as session:
            await session.execute(statement)
        assert (await rows(), await left()) == ({1: "old"}, OLD)
        async with sessions() as session:
            await session.execute(statement)
            assert await files(storage) == OLD
            await session.commit()
        assert await left() == expected

    @pytest.mark.parametrize("statement", REFUSED.values(), ids=REFUSED.keys())
    async def test_refused(self, sessions, book, rows, statement, left):
        async with sessions() as session:
            with pytest.raises(ValueError, match="execute: "):
                await session.execute(statement)
            await session.commit()
        assert (await rows(), await left()) == ({1: "old"}, OLD)

    @pytest.mark.parametrize("statement", MANY.values(), ids=MANY.keys())
    async def test_a_list_of_parameters(self, sessions, book, left, statement):
        async with sessions.begin() as session:
            with pytest.raises(InvalidArgumentException, match="execute it once for each"):
                await session.execute(statement, [{"x": 1}, {"x": 2}])
            await session.execute(statement, {"x": 1})
        assert "old" not in await left()

    async def test_criteria_that_change_on_the_way(self, sessions, book, rows, left):
        async with sessions() as session:

            @event.listens_for(session.sync_session, "do_orm_execute")
            def only_mine(state):
                if state.is_delete:
                    state.statement = state.statement.where(Book.id > 1)

            await session.execute(delete(Book))
            await session.commit()
        assert (await rows(), await left()) == ({1: "old"}, OLD)

    async def test_a_session_that_reads_elsewhere(self, engine, track, book, rows, left, tmp_path, sqlite_template):
        """The recipe for replicas: see "Custom Vertical Partitioning" in SQLAlchemy's documentation."""
        replica = create_async_engine(f"sqlite+aiosqlite:///{shutil.copy(sqlite_template, tmp_path)}")

        class Routing(Session):
            def get_bind(self, mapper=None, *, clause=None, **_):
                is_writing = self._flushing or isinstance(clause, Delete)
                return (engine if is_writing else replica).sync_engine

        async with track(async_sessionmaker(sync_session_class=Routing)).begin() as session:
            await session.execute(delete(Book))
        await replica.dispose()
        assert (await rows(), await left()) == ({}, {"old-kept"})

    async def test_criteria_that_an_option_takes_away(self, sessions, book, rows, left):
        """The recipe for rows that are only marked as deleted, and how they are deleted for good."""
        async with sessions.begin() as session:

            @event.listens_for(session.sync_session, "do_orm_execute")
            def hide(state):
                if state.is_select and not state.execution_options.get("with_hidden"):
                    state.statement = state.statement.options(with_loader_criteria(Book, Book.title.is_not(None)))

            assert await session.scalar(select(Book)) is None
            await session.execute(delete(Book), execution_options={"with_hidden": True})
        assert (await rows(), await left()) == ({}, {"old-kept"})


class TestMapperEvents:
    """Their assignments come after the flush has begun."""

    @pytest.fixture
    def writing(self):
        """Listeners for each object of a class before its row is written."""
        listeners = []

        def writing(class_, see):
            for name in ("before_insert", "before_update"):
                event.listen(class_, name, listener := lambda mapper, connection, target: see(target))
                listeners.append((class_, name, listener))

        yield writing
        for listener in listeners:
            event.remove(*listener)

    @pytest.mark.parametrize("is_committed", [True, False], ids=["commit", "rollback"])
    async def test_a_new_object(self, sessions, storage, rows, left, writing, is_committed):
        new = await storage.save(b"", "new")
        writing(Book, lambda book: setattr(book, "file", new))
        async with sessions() as session:
            session.add(Book(id=1, file=pending("superseded")))
            await session.flush()
            await (session.commit() if is_committed else session.rollback())
        assert (await rows(), await left()) == (({1: "new"}, {"new"}) if is_committed else ({}, set()))

    async def test_a_changed_object(self, sessions, storage, book, rows, left, writing):
        new = await storage.save(b"", "new")
        writing(Book, lambda book: setattr(book, "file", new))
        async with sessions.begin() as session:
            (await session.get(Book, 1)).title = "changed"
        assert (await rows(), await left()) == ({1: "new"}, OLD - {"old"} | {"new"})

    async def test_the_same_file_again(self, sessions, storage, rows, left, writing):
        new = await storage.save(b"", "new")
        writing(Book, lambda book: setattr(book, "file", new.file_id))
        async with sessions.begin() as session:
            session.add(Book(id=1, file=new))
        assert (await rows(), await left()) == ({1: "new"}, {"new"})

    async def test_the_old_file_back(self, sessions, book, rows, left, writing):
        async with sessions.begin() as session:
            found = await session.get(Book, 1)
            old, found.file = found.file, pending("new")
            writing(Book, lambda book: setattr(book, "file", old))
        assert (await rows(), await left()) == ({1: "old"}, OLD)

    async def test_a_file_that_others_share(self, sessions, storage, left, writing):
        one, two = [await storage.save(b"", name) for name in ("one", "two")]
        async with sessions.begin() as session:
            session.add_all([Book(id=1, shared=one), Book(id=2, shared=one)])
        writing(Book, lambda book: setattr(book, "shared", two))
        async with sessions.begin() as session:
            (await session.get(Book, 1)).title = "changed"
        assert await left() == {"one", "two"}

    async def test_a_list_that_is_changed(self, sessions, storage, left, writing):
        second = await storage.save(b"", "second")
        writing(Album, lambda album: album.pages.append(second) if len(album.pages) == 1 else album.pages.pop(0))
        async with sessions.begin() as session:
            session.add(Album(id=1, pages=[pending("first")]))
        assert await left() == {"first", "second"}
        async with sessions.begin() as session:
            album = await session.get(Album, 1)
            album.pages.append(pending("third"))
        assert await left() == {"second", "third"}

    async def test_content_is_too_late(self, sessions, rows, left, writing):
        writing(Book, lambda book: setattr(book, "file", pending("new")))
        with pytest.raises(InvalidArgumentException, match="before the flush"):
            async with sessions.begin() as session:
                session.add(Book(id=1))
        assert (await rows(), await left()) == ({}, set())


class TestUnflushed:
    async def test_merge(self, sessions, book, left):
        async with sessions() as session:
            merged = await session.merge(Book(id=1, title="x"))
            await session.commit()
            await session.refresh(merged)
            assert merged.file.filename == "old"
        assert await left() == OLD

    async def test_refresh_with_a_pending_value(self, sessions, book, left):
        async with sessions() as session:
            book = await session.get(Book, 1)
            book.file = pending("new")
            await session.refresh(book)
            await session.commit()
        assert await left() == OLD

    async def test_expunge_before_flush(self, sessions, storage, book, left):
        async with sessions() as session:
            (book := await session.get(Book, 1)).file = pending("new")
            session.expunge(book)
            session.add(other := Book(file=await storage.save(b"", "saved")))
            session.expunge(other)
        assert await left() == OLD | {"saved"}

    async def test_object_never_added(self, sessions, book, left):
        async with sessions.begin():
            Book(file=pending("new"))
        assert await left() == OLD


class TestOuterTransaction:
    """The recipe for tests: see "Joining a Session into an External Transaction" in SQLAlchemy's documentation."""

    @pytest.fixture
    async def connection(self, engine, is_sqlite):
        async with engine.connect() as connection:
            yield connection

    async def work(self, connection, track):
        sessions = track(
            async_sessionmaker(bind=connection, join_transaction_mode="create_savepoint", expire_on_commit=False)
        )
        async with sessions() as session:
            session.add(other := Book(id=2, file=pending("first")))
            await session.commit()
            (await session.get(Book, 1)).file = pending("new")
            async with session.begin_nested():
                other.file = pending("second")
            await session.commit()

    async def test_new_removed_at_the_outer_rollback(self, connection, track, storage, book, rows, left):
        outer = await connection.begin()
        await self.work(connection, track)
        assert await files(storage) == OLD | {"first", "new", "second"}
        await outer.rollback()
        assert (await rows(), await left()) == ({1: "old"}, OLD)

    async def test_old_removed_at_the_outer_commit(self, connection, track, storage, book, rows, left):
        async with connection.begin():
            await self.work(connection, track)
            assert await files(storage) == OLD | {"first", "new", "second"}
        await connection.close()
        assert await left() == OLD - {"old"} | {"new", "second"}
        assert await rows() == {1: "new", 2: "second"}

    async def test_a_savepoint_of_the_connection_rolled_back(self, connection, track, book, rows, left):
        async with connection.begin():
            nested = await connection.begin_nested()
            await self.work(connection, track)
            await nested.rollback()
        await connection.close()
        assert (await rows(), await left()) == ({1: "old"}, OLD)


@only_servers  # the test server's max_prepared_transactions is above 0
class TestTwoPhase:
    @pytest.mark.parametrize("is_committed", [True, False], ids=["commit", "rollback after prepare"])
    async def test_as_commit_and_rollback(self, engine, track, book, rows, is_committed, left):
        sessions = track(async_sessionmaker(engine, twophase=True))
        async with sessions() as session:
            (await session.get(Book, 1)).file = pending("new")
            await session.run_sync(lambda sync: sync.prepare())
            await (session.commit() if is_committed else session.rollback())
        now = "new" if is_committed else "old"
        assert (await rows(), await left()) == ({1: now}, OLD - {"old"} | {now})


class TestStorageTrouble:
    @only_level_1
    async def test_storage_down_at_delete(self, sessions, storage, book, rows, monkeypatch, caplog, left):
        seen = []
        monkeypatch.setattr(events, "hooks", [seen.append])
        storage.refused = {"delete"}
        async with sessions.begin() as session:
            (await session.get(Book, 1)).file = pending("new")
        assert (await rows(), await left()) == ({1: "new"}, OLD | {"new"})
        assert [each.outcome for each in seen if each.operation == "remove"] == ["StorageUnavailableException"]
        assert "old" in caplog.text

    @only_level_1
    async def test_storage_too_slow(self, engine, storage, book, caplog, left):
        sessions = enable_file_tracking(async_sessionmaker(engine), removal_timeout=2)  # time to ask the database
        storage.held = {"delete"}
        async with sessions.begin() as session:
            (await session.get(Book, 1)).file = None
        assert await left() == OLD
        assert "no time to remove" in caplog.text

    async def test_old_object_already_missing(self, sessions, book, left):
        async with sessions.begin() as session:
            book = await session.get(Book, 1)
            await book.file.delete()
            book.file = None
        assert await left() == OLD - {"old"}

    @only_level_1
    async def test_an_id_that_never_existed_is_not_checked(self, sessions, rows):
        async with sessions.begin() as session:
            session.add(Book(id=1, file=StoredFile("mem:nowhere")))
        assert await rows() == {1: "nowhere"}

    @only_level_2
    async def test_an_id_that_never_existed(self, sessions, rows):
        with pytest.raises(FileGoneException, match="no such file"):
            async with sessions.begin() as session:
                session.add(Book(id=1, file=StoredFile("mem:nowhere")))
        assert await rows() == {}
