"""The SQL that searches file columns for ids: one statement for some dozen columns of any kind.

The SQL is text, because SQLAlchemy takes longer to build such a statement than the database to run it.
"""

from collections.abc import Iterator
from functools import lru_cache

from sqlalchemy import ARRAY, JSON, Dialect, TextClause, Unicode, bindparam, literal_column, text
from sqlalchemy.dialects import postgresql

from async_storages.errors import InvalidArgumentException
from async_storages.integrations.sqlalchemy.columns.database_types import (
    MYSQL_DIALECTS,
    has_gin_index,
    items_in_mysql,
    type_in_database,
)
from async_storages.integrations.sqlalchemy.columns.queries import is_malformed
from async_storages.integrations.sqlalchemy.references.column_locations import ColumnLocation

__all__ = ["ISOLATION_QUERY", "build_lookup", "is_searchable"]

ISOLATION_QUERY = "SELECT NULL, current_setting('transaction_isolation')"
"""The query for the isolation level of a PostgreSQL transaction. Its row has no id."""


def is_searchable(location: ColumnLocation, dialect: str) -> bool:
    """Return True if the values of a column can be searched for ids."""
    return dialect in {"postgresql", "sqlite"} or dialect in MYSQL_DIALECTS or _kind(location, dialect) == "text"


@lru_cache(maxsize=256)
def build_lookup(locations: tuple[ColumnLocation, ...], dialect: Dialect, *, is_locking: bool = False) -> TextClause:
    """Build the query for ``:ids`` in some columns. On PostgreSQL, a row without an id contains the isolation level."""
    found = [(location, branch) for location in locations for branch in _branches(location, dialect)]
    is_locked = is_locking and dialect.name in MYSQL_DIALECTS
    branches = " UNION ALL ".join(f"({each} {_lock(of, dialect)})" if is_locked else each for of, each in found)
    if dialect.name != "postgresql":
        return text(branches).bindparams(bindparam("ids", expanding=dialect.name != "sqlite"))
    named = f"SELECT id, CAST(NULL AS TEXT) FROM ({branches}) AS found(id)"  # noqa: S608
    statement = text(f"{named} UNION ALL {ISOLATION_QUERY}")
    names = [name for name in ("ids", "escaped") if f":{name}" in branches]
    return statement.bindparams(*(bindparam(name, type_=postgresql.ARRAY(Unicode())) for name in names))


def _lock(location: ColumnLocation, dialect: Dialect) -> str:
    """Return the clause that locks the rows of a table, but not the rows of JSON_TABLE, which MySQL cannot lock."""
    table = _quoted(location.field.column.table.name, dialect)
    return "LOCK IN SHARE MODE" if getattr(dialect, "is_mariadb", False) else f"FOR SHARE OF {table}"


def _branches(location: ColumnLocation, dialect: Dialect) -> Iterator[str]:
    table, name = _quoted(location.field.column.table.name, dialect), _quoted(location.field.column.name, dialect)
    if location.schema is not None:
        table = f"{_quoted(location.schema, dialect)}.{table}"
    kind, column = _kind(location, dialect.name), f"{table}.{name}"
    if dialect.name == "postgresql":
        yield from _in_postgresql(table, column, kind, dialect, is_indexed=has_gin_index(location.field.column))
    elif dialect.name in MYSQL_DIALECTS:
        yield from _in_mysql(table, column, kind)
    elif kind == "text":
        chosen = "(SELECT value FROM json_each(:ids))" if dialect.name == "sqlite" else ":ids"
        yield f"SELECT DISTINCT {column} FROM {table} WHERE {column} IN {chosen}"  # noqa: S608 - quoted names
    elif dialect.name == "sqlite":
        yield from _in_lists_of_sqlite(table, column, _malformed(column, dialect))
    else:
        raise InvalidArgumentException(f"nothing finds ids in the lists of {dialect.name}", operation="ask")


def _in_lists_of_sqlite(table: str, column: str, malformed: str) -> Iterator[str]:
    """Search the items of lists. Malformed JSON names all ids that its text contains."""
    yield (
        f"SELECT DISTINCT _item.value FROM {table}, "  # noqa: S608 - quoted names
        f"json_each(CASE WHEN {malformed} THEN '[]' ELSE {column} END) AS _item "
        "WHERE _item.value IN (SELECT value FROM json_each(:ids))"
    )
    yield (
        f"SELECT DISTINCT _asked.value FROM {table} JOIN json_each(:ids) AS _asked "  # noqa: S608
        f"WHERE {malformed} AND (instr({column}, _asked.value) OR instr({column}, _asked.key))"
    )


def _in_mysql(table: str, column: str, kind: str) -> Iterator[str]:
    """Search for the ids as bytes: some collations ignore differences of case, or spaces at the end."""
    if kind == "text":
        yield f"SELECT DISTINCT {_bytes(column)} FROM {table} WHERE {column} IN :ids"  # noqa: S608 - quoted names
        return
    yield f"SELECT DISTINCT {_bytes('_item.id')} FROM {table}, {items_in_mysql(column)} AS _item WHERE _item.id IN :ids"  # noqa: S608
    text_ = "VARCHAR(8192) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
    asked = f"JSON_TABLE(:asked, '$[*]' COLUMNS (spelling {text_} PATH '$[0]', id {text_} PATH '$[1]'))"
    lists = f"CONVERT({column} USING utf8mb4)"
    yield (  # a value that is no list names all ids in its text
        f"SELECT DISTINCT {_bytes('_asked.id')} FROM {table} JOIN {asked} AS _asked "  # noqa: S608
        f"ON CASE WHEN JSON_VALID({column}) THEN JSON_TYPE({column}) <> 'ARRAY' ELSE {column} IS NOT NULL END "
        f"AND (INSTR({lists}, _asked.id) OR INSTR({lists}, _asked.spelling))"
    )


def _bytes(value: str) -> str:
    return f"CAST(CONVERT({value} USING utf8mb4) AS BINARY)"


def _in_postgresql(table: str, column: str, kind: str, dialect: Dialect, *, is_indexed: bool) -> Iterator[str]:
    """Search for each id in an index. Without an index, read the table once for all ids."""
    if kind == "text":
        yield _each_id(f"SELECT 1 FROM {table} WHERE {column} = _asked.id")  # noqa: S608 - quoted names
    elif is_indexed:
        item = "ARRAY[_asked.id]" if kind == "array" else "jsonb_build_array(_asked.id)"
        lists = column if kind == "array" else f"CAST({column} AS JSONB)"
        yield _each_id(f"SELECT 1 FROM {table} WHERE {lists} @> {item}")  # noqa: S608
    elif kind == "array":
        yield f"SELECT DISTINCT _item.id FROM {table}, unnest({column}) AS _item(id) WHERE _item.id = ANY(:ids)"  # noqa: S608
    else:
        malformed = _malformed(column, dialect)
        lists = f"CASE WHEN {malformed} THEN '[]' ELSE CAST({column} AS JSONB) END"
        yield (  # the path also finds values that are no lists, without an error
            f"SELECT DISTINCT _item.value #>> '{{}}' FROM {table}, jsonb_path_query({lists}, '$[*]') AS _item(value) "  # noqa: S608
            "WHERE _item.value #>> '{}' = ANY(:ids)"
        )
        text_ = f"CAST({column} AS TEXT)"
        yield (
            f"SELECT DISTINCT _asked.id FROM {table} JOIN unnest(:ids, :escaped) AS _asked(id, escaped) "  # noqa: S608
            f"ON {malformed} AND (strpos({text_}, _asked.id) > 0 OR strpos({text_}, _asked.escaped) > 0)"
        )


def _each_id(rows: str) -> str:
    return f"SELECT _asked.id FROM unnest(:ids) AS _asked(id) WHERE EXISTS ({rows})"  # noqa: S608


def _malformed(column: str, dialect: Dialect) -> str:
    return str(is_malformed(literal_column(column)).compile(dialect=dialect))


def _quoted(name: str, dialect: Dialect) -> str:
    quote = "`" if dialect.name in MYSQL_DIALECTS else '"'
    escaped = str(name).replace(quote, 2 * quote).replace(":", "\\:")
    return f"{quote}{escaped}{quote}"


def _kind(location: ColumnLocation, dialect: str) -> str:
    """Return the kind of the database's column. For a text column, which may contain JSON, it is the model's kind."""
    model = type_in_database(location.field.column.type, dialect)
    if location.kind in {None, "text"} and isinstance(model, JSON):
        return "json"
    return location.kind or ("array" if isinstance(model, ARRAY) else "text")
