"""Known columns of files, kept in the database, because a worker may run with older models than an application."""

from collections.abc import Collection, Iterable

from sqlalchemy import Connection, Table, delete, inspect

from async_storages.integrations.sqlalchemy.columns.fields import FileField
from async_storages.integrations.sqlalchemy.ledger.connections import Connections
from async_storages.integrations.sqlalchemy.ledger.references import References
from async_storages.integrations.sqlalchemy.ledger.tables import (
    ColumnName,
    columns_of,
    insert,
    missing_table,
    name_of,
    now,
    unless_known,
)

__all__ = ["KnownColumns"]


class KnownColumns:
    """Registers the columns of this process, before a row in them can name a file.

    Args:
        connections: The ledger's connections.
        references: The columns of this process.
    """

    def __init__(self, connections: Connections, references: References) -> None:
        self._connections = connections
        self._references = references
        self._table = columns_of(connections.main.table)
        self._registered: set[ColumnName] = set()
        """The names that this process has seen committed."""

    async def register(self) -> None:
        """Register all columns that are in the database.

        Raises:
            StorageException: The table of known columns is missing.
        """
        if await self._connections.reading.run(self._find_new):
            await self._connections.main.run(self._add_new)

    def register_written(self, connection: Connection, fields: Iterable[FileField]) -> None:
        """Register the columns that a session writes: at once, or on SQLite together with the rows.

        SQLite has one writer, the session. A worker decides before its transaction, or after it.

        Raises:
            StorageException: The table of known columns is missing.
        """
        wanted = {name_of(field) for field in fields}
        if wanted <= self._registered:
            return
        reading = self._connections.reading
        missing = wanted - reading.run_in_event(self._read)
        if missing and self._connections.is_sqlite:
            self._add(connection, missing)
        elif missing:
            reading.run_in_event(lambda own, _: self._add(own, missing))
            self._registered = self._registered | missing

    async def forget(self, table: str, column: str | None) -> int:
        """Forget the columns of a table, or one of them, and return their number."""
        self._registered.clear()
        return await self._connections.main.run(lambda connection, _: _forget(connection, self._table, table, column))

    def _read(self, connection: Connection, _table: Table) -> set[ColumnName]:
        """Read the committed names, on one of the ledger's own connections."""
        if not inspect(connection).has_table(self._table.name, schema=self._table.schema):
            raise missing_table(self._table)
        self._registered = self._references.find_registered(connection)
        return self._registered

    def _find_new(self, connection: Connection, table: Table) -> set[ColumnName]:
        """Find the columns that are in the database but not registered yet."""
        return self._references.find_in_database(connection, but=self._read(connection, table))

    def _add_new(self, connection: Connection, table: Table) -> None:
        self._add(connection, self._find_new(connection, table))

    def _add(self, connection: Connection, names: Collection[ColumnName]) -> None:
        if names:
            rows = [{"table_name": name, "column_name": column, "since": now()} for name, column in sorted(names)]
            connection.execute(unless_known(insert(self._table, connection.dialect).values(rows)))


def _forget(connection: Connection, table: Table, name: str, column: str | None) -> int:
    chosen = delete(table).where(table.c.table_name == name)
    return connection.execute(chosen if column is None else chosen.where(table.c.column_name == column)).rowcount
