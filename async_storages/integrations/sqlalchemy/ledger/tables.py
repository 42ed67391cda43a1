"""The tables of the ledger, and the SQL that differs between databases.

`stored_files` has an *entry* for each file that rows name, or that a worker will delete. A session writes it in its own
transaction.

`stored_files_journal` has an *intent* for each upload. The ledger commits it before the file exists, on its own
connection. The journal is a separate table because of sessions at REPEATABLE READ. Their snapshot may be older than the
intent. Such a session can insert an entry, but cannot change a row that the ledger has inserted since. SQLite has one
writer, so there the journal is in a second database file.

`stored_files_columns` has a row for each column that may name files. A worker that does not know one of them deletes
nothing.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Double,
    FromClause,
    Index,
    MetaData,
    String,
    Table,
    Unicode,
    any_,
    bindparam,
    cast,
    func,
    literal,
    select,
    text,
    true,
)
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

from async_storages.errors import InvalidArgumentException, StorageException
from async_storages.integrations.sqlalchemy.columns.database_types import MYSQL_DIALECTS
from async_storages.integrations.sqlalchemy.columns.fields import FileField
from async_storages.integrations.sqlalchemy.references.column_locations import OWN_STATEMENT
from async_storages.storage.base import Storage

__all__ = [
    "ENGINE",
    "SUPPORTED",
    "ColumnName",
    "ExactText",
    "State",
    "add_ledger_tables",
    "columns_of",
    "file_parameters",
    "insert",
    "insert_entries",
    "insert_files",
    "insert_given_files",
    "journal_of",
    "label_of",
    "missing_table",
    "name_of",
    "now",
    "one_of",
    "require_supported",
    "unless_known",
]

SUPPORTED = ("postgresql", "sqlite", *MYSQL_DIALECTS)
"""The databases that the protocol supports with their locks."""

_LONGEST_LABEL = 255
"""The largest number of characters of a label."""

type _Insert = Any  # of a dialect: they differ in how they name what is done with rows that are there


def require_supported(dialect: Dialect) -> None:
    """Require a database that the protocol supports with its locks.

    Raises:
        InvalidArgumentException: It is another database.
    """
    if dialect.name not in SUPPORTED:
        raise InvalidArgumentException(
            f"a ledger works on PostgreSQL, SQLite, MySQL and MariaDB, not on {dialect.name}", operation="ledger"
        )


class State(StrEnum):
    """The state of a file in the ledger.

    Attributes:
        LIVE: A committed transaction has claimed the file.
        DOOMED: A worker will delete the file at `until`, unless a row names it by then.
        DELETING: Condemned: no row may name the file any more. At `until` another worker takes over.
        GONE: A worker that took over has deleted the file. The first worker may still send its request, so the id stays
            taken until `until`.
        MARK: No file: the object by which a ledger recognises its own storage.
        WANTED: No file: variants that a worker will make, see `work_queue`.
        COPY: No file: a copy for a mirror that a worker will make.
    """

    LIVE = "live"
    DOOMED = "doomed"
    DELETING = "deleting"
    GONE = "gone"
    MARK = "mark"
    WANTED = "wanted"
    COPY = "copy"


class now(FunctionElement[float]):  # noqa: N801 - a function of SQL
    """The time of the database's clock in seconds since 1970. It advances within a transaction, too."""

    type = Double()
    inherit_cache = True
    name = "now"


@compiles(now, "postgresql")
def _postgresql_now(_element: now, _compiler: SQLCompiler, **_options: Any) -> str:
    return "extract(epoch FROM clock_timestamp())::double precision"


@compiles(now, "sqlite")
def _sqlite_now(_element: now, _compiler: SQLCompiler, **_options: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(now, "mysql")
@compiles(now, "mariadb")
def _mysql_now(_element: now, _compiler: SQLCompiler, **_options: Any) -> str:
    """Write the time of the statement in UTC. `UNIX_TIMESTAMP` would jump with the session's daylight saving time."""
    return "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) / 1000000e0)"


class ExactText(TypeDecorator[str]):
    """Text that the database compares character by character. MySQL stores its bytes, and can index 3072 of them.

    MySQL's collations, even ``utf8mb4_bin``, ignore spaces at the end.

    Args:
        length: The largest number of characters. MySQL gets three times as many bytes.
    """

    impl = Unicode
    cache_ok = True

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.length = length

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Use bytes on MySQL."""
        if dialect.name in MYSQL_DIALECTS:
            return dialect.type_descriptor(mysql.VARBINARY(3 * self.length))
        return super().load_dialect_impl(dialect)

    def bind_processor(self, dialect: Dialect) -> Any:
        """Turn text into bytes on MySQL. Other databases store the text unchanged."""
        if dialect.name in MYSQL_DIALECTS:
            return super().bind_processor(dialect)
        return self.impl_instance.bind_processor(dialect)

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        """Turn bytes into text on MySQL. Other databases return text."""
        if dialect.name in MYSQL_DIALECTS:
            return super().result_processor(dialect, coltype)
        return self.impl_instance.result_processor(dialect, coltype)

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        """Return the bytes for MySQL.

        Raises:
            InvalidArgumentException: There are too many bytes. An INSERT IGNORE would cut them.
        """
        if value is None or dialect.name not in MYSQL_DIALECTS:  # a literal
            return value
        written = value.encode()
        if len(written) > 3 * self.length:
            raise InvalidArgumentException(f"the ledger has no room for {len(written)} bytes", file_id=value)
        return written

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        """Return the text of the bytes."""
        return value.decode() if isinstance(value, bytes) else value


ENGINE: dict[str, Any] = {"mysql_engine": "InnoDB", "mariadb_engine": "InnoDB"}
"""The MySQL storage engine that supports transactions."""


def add_ledger_tables(metadata: MetaData, name: str = "stored_files") -> Table:
    """Add the ledger's tables to a MetaData, so that `create_all` and Alembic create them.

    A second call returns the same table.

    Args:
        metadata: The metadata of the application's tables. If it has a schema, the new tables are in that schema.
        name: The name of the first table. The names of the others end with ``_journal`` and ``_columns``.

    Returns:
        The first table, with the columns id, storage, state, until, since and pinned.
    """
    key = f"{metadata.schema}.{name}" if metadata.schema else name
    if key in metadata.tables:
        return metadata.tables[key]
    Table(
        f"{name}_journal",
        metadata,
        Column("id", ExactText(1024), primary_key=True),
        Column("storage", ExactText(_LONGEST_LABEL), nullable=False),
        Column("until", Double, nullable=False),
        Index(f"ix_{name}_journal_until", "until"),
        **ENGINE,
    )
    Table(
        f"{name}_columns",
        metadata,
        Column("table_name", ExactText(255), primary_key=True),
        Column("column_name", ExactText(255), primary_key=True),
        Column("since", Double, nullable=False),
        **ENGINE,
    )
    return Table(
        name,
        metadata,
        Column("id", ExactText(1024), primary_key=True),
        Column("storage", ExactText(_LONGEST_LABEL), nullable=False),
        Column("state", String(8), nullable=False),
        Column("until", Double, nullable=False),
        Column("since", Double, nullable=False),
        Column("pinned", Boolean, nullable=False),
        Index(f"ix_{name}_state_until", "state", "until"),
        **ENGINE,
    )


def missing_table(table: Table) -> StorageException:
    """Return the error for a table of the ledger that is not in the database."""
    return StorageException(
        f"the ledger's table {table.fullname!r} is not in the database: run `await ledger.create()`, or a migration "
        "with `op.create_file_ledger()`, which adds what an older ledger lacks",
        operation="ledger",
    )


def journal_of(table: Table) -> Table:
    """Return the journal of a table that `add_ledger_tables` made."""
    return table.metadata.tables[f"{table.key}_journal"]


def columns_of(table: Table) -> Table:
    """Return the table of known columns of a table that `add_ledger_tables` made."""
    return table.metadata.tables[f"{table.key}_columns"]


type ColumnName = tuple[str, str]
"""The name of a table, with its schema if the models have one, and the name of a column."""


def name_of(field: FileField) -> ColumnName:
    """Return the name by which other processes know a file column."""
    return field.column.table.fullname, field.column.name


def label_of(storage: Storage | None) -> str:
    """Return the label that tells apart storages with equal ids: the storage's name, or else its location.

    The label is empty if the storage is not known here.
    """
    return "" if storage is None else (storage.name or storage.location or "")[:_LONGEST_LABEL]


def insert(table: Table, dialect: Dialect) -> _Insert:
    """Return an INSERT that supports conflict clauses and reports its rowcount."""
    kinds: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
    new: _Insert = kinds.get(dialect.name, mysql.insert)(table)
    # psycopg forgets the rowcount otherwise; and sessions need not look for files in it
    return new.execution_options(preserve_rowcount=True, **{OWN_STATEMENT: True})


def unless_known(new: _Insert) -> _Insert:
    """Return the INSERT without rows that exist already. Its rowcount is the number of new rows."""
    return new.prefix_with("IGNORE") if isinstance(new, mysql.Insert) else new.on_conflict_do_nothing()


def one_of(column: ColumnElement[str], ids: Iterable[str], dialect: Dialect) -> ColumnElement[bool]:
    """Return the condition that a column holds one of some ids. It uses one parameter where possible."""
    if dialect.name == "postgresql":
        return column == any_(cast(list(ids), postgresql.ARRAY(Unicode())))
    if dialect.name in MYSQL_DIALECTS:
        return column.in_(list(ids))
    return column.in_(select(func.json_each(json.dumps(list(ids))).table_valued("value").c.value))


def insert_files(table: Table, dialect: Dialect, files: Iterable[tuple[str, str]], **same: Any) -> _Insert:
    """Return an INSERT of many files, with one parameter if possible.

    To write separate parameters for each row takes longer than to run the statement.

    Args:
        table: A table with columns for ids, storages, and others.
        dialect: The dialect of the database.
        files: Ids and labels of storages.
        **same: The values of the other columns, the same in each row.
    """
    chosen = list(files)
    if dialect.name in MYSQL_DIALECTS:
        return insert(table, dialect).values([{"id": id_, "storage": label, **same} for id_, label in chosen])
    given = {name: literal(value) for name, value in file_parameters(dialect, chosen).items()}
    others = {
        name: value if isinstance(value, ColumnElement) else literal(value, table.c[name].type)
        for name, value in same.items()
    }
    return _insert_given(table, dialect, given, others)


def insert_given_files(
    table: Table, dialect: Dialect, *, only: FromClause | None = None, **same: ColumnElement[Any]
) -> _Insert:
    """Return the INSERT of `insert_files` without the files, for SQLite and PostgreSQL.

    The statement is built once. `file_parameters` returns the parameters of each execution.

    Args:
        table: A table with columns for ids, storages, and others.
        dialect: The dialect of the database.
        only: On PostgreSQL, the ids of the files to insert. None inserts all given files.
        **same: The values of the other columns, the same in each row.
    """
    names = file_parameters(dialect, ())
    return _insert_given(table, dialect, {name: bindparam(name) for name in names}, same, only)


def file_parameters(dialect: Dialect, files: Collection[tuple[str, str]]) -> dict[str, Any]:
    """Return the parameters of `insert_given_files` for files: ids and labels of storages."""
    if dialect.name == "postgresql":
        return {"given_ids": [each[0] for each in files], "given_labels": [each[1] for each in files]}
    return {"given_files": json.dumps(list(files))}


def _insert_given(
    table: Table,
    dialect: Dialect,
    given: Mapping[str, ColumnElement[Any]],
    others: Mapping[str, ColumnElement[Any]],
    only: FromClause | None = None,
) -> _Insert:
    if dialect.name == "postgresql":
        arrays = [cast(each, postgresql.ARRAY(Unicode())) for each in given.values()]
        rows: Any = func.unnest(*arrays).table_valued("id", "storage").render_derived()
        found = [rows.c.id, rows.c.storage]
    else:
        rows = func.json_each(*given.values()).table_valued("value")
        found = [func.json_extract(rows.c.value, text(f"'$[{each}]'")) for each in (0, 1)]
    # without WHERE, SQLite takes ON for a join's
    chosen = true() if only is None else rows.c.id.in_(select(only.c.id))
    each_row = select(*found, *others.values()).select_from(rows).where(chosen)
    return insert(table, dialect).from_select(["id", "storage", *others], each_row)


def insert_entries(
    table: Table,
    dialect: Dialect,
    files: Iterable[tuple[str, str]],
    state: State,
    *,
    until: Any = 0.0,
    pinned: bool = False,
) -> _Insert:
    """Return an INSERT of entries that are all in one state and known from now on.

    Args:
        table: The ledger's first table.
        dialect: The dialect of the database.
        files: Ids and labels of storages.
        state: Their state.
        until: The end of the state, by the database's clock.
        pinned: True keeps the files when no row names them.
    """
    return insert_files(table, dialect, files, state=state, until=until, since=now(), pinned=pinned)
