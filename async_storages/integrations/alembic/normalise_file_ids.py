"""The operation ``op.normalise_file_ids``. Importing this module adds it to Alembic's ``op``."""

from typing import Any

from alembic.operations import MigrateOperation, Operations
from sqlalchemy import Column, Connection, MetaData, Table, inspect

from async_storages.errors import InvalidArgumentException
from async_storages.integrations.sqlalchemy.columns.queries import normalise_file_ids
from async_storages.registry import StorageRef, StorageRouter

__all__ = ["NormaliseFileIdsOp"]


@Operations.register_operation("normalise_file_ids")
class NormaliseFileIdsOp(MigrateOperation):
    """An operation that rewrites bare keys as fusion ids."""

    def __init__(self, table: str, column: str, storage: StorageRouter | str, schema: str | None) -> None:
        self.table = table
        self.column = column
        self.storage = storage
        self.schema = schema

    @classmethod
    def normalise_file_ids(
        cls, operations: Operations, table: str, column: str, storage: Any, *, schema: str | None = None
    ) -> int:
        """Rewrite the bare keys in a column as fusion ids: see `async_storages.integrations.sqlalchemy`.

        The operation has to read the rows. With ``--sql`` it therefore writes only a comment.

        Args:
            operations: Alembic's object for operations.
            table: The table's name.
            column: The column's name.
            storage: The storage of the bare keys, or its registered name.
            schema: The table's schema.

        Returns:
            The number of different keys that it rewrote.

        Raises:
            InvalidArgumentException: The column or the storage is unknown, or a value cannot be a key of the storage.

        Example:
            >>> op.normalise_file_ids("documents", "file", storage)
        """
        rewritten: int = operations.invoke(cls(table, column, storage, schema))
        return rewritten


@Operations.implementation_for(NormaliseFileIdsOp)
def _normalise(operations: Operations, operation: NormaliseFileIdsOp) -> int:
    if operations.migration_context.as_sql:
        call = f"normalise_file_ids({operation.table!r}, {operation.column!r})"
        operations.migration_context.impl.static_output(f"-- {call} reads the rows: run this migration on a connection")
        return 0
    connection = operations.get_bind()
    return normalise_file_ids(connection, _column(connection, operation), StorageRef(operation.storage).resolve())


def _column(connection: Connection, operation: NormaliseFileIdsOp) -> Column[Any]:
    """Return the column of the database. Its length limits the ids."""
    found = inspect(connection).get_columns(operation.table, schema=operation.schema)
    types = {column["name"]: column["type"] for column in found}
    if operation.column not in types:
        raise InvalidArgumentException(
            f"the table {operation.table!r} has no column {operation.column!r}", operation="normalise_file_ids"
        )
    column: Column[Any] = Column(operation.column, types[operation.column])
    Table(operation.table, MetaData(), column, schema=operation.schema)
    return column
