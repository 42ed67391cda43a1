"""Operations on the ledger's tables. Importing this module adds them to Alembic's ``op``.

Autogenerate writes these operations only with ``async_storages_render="class"``. Such a migration needs this package.
It creates the tables of the installed version.
"""

from typing import Any

from alembic.autogenerate import renderers
from alembic.operations import MigrateOperation, Operations
from alembic.operations.ops import CreateTableOp, DropTableOp
from sqlalchemy import MetaData, Table, delete, inspect

from async_storages.integrations.sqlalchemy.ledger.tables import add_ledger_tables, columns_of, journal_of

__all__ = ["CreateFileLedgerOp", "DropFileLedgerOp", "ForgetFileColumnsOp", "collect_ledgers"]

_NAME = "stored_files"


class _LedgerOp(MigrateOperation):
    """An operation on the ledger's tables.

    Args:
        name: The name of the ledger's table, as for `add_ledger_tables`.
        schema: The tables' schema.
    """

    called: str
    diff: str

    def __init__(self, name: str = _NAME, schema: str | None = None) -> None:
        self.name = name
        self.schema = schema

    @property
    def tables(self) -> tuple[Table, ...]:
        """The ledger's table, its journal, and its known columns."""
        table = add_ledger_tables(MetaData(schema=self.schema), self.name)
        return table, journal_of(table), columns_of(table)

    def to_diff_tuple(self) -> tuple[str, str]:
        """Return the operation as ``alembic check`` prints it."""
        return self.diff, self.name

    def render(self, prefix: str) -> str:
        """Return the call that a migration contains."""
        name = [] if self.name == _NAME else [repr(self.name)]
        schema = [f"schema={self.schema!r}"] if self.schema else []
        return f"{prefix}{self.called}({', '.join(name + schema)})"


@Operations.register_operation("create_file_ledger")
class CreateFileLedgerOp(_LedgerOp):
    """The operation that creates the ledger's tables."""

    called = "create_file_ledger"
    diff = "add_file_ledger"

    @classmethod
    def create_file_ledger(cls, operations: Operations, name: str = _NAME, *, schema: str | None = None) -> None:
        """Create the missing tables of `FileLedger`: see `add_ledger_tables`.

        Args:
            operations: Alembic's object for operations.
            name: The name of the ledger's table, as for `add_ledger_tables`.
            schema: The tables' schema.
        """
        operations.invoke(cls(name, schema))

    def reverse(self) -> "DropFileLedgerOp":
        """Return the operation that drops the tables."""
        return DropFileLedgerOp(self.name, self.schema)


@Operations.register_operation("drop_file_ledger")
class DropFileLedgerOp(_LedgerOp):
    """The operation that drops the ledger's tables."""

    called = "drop_file_ledger"
    diff = "remove_file_ledger"

    @classmethod
    def drop_file_ledger(cls, operations: Operations, name: str = _NAME, *, schema: str | None = None) -> None:
        """Drop the ledger's tables. All files stay, and no worker deletes the files that were due for deletion.

        Args:
            operations: Alembic's object for operations.
            name: The name of the ledger's table, as for `add_ledger_tables`.
            schema: The tables' schema.
        """
        operations.invoke(cls(name, schema))

    def reverse(self) -> CreateFileLedgerOp:
        """Return the operation that creates the tables again, without their rows."""
        return CreateFileLedgerOp(self.name, self.schema)


@Operations.implementation_for(CreateFileLedgerOp)
def _create(operations: Operations, operation: CreateFileLedgerOp) -> None:
    context = operations.migration_context
    there = set() if context.as_sql else set(inspect(operations.get_bind()).get_table_names(operation.schema))
    for table in operation.tables:
        if table.name not in there:
            context.impl.create_table(table)


@Operations.implementation_for(DropFileLedgerOp)
def _drop(operations: Operations, operation: DropFileLedgerOp) -> None:
    for table in operation.tables:
        operations.migration_context.impl.drop_table(table, if_exists=True)


@Operations.register_operation("forget_file_columns")
class ForgetFileColumnsOp(MigrateOperation):
    """The operation that removes a column from the ledger's known columns."""

    def __init__(self, table: str, column: str | None, name: str, schema: str | None) -> None:
        self.table = table
        self.column = column
        self.name = name
        self.schema = schema

    @classmethod
    def forget_file_columns(
        cls,
        operations: Operations,
        table: str,
        column: str | None = None,
        *,
        name: str = _NAME,
        schema: str | None = None,
    ) -> None:
        """Forget a column that you renamed or dropped. It must name no files: see `FileLedger.forget_columns`.

        Args:
            operations: Alembic's object for operations.
            table: The table, with its schema if the models have one.
            column: The name of the column. None forgets all columns of the table.
            name: The name of the ledger's table, as for `add_ledger_tables`.
            schema: The schema of the ledger.

        Example:
            >>> op.alter_column("documents", "file", new_column_name="attachment")
            >>> op.forget_file_columns("documents", "file")
        """
        operations.invoke(cls(table, column, name, schema))


@Operations.implementation_for(ForgetFileColumnsOp)
def _forget(operations: Operations, operation: ForgetFileColumnsOp) -> None:
    known = columns_of(add_ledger_tables(MetaData(schema=operation.schema), operation.name))
    chosen = delete(known).where(known.c.table_name == operation.table)
    operations.execute(chosen if operation.column is None else chosen.where(known.c.column_name == operation.column))


# ---- autogenerate


def collect_ledgers(operations: list[Any]) -> None:
    """Replace, in place, the operations on the tables of a ledger by one operation.

    The ledger of an older version may lack a table. The migration creates that table only if it is missing, because in
    a new database an earlier migration has created all of them.
    """
    for table_op, ledger_op in ((CreateTableOp, CreateFileLedgerOp), (DropTableOp, DropFileLedgerOp)):
        columns = {
            (op.schema, op.table_name): op.to_table().columns.keys() for op in operations if isinstance(op, table_op)
        }
        for schema, name in columns:
            ledger = ledger_op(name, schema)
            theirs = {(schema, table.name): table.columns.keys() for table in ledger.tables}
            if theirs.items() <= columns.items():
                operations[:] = [op for op in operations if _table_of(op) not in theirs]
                operations.append(ledger)
    for op in operations:
        if isinstance(op, CreateTableOp) and _is_later(op):
            op.if_not_exists = True


def _is_later(op: CreateTableOp) -> bool:
    name = op.table_name.removesuffix("_columns")
    theirs = columns_of(add_ledger_tables(MetaData(), name)) if name != op.table_name else None
    return theirs is not None and op.to_table().columns.keys() == theirs.columns.keys()


def _table_of(operation: Any) -> tuple[str | None, str | None]:
    return getattr(operation, "schema", None), getattr(operation, "table_name", None)


@renderers.dispatch_for(_LedgerOp)
def _render(context: Any, operation: _LedgerOp) -> str:
    return operation.render(context.opts["alembic_module_prefix"] or "")
