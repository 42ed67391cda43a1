"""Which rows name which files: asked before one is deleted, of every column that may hold its id."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from inspect import isawaitable
from itertools import batched
from typing import Any

from sqlalchemy import Column, Connection, Inspector, MetaData, Table, inspect, text
from sqlalchemy.types import TypeDecorator, TypeEngine

from async_storages.errors import InvalidArgumentException, SweepRefusedException
from async_storages.integrations.sqlalchemy import _greenlet
from async_storages.integrations.sqlalchemy.file_columns import (
    FileField,
    all_fields,
    fields_of_table,
    file_type,
)
from async_storages.integrations.sqlalchemy.ledger.journal import BATCH
from async_storages.integrations.sqlalchemy.list_types import FileListType
from async_storages.integrations.sqlalchemy.queries import ids_named
from async_storages.integrations.sqlalchemy.references import bare_key, router_of
from async_storages.integrations.sqlalchemy.types import FileType

__all__ = ["Reference", "References"]

type Reference = Callable[[Connection, Sequence[str]], Iterable[str] | Awaitable[Iterable[str]]]
"""Asked for ids that are kept elsewhere: returns those of the ids that are in use there."""

_STORES = ("process_bind_param", "bind_processor", "bind_expression", "column_expression", "load_dialect_impl")


class References:
    """The columns of files, and what else may name one.

    Args:
        metadata: Where the columns are; None for those of all mapped classes.
        elsewhere: Asked as well.

    Raises:
        InvalidArgumentException: A column holds files in a way that cannot be looked into.
    """

    def __init__(self, metadata: Iterable[MetaData] | None, elsewhere: Iterable[Reference]) -> None:
        self._metadata = None if metadata is None else tuple(metadata)
        self._elsewhere = tuple(elsewhere)
        self._columns: frozenset[Column[Any]] = frozenset()
        self.fields()

    def fields(self) -> list[FileField]:
        """The columns that are known now.

        Raises:
            InvalidArgumentException: One of them cannot be looked into.
        """
        if self._metadata is None:
            found = all_fields()
            tables = {field.column.table: None for field in found}
        else:
            tables = {table: None for metadata in self._metadata for table in metadata.tables.values()}
            found = [field for table in tables for field in fields_of_table(table)]
        for table in tables:
            _check_readable(table)
        self._columns = frozenset(field.column for field in found)
        return found

    def knows(self, column: Column[Any]) -> bool:
        """Whether a column is one of them."""
        if column not in self._columns:
            self.fields()
        return column in self._columns

    def check(self, connection: Connection) -> list[FileField]:
        """The columns to ask, if they are all there.

        Raises:
            SweepRefusedException: None is known, or a table is missing: the files of its rows would be deleted.
        """
        fields = self.fields()
        here = _tables_here(connection, {field.column.table for field in fields})
        asked = [field for field in fields if self._is_ours(field.column.table, here)]
        if not (asked or self._elsewhere):
            raise SweepRefusedException(
                "no file column is known here: import the models, or pass `metadata` or `references`",
                operation="ledger",
            )
        hidden = _tables_that_hide_rows(connection)
        for field in asked:
            table = field.column.table
            if table not in here:
                raise _unknowable(table, "is mapped and not in the database")
            if (table.schema, table.name) in hidden:
                raise _unknowable(table, "hides rows from this role by row-level security (give it BYPASSRLS)")
        return asked

    def _is_ours(self, table: Table, here: Collection[Table]) -> bool:
        """Whether a mapped table should be there: not if another database has all its fellows."""
        return self._metadata is not None or any(each.metadata is table.metadata for each in here)

    def named(self, connection: Connection, ids: Collection[str]) -> set[str]:
        """Those of the ids that a row names, by the full id or, as old rows may, by the bare key.

        Raises:
            SweepRefusedException: As in `check`.
        """
        fields = self.check(connection)
        return {
            each
            for batch in batched(sorted(ids), BATCH)
            for named in (
                *(_named(connection, field, batch) for field in fields),
                self._named_elsewhere(connection, batch),
            )
            for each in named
        }

    def _named_elsewhere(self, connection: Connection, ids: Sequence[str]) -> set[str]:
        named: set[str] = set()
        for ask in self._elsewhere:
            answer = ask(connection, ids)
            named.update(_greenlet.result_of(answer) if isawaitable(answer) else answer)
        return named

    def unindexed(self, connection: Connection) -> list[str]:
        """The columns without an index, whose tables are read whole each time a file is to be deleted."""
        inspector = inspect(connection)
        return [
            f"{field.column.table.fullname}.{field.column.name}"
            for field in self.check(connection)
            if not _is_indexed(inspector, field)
        ]


def _unknowable(table: Table, problem: str) -> SweepRefusedException:
    return SweepRefusedException(
        f"the table {table.fullname!r} {problem}: nobody can tell which files its rows name", operation="ledger"
    )


def _named(connection: Connection, field: FileField, ids: Sequence[str]) -> set[str]:
    spelled: dict[str, set[str]] = {}
    router = router_of(field)
    for file_id in ids:
        for each in {file_id, bare_key(router, file_id)}:
            spelled.setdefault(each, set()).add(file_id)
    found = connection.scalars(ids_named(field.column, list(spelled), connection.dialect.name))
    return {file_id for each in found for file_id in spelled.get(each, ())}


def _tables_here(connection: Connection, tables: Iterable[Table]) -> set[Table]:
    inspector, chosen = inspect(connection), set(tables)
    names = {schema: set(inspector.get_table_names(schema)) for schema in {table.schema for table in chosen}}
    return {
        table
        for table in chosen
        if table.name in names[table.schema] or inspector.has_table(table.name, schema=table.schema)  # it is a view
    }


def _tables_that_hide_rows(connection: Connection) -> set[tuple[str | None, str]]:
    """Schemas, None for one of the search path, and names of tables of which this role sees not all rows."""
    if connection.dialect.name != "postgresql":
        return set()
    found = connection.execute(
        text(
            "SELECT nspname, relname, pg_table_is_visible(pg_class.oid) FROM pg_class "
            "JOIN pg_namespace ON pg_namespace.oid = relnamespace "
            "WHERE relrowsecurity AND row_security_active(pg_class.oid)"
        )
    ).all()
    return {(schema, name) for schema, name, _ in found} | {(None, name) for _, name, is_visible in found if is_visible}


def _is_indexed(inspector: Inspector, field: FileField) -> bool:
    table, name = field.column.table, field.column.name
    key = inspector.get_pk_constraint(table.name, schema=table.schema)["constrained_columns"]
    unique = inspector.get_unique_constraints(table.name, schema=table.schema)
    indexes = inspector.get_indexes(table.name, schema=table.schema)
    leading = [key[:1], *(each["column_names"][:1] for each in unique), *(each["column_names"][:1] for each in indexes)]
    return [name] in leading


# ---- what can be looked into


def _check_readable(table: Table) -> None:
    for column in table.columns:
        inside = list(_inside(column.type))
        holds_files = any(isinstance(each, FileType) for each in inside)
        if holds_files and (file_type(column.type) is None or any(_is_changed(each) for each in inside)):
            raise InvalidArgumentException(
                f"{table.fullname}.{column.name} holds files in a way that cannot be looked into ({column.type!r}): "
                "a file might be deleted that a row names",
                operation="ledger",
            )


def _is_changed(type_: TypeEngine[Any]) -> bool:
    """Whether it stores something else than ids: a subclass of ours, or a decorator of somebody else's."""
    if not isinstance(type_, FileType | FileListType):
        return isinstance(type_, TypeDecorator)
    own = FileType if isinstance(type_, FileType) else FileListType
    return any(getattr(type(type_), name) is not getattr(own, name) for name in _STORES)


def _inside(type_: TypeEngine[Any], depth: int = 8) -> Iterator[TypeEngine[Any]]:
    """A type, and those that it is made of."""
    yield type_
    parts = [*vars(type_).values(), *getattr(type_, "_variant_mapping", {}).values()]
    for part in parts if depth else ():
        if isinstance(part, TypeEngine):
            yield from _inside(part, depth - 1)
