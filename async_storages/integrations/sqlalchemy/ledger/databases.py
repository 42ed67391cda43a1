"""Connections of the ledger's own, beside those of the sessions: for the journal, and for the worker."""

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import MappingProxyType
from typing import Any, Concatenate

from sqlalchemy import URL, Connection, Engine, NullPool, Table, create_engine, event, false
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.schema import CreateIndex, CreateTable

from async_storages._tasks import offload
from async_storages.errors import InvalidArgumentException, StorageUnavailableException
from async_storages.integrations.sqlalchemy import _greenlet
from async_storages.integrations.sqlalchemy.ledger.tables import SUPPORTED, journal_of

__all__ = ["AnyEngine", "Databases", "engine_of", "is_autocommitting", "take_write_lock"]

type AnyEngine = Engine | AsyncEngine

_SCHEMA = (
    "coalesce((SELECT nspname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace "
    "WHERE pg_class.oid = to_regclass({0})), current_schema())"
)

type _Place = tuple[str, str]
"""A database and a schema in it; on SQLite a file and what is attached to it."""


class Databases:
    """Where the ledger's tables are.

    A pool of its own, as sessions that wait for a journal entry hold the connections of theirs: ten tasks that upload
    with a pool of five would wait for each other. The journal of a SQLite file is the file ``<name>.uploads`` beside
    it, which can be written while a session has the write lock.

    Args:
        engine: The application's.
        table: The first of the ledger's tables.
        wait: Seconds that a session waits for a transaction of the ledger's own.

    Attributes:
        is_async: Whether the engine is an AsyncEngine.
        table: The first of the ledger's tables.
        journal_table: The second.

    Raises:
        InvalidArgumentException: Neither PostgreSQL nor SQLite, or a SQLite database in memory.
    """

    def __init__(self, engine: AnyEngine, table: Table, wait: float = 30) -> None:
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
        self._wait = wait
        self._journal_url = _journal_url(theirs) if self.is_sqlite else theirs.url
        self._engines: dict[str, Engine] = {}
        self._has_journal = not self.is_sqlite
        self._process = os.getpid()
        self._places: dict[Table, _Place] = {}
        self._file: str | None = None
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

    def check(
        self, connection: Connection, tables: Iterable[Table], options: Mapping[str, Any] = MappingProxyType({})
    ) -> None:
        """See that a session works where the ledger does, and that what it locks stays locked.

        Args:
            connection: The session's.
            tables: Those whose rows it changes.
            options: Execution options of its statement, if they are not the connection's.

        Raises:
            InvalidArgumentException: It does not, so that the worker would not find the rows it writes.
        """
        self._check_kind()
        if not self.is_sqlite and is_autocommitting(connection):
            raise _no_place(
                "a session that writes files cannot be in AUTOCOMMIT, as a lock keeps them until the commit: "
                "give it an isolation_level with transactions"
            )
        chosen = [self.table, *tables]
        there = self._places_in(connection, chosen, {**connection.get_execution_options(), **options})
        if there != [self._places.get(table) for table in chosen]:
            self._compare(chosen, there)

    def _compare(self, tables: Sequence[Table], there: Sequence[_Place]) -> None:
        """Ask where they are for the ledger, which may have changed."""
        here = self.call_plainly(self._places_in, tables, self._theirs.get_execution_options())
        self._places |= zip(tables, here, strict=True)
        for table, theirs, ours in zip(tables, there, here, strict=True):
            if theirs != ours:
                raise _no_place(
                    f"{table.name!r} is in {'.'.join(theirs)} for this session, in {'.'.join(ours)} for the ledger: "
                    "let them use the same database, search_path and schema_translate_map, or make a FileLedger for "
                    "each place"
                )

    def _places_in(self, connection: Connection, tables: Sequence[Table], options: Mapping[str, Any]) -> list[_Place]:
        """Where the names of tables lead to, or where such tables would be made."""
        schemas = _schemas(tables, options)
        if self.is_sqlite:
            file = self._file_of(connection)
            return [(file, schema or "main") for schema in schemas]
        quote = connection.dialect.identifier_preparer.quote
        asked = [
            _SCHEMA.format(_literal(quote(table.name))) if schema is None else _literal(schema)
            for table, schema in zip(tables, schemas, strict=True)
        ]
        found = connection.exec_driver_sql(f"SELECT current_database(), {', '.join(asked)}").one()
        return [(found[0], schema) for schema in found[1:]]

    def _file_of(self, connection: Connection) -> str:
        """The file of a SQLite database: the ledger's, if it is the same under another name."""
        ours = str(self._theirs.url.database)
        if connection.engine.url.database == ours:
            return ours
        self._file = self._file or self.call_plainly(_opened)
        found = _opened(connection)
        return ours if found == self._file else found or ":memory:"

    def _check_kind(self) -> None:
        if self.is_async is not _greenlet.can_wait():
            kind, other = ("AsyncEngine", "plain Session") if self.is_async else ("Engine", "AsyncSession")
            raise InvalidArgumentException(
                f"the ledger was made with an {kind}, so it cannot serve a {other}", operation="ledger"
            )

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

    def call_plainly[**Args, Result](
        self, work: Callable[Concatenate[Connection, Args], Result], *args: Args.args, **kwargs: Args.kwargs
    ) -> Result:
        """`plainly`, in an event of a session."""

        def call() -> Result:
            with self._main.begin() as connection:
                return work(connection, *args, **kwargs)

        return _greenlet.wait_for(self._run_soon(call)) if self.is_async else call()

    async def run_journal[**Args, Result](
        self, work: Callable[Concatenate[Connection, Args], Result], *args: Args.args, **kwargs: Args.kwargs
    ) -> Result:
        """Call `work(connection, …)` in a transaction of the journal's database."""
        return await self._run_soon(lambda: self._call(self._journal, self.journal_table, work, *args, **kwargs))

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

    async def _run_soon[Result](self, work: Callable[[], Result]) -> Result:
        """Run it as a session needs it, which holds a connection of its own meanwhile.

        Raises:
            StorageUnavailableException: It took longer than sessions wait.
        """

        async def bounded() -> Result:
            async with asyncio.timeout(None if self.is_sqlite else self._wait):  # SQLite has a time-out of its own
                return await _greenlet.spawn(work)

        try:
            return await (_greenlet.wait_uninterrupted(bounded()) if self.is_async else offload(work))
        except (TimeoutError, PoolTimeout) as error:
            raise StorageUnavailableException(
                f"the ledger waited {self._wait:g} s for a transaction of its own, while sessions hold connections. "
                "Make its pool as large as theirs; behind PgBouncer in transaction mode, give FileLedger an engine "
                "with a direct address, or a user with a pool of its own",
                operation="ledger",
            ) from error

    async def _run[Result](self, work: Callable[[], Result]) -> Result:
        """Run it to its end, also when cancelled: SQLite keeps the lock of a statement that was cancelled half-way."""
        return await (_greenlet.wait_uninterrupted(_greenlet.spawn(work)) if self.is_async else offload(work))


def engine_of(engine: AnyEngine) -> Engine:
    """The engine itself, or that below an AsyncEngine."""
    return engine.sync_engine if isinstance(engine, AsyncEngine) else engine


def is_autocommitting(connection: Connection) -> bool:
    """True if each statement is a transaction of its own."""
    return getattr(connection.connection.dbapi_connection, "autocommit", False) is True


def take_write_lock(connection: Connection, table: Table) -> None:
    """On SQLite, become the one who writes until the transaction ends; elsewhere rows are locked."""
    if connection.dialect.name != "sqlite":
        return
    driver: Any = connection.connection.driver_connection
    if driver.in_transaction:
        connection.execute(table.delete().where(false()))
    else:  # a driver without transactions of its own would end this one with its first statement
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _opened(connection: Connection) -> str:
    """The path of a SQLite database as SQLite sees it; empty, if it is in memory."""
    return next(str(row[2] or "") for row in connection.exec_driver_sql("PRAGMA database_list") if row[1] == "main")


def _literal(name: str) -> str:
    escaped = name.replace("'", "''")
    return f"'{escaped}'"


def _schemas(tables: Iterable[Table], options: Mapping[str, Any]) -> list[str | None]:
    translated = options.get("schema_translate_map") or {}
    return [translated.get(table.schema, table.schema) for table in tables]


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
