"""The ledger's own connections: a pool for its tables, and on SQLite another one for its journal.

A session that announces files holds a connection of the application's pool. If the ledger used that pool, too, ten
uploading tasks with a pool of five connections would wait for each other. On SQLite the journal is a second file,
``<name>.uploads``. It can be written while a session has the write lock of the first file.
"""

import asyncio
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Concatenate
from weakref import WeakKeyDictionary

from sqlalchemy import URL, Connection, Engine, NullPool, Table, create_engine, event, false
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.schema import CreateIndex, CreateTable

from async_storages._tasks import offload
from async_storages.errors import InvalidArgumentException, StorageUnavailableException
from async_storages.integrations.sqlalchemy import _greenlet
from async_storages.integrations.sqlalchemy.columns.database_types import MYSQL_DIALECTS
from async_storages.integrations.sqlalchemy.ledger.group_commit import GroupCommit
from async_storages.integrations.sqlalchemy.ledger.tables import journal_of, missing_table, require_supported
from async_storages.integrations.sqlalchemy.references.column_locations import OWN_STATEMENT

__all__ = [
    "AnyEngine",
    "Connections",
    "LedgerTransactions",
    "is_about_missing",
    "is_autocommitting",
    "is_conflict",
    "take_write_lock",
]

_CONFLICTS = {1205, 1213, 3572}
"""MySQL's errors for a lock timeout, for a deadlock, and for a lock that a statement does not wait for."""

_ATTEMPTS = 5
"""Attempts at a transaction that MySQL ends in favour of another."""

_MISSING = re.compile("no such table|does not exist|doesn't exist")
"""The words of SQLite, PostgreSQL and MySQL for a missing table."""

type AnyEngine = Engine | AsyncEngine

type _Work[**Args, Result] = Callable[Concatenate[Connection, Table, Args], Result]

type _SharedWork = tuple[Callable[..., object], Sequence[Any], tuple[Any, ...]]
"""A function, the items that it writes, and further arguments."""


class Connections:
    """The ledger's engines for the databases of its tables, beside the application's engine.

    Args:
        engine: The application's engine.
        table: The first of the ledger's tables.
        wait: Seconds that a session waits for one of the ledger's own transactions.

    Attributes:
        engine: The synchronous side of the application's engine.
        is_async: True if that engine belongs to an AsyncEngine.
        is_sqlite: True if the journal has its own database.
        is_mysql: True for MySQL and MariaDB.
        main: Transactions that change the ledger's first table. On SQLite they begin with the write lock.
        reading: Transactions that read that table, or that change another table of its database.
        journal: Transactions that change the journal.
        reading_journal: Transactions that read it.

    Raises:
        InvalidArgumentException: The ledger does not support the database, or it is SQLite in memory.
    """

    def __init__(self, engine: AnyEngine, table: Table, wait: float = 30) -> None:
        self.engine = _sync_engine(engine)
        self.is_async = isinstance(engine, AsyncEngine)
        require_supported(self.engine.dialect)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self.is_mysql = self.engine.dialect.name in MYSQL_DIALECTS
        self._journal_url = _journal_url(self.engine) if self.is_sqlite else None
        self._engines: dict[str, Engine] = {}
        self._has_journal = False
        self._process = os.getpid()
        self.main = LedgerTransactions(self, self._main_engine, table, wait)
        self.reading = LedgerTransactions(self, self._main_engine, table, wait, is_locking=False)
        self.journal = LedgerTransactions(self, self._journal_engine, journal_of(table), wait, is_bounded=True)
        self.reading_journal = LedgerTransactions(
            self, self._journal_engine, journal_of(table), wait, is_bounded=True, is_locking=False
        )
        event.listen(getattr(self.engine, "_proxied", self.engine), "engine_disposed", lambda _: self.dispose())

    def _main_engine(self) -> Engine:
        """Return the engine for the tables. It is made at its first use, so that the application can add listeners."""
        return self._engines.get("main") or self._engines.setdefault("main", _engine_beside(self.engine))

    def _journal_engine(self) -> Engine:
        if self._journal_url is None:
            return self._main_engine()
        engine = self._engines.get("journal") or self._engines.setdefault("journal", self._connect(self._journal_url))
        if not self._has_journal:
            self._create_journal(engine)
        return engine

    def _connect(self, url: URL) -> Engine:
        make: Any = create_async_engine if self.is_async else create_engine
        is_pooled = not isinstance(self.engine.pool, NullPool)  # without a pool an engine works in any event loop
        made = make(url) if is_pooled else make(url, poolclass=NullPool)
        return _sync_engine(made)

    def _create_journal(self, engine: Engine) -> None:
        table = self.journal.table
        with engine.begin() as connection:
            connection.execute(CreateTable(table, if_not_exists=True))
            for index in table.indexes:
                connection.execute(CreateIndex(index, if_not_exists=True))
        self._has_journal = True

    def check_session(self) -> None:
        """Refuse a session of the wrong kind.

        Raises:
            InvalidArgumentException: A plain session uses a ledger with an AsyncEngine, or the other way round.
        """
        if self.is_async is not _greenlet.is_in_async_session():
            kind, other = ("AsyncEngine", "plain Session") if self.is_async else ("Engine", "AsyncSession")
            raise InvalidArgumentException(
                f"the ledger was made with an {kind}, so it cannot serve a {other}", operation="ledger"
            )

    def dispose(self) -> None:
        """Close all connections, except those of the process from which this one was forked."""
        is_ours = self._process == os.getpid()
        self._process = os.getpid()
        for engine in set(self._engines.values()):
            engine.dispose(close=is_ours)

    async def aclose(self) -> None:
        """Do the work of `dispose`, from a coroutine."""
        if self.is_async:
            await _greenlet.wait_uninterrupted(_greenlet.greenlet_spawn(self.dispose))
        else:
            await offload(self.dispose)


class LedgerTransactions:
    """The ledger's own transactions for one of its tables. Each calls ``work(connection, table, …)``.

    Args:
        connections: The ledger's connections.
        connect: Returns the engine.
        table: The table.
        wait: Seconds that a session waits for a transaction.
        is_bounded: True if a coroutine waits no longer than a session.
        is_locking: True if a transaction begins with SQLite's write lock.

    Attributes:
        table: The table.
    """

    def __init__(
        self,
        connections: Connections,
        connect: Callable[[], Engine],
        table: Table,
        wait: float,
        *,
        is_bounded: bool = False,
        is_locking: bool = True,
    ) -> None:
        self.table = table
        self._connections = connections
        self._connect = connect
        self._wait = wait
        self._is_bounded = is_bounded
        self._is_locking = is_locking
        self._groups: WeakKeyDictionary[asyncio.AbstractEventLoop, GroupCommit[_SharedWork]] = WeakKeyDictionary()

    async def run[**Args, Result](self, work: _Work[Args, Result], *args: Args.args, **kwargs: Args.kwargs) -> Result:
        """Call `work` in a transaction.

        Raises:
            StorageUnavailableException: It took longer than `wait`, and `is_bounded` is True.
        """
        return await self._finish(lambda: self._transact(work, *args, **kwargs), is_bounded=self._is_bounded)

    async def run_together[Item](self, work: Callable[..., object], items: Sequence[Item], *args: Any) -> None:
        """Call ``work(connection, table, items, *args)`` in a transaction that other tasks share.

        Calls of the same function with the same arguments become one call with the items of all. If it fails, each is
        repeated in a transaction of its own.

        Args:
            work: Writes the items. Its result is ignored.
            items: The items, hashable. Equal ones are written once.
            *args: Hashable arguments.

        Raises:
            StorageUnavailableException: It took longer than `wait`.
        """
        loop = asyncio.get_running_loop()
        if (group := self._groups.get(loop)) is None:
            wait = None if self._connections.is_sqlite else self._wait
            group = self._groups[loop] = GroupCommit(
                lambda calls: self._start(lambda: self._transact(_run_shared, calls), is_bounded=True), wait
            )
        try:
            await group.commit((work, items, args))
        except TimeoutError as error:
            raise self._waited_in_vain() from error

    def run_in_event[**Args, Result](
        self, work: _Work[Args, Result], *args: Args.args, **kwargs: Args.kwargs
    ) -> Result:
        """Call `work` in a transaction, within an event of a session.

        Raises:
            InvalidArgumentException: The session is of the wrong kind: see `Connections.check_session`.
            StorageUnavailableException: It took longer than sessions wait.
        """
        self._connections.check_session()
        if not self._connections.is_async:
            return self._transact(work, *args, **kwargs)
        return _greenlet.wait_for(self._finish(lambda: self._transact(work, *args, **kwargs), is_bounded=True))

    def _transact[**Args, Result](self, work: _Work[Args, Result], *args: Args.args, **kwargs: Args.kwargs) -> Result:
        for left in reversed(range(_ATTEMPTS)):
            try:
                with self.begin() as connection:
                    return work(connection, self.table, *args, **kwargs)
            except DBAPIError as error:
                if isinstance(error, OperationalError | ProgrammingError) and is_about_missing(self.table, error):
                    raise missing_table(self.table) from error
                if not (left and self._connections.is_mysql and is_conflict(error)):
                    raise
        raise AssertionError("the last attempt returns or raises")

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """Begin a transaction, in synchronous code."""
        with self._connect().begin() as connection:
            if self._is_locking:
                take_write_lock(connection, self.table)
            yield connection

    def within(self, connection: Connection) -> AbstractContextManager[Connection]:
        """Return a transaction in this database: a new one on SQLite, otherwise the given connection's."""
        return self.begin() if self._connections.is_sqlite else nullcontext(connection)

    async def _finish[Result](self, transact: Callable[[], Result], *, is_bounded: bool) -> Result:
        """Run it to its end, even if the task is cancelled: a statement cut off half-way would leave SQLite's lock."""
        return await _greenlet.wait_uninterrupted(self._start(transact, is_bounded=is_bounded))

    async def _start[Result](self, transact: Callable[[], Result], *, is_bounded: bool) -> Result:
        wait = self._wait if is_bounded and not self._connections.is_sqlite else None  # which has a time-out of its own
        try:
            if not self._connections.is_async:
                return await offload(transact)
            async with asyncio.timeout(wait):
                return await _greenlet.greenlet_spawn(transact)
        except (TimeoutError, PoolTimeout) as error:
            if not is_bounded:
                raise
            raise self._waited_in_vain() from error

    def _waited_in_vain(self) -> StorageUnavailableException:
        return StorageUnavailableException(
            f"the ledger waited {self._wait:g} s for a transaction of its own, while sessions hold connections. "
            "Make its pool as large as theirs; behind PgBouncer in transaction mode, give FileLedger an engine "
            "with a direct address, or a user with a pool of its own",
            operation="ledger",
        )


def _run_shared(connection: Connection, table: Table, calls: Sequence[_SharedWork]) -> None:
    merged: dict[tuple[Callable[..., object], tuple[Any, ...]], list[Any]] = {}
    for work, items, args in calls:
        merged.setdefault((work, args), []).extend(items)
    for (work, args), together in merged.items():
        work(connection, table, list(dict.fromkeys(together)), *args)  # PostgreSQL refuses to write a row twice


def is_about_missing(table: Table, error: DBAPIError) -> bool:
    """Return True if an error says that a table is not in the database."""
    said = str(error.orig)
    return _MISSING.search(said) is not None and table.name in said


def _sync_engine(engine: AnyEngine) -> Engine:
    return engine.sync_engine if isinstance(engine, AsyncEngine) else engine


def is_autocommitting(connection: Connection) -> bool:
    """Return True if each statement is its own transaction."""
    if connection.dialect.name in MYSQL_DIALECTS:
        driver: Any = connection.connection.driver_connection  # that of SQLAlchemy 2.0.37 cannot be asked
        return bool(driver.get_autocommit())
    return getattr(connection.connection.dbapi_connection, "autocommit", False) is True


def is_conflict(error: DBAPIError) -> bool:
    """Return True if MySQL has ended a statement or transaction in favour of one that waits for the same rows."""
    return error.orig is not None and bool(error.orig.args) and error.orig.args[0] in _CONFLICTS


def take_write_lock(connection: Connection, table: Table) -> None:
    """Take SQLite's write lock until the transaction ends. Other databases lock rows."""
    if connection.dialect.name != "sqlite":
        return
    driver: Any = connection.connection.driver_connection
    if driver.in_transaction:
        connection.execute(table.delete().where(false()))
    else:  # a driver without transactions of its own would end this one with its first statement
        connection.exec_driver_sql("BEGIN IMMEDIATE", execution_options={OWN_STATEMENT: True})


def _engine_beside(engine: Engine) -> Engine:
    """Return another engine for the same database, with the same ways to connect, at READ COMMITTED."""
    pool, options = engine.pool.recreate(), dict(engine.get_execution_options())
    options.pop("isolation_level", None)
    if engine.dialect.name != "sqlite":
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
