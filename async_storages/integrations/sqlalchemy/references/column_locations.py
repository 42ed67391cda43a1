"""Locations of file columns, as one connection sees them at one time. Its search_path may change them."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import batched
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, TextClause, Unicode, bindparam, inspect, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError

from async_storages.errors import StorageException
from async_storages.integrations.sqlalchemy import _greenlet
from async_storages.integrations.sqlalchemy.columns.fields import FileField
from async_storages.integrations.sqlalchemy.columns.tracked_file import TrackedFile
from async_storages.registry import StorageAddress, StorageRef, StorageRouter
from async_storages.storage.base import Storage

__all__ = [
    "OWN_STATEMENT",
    "ColumnLocation",
    "can_serve",
    "fetch_all_rows",
    "fields_for_files",
    "locate_columns",
    "router_of",
]

OWN_STATEMENT = "async_storages_own"
"""The execution option of this package's own queries. Such queries change no files."""

_BATCH = 500
"""Columns that one statement locates."""


@dataclass(frozen=True, slots=True)
class ColumnLocation:
    """The location of a file column for a connection.

    Attributes:
        field: The column.
        schema: The schema of its table. None is the only schema, or the database's default.
        is_hidden: True if the connection's role may not see all rows, because of row-level security or a missing
            privilege.
        kind: The type in the database, ``"text"``, ``"array"`` or ``"json"``; None if it is unknown.
    """

    field: FileField
    schema: str | None
    is_hidden: bool = False
    kind: str | None = None


def fields_for_files(fields: Iterable[FileField], files: Collection[TrackedFile]) -> list[FileField]:
    """Return the columns that can name one of the files, by their storages. One file per storage is enough."""
    routers: dict[int, bool] = {}
    chosen = []
    for each in fields:
        router = router_of(each)
        if id(router) not in routers:
            routers[id(router)] = any(can_serve(router, file) for file in files)
        if routers[id(router)]:
            chosen.append(each)
    return chosen


def router_of(file_field: FileField) -> StorageRouter | None:
    """Return the storage or manager of a column; None if this process does not know it."""
    try:
        return StorageRef(file_field.type.storage).resolve()
    except StorageException:
        return None  # it is not registered here, and could be any storage


def can_serve(router: StorageRouter | None, file: TrackedFile) -> bool:
    """Return True if columns of a storage or manager can name a file, or if that is unknown."""
    if router is None or file.address is None:
        return True
    if isinstance(router, Storage):
        return StorageAddress.of(router) == file.address
    try:
        return StorageAddress.of(router.storage_for(file.file_id)) == file.address
    except StorageException:
        return True


_NONE: Mapping[str, Any] = MappingProxyType({})


def locate_columns(
    connection: Connection, fields: Sequence[FileField], options: Mapping[str, Any] = _NONE
) -> list[ColumnLocation]:
    """Find the columns that a connection sees. Other columns are in other databases, or not migrated yet.

    Args:
        connection: The connection.
        fields: The columns.
        options: Execution options of the statement that changes files, if they differ from the connection's.
    """
    translated = {**connection.get_execution_options(), **options}.get("schema_translate_map") or {}
    wanted = [(each, translated.get(each.column.table.schema, each.column.table.schema)) for each in fields]
    find = _LOCATE.get(connection.dialect.name, _locate_by_inspector)
    found: list[ColumnLocation] = []
    for batch in batched(wanted, _BATCH):
        found += find(connection, batch)
        if len(batch) == _BATCH:
            _greenlet.give_way()
    return found


type _Wanted = Sequence[tuple[FileField, str | None]]

_POSTGRESQL_COLUMNS = text(
    """
    SELECT wanted.number, pg_namespace.nspname,
        row_security_active(pg_class.oid)
            OR NOT has_schema_privilege(pg_namespace.oid, 'USAGE')
            OR NOT has_column_privilege(pg_class.oid, pg_attribute.attnum, 'SELECT')
            OR NOT (pg_type.typcategory IN ('S', 'A') OR pg_type.typname IN ('json', 'jsonb')),
        CASE pg_type.typcategory WHEN 'S' THEN 'text' WHEN 'A' THEN 'array' ELSE 'json' END
    FROM unnest(:schemas, :tables, :columns) WITH ORDINALITY AS wanted(schema, name, "column", number)
    JOIN pg_class ON pg_class.oid = CASE
        WHEN wanted.schema IS NULL THEN to_regclass(quote_ident(wanted.name))
        ELSE (
            SELECT other.oid FROM pg_class AS other JOIN pg_namespace AS namespace ON namespace.oid = other.relnamespace
            WHERE other.relname = wanted.name AND namespace.nspname = wanted.schema
        )
    END
    JOIN pg_namespace ON pg_namespace.oid = pg_class.relnamespace
    JOIN pg_attribute ON pg_attribute.attrelid = pg_class.oid
        AND pg_attribute.attname = wanted."column" AND NOT pg_attribute.attisdropped
    JOIN pg_type ON pg_type.oid = pg_attribute.atttypid
    """
).bindparams(*(bindparam(name, type_=postgresql.ARRAY(Unicode())) for name in ("schemas", "tables", "columns")))

_SQLITE_COLUMNS = text(
    """
    SELECT wanted.key FROM json_each(:wanted) AS wanted
    JOIN pragma_table_info(json_extract(wanted.value, '$[1]'), json_extract(wanted.value, '$[0]')) AS found
        ON found.name = json_extract(wanted.value, '$[2]') COLLATE NOCASE
    """
)


def _locate_in_postgresql(connection: Connection, wanted: _Wanted) -> Iterator[ColumnLocation]:
    schemas, tables, columns = zip(*(_names(each, schema) for each, schema in wanted), strict=True)
    parameters = {"schemas": list(schemas), "tables": list(tables), "columns": list(columns)}
    for number, schema, is_hidden, kind in fetch_all_rows(connection, _POSTGRESQL_COLUMNS, parameters):
        yield ColumnLocation(wanted[number - 1][0], schema, is_hidden, kind)


def _locate_in_sqlite(connection: Connection, wanted: _Wanted) -> Iterator[ColumnLocation]:
    names = json.dumps([_names(each, schema) for each, schema in wanted])
    for row in fetch_all_rows(connection, _SQLITE_COLUMNS, {"wanted": names}):
        yield ColumnLocation(*wanted[row[0]])


def _locate_by_inspector(connection: Connection, wanted: _Wanted) -> Iterator[ColumnLocation]:
    inspector, columns = inspect(connection), dict[tuple[str, str | None], set[str]]()
    for each, schema in wanted:
        name = each.column.table.name
        if (name, schema) not in columns:
            is_there = inspector.has_table(name, schema=schema)
            found = inspector.get_columns(name, schema=schema) if is_there else []
            columns[name, schema] = {str(column["name"]) for column in found}
        if each.column.name in columns[name, schema]:
            yield ColumnLocation(each, schema)


_NOT_THERE = {1049, 1054, 1109, 1146}
"""MySQL's errors for an unknown database, an unknown column, and an unknown table (two numbers)."""
_FORBIDDEN = {1044, 1142, 1143}
"""MySQL's errors for a database, a table and a column that the role must not read."""


class _ReadColumn:
    """A MySQL column that a connection tries to read."""

    def __init__(self, connection: Connection, file_field: FileField, schema: str | None) -> None:
        names = [f"`{_escaped(each)}`" for each in _names(file_field, schema) if each is not None]
        self._connection = connection
        self.query = f"SELECT {names[-1]} FROM {'.'.join(names[:-1])} LIMIT 0"  # noqa: S608 - quoted names

    def is_readable(self) -> bool | None:
        """Return True if the column can be read, False if that is forbidden, and None if the column does not exist."""
        try:
            fetch_all_rows(self._connection, text(self.query), {})
        except DBAPIError as error:
            code = error.orig.args[0] if error.orig is not None and error.orig.args else None
            if code in _NOT_THERE:
                return None
            if code in _FORBIDDEN:
                return False
            raise
        return True


def _escaped(name: str) -> str:
    return name.replace("`", "``").replace(":", "\\:")


def _locate_in_mysql(connection: Connection, wanted: _Wanted) -> Iterator[ColumnLocation]:
    """Find columns by reading no rows of them: information_schema lacks temporary tables, and tables of other roles."""
    if not wanted:
        return
    columns = [_ReadColumn(connection, each, schema) for each, schema in wanted]
    together = ", ".join(f"({each.query})" for each in columns)
    try:
        [database, *_] = fetch_all_rows(connection, text(f"SELECT DATABASE(), {together}"), {})[0]
        states: list[bool | None] = [True] * len(columns)
    except DBAPIError:
        database = fetch_all_rows(connection, text("SELECT DATABASE()"), {})[0][0]
        states = [each.is_readable() for each in columns]
    for (each, schema), is_readable in zip(wanted, states, strict=True):
        if is_readable is not None:
            yield ColumnLocation(each, schema or database, is_hidden=not is_readable)


_LOCATE = {
    "postgresql": _locate_in_postgresql,
    "sqlite": _locate_in_sqlite,
    "mysql": _locate_in_mysql,
    "mariadb": _locate_in_mysql,
}


def _names(file_field: FileField, schema: str | None) -> tuple[str | None, str, str]:
    return schema, str(file_field.column.table.name), str(file_field.column.name)


def fetch_all_rows(connection: Connection, statement: TextClause, parameters: Mapping[str, Any]) -> list[Any]:
    """Fetch all rows of a query. On SQLite a cancellation does not interrupt it, because that would leave a lock."""

    def fetch() -> list[Any]:
        return list(connection.execute(statement, parameters, execution_options={OWN_STATEMENT: True}))

    return _greenlet.run_uninterrupted(fetch) if connection.dialect.name == "sqlite" else fetch()
