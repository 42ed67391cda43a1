"""Queries over whole file columns."""

from itertools import batched
from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    Boolean,
    Column,
    Connection,
    Select,
    Unicode,
    case,
    literal,
    select,
    type_coerce,
    update,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from async_storages.errors import InvalidArgumentException, during
from async_storages.ids import is_fusion_id
from async_storages.integrations.sqlalchemy.columns.database_types import (
    MYSQL_DIALECTS,
    has_gin_index,
    type_in_database,
)
from async_storages.registry import StorageRouter

__all__ = ["is_malformed", "malformed_rows", "normalise_file_ids"]

_NO_JSONB = r"\\u0000|\\u[dD][89abAB]..(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F]"
"""Patterns of JSON that JSONB cannot hold: null characters, and halves of surrogate pairs."""

_READ = 10_000
"""Number of keys that one query reads."""
_WRITTEN = 500
"""Number of keys that one statement rewrites. Each takes three parameters, and SQL Server allows 2100."""


def normalise_file_ids(connection: Connection, column: Column[Any], storage: StorageRouter) -> int:
    """Rewrite the bare keys in a column as fusion ids, so that ``==`` finds them.

    Run it once, when you turn a column of plain strings into a file column. A second run changes nothing.

    Args:
        connection: A synchronous connection, in a transaction. With an AsyncConnection, use ``await
            connection.run_sync(normalise_file_ids, Document.__table__.c.file, storage)``.
        column: The table's column. All bare keys in it belong to `storage`.
        storage: The storage that turns them into full ids.

    Returns:
        The number of different keys that it rewrote.

    Raises:
        InvalidArgumentException: The column holds lists. Or a value, which the message names, cannot be a key of this
            storage, or its id is too long for the column. If you then roll back, nothing is rewritten.
    """
    _require_keys(connection, column)
    raw = type_coerce(column, Unicode())
    changed, last = 0, ""
    while values := connection.scalars(select(raw).where(raw > last).distinct().order_by(raw).limit(_READ)).all():
        ids = {value: _identify(value, column, storage) for value in values if not is_fusion_id(value)}
        changes = [(value, file_id) for value, file_id in ids.items() if file_id != value]
        for batch in map(dict, batched(changes, _WRITTEN)):  # not key by key: the column may have no index
            connection.execute(update(column.table).where(raw.in_(batch)).values({column: case(batch, value=raw)}))
        changed, last = changed + len(changes), values[-1]
    return changed


def _require_keys(connection: Connection, column: Column[Any]) -> None:
    if column.table is None:
        raise InvalidArgumentException("the column belongs to no table", operation="normalise_file_ids")
    if isinstance(type_in_database(column.type, connection.dialect.name), ARRAY | JSON):
        raise InvalidArgumentException(f"{column} holds lists, not single keys", operation="normalise_file_ids")


def _identify(key: str, column: Column[Any], storage: StorageRouter) -> str:
    length: int | None = getattr(column.type, "length", None)
    with during("normalise_file_ids", key):
        file_id = str(storage.identify(key))
        if length is not None and len(file_id) > length:
            raise InvalidArgumentException(f"the id would have {len(file_id)} characters, the column has {length}")
        return file_id


def malformed_rows(column: Column[Any], dialect_name: str) -> Select[Any] | None:
    """Return the query for primary keys of rows with malformed JSON; None if the column cannot have any."""
    is_json = isinstance(type_in_database(column.type, dialect_name), JSON)
    is_known = dialect_name in {"sqlite", "postgresql"} or dialect_name in MYSQL_DIALECTS
    if not (is_known and is_json) or has_gin_index(column):
        return None
    key: list[Any] = list(column.table.primary_key) or [literal("?")]
    rows: Any = select(*key)
    malformed: Select[Any] = rows.where(is_malformed(column))
    return malformed


class is_malformed(FunctionElement[bool]):  # noqa: N801 - a function of SQL
    """The SQL condition that the database cannot search a value of a JSON column."""

    type = Boolean()
    inherit_cache = True
    name = "is_malformed"


@compiles(is_malformed, "sqlite")
@compiles(is_malformed, "mysql")
@compiles(is_malformed, "mariadb")
def _is_no_json(element: is_malformed, compiler: SQLCompiler, **options: Any) -> str:
    value = compiler.process(element.clauses, **options)
    return f"({value} IS NOT NULL AND NOT json_valid({value}))"  # json_valid(NULL) is 0 on older SQLite


@compiles(is_malformed, "postgresql")
def _postgresql_is_malformed(element: is_malformed, compiler: SQLCompiler, **options: Any) -> str:
    """Test JSON for values that JSONB cannot hold. PostgreSQL before 16 cannot test TEXT completely."""
    value = compiler.process(element.clauses, **options)
    version: Any = getattr(compiler.dialect, "server_version_info", None) or (0,)
    is_new = version >= (16,)
    is_valid = (
        f"pg_input_is_valid(CAST({value} AS TEXT), 'jsonb')" if is_new else f"CAST({value} AS TEXT) !~ '{_NO_JSONB}'"
    )
    return f"(CASE WHEN {value} IS NULL OR pg_typeof({value}) = 'jsonb'::regtype THEN false ELSE NOT {is_valid} END)"
