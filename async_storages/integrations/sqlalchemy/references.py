"""Which files rows name: the question that the database is asked before a file is removed.

`locate` finds the columns of files as one connection sees them, and notes their schemas: so the question means the same
rows whatever the search_path says by then. `ask` looks for ids in all of them, by one statement for some dozen columns.
A session asks on its own connection, where its uncommitted rows are; the worker of a ledger asks on its own.
"""

import json
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import batched
from types import MappingProxyType
from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    Connection,
    Dialect,
    Engine,
    Inspector,
    TextClause,
    Unicode,
    bindparam,
    inspect,
    literal_column,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeDecorator, TypeEngine

from async_storages.errors import InvalidArgumentException, StorageException
from async_storages.ids import FileId, is_fusion_id
from async_storages.integrations.sqlalchemy import _greenlet
from async_storages.integrations.sqlalchemy.file_columns import FileField
from async_storages.integrations.sqlalchemy.queries import is_malformed
from async_storages.integrations.sqlalchemy.tracked_file import TrackedFile
from async_storages.registry import Address, Ref, StorageRouter
from async_storages.storage import Storage

__all__ = ["Answer", "Location", "ask", "bare_key", "is_indexed", "locate", "may_hold", "named_ids", "router_of"]

logger = logging.getLogger("async_storages")

_IDS = 500
"""Ids that one statement looks for."""

_SPELLED = 100
"""Ids between which others get their turn."""

_COLUMNS = 50
"""Columns that one statement looks into."""

_LOCATED = 500
"""Columns that one statement looks for."""


@dataclass(frozen=True, slots=True)
class Location:
    """A column of files where a connection sees it.

    Attributes:
        field: The column.
        schema: The schema of its table; None for the only one, or for the database's default.
        is_hidden: The role of the connection may not see all rows: row-level security, or no privilege to read them.
        can_lock: The role may lock rows.
    """

    field: FileField
    schema: str | None
    is_hidden: bool = False
    can_lock: bool = True


@dataclass(slots=True)
class Answer:
    """The answer of a database about some files.

    Attributes:
        named: Files that a row names.
        unsure: Files that rows may name which the connection does not see.
        is_final: Nothing that others had committed by then is left out, as a snapshot at REPEATABLE READ does.
        transactions: The engines that were asked, each with the id of the transaction there; None if it has none.
    """

    named: set[TrackedFile] = field(default_factory=set)
    unsure: set[TrackedFile] = field(default_factory=set)
    is_final: bool = True
    transactions: list[tuple[Engine, int | None]] = field(default_factory=list)

    def keeps(self, file: TrackedFile) -> bool:
        """Whether a file must not be removed."""
        return file in self.named or file in self.unsure

    def add(self, other: "Answer") -> None:
        """Join the answer of another connection."""
        self.named |= other.named
        self.unsure |= other.unsure
        self.is_final = self.is_final and other.is_final
        self.transactions += other.transactions


# ---- which columns


def may_hold(fields: Iterable[FileField], files: Collection[TrackedFile]) -> list[FileField]:
    """The columns that can hold the id of one of the files, by their storages; one file of each storage will do."""
    routers: dict[int, bool] = {}
    chosen = []
    for each in fields:
        router = router_of(each)
        if id(router) not in routers:
            routers[id(router)] = any(_may_serve(router, file) for file in files)
        if routers[id(router)]:
            chosen.append(each)
    return chosen


def router_of(file_field: FileField) -> StorageRouter | None:
    """The storage or manager of a column; None if it is not known here."""
    try:
        return Ref(file_field.type.storage).resolve()
    except StorageException:
        return None  # it is not registered here, so that it could be any


def _may_serve(router: StorageRouter | None, file: TrackedFile) -> bool:
    """Whether rows of this storage's columns can name a file; where that cannot be told they can."""
    if router is None or file.address is None:
        return True
    if isinstance(router, Storage):
        return Address.of(router) == file.address
    try:
        return Address.of(router.storage_for(file.file_id)) == file.address
    except StorageException:
        return True


_NONE: Mapping[str, Any] = MappingProxyType({})


def locate(connection: Connection, fields: Sequence[FileField], options: Mapping[str, Any] = _NONE) -> list[Location]:
    """The columns that there are for a connection; others are in other databases, or not migrated yet.

    Args:
        connection: The connection.
        fields: The columns.
        options: Execution options of the statement that changes files, if they are not the connection's.
    """
    translated = {**connection.get_execution_options(), **options}.get("schema_translate_map") or {}
    wanted = [(each, translated.get(each.column.table.schema, each.column.table.schema)) for each in fields]
    find = _LOCATE.get(connection.dialect.name, _locate_anywhere)
    found: list[Location] = []
    for batch in batched(wanted, _LOCATED):
        found += find(connection, batch)
        _greenlet.give_way()
    return found


type _Wanted = Sequence[tuple[FileField, str | None]]

_POSTGRESQL_COLUMNS = text(
    """
    SELECT wanted.number, pg_namespace.nspname,
        row_security_active(pg_class.oid)
            OR NOT has_schema_privilege(pg_namespace.oid, 'USAGE')
            OR NOT has_column_privilege(pg_class.oid, pg_attribute.attnum, 'SELECT'),
        has_any_column_privilege(pg_class.oid, 'UPDATE')
    FROM unnest(:schemas, :tables, :columns) WITH ORDINALITY AS wanted(schema, name, "column", number)
    JOIN pg_class ON pg_class.oid = CASE
        WHEN wanted.schema IS NULL THEN to_regclass(quote_ident(wanted.name))
        ELSE (
            SELECT other.oid FROM pg_class AS other JOIN pg_namespace AS place ON place.oid = other.relnamespace
            WHERE other.relname = wanted.name AND place.nspname = wanted.schema
        )
    END
    JOIN pg_namespace ON pg_namespace.oid = pg_class.relnamespace
    JOIN pg_attribute ON pg_attribute.attrelid = pg_class.oid
        AND pg_attribute.attname = wanted."column" AND NOT pg_attribute.attisdropped
    """
).bindparams(*(bindparam(name, type_=postgresql.ARRAY(Unicode())) for name in ("schemas", "tables", "columns")))

_SQLITE_COLUMNS = text(
    """
    SELECT wanted.key FROM json_each(:wanted) AS wanted
    JOIN pragma_table_info(json_extract(wanted.value, '$[1]'), json_extract(wanted.value, '$[0]')) AS found
        ON found.name = json_extract(wanted.value, '$[2]') COLLATE NOCASE
    """
)


def _locate_in_postgresql(connection: Connection, wanted: _Wanted) -> Iterator[Location]:
    schemas, tables, columns = zip(*(_names(each, schema) for each, schema in wanted), strict=True)
    parameters = {"schemas": list(schemas), "tables": list(tables), "columns": list(columns)}
    for number, schema, is_hidden, can_lock in _rows(connection, _POSTGRESQL_COLUMNS, parameters):
        yield Location(wanted[number - 1][0], schema, is_hidden, can_lock)


def _locate_in_sqlite(connection: Connection, wanted: _Wanted) -> Iterator[Location]:
    names = json.dumps([_names(each, schema) for each, schema in wanted])
    for row in _rows(connection, _SQLITE_COLUMNS, {"wanted": names}):
        yield Location(*wanted[row[0]])


def _locate_anywhere(connection: Connection, wanted: _Wanted) -> Iterator[Location]:
    inspector, columns = inspect(connection), dict[tuple[str, str | None], set[str]]()
    for each, schema in wanted:
        name = each.column.table.name
        if (name, schema) not in columns:
            is_there = inspector.has_table(name, schema=schema)
            found = inspector.get_columns(name, schema=schema) if is_there else []
            columns[name, schema] = {str(column["name"]) for column in found}
        if each.column.name in columns[name, schema]:
            yield Location(each, schema)


_LOCATE = {"postgresql": _locate_in_postgresql, "sqlite": _locate_in_sqlite}


def _names(file_field: FileField, schema: str | None) -> tuple[str | None, str, str]:
    return schema, str(file_field.column.table.name), str(file_field.column.name)


# ---- the question


def ask(connection: Connection, locations: Iterable[Location], files: Collection[TrackedFile]) -> Answer:
    """Which of the files a row names that this connection sees, by the full id or, as old rows may, by the bare key.

    Args:
        connection: Asked in its transaction.
        locations: What `locate` found for it, or for one to the same database.
        files: The files.

    Raises:
        InvalidArgumentException: Nothing finds ids in the lists of this database.
    """
    answer = Answer()
    for router, columns in _byrouter_of(locations):
        readable = [each for each in columns if not each.is_hidden]
        serves: dict[Address | None, bool] = {}
        by_id: dict[str, list[TrackedFile]] = {}
        for file in _greenlet.paced(files):
            if file.address not in serves:
                serves[file.address] = _may_serve(router, file)
            if serves[file.address]:
                by_id.setdefault(file.file_id, []).append(file)
                answer.unsure.update([file] if len(readable) < len(columns) else ())
        for file_id in _found(connection, router, readable, by_id, answer):
            answer.named.update(by_id[file_id])
    if not answer.transactions:
        _note_standing(answer, connection)
    return answer


def _byrouter_of(locations: Iterable[Location]) -> Iterator[tuple[StorageRouter | None, list[Location]]]:
    groups: dict[int, tuple[StorageRouter | None, list[Location]]] = {}
    for location in locations:
        router = router_of(location.field)
        groups.setdefault(id(router), (router, []))[1].append(location)
    return iter(groups.values())


def _by_router(locations: Iterable[Location]) -> list[tuple[StorageRouter | None, list[Location]]]:
    groups: dict[int, tuple[StorageRouter | None, list[Location]]] = {}
    for location in locations:
        router = router_of(location.field)
        groups.setdefault(id(router), (router, []))[1].append(location)
    return list(groups.values())


def named_ids(connection: Connection, locations: Iterable[Location], ids: Collection[str]) -> set[str]:
    """The ids that rows name, of files in whatever storage; otherwise as `ask`."""
    answer = Answer()
    return {
        file_id
        for router, columns in _by_router(locations)
        for file_id in _found(connection, router, columns, ids, answer)
    }


def _spelled(router: StorageRouter | None, ids: Iterable[str]) -> dict[str, list[str]]:
    spelled: dict[str, list[str]] = {}
    for batch in batched(ids, _SPELLED):
        for file_id in batch:
            for each in {file_id, bare_key(router, file_id)}:
                spelled.setdefault(each, []).append(file_id)
        _greenlet.give_way()
    return spelled


def bare_key(router: StorageRouter | None, file_id: str) -> str:
    """How old rows of a storage's columns may spell an id; as it is, where they cannot."""
    if not is_fusion_id(file_id):
        return file_id
    parsed = FileId.parse(file_id)
    if router is None:
        return parsed.key
    try:
        key = router.storage_for(parsed)._bare_key(parsed)  # noqa: SLF001 - what `identify` undoes
        return key if str(router.identify(key)) == file_id else file_id
    except StorageException:
        return parsed.key  # nobody knows


def _found(
    connection: Connection,
    router: StorageRouter | None,
    locations: Sequence[Location],
    ids: Collection[str],
    answer: Answer,
) -> Iterator[str]:
    dialect = connection.dialect
    for batch in batched(ids, _IDS):
        spelled = _spelled(router, batch)
        parameters = _parameters(list(spelled), dialect.name)
        for columns in batched(locations, _COLUMNS):
            statement = _statement(columns, dialect)
            given = {name: value for name, value in parameters.items() if name in statement._bindparams}  # noqa: SLF001
            rows = _rows(connection, statement, given)
            if dialect.name == "postgresql" and rows:
                _note_standing(answer, connection, rows.pop())
            for row in rows:
                yield from spelled.get(row[0], ())
    for location in locations if ids else ():
        _say_unindexed(connection, location)


def _parameters(ids: list[str], dialect: str) -> dict[str, Any]:
    """The ids, and beside each how JSON escapes it, which is looked for in values that are no JSON."""
    escaped = [json.dumps(each)[1:-1] for each in ids]
    if dialect == "sqlite":
        return {"ids": json.dumps(dict(zip(escaped, ids, strict=True)))}
    return {"ids": ids, "escaped": escaped}


_POSTGRESQL_STANDING = "SELECT NULL, current_setting('transaction_isolation'), txid_current_if_assigned()"


def _note_standing(answer: Answer, connection: Connection, row: Any = None) -> None:
    """Note how far a connection sees, and the id by which its transaction is told from others."""
    if answer.transactions:
        return
    transaction = None
    if connection.dialect.name == "postgresql":
        _, isolation, transaction = row or connection.exec_driver_sql(_POSTGRESQL_STANDING).one()
        answer.is_final = isolation == "read committed"
    elif connection.dialect.name != "sqlite":  # who writes there sees what all others have written
        options = connection.get_execution_options()
        answer.is_final = options.get("isolation_level", connection.default_isolation_level) == "READ COMMITTED"
    answer.transactions.append((connection.engine, transaction))


@lru_cache(maxsize=256)
def _statement(locations: tuple[Location, ...], dialect: Dialect) -> TextClause:
    """Looks for ``:ids`` in some columns; in PostgreSQL the last row tells of the transaction."""
    branches = " UNION ALL ".join(branch for location in locations for branch in _branches(location, dialect))
    if dialect.name != "postgresql":
        return text(branches).bindparams(bindparam("ids", expanding=dialect.name != "sqlite"))
    found = f"SELECT id, CAST(NULL AS TEXT), CAST(NULL AS BIGINT) FROM ({branches}) AS found(id)"  # noqa: S608
    statement = text(f"{found} UNION ALL {_POSTGRESQL_STANDING}")
    names = [name for name in ("ids", "escaped") if f":{name}" in branches]
    return statement.bindparams(*(bindparam(name, type_=postgresql.ARRAY(Unicode())) for name in names))


def _branches(location: Location, dialect: Dialect) -> Iterator[str]:
    table, name = _quoted(location.field.column.table.name, dialect), _quoted(location.field.column.name, dialect)
    if location.schema is not None:
        table = f"{_quoted(location.schema, dialect)}.{table}"
    held, column = _held(location.field.column.type, dialect.name), f"{table}.{name}"
    if dialect.name == "postgresql":
        yield from _in_postgresql(table, column, held, dialect, is_indexed=_has_gin_index(location.field))
    elif not isinstance(held, ARRAY | JSON):
        chosen = "(SELECT value FROM json_each(:ids))" if dialect.name == "sqlite" else ":ids"
        yield f"SELECT DISTINCT {column} FROM {table} WHERE {column} IN {chosen}"  # noqa: S608 - quoted names
    elif dialect.name == "sqlite":
        yield from _in_lists_of_sqlite(table, column, _malformed(column, dialect))
    else:
        raise InvalidArgumentException(f"nothing finds ids in the lists of {dialect.name}", operation="ask")


def _in_lists_of_sqlite(table: str, column: str, malformed: str) -> Iterator[str]:
    """The items of lists; and a value that is no JSON names all ids that its text contains."""
    yield (
        f"SELECT DISTINCT _item.value FROM {table}, "  # noqa: S608 - quoted names
        f"json_each(CASE WHEN {malformed} THEN '[]' ELSE {column} END) AS _item "
        "WHERE _item.value IN (SELECT value FROM json_each(:ids))"
    )
    yield (
        f"SELECT DISTINCT _asked.value FROM {table} JOIN json_each(:ids) AS _asked "  # noqa: S608
        f"WHERE {malformed} AND (instr({column}, _asked.value) OR instr({column}, _asked.key))"
    )


def _in_postgresql(
    table: str, column: str, held: TypeEngine[Any], dialect: Dialect, *, is_indexed: bool
) -> Iterator[str]:
    """One look into an index for each id; without an index the table is read once for all of them."""
    if not isinstance(held, ARRAY | JSON):
        yield _each_id(f"SELECT 1 FROM {table} WHERE {column} = _asked.id")  # noqa: S608 - quoted names
    elif is_indexed:
        item = "ARRAY[_asked.id]" if isinstance(held, ARRAY) else "jsonb_build_array(_asked.id)"
        lists = column if isinstance(held, ARRAY) else f"CAST({column} AS JSONB)"
        yield _each_id(f"SELECT 1 FROM {table} WHERE {lists} @> {item}")  # noqa: S608
    elif isinstance(held, ARRAY):
        yield f"SELECT DISTINCT _item.id FROM {table}, unnest({column}) AS _item(id) WHERE _item.id = ANY(:ids)"  # noqa: S608
    else:
        malformed = _malformed(column, dialect)
        lists = f"CASE WHEN {malformed} THEN '[]' ELSE CAST({column} AS JSONB) END"
        yield (  # the path also finds what is no list, and does not fail
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
    quote = "`" if dialect.name in {"mysql", "mariadb"} else '"'
    escaped = str(name).replace(quote, 2 * quote).replace(":", "\\:")
    return f"{quote}{escaped}{quote}"


def _held(type_: TypeEngine[Any], dialect: str) -> TypeEngine[Any]:
    """What the database holds, under a variant and a decorator."""
    variants: dict[str, TypeEngine[Any]] = getattr(type_, "_variant_mapping", {})
    held = variants.get(dialect, type_)
    return held.impl_instance if isinstance(held, TypeDecorator) else held


def _has_gin_index(file_field: FileField) -> bool:
    column = file_field.column
    return any(
        index.columns.contains_column(column) and index.dialect_options["postgresql"]["using"] == "gin"
        for index in column.table.indexes
    )


def _rows(connection: Connection, statement: TextClause, parameters: Mapping[str, Any]) -> list[Any]:
    def fetch() -> list[Any]:
        return list(connection.execute(statement, parameters))

    return _greenlet.run_whole(fetch) if connection.dialect.name == "sqlite" else fetch()


# ---- indexes

_said: set[tuple[str, str | None, str, str]] = set()


def _say_unindexed(connection: Connection, location: Location) -> None:
    """Say once which columns have no index."""
    table, column = location.field.column.table, location.field.column
    key = (connection.engine.url.render_as_string(), location.schema, table.name, column.name)
    if key in _said:
        return
    _said.add(key)
    if not is_indexed(inspect(connection), location.field, location.schema):
        logger.warning(
            "%s.%s has no index: its table is read whole to see whether rows name a file", table, column.name
        )


def is_indexed(inspector: Inspector, file_field: FileField, schema: str | None) -> bool:
    """Whether the database has an index that begins with a column."""
    table, name = file_field.column.table.name, file_field.column.name
    key = inspector.get_pk_constraint(table, schema=schema)["constrained_columns"]
    unique = inspector.get_unique_constraints(table, schema=schema)
    indexes = inspector.get_indexes(table, schema=schema)
    leading = [key[:1], *(each["column_names"][:1] for each in unique), *(each["column_names"][:1] for each in indexes)]
    return [name] in leading
