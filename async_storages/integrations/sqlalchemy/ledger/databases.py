"""Connections of the ledger's own, beside those of the sessions: for the journal, and for the worker."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Concatenate

from sqlalchemy import Connection, Engine, Table, create_engine, event, false
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.schema import CreateIndex, CreateTable

from async_storages._tasks import offload
from async_storages.errors import InvalidArgumentException
from async_storages.integrations.sqlalchemy import _greenlet
from async_storages.integrations.sqlalchemy.ledger.tables import SUPPORTED, journal_of

__all__ = ["AnyEngine", "Databases", "engine_of", "take_write_lock"]

type AnyEngine = Engine | AsyncEngine


class Databases:
    """Where the ledger's tables are.

    A pool of its own, as sessions that wait for a journal entry hold the connections of theirs: ten tasks that upload
    with a pool of five would wait for each other. The journal of a SQLite file is the file ``<name>.uploads`` beside
    it, which can be written while a session has the write lock.

    Args:
        engine: The application's.
        table: The first of the ledger's tables.

    Attributes:
        is_async: Whether the engine is an AsyncEngine.
        table: The first of the ledger's tables.
        journal_table: The second.

    Raises:
        InvalidArgumentException: Neither PostgreSQL nor SQLite, or a SQLite database in memory.
    """

    def __init__(self, engine: AnyEngine, table: Table) -> None:
        self.is_async = isinstance(engine, AsyncEngine)
        self.table = table
        self.journal_table = journal_of(table)
        theirs = engine_of(engine)
        if theirs.dialect.name not in SUPPORTED:
            raise InvalidArgumentException(
                f"a ledger works on PostgreSQL and SQLite, not on {theirs.dialect.name}", operation="ledger"
            )
        self.is_sqlite = theirs.dialect.name == "sqlite"
        self._main = _beside(theirs)
        self._journal = _journal_file(theirs, is_async=self.is_async) if self.is_sqlite else self._main
        self._has_journal = not self.is_sqlite
        self._process = os.getpid()

    @property
    def url(self) -> Any:
        """Where the main database is."""
        return self._main.url

    def dispose(self) -> None:
        """Close all connections, but those of the process that this one was forked from."""
        is_ours = self._process == os.getpid()
        self._process = os.getpid()
        self._main.dispose(close=is_ours)
        if self._journal is not self._main:
            self._journal.dispose(close=is_ours)

    async def aclose(self) -> None:
        """`dispose`, from a coroutine."""
        await self._run(self.dispose)

    # ---- one transaction each

    async def run[**Args, Result](
        self, work: Callable[Concatenate[Connection, Args], Result], *args: Args.args, **kwargs: Args.kwargs
    ) -> Result:
        """Call `work(connection, …)` in a transaction of the main database that writes."""
        return await self._run(lambda: self._call(self._main, self.table, work, *args, **kwargs))

    async def plainly[**Args, Result](
        self, work: Callable[Concatenate[Connection, Args], Result], *args: Args.args, **kwargs: Args.kwargs
    ) -> Result:
        """Call `work(connection, …)` in a transaction of the main database, without SQLite's write lock."""

        def call() -> Result:
            with self._main.begin() as connection:
                return work(connection, *args, **kwargs)

        return await self._run(call)

    async def run_journal[**Args, Result](
        self, work: Callable[Concatenate[Connection, Args], Result], *args: Args.args, **kwargs: Args.kwargs
    ) -> Result:
        """Call `work(connection, …)` in a transaction of the journal's database."""
        return await self._run(lambda: self._call(self._journal, self.journal_table, work, *args, **kwargs))

    def call_journal[**Args, Result](
        self, work: Callable[Concatenate[Connection, Args], Result], *args: Args.args, **kwargs: Args.kwargs
    ) -> Result:
        """`run_journal`, in an event of a session.

        Raises:
            InvalidArgumentException: The session is a plain one and the ledger was made with an AsyncEngine, or the
                other way round.
        """
        if self.is_async is not _greenlet.is_inside():
            kind, other = ("AsyncEngine", "plain Session") if self.is_async else ("Engine", "AsyncSession")
            raise InvalidArgumentException(
                f"the ledger was made with an {kind}, so it cannot serve a {other}", operation="ledger"
            )
        if self.is_async:
            return _greenlet.wait_for(self.run_journal(work, *args, **kwargs))
        return self._call(self._journal, self.journal_table, work, *args, **kwargs)

    def main_in(self, connection: Connection) -> AbstractContextManager[Connection]:
        """The main database, to be read in a transaction of the journal's: the same connection, if it is the same."""
        return self._main.begin() if self.is_sqlite else nullcontext(connection)

    def journal_in(self, connection: Connection) -> AbstractContextManager[Connection]:
        """The journal, in a transaction of the main database: the same connection, if it is the same database."""
        return self._begin(self._journal, self.journal_table) if self.is_sqlite else nullcontext(connection)

    def _call[**Args, Result](
        self,
        engine: Engine,
        table: Table,
        work: Callable[Concatenate[Connection, Args], Result],
        *args: Args.args,
        **kwargs: Args.kwargs,
    ) -> Result:
        with self._begin(engine, table) as connection:
            return work(connection, *args, **kwargs)

    @contextmanager
    def _begin(self, engine: Engine, table: Table) -> Iterator[Connection]:
        if engine is self._journal and not self._has_journal:
            self._make_journal()
        with engine.begin() as connection:
            take_write_lock(connection, table)
            yield connection

    def _make_journal(self) -> None:
        with self._journal.begin() as connection:
            connection.execute(CreateTable(self.journal_table, if_not_exists=True))
            for index in self.journal_table.indexes:
                connection.execute(CreateIndex(index, if_not_exists=True))
        self._has_journal = True

    async def _run[Result](self, work: Callable[[], Result]) -> Result:
        """Run it to its end, also when cancelled: SQLite keeps the lock of a statement that was cancelled half-way."""
        return await (_greenlet.wait_to_the_end(_greenlet.spawn(work)) if self.is_async else offload(work))


def engine_of(engine: AnyEngine) -> Engine:
    """The engine itself, or that below an AsyncEngine."""
    return engine.sync_engine if isinstance(engine, AsyncEngine) else engine


def take_write_lock(connection: Connection, table: Table) -> None:
    """On SQLite, become the one who writes until the transaction ends; elsewhere rows are locked."""
    if connection.dialect.name != "sqlite":
        return
    driver: Any = connection.connection.driver_connection
    if driver.in_transaction:
        connection.execute(table.delete().where(false()))
    else:  # a driver without transactions of its own would end this one with its first statement
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _beside(engine: Engine) -> Engine:
    """Another engine for the same database, with the same ways to connect, at READ COMMITTED."""
    pool = engine.pool.recreate()
    if engine.dialect.name == "postgresql":
        event.listen(pool, "connect", lambda driver, _: engine.dialect.set_isolation_level(driver, "READ COMMITTED"))
    return Engine(
        pool,
        engine.dialect,
        engine.url,
        execution_options=engine.get_execution_options(),
        hide_parameters=engine.hide_parameters,
    )


def _journal_file(engine: Engine, *, is_async: bool) -> Engine:
    path = engine.url.database
    if not path or path == ":memory:" or engine.url.query.get("uri") or engine.url.query.get("mode"):
        raise InvalidArgumentException(
            "a ledger needs a SQLite database in a file of its own, sqlite+aiosqlite:///path: what is in memory, or "
            "opened by a URI, has no place for the journal beside it",
            operation="ledger",
        )
    url = engine.url.set(database=f"{Path(path)}.uploads", query={})
    return create_async_engine(url).sync_engine if is_async else create_engine(url)
