"""Connections of the ledger's own, beside those of the sessions: for the journal, and for the worker."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Concatenate

from sqlalchemy import URL, Connection, Engine, NullPool, Table, create_engine, event, false, func, null, select
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.schema import CreateIndex, CreateTable

from async_storages._tasks import offload
from async_storages.errors import InvalidArgumentException
from async_storages.integrations.sqlalchemy import _greenlet
from async_storages.integrations.sqlalchemy.ledger.tables import SUPPORTED, journal_of

__all__ = ["AnyEngine", "Databases", "engine_of", "take_write_lock"]

type AnyEngine = Engine | AsyncEngine

_TRANSLATED = "schema_translate_map"


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
        self._theirs = theirs
        self._journal_url = _journal_url(theirs) if self.is_sqlite else theirs.url
        self._engines: dict[str, Engine] = {}
        self._has_journal = not self.is_sqlite
        self._process = os.getpid()
        self._names: object = None
        event.listen(getattr(theirs, "_proxied", theirs), "engine_disposed", lambda _: self.dispose())

    @property
    def _main(self) -> Engine:
        """Made when it is first needed: until then listeners may be added to the application's engine."""
        return self._engines.get("main") or self._engines.setdefault("main", _beside(self._theirs))

    @property
    def _journal(self) -> Engine:
        return self._engines.get("journal") or self._engines.setdefault("journal", self._make_journal_engine())

    def _make_journal_engine(self) -> Engine:
        if not self.is_sqlite:
            return self._main
        make = create_async_engine if self.is_async else create_engine
        is_pooled = not isinstance(self._theirs.pool, NullPool)  # without a pool an engine works in any event loop
        return engine_of(make(self._journal_url) if is_pooled else make(self._journal_url, poolclass=NullPool))

    def dispose(self) -> None:
        """Close all connections, but those of the process that this one was forked from."""
        is_ours = self._process == os.getpid()
        self._process = os.getpid()
        for engine in set(self._engines.values()):
            engine.dispose(close=is_ours)

    def check(self, connection: Connection) -> None:
        """See that a session works where the ledger does, and that what it locks stays locked.

        Raises:
            InvalidArgumentException: It does not, so that the worker would not find the rows it writes.
        """
        self._check_kind()
        driver = connection.connection.dbapi_connection
        if not self.is_sqlite and getattr(driver, "autocommit", False) is True:
            raise _no_place("a session that writes files cannot be in AUTOCOMMIT: a lock keeps them until the commit")
        options, ours = connection.get_execution_options(), self._theirs.get_execution_options()
        if (options.get(_TRANSLATED) or {}) != (ours.get(_TRANSLATED) or {}):
            raise _no_place(f"the session's {_TRANSLATED} is not that of the ledger's engine")
        if self._is_elsewhere(connection):
            raise _no_place("the session works in another database or search_path than the ledger's engine")

    def _is_elsewhere(self, connection: Connection) -> bool:
        if self.is_sqlite:
            return len({Path(str(each.url.database)).absolute() for each in (connection.engine, self._theirs)}) > 1
        self._names = self._names or self.call_journal(self._what_names_mean)
        return self._what_names_mean(connection) != self._names

    def _check_kind(self) -> None:
        if self.is_async is not _greenlet.is_inside():
            kind, other = ("AsyncEngine", "plain Session") if self.is_async else ("Engine", "AsyncSession")
            raise InvalidArgumentException(
                f"the ledger was made with an {kind}, so it cannot serve a {other}", operation="ledger"
            )

    def _what_names_mean(self, connection: Connection) -> object:
        schemas = func.current_schemas(False) if self.table.schema is None else null()
        return tuple(connection.execute(select(func.current_database(), schemas)).one())

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
        self._check_kind()
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


def _no_place(reason: str) -> InvalidArgumentException:
    return InvalidArgumentException(reason, operation="claim")


def _beside(engine: Engine) -> Engine:
    """Another engine for the same database, with the same ways to connect, at READ COMMITTED."""
    pool, options = engine.pool.recreate(), dict(engine.get_execution_options())
    options.pop("isolation_level", None)
    if engine.dialect.name == "postgresql":
        event.listen(pool, "connect", lambda driver, _: engine.dialect.set_isolation_level(driver, "READ COMMITTED"))
    return Engine(pool, engine.dialect, engine.url, execution_options=options, hide_parameters=engine.hide_parameters)


def _journal_url(engine: Engine) -> URL:
    url = engine.url
    if not url.database or url.database == ":memory:" or url.query.get("uri") or url.query.get("mode"):
        raise InvalidArgumentException(
            "a ledger needs a SQLite database in a file of its own, sqlite+aiosqlite:///path: what is in memory, or "
            "opened by a URI, has no place for the journal beside it",
            operation="ledger",
        )
    return url.set(database=f"{Path(url.database)}.uploads")
