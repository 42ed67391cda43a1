"""Queries over file columns as wholes."""

import json
from collections.abc import Sequence
from itertools import batched
from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Select,
    Text,
    Unicode,
    any_,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    text,
    true,
    type_coerce,
    union,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

from async_storages.errors import InvalidArgumentException, during
from async_storages.ids import is_fusion_id
from async_storages.registry import StorageRouter

__all__ = ["ids_named", "malformed_rows", "normalise_file_ids"]

_NO_JSONB = r"\\u0000|\\u[dD][89abAB]..(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F]"
"""JSON that JSONB cannot hold: null characters, and halves of surrogate pairs."""

_READ = 10_000
_WRITTEN = 500
"""Keys rewritten by one statement, which has three parameters for each: SQL Server takes 2100."""


def normalise_file_ids(connection: Connection, column: Column[Any], storage: StorageRouter) -> int:
    """Rewrite the bare keys in a column as fusion ids, so that ``==`` finds them.

    Run it once, when a column of plain strings becomes a file column; running it again changes nothing.

    Args:
        connection: A synchronous connection, in a transaction; with an AsyncConnection
            ``await connection.run_sync(normalise_file_ids, Document.__table__.c.file, storage)``.
        column: The table's column; bare keys in it belong to `storage`.
        storage: What makes full ids of them.

    Returns:
        How many different keys were rewritten.

    Raises:
        InvalidArgumentException: A column of lists; or a value that can be no key of this storage, or whose id is too
            long for the column, which the message names. Nothing is rewritten if the caller then rolls back.
    """
    if column.table is None:
        raise InvalidArgumentException("the column belongs to no table", operation="normalise_file_ids")
    if isinstance(_type_on(column.type, connection.dialect.name), ARRAY | JSON):
        raise InvalidArgumentException(f"{column} holds lists, not single keys", operation="normalise_file_ids")
    raw = type_coerce(column, Unicode())
    changed, last = 0, ""
    while values := connection.scalars(select(raw).where(raw > last).distinct().order_by(raw).limit(_READ)).all():
        ids = {value: _identify(value, column, storage) for value in values if not is_fusion_id(value)}
        changes = [(value, file_id) for value, file_id in ids.items() if file_id != value]
        for batch in map(dict, batched(changes, _WRITTEN)):  # not key by key: the column may have no index
            connection.execute(update(column.table).where(raw.in_(batch)).values({column: case(batch, value=raw)}))
        changed, last = changed + len(changes), values[-1]
    return changed


def _identify(key: str, column: Column[Any], storage: StorageRouter) -> str:
    length: int | None = getattr(column.type, "length", None)
    with during("normalise_file_ids", key):
        file_id = str(storage.identify(key))
        if length is not None and len(file_id) > length:
            raise InvalidArgumentException(f"the id would have {len(file_id)} characters, the column has {length}")
        return file_id


def ids_named(column: Column[Any], ids: Sequence[str], dialect_name: str) -> Select[Any]:
    """Which of some ids a column names: a query with one row and one str for each that is found.

    Lists are read from the whole table, unless they are PostgreSQL's and the table has a GIN index of them, as far as
    its metadata tell. A value that is no JSON breaks nothing, and names all ids that its text contains.

    Args:
        column: A table's column of ids, of arrays of ids, or of JSON lists of ids.
        ids: As they are spelt in the database, each once; some hundred at a time.
        dialect_name: ``"postgresql"``, ``"sqlite"`` or, for single ids, any other.

    Raises:
        InvalidArgumentException: The database's lists cannot be looked into.
    """
    type_ = _type_on(column.type, dialect_name)
    if not isinstance(type_, ARRAY | JSON):
        return _one_of(type_coerce(column, Unicode()), column, ids, dialect_name)
    if dialect_name == "sqlite":
        well_formed: Any = case((is_malformed(column), "[]"), else_=type_coerce(column, Unicode()))
        items: Any = func.json_each(well_formed).table_valued("value", joins_implicitly=True)
        found = _one_of(type_coerce(items.c.value, Unicode()), column, ids, dialect_name)
        return _also_in_text(found, column, ids, dialect_name)
    if dialect_name == "postgresql":
        is_array = isinstance(type_, ARRAY)
        return (_containing if _has_gin_index(column) else _with_items)(column, ids, is_array=is_array)
    raise InvalidArgumentException(f"nothing finds ids in the lists of {dialect_name}", operation="ids_named")


def malformed_rows(column: Column[Any], dialect_name: str) -> Select[Any] | None:
    """The primary keys of rows whose list is no JSON; None for a column that holds no lists, or JSONB."""
    is_json = isinstance(_type_on(column.type, dialect_name), JSON)
    if dialect_name not in {"sqlite", "postgresql"} or not is_json or _has_gin_index(column):
        return None
    key: list[Any] = list(column.table.primary_key) or [literal("?")]
    return select(*key).where(is_malformed(column))


class is_malformed(FunctionElement[bool]):  # noqa: N801 - a function of SQL
    """Whether a value of a JSON column is none that the database can look into."""

    type = Boolean()
    inherit_cache = True
    name = "is_malformed"


@compiles(is_malformed, "sqlite")
def _sqlite_is_malformed(element: is_malformed, compiler: SQLCompiler, **options: Any) -> str:
    return f"(NOT coalesce(json_valid({compiler.process(element.clauses, **options)}), 1))"


@compiles(is_malformed, "postgresql")
def _postgresql_is_malformed(element: is_malformed, compiler: SQLCompiler, **options: Any) -> str:
    """JSONB holds none; JSON may hold what JSONB cannot, and TEXT anything, which old versions cannot ask for."""
    value = compiler.process(element.clauses, **options)
    is_new = (getattr(compiler.dialect, "server_version_info", None) or (0,)) >= (16,)
    is_valid = (
        f"pg_input_is_valid(CAST({value} AS TEXT), 'jsonb')" if is_new else f"CAST({value} AS TEXT) !~ '{_NO_JSONB}'"
    )
    return f"(CASE WHEN {value} IS NULL OR pg_typeof({value}) = 'jsonb'::regtype THEN false ELSE NOT {is_valid} END)"


def _one_of(name: ColumnElement[Any], column: Column[Any], ids: Sequence[str], dialect_name: str) -> Select[Any]:
    """One parameter instead of hundreds, where the database takes it: that is faster than the query itself."""
    among: Any = name.in_(ids)
    if dialect_name == "postgresql":
        among = name == any_(_array(ids))
    elif dialect_name == "sqlite":
        among = name.in_(select(func.json_each(json.dumps(list(ids))).table_valued("value").c.value))
    return select(name).select_from(column.table).where(among).distinct()


def _array(texts: Sequence[str]) -> ColumnElement[Any]:
    return cast(list(texts), postgresql.ARRAY(Unicode()))


def _also_in_text(found: Select[Any], column: Column[Any], ids: Sequence[str], dialect_name: str) -> Select[Any]:
    """Beside what was found, what the text of malformed values contains, as it is or as JSON escapes it."""
    escaped = [json.dumps(each)[1:-1] for each in ids]
    text_: Any = cast(column, Text())
    if dialect_name == "sqlite":
        text_ = type_coerce(column, Unicode())
        pairs: Any = func.json_each(json.dumps(dict(zip(escaped, ids, strict=True)))).table_valued("value", "key")
        spelled, contains = [pairs.c.value, pairs.c.key], func.instr
    else:
        pairs = func.unnest(_array(ids), _array(escaped)).table_valued("value", "key").render_derived()
        spelled, contains = [pairs.c.value, pairs.c.key], func.strpos
    named = select(type_coerce(pairs.c.value, Unicode()).label("name")).select_from(column.table.join(pairs, true()))
    named = named.where(is_malformed(column), or_(*(contains(text_, each) > 0 for each in spelled)))
    both = union(found.with_only_columns(found.selected_columns[0].label("name"), maintain_column_froms=True), named)
    return select(both.subquery().c.name)


def _type_on(type_: TypeEngine[Any], dialect_name: str) -> TypeEngine[Any]:
    """What the database holds, under a variant and a decorator."""
    variants: dict[str, TypeEngine[Any]] = getattr(type_, "_variant_mapping", {})
    held = variants.get(dialect_name, type_)
    return held.impl_instance if isinstance(held, TypeDecorator) else held


def _has_gin_index(column: Column[Any]) -> bool:
    return any(
        index.columns.contains_column(column) and index.dialect_options["postgresql"]["using"] == "gin"
        for index in column.table.indexes
    )


def _containing(column: Column[Any], ids: Sequence[str], *, is_array: bool) -> Select[Any]:
    """One look into the index for each id: asked for all by one operator, PostgreSQL 18 often prefers the table."""
    wanted: Any = func.unnest(cast(ids, postgresql.ARRAY(Unicode())), type_=Unicode()).column_valued()
    lists: Any = type_coerce(column, postgresql.ARRAY(Unicode())) if is_array else cast(column, postgresql.JSONB)
    list_: Any = postgresql.array([wanted]) if is_array else func.jsonb_build_array(wanted, type_=postgresql.JSONB())
    return select(wanted).where(select(column.table).where(lists.contains(list_)).exists())


def _with_items(column: Column[Any], ids: Sequence[str], *, is_array: bool) -> Select[Any]:
    """All items, of arrays of any dimensions; and the path also finds those of what is no list, and does not fail."""
    if is_array:
        names: Any = func.unnest(type_coerce(column, ARRAY(Unicode())), type_=Unicode())
        return _one_of(names.column_valued(joins_implicitly=True), column, ids, "postgresql")
    well_formed: Any = case((is_malformed(column), text("'[]'::jsonb")), else_=cast(column, postgresql.JSONB))
    items: Any = func.jsonb_path_query(well_formed, text("'$[*]'"), type_=postgresql.JSONB())
    item = items.column_valued(joins_implicitly=True)
    found = _one_of(item.op("#>>", return_type=Unicode())(text("'{}'")), column, ids, "postgresql")
    return _also_in_text(found, column, ids, "postgresql")
