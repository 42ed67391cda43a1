"""Plain tables: rows stay there as a session writes them, so that a commit needs no lookup of its new files.

A table is plain if it is an ordinary table, has no trigger or rule, and shares its name with no table of another
schema. The tables of an engine are looked up every few seconds, and after each statement that changes a schema.
"""

import json
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from sqlalchemy import ColumnClause, Connection, Engine, Pool, Table, TextClause, Unicode, bindparam, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql import Delete, Insert, Update, visitors
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.functions import FunctionElement, GenericFunction
from sqlalchemy.sql.selectable import SelectBase

from async_storages.integrations.sqlalchemy.columns.fields import FileField, all_file_fields
from async_storages.integrations.sqlalchemy.references.column_locations import (
    ColumnLocation,
    fetch_all_rows,
    locate_columns,
)

__all__ = ["PlainTables", "find_plain_tables", "forget_plain_tables", "is_harmless_query", "is_plain_write"]

_SECONDS = 10.0
"""Time after which the tables are looked up again, because other processes may have changed them."""


@dataclass(frozen=True, slots=True)
class PlainTables:
    """The plain tables of one database.

    Attributes:
        tables: The tables.
        locations: The file columns with the same location under any search_path; None for those the database lacks.
        until: The time of the next lookup, by the monotonic clock.
    """

    tables: frozenset[Table]
    locations: Mapping[FileField, ColumnLocation | None]
    until: float

    def find_locations(self, fields: Iterable[FileField]) -> list[ColumnLocation] | None:
        """Return the locations of columns; None if one of them depends on the connection."""
        wanted = list(fields)
        if not self.locations.keys() >= set(wanted):
            return None
        return [location for each in wanted if (location := self.locations[each]) is not None]


_found: "WeakKeyDictionary[Pool, PlainTables]" = WeakKeyDictionary()


def find_plain_tables(connection: Connection) -> PlainTables:
    """Return the plain tables of a connection's database."""
    pool = connection.engine.pool
    found = _found.get(pool)
    if found is None or found.until < time.monotonic():
        found = _found[pool] = _look_up(connection)
    return found


def is_plain_write(connection: Connection, statement: Insert | Update | Delete) -> bool:
    """Return True if a statement of a flush changes only the rows that it writes."""
    return not isinstance(statement, Delete) and statement.table in find_plain_tables(connection).tables


def is_harmless_query(statement: object) -> bool:
    """Return True for a SELECT that changes nothing: it contains no text, and only functions that SQLAlchemy knows."""
    if not isinstance(statement, SelectBase):
        return False
    return not any(_may_change(each) for each in visitors.iterate(statement))


def _may_change(element: object) -> bool:
    if isinstance(element, FunctionElement):
        return not isinstance(element, GenericFunction)
    if isinstance(element, ColumnClause):
        return element.is_literal and element.name != "*"
    return isinstance(element, TextClause | UpdateBase)


def forget_plain_tables(engine: Engine) -> None:
    """Forget the tables of a database, because a statement may have changed them."""
    _found.pop(engine.pool, None)


type _Found = Mapping[Table, Sequence[tuple[str, bool]]]
"""The schemas that have a table of the name, with true for an ordinary table without triggers or rules."""


def _look_up(connection: Connection) -> PlainTables:
    fields, until = all_file_fields(), time.monotonic() + _SECONDS
    if connection.dialect.name not in {"postgresql", "sqlite"}:
        return PlainTables(frozenset(), {}, until)
    found = _tables_by_name(connection, fields)
    plain = frozenset(table for table, schemas in found.items() if len(schemas) == 1 and schemas[0][1])
    return PlainTables(plain, _locations(connection, fields, found), until)


def _tables_by_name(connection: Connection, fields: Iterable[FileField]) -> _Found:
    metadata = {each.column.table.metadata for each in fields}
    tables = {table for each in metadata for table in each.tables.values()}
    names = sorted({str(each.name) for each in tables})
    if connection.dialect.name == "postgresql":
        rows = fetch_all_rows(connection, _IN_POSTGRESQL, {"names": names})
    else:
        rows = fetch_all_rows(connection, _IN_SQLITE, {"names": json.dumps(names)})
    by_name: dict[str, list[tuple[str, bool]]] = defaultdict(list)
    for name, schema, is_ordinary in rows:
        by_name[name].append((schema, bool(is_ordinary)))
    return {
        table: [each for each in by_name.get(str(table.name), ()) if table.schema in {None, each[0]}]
        for table in tables
    }


def _locations(
    connection: Connection, fields: Iterable[FileField], found: _Found
) -> dict[FileField, ColumnLocation | None]:
    """Return the locations of columns whose table is in one schema at most, independent of the search_path."""
    by_schema: dict[str | None, list[FileField]] = defaultdict(list)
    for each in fields:
        schemas = found[each.column.table]
        if len(schemas) < 2:
            by_schema[schemas[0][0] if schemas else None].append(each)
    located: dict[FileField, ColumnLocation | None] = {}
    for schema, some in by_schema.items():
        located |= dict.fromkeys(some)
        options = {} if connection.dialect.name == "sqlite" else {"schema_translate_map": {None: schema}}
        located |= {each.field: each for each in locate_columns(connection, some, options)}
    return located


_IN_POSTGRESQL = text(
    """
    SELECT pg_class.relname, pg_namespace.nspname, pg_class.relkind = 'r' AND NOT pg_class.relhasrules
        AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = pg_class.oid AND NOT tgisinternal)
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = pg_class.relnamespace
    WHERE pg_class.relname = ANY(:names) AND pg_class.relkind IN ('r', 'p', 'f', 'v', 'm')
        AND NOT pg_is_other_temp_schema(pg_namespace.oid)
    """
).bindparams(bindparam("names", type_=postgresql.ARRAY(Unicode())))

_IN_SQLITE = text(
    """
    SELECT name, schema, type = 'table' AND sql NOT LIKE '%CONFLICT%' AND lower(name) NOT IN (
        SELECT lower(tbl_name) FROM sqlite_master WHERE type = 'trigger'
        UNION SELECT lower(tbl_name) FROM sqlite_temp_master WHERE type = 'trigger'
    ) FROM (
        SELECT name, type, sql, 'main' AS schema FROM sqlite_master
        UNION ALL SELECT name, type, sql, 'temp' FROM sqlite_temp_master
    ) WHERE type IN ('table', 'view') AND name IN (SELECT value FROM json_each(:names))
    """
)
