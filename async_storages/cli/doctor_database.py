"""Examine the database of a ledger: its tables, indexes of file columns, isolation, connections, PgBouncer."""

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from async_storages._tasks import offload
from async_storages.cli.findings import Finding, Level
from async_storages.errors import StorageException
from async_storages.integrations.sqlalchemy.columns.fields import all_file_fields
from async_storages.integrations.sqlalchemy.columns.list_types import FileListType
from async_storages.integrations.sqlalchemy.references.column_locations import locate_columns
from async_storages.integrations.sqlalchemy.references.lookup import is_indexed

if TYPE_CHECKING:
    from async_storages.integrations.sqlalchemy import FileLedger

__all__ = ["examine_database"]

_PREPARED = re.compile(r"prepared statement .* (already exists|does not exist)", re.IGNORECASE)
_SHARED = (
    "sessions and the ledger then wait for the same server connections: give FileLedger an engine with the direct "
    "address, or a user with a pool of its own"
)
_WITHOUT_CACHE = (
    "PgBouncer gives each transaction another server connection, which does not know prepared statements: with asyncpg "
    "make the engine with connect_args={'statement_cache_size': 0, 'prepared_statement_cache_size': 0, "
    "'prepared_statement_name_func': lambda: f'__asyncpg_{uuid4()}__'}, or use PgBouncer 1.21 with "
    "max_prepared_statements"
)


_LISTS = (
    "each removal of a file reads these tables whole: keep files of large tables in rows of their own, or on PostgreSQL"
)


async def examine_database(engine: Any, ledger: "FileLedger | None", *, processes: int) -> list[Finding]:
    """Examine a database. Nothing is changed.

    Args:
        engine: An AsyncEngine or an Engine.
        ledger: The ledger in the database. None if there is none.
        processes: The number of processes of the application. Each may open as many connections as this engine.
    """
    try:
        findings = await _connected(engine, lambda one, other: _examine(one, other, has_ledger=ledger is not None))
    except (SQLAlchemyError, OSError) as error:
        return [_failure(error)]
    findings += await _of_ledger(ledger) if ledger is not None else []
    return findings + await _connected(
        engine, lambda one, _: [_connections(engine, one, processes, ledger is not None)]
    )


async def _connected(engine: Any, work: Callable[[Connection, Connection], list[Finding]]) -> list[Finding]:
    """Return the result of ``work``, called with two connections."""
    if isinstance(engine, AsyncEngine):
        async with engine.connect() as one, engine.connect() as other:
            return await one.run_sync(lambda connection: work(connection, other.sync_connection or connection))
    return await offload(_connected_here, engine, work)


def _connected_here(engine: Engine, work: Callable[[Connection, Connection], list[Finding]]) -> list[Finding]:
    with engine.connect() as one, engine.connect() as other:
        return work(one, other)


def _failure(error: Exception) -> Finding:
    reason = next(iter(str(getattr(error, "orig", None) or error).splitlines()), "no answer in time")
    if _PREPARED.search(str(error)):
        return Finding("prepared statements", reason, Level.PROBLEM, _WITHOUT_CACHE)
    remedy = "is the URL right, does the server run, and may this user connect from here?"
    return Finding("connect", f"{type(error).__name__}: {reason}", Level.PROBLEM, remedy)


def _examine(one: Connection, other: Connection, *, has_ledger: bool) -> list[Finding]:
    began = time.perf_counter()
    one.execute(text("SELECT 1"))
    took = (time.perf_counter() - began) * 1000
    one.commit()
    version = ".".join(map(str, one.dialect.server_version_info or ()))
    findings = [Finding("connect", f"{one.dialect.name} {version}, {took:.1f} ms for SELECT 1"), _isolation(one)]
    one.rollback()
    if one.dialect.name == "postgresql":
        findings += _bouncer(one, other, has_ledger=has_ledger)
    return findings + _indexes(one)


def _isolation(connection: Connection) -> Finding:
    level = connection.get_isolation_level()
    if connection.dialect.name == "sqlite" or level == "READ COMMITTED":
        return Finding("isolation", level)
    return Finding(
        "isolation", level, Level.NOTE, "READ COMMITTED saves a query whenever files are removed, and is enough"
    )


def _bouncer(one: Connection, other: Connection, *, has_ledger: bool) -> list[Finding]:
    """Find PgBouncer in transaction mode: it runs two transactions of one connection in two server processes."""
    first = _process(one)
    _process(other)
    one.commit()
    other.commit()
    is_shared = _process(one) != first
    one.commit()
    if not is_shared:
        return [Finding("pooler", "none that shares server connections between transactions")]
    found = Finding("pooler", "PgBouncer or the like, in transaction mode", Level.NOTE, _SHARED if has_ledger else None)
    if one.dialect.driver == "asyncpg" and _keeps_statements(one):
        return [found, Finding("prepared statements", "asyncpg keeps them", Level.PROBLEM, _WITHOUT_CACHE)]
    return [found]


def _process(connection: Connection) -> int:
    return int(connection.scalar(text("SELECT pg_backend_pid()")) or 0)


def _keeps_statements(connection: Connection) -> bool:
    """True if asyncpg keeps prepared statements for later use."""
    driver: Any = connection.connection.driver_connection
    config = getattr(driver, "_config", None)
    return bool(getattr(config, "statement_cache_size", 0))


def _indexes(connection: Connection) -> list[Finding]:
    fields = [each for each in all_file_fields() if each.can_delete_files]
    if not fields:
        return []
    inspector = inspect(connection)
    located = locate_columns(connection, fields)
    lacking, unservable = list[str](), list[str]()
    for each in located:
        if not is_indexed(inspector, each.field, each.schema):
            is_servable = connection.dialect.name == "postgresql" or not isinstance(
                each.field.column.type, FileListType
            )
            names = lacking if is_servable else unservable
            names.append(f"{each.field.column.table.fullname}.{each.field.column.name}")
    missing = sorted({f.column.table.fullname for f in fields} - {each.field.column.table.fullname for each in located})
    findings = [
        Finding("tables", f"{name} is not in the database", Level.PROBLEM, "run the migrations, or make the tables")
        for name in missing
    ]
    if unservable:
        shown = f"{connection.dialect.name} has none for lists: {', '.join(unservable)}"
        findings.append(Finding("lists", shown, Level.NOTE, _LISTS))
    if not lacking:
        count = len(located) - len(unservable)
        return [*findings, Finding("indexes", f"all of {count} file columns have one")]
    remedy = "add index=True to these columns (lists: a GIN index) and migrate: each removal reads their tables whole"
    return [*findings, Finding("indexes", f"none on {', '.join(lacking)}", Level.PROBLEM, remedy)]


async def _of_ledger(ledger: "FileLedger") -> list[Finding]:
    try:
        stats = await ledger.stats()
    except (StorageException, DBAPIError) as error:
        if isinstance(error, DBAPIError):
            return [_failure(error)]
        return [Finding("ledger", error.reason, Level.PROBLEM, "make its tables, and import all models of its columns")]
    findings = [Finding("ledger", f"{stats.live} files, {stats.doomed + stats.deleting} to be deleted")]
    hours = stats.overdue / 3600
    if hours >= 1:
        remedy = "let a worker run: ledger.running(), or async-storages ledger drain from cron"
        findings.append(Finding("worker", f"work has waited for {hours:.1f} h", Level.PROBLEM, remedy))
    else:
        findings.append(Finding("worker", "no work waits"))
    try:
        refusals = [each for each in (await ledger.check_ownership()).values() if each]
    except StorageException as error:
        return [*findings, Finding("owner", str(error), Level.PROBLEM, "see the findings about the storages")]
    if not refusals:
        return [*findings, Finding("owner", "all storages are this database's")]
    return [*findings, *(Finding("owner", each.reason, Level.PROBLEM, _OWNER) for each in refusals)]


_OWNER = "if this database is no copy: async-storages ledger owner --take"


def _connections(engine: Any, connection: Connection, processes: int, has_ledger: bool) -> Finding:
    pool: Any = engine.pool
    size = getattr(pool, "size", None)
    if size is None:
        return Finding("connections", f"{type(pool).__name__}: as many as are asked for")
    most = (size() + max(getattr(pool, "_max_overflow", 0), 0)) * (2 if has_ledger else 1)
    shown = f"up to {most} of each process{', half of them the ledger' if has_ledger else ''}"
    limit = _limit(connection)
    if limit is None:
        return Finding("connections", shown)
    of_all = f"of {processes} {'process' if processes == 1 else 'processes'}: {most * processes}"
    shown = f"{shown}; {of_all} of the server's {limit}"
    if most * processes <= limit:
        return Finding("connections", shown)
    return Finding(
        "connections", shown, Level.PROBLEM, "make pool_size and max_overflow smaller, or max_connections larger"
    )


def _limit(connection: Connection) -> int | None:
    statements = {
        "postgresql": "SELECT current_setting('max_connections')",
        "mysql": "SELECT @@max_connections",
        "mariadb": "SELECT @@max_connections",
    }
    statement = statements.get(connection.dialect.name)
    return None if statement is None else int(connection.scalar(text(statement)) or 0)
