"""Plain tables: their rows stay as a session writes them. A commit need not ask whether they name its new files.

A table is plain if it is an ordinary one, no trigger or rule of somebody's belongs to it, and no other schema has a
table of its name. An engine's tables are looked up every few seconds, and after each statement that changes a schema.
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

from async_storages.integrations.sqlalchemy.columns.fields import FileField, known_fields
from async_storages.integrations.sqlalchemy.references.column_locations import Location, fetch_whole, locate

__all__ = ["PlainTables", "forget_plain_tables", "is_harmless", "is_plain", "plain_tables"]

_SECONDS = 10.0
"""Time after which the tables are looked up again, as another process may have changed them."""


@dataclass(frozen=True, slots=True)
class PlainTables:
    """The plain tables of one database.

    Attributes:
        tables: Those whose rows stay as they are written.
        locations: The file columns that are found wherever a search_path leads; None for those the database lacks.
        until: When they are looked up again, by the monotonic clock.
    """

    tables: frozenset[Table]
    locations: Mapping[FileField, Location | None]
    until: float

    def locate(self, fields: Iterable[FileField]) -> list[Location] | None:
        """The locations of columns; None if the database must be asked for one of them."""
        wanted = list(fields)
        if not self.locations.keys() >= set(wanted):
            return None
        return [location for each in wanted if (location := self.locations[each]) is not None]


_found: "WeakKeyDictionary[Pool, PlainTables]" = WeakKeyDictionary()


def plain_tables(connection: Connection) -> PlainTables:
    """The plain tables of a connection's database."""
    pool = connection.engine.pool
    found = _found.get(pool)
    if found is None or found.until < time.monotonic():
        found = _found[pool] = _look_up(connection)
    return found


def is_plain(connection: Connection, statement: Insert | Update | Delete) -> bool:
    """True if a statement of a flush leaves all that it does not write as it is."""
    return not isinstance(statement, Delete) and statement.table in plain_tables(connection).tables


def is_harmless(statement: object) -> bool:
    """True for a query that cannot change anything: it calls no function of somebody's, and is no text."""
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
    """Look the tables of a database up again, as a statement may have changed them."""
    _found.pop(engine.pool, None)


def _look_up(connection: Connection) -> PlainTables:
    fields, until = known_fields(), time.monotonic() + _SECONDS
    tables = {
        table for metadata in {each.column.table.metadata for each in fields} for table in metadata.tables.values()
    }
    names = sorted({str(each.name) for each in tables})
    by_name: dict[str, list[tuple[str, bool]]] = defaultdict(list)
    if connection.dialect.name == "postgresql":
        rows = fetch_whole(connection, _IN_POSTGRESQL, {"names": names})
    elif connection.dialect.name == "sqlite":
        rows = fetch_whole(connection, _IN_SQLITE, {"names": json.dumps(names)})
    else:
        return PlainTables(frozenset(), {}, until)
    for name, schema, is_ordinary in rows:
        by_name[name].append((schema, bool(is_ordinary)))
    there = {table: _meant(table, by_name) for table in tables}
    sure: dict[str | None, list[FileField]] = defaultdict(list)
    for each in fields:
        found = there[each.column.table]
        if len(found) < 2:
            sure[found[0][0] if found else None].append(each)
    located: dict[FileField, Location | None] = {}
    for schema, some in sure.items():  # wherever a search_path leads
        located |= dict.fromkeys(some)
        options = {} if connection.dialect.name == "sqlite" else {"schema_translate_map": {None: schema}}
        located |= {each.field: each for each in locate(connection, some, options)}
    plain = frozenset(table for table, found in there.items() if len(found) == 1 and found[0][1])
    return PlainTables(plain, located, until)


def _meant(table: Table, by_name: Mapping[str, Sequence[tuple[str, bool]]]) -> list[tuple[str, bool]]:
    """The schemas of the tables that a statement may mean by a name; True for an ordinary one, without triggers."""
    return [each for each in by_name.get(str(table.name), ()) if table.schema in {None, each[0]}]


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
