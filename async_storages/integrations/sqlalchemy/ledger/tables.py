"""The tables of the ledger, and the SQL that PostgreSQL and SQLite spell differently.

`stored_files` has an *entry* for each file that rows name, or that is about to be deleted. A session writes it in its
own transaction. `stored_files_journal` has an *intent* for each upload under way, written before the file is, on a
connection of the ledger's own. The journal is a table of its own, because a session whose snapshot is older (REPEATABLE
READ) can insert an entry beside the intent, but could not change a row that the ledger has inserted since. On SQLite,
which has one writer, the journal is in a second database file. `stored_files_columns` has a row for each column that
may name files: a worker that does not know one of them deletes nothing.
"""

import json
from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Double,
    Index,
    MetaData,
    String,
    Table,
    Unicode,
    any_,
    cast,
    func,
    literal,
    select,
    text,
    true,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from async_storages.errors import InvalidArgumentException, StorageException
from async_storages.integrations.sqlalchemy.columns.fields import FileField
from async_storages.integrations.sqlalchemy.references.column_locations import OWN_STATEMENT

__all__ = [
    "SUPPORTED",
    "ColumnName",
    "State",
    "add_ledger_tables",
    "columns_of",
    "insert",
    "insert_entries",
    "insert_files",
    "journal_of",
    "missing_table",
    "name_of",
    "now",
    "one_of",
]

SUPPORTED = ("postgresql", "sqlite")
"""The databases whose locks the protocol is made for."""


class State(StrEnum):
    """The state of a file in the ledger.

    Attributes:
        LIVE: Claimed by a transaction that was committed.
        DOOMED: To be deleted at `until`, unless a row names it then.
        DELETING: Condemned: no row may name it any more. At `until` another worker takes over.
        GONE: Deleted by a worker that took over. The first one may still send its request, so that the id stays taken
            until `until`.
        MARK: No file, but the object by which a ledger knows a storage as its own.
    """

    LIVE = "live"
    DOOMED = "doomed"
    DELETING = "deleting"
    GONE = "gone"
    MARK = "mark"


class now(FunctionElement[float]):  # noqa: N801 - a function of SQL
    """The database's clock, in seconds since 1970: also in the middle of a transaction."""

    type = Double()
    inherit_cache = True
    name = "now"


@compiles(now, "postgresql")
def _postgresql_now(_element: now, _compiler: SQLCompiler, **_options: Any) -> str:
    return "extract(epoch FROM clock_timestamp())::double precision"


@compiles(now, "sqlite")
def _sqlite_now(_element: now, _compiler: SQLCompiler, **_options: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


def add_ledger_tables(metadata: MetaData, name: str = "stored_files") -> Table:
    """Put the ledger's tables into a MetaData, so that `create_all` and Alembic make them; twice is once.

    Args:
        metadata: The metadata of the application's tables; its schema, if it has one, is that of these tables.
        name: The name of the first; those of the others end with ``_journal`` and ``_columns``.

    Returns:
        The first: id, storage, state, until, since, pinned.
    """
    key = f"{metadata.schema}.{name}" if metadata.schema else name
    if key in metadata.tables:
        return metadata.tables[key]
    Table(
        f"{name}_journal",
        metadata,
        Column("id", Unicode(1024), primary_key=True),
        Column("storage", Unicode(255), nullable=False),
        Column("until", Double, nullable=False),
        Index(f"ix_{name}_journal_until", "until"),
    )
    Table(
        f"{name}_columns",
        metadata,
        Column("table_name", Unicode(255), primary_key=True),
        Column("column_name", Unicode(255), primary_key=True),
        Column("since", Double, nullable=False),
    )
    return Table(
        name,
        metadata,
        Column("id", Unicode(1024), primary_key=True),
        Column("storage", Unicode(255), nullable=False),
        Column("state", String(8), nullable=False),
        Column("until", Double, nullable=False),
        Column("since", Double, nullable=False),
        Column("pinned", Boolean, nullable=False),
        Index(f"ix_{name}_state_until", "state", "until"),
    )


def missing_table(table: Table) -> StorageException:
    """The error for a table of the ledger that is not in the database."""
    return StorageException(
        f"the ledger's table {table.fullname!r} is not in the database: run `await ledger.create()`, or a migration "
        "with `op.create_file_ledger()`, which adds what an older ledger lacks",
        operation="ledger",
    )


def journal_of(table: Table) -> Table:
    """The journal beside a table that `add_ledger_tables` made."""
    return table.metadata.tables[f"{table.key}_journal"]


def columns_of(table: Table) -> Table:
    """The known columns beside a table that `add_ledger_tables` made."""
    return table.metadata.tables[f"{table.key}_columns"]


type ColumnName = tuple[str, str]
"""The name of a table, with its schema if the models say it, and that of a column."""


def name_of(field: FileField) -> ColumnName:
    """The name by which other processes know a file column."""
    return field.column.table.fullname, field.column.name


def insert(table: Table, dialect: Dialect) -> "postgresql.Insert | sqlite.Insert":
    """An INSERT that can say what is done ``ON CONFLICT``, and tells its rowcount.

    Raises:
        InvalidArgumentException: Another database than PostgreSQL or SQLite.
    """
    if dialect.name not in SUPPORTED:
        raise InvalidArgumentException(
            f"a ledger works on PostgreSQL and SQLite, not on {dialect.name}", operation="ledger"
        )
    new = postgresql.insert(table) if dialect.name == "postgresql" else sqlite.insert(table)
    # psycopg forgets the rowcount otherwise; and sessions need not look for files in it
    return new.execution_options(preserve_rowcount=True, **{OWN_STATEMENT: True})


def one_of(column: ColumnElement[str], ids: Iterable[str], dialect: Dialect) -> ColumnElement[bool]:
    """A condition that a column holds one of some ids, by one parameter: as `insert_files`."""
    if dialect.name == "postgresql":
        return column == any_(cast(list(ids), postgresql.ARRAY(Unicode())))
    return column.in_(select(func.json_each(json.dumps(list(ids))).table_valued("value").c.value))


def insert_files(
    table: Table, dialect: Dialect, files: Iterable[tuple[str, str]], **same: Any
) -> "postgresql.Insert | sqlite.Insert":
    """An INSERT of many files by one parameter: with parameters for each row it takes longer to write than to run.

    Args:
        table: With columns for ids and storages, and others.
        dialect: The database's.
        files: Ids and labels of storages.
        **same: The values of the other columns, the same in each row.
    """
    chosen = list(files)
    others = [
        literal(value, table.c[name].type) if not isinstance(value, ColumnElement) else value
        for name, value in same.items()
    ]
    if dialect.name == "postgresql":
        ids, labels = (cast([file[each] for file in chosen], postgresql.ARRAY(Unicode())) for each in (0, 1))
        rows: Any = func.unnest(ids, labels).table_valued("id", "storage").render_derived()
        found = [rows.c.id, rows.c.storage]
    else:
        rows = func.json_each(json.dumps(chosen)).table_valued("value")
        found = [func.json_extract(rows.c.value, text(f"'$[{each}]'")) for each in (0, 1)]
    each_row = select(*found, *others).select_from(rows).where(true())  # without WHERE, SQLite takes ON for a join's
    return insert(table, dialect).from_select(["id", "storage", *same], each_row)


def insert_entries(
    table: Table,
    dialect: Dialect,
    files: Iterable[tuple[str, str]],
    state: State,
    *,
    until: Any = 0.0,
    pinned: bool = False,
) -> "postgresql.Insert | sqlite.Insert":
    """An INSERT of entries, known from now on, which are all in one state.

    Args:
        table: The ledger's first table.
        dialect: The database's.
        files: Ids and labels of storages.
        state: Their state.
        until: The time that the state lasts, by the database's clock.
        pinned: True to keep the files when no row names them.
    """
    return insert_files(table, dialect, files, state=state, until=until, since=now(), pinned=pinned)
