"""Transactions of movers, on the application's engine, at READ COMMITTED. They are repeated after a conflict."""

import asyncio
from collections.abc import Callable
from random import uniform
from typing import Concatenate

from sqlalchemy import Connection, Table
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncEngine

from async_storages.errors import InvalidArgumentException
from async_storages.integrations.sqlalchemy import _greenlet
from async_storages.integrations.sqlalchemy.ledger import connections
from async_storages.integrations.sqlalchemy.ledger.tables import SUPPORTED
from async_storages.integrations.sqlalchemy.migration.tables import missing_move_table

__all__ = ["Transactions", "is_conflict"]

_ATTEMPTS = 6
_PAUSE = 0.02
"""The longest wait before the second attempt, in seconds. It doubles for each further attempt."""

_CONFLICTS = {"55P03", "40P01", "40001"}
"""PostgreSQL's errors for a lock without waiting, a deadlock, and a conflict of snapshots."""

type _Work[**Args, Result] = Callable[Concatenate[Connection, Args], Result]


class Transactions:
    """The transactions of one migration.

    Args:
        engine: The application's engine.
        table: The table of moves.

    Raises:
        InvalidArgumentException: It is no AsyncEngine, or migrations do not support the database.
    """

    def __init__(self, engine: AsyncEngine, table: Table) -> None:
        if not isinstance(engine, AsyncEngine):
            raise InvalidArgumentException(
                f"a migration works with an AsyncEngine, not with {type(engine).__name__}", operation="migrate"
            )
        if engine.dialect.name not in SUPPORTED:
            raise InvalidArgumentException(
                f"files can be moved on PostgreSQL, SQLite, MySQL and MariaDB, not on {engine.dialect.name}",
                operation="migrate",
            )
        self.is_sqlite = engine.dialect.name == "sqlite"
        self._table = table
        sync = engine.sync_engine
        self._engine = sync if self.is_sqlite else sync.execution_options(isolation_level="READ COMMITTED")

    async def run[**Args, Result](self, work: _Work[Args, Result], *args: Args.args, **kwargs: Args.kwargs) -> Result:
        """Call ``work(connection, …)`` in a transaction. On SQLite it begins with the write lock.

        Raises:
            InvalidArgumentException: The table of moves is not in the database.
            DBAPIError: An error of the database. It is a conflict (see `is_conflict`) if others had locked the rows at
                each attempt.
        """
        for left in reversed(range(_ATTEMPTS)):
            try:
                return await self.run_once(work, *args, **kwargs)
            except DBAPIError as error:
                if not (left and is_conflict(error)):
                    raise
            await asyncio.sleep(uniform(0.5, 1) * _PAUSE * 2 ** (_ATTEMPTS - 1 - left))  # noqa: S311 - no secret
        raise AssertionError("the last attempt returns or raises")

    async def run_once[**Args, Result](
        self, work: _Work[Args, Result], *args: Args.args, **kwargs: Args.kwargs
    ) -> Result:
        """Do the work of `run`, without a second attempt."""

        def locked(connection: Connection) -> Result:
            if self.is_sqlite:
                connections.take_write_lock(connection, self._table)
            return work(connection, *args, **kwargs)

        return await self.read(locked)

    async def read[**Args, Result](self, work: _Work[Args, Result], *args: Args.args, **kwargs: Args.kwargs) -> Result:
        """Do the work of `run` once, without SQLite's lock."""

        def transact() -> Result:
            with self._engine.begin() as connection:
                return work(connection, *args, **kwargs)

        try:
            return await _greenlet.wait_uninterrupted(_greenlet.spawn(transact))
        except (OperationalError, ProgrammingError) as error:
            if connections.is_about_missing(self._table, error):
                raise missing_move_table(self._table) from error
            raise


def is_conflict(error: DBAPIError) -> bool:
    """Return True if others had locked the rows or the SQLite database. Another attempt may succeed."""
    if getattr(error.orig, "sqlstate", None) in _CONFLICTS or connections.is_conflict(error):
        return True
    return "database is locked" in str(error.orig)
