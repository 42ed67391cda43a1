"""Which rows name which files: asked before one is deleted, of every column that may hold its id."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from inspect import isawaitable
from itertools import batched
from operator import is_
from typing import Any

from sqlalchemy import Column, Connection, MetaData, Table, inspect, select
from sqlalchemy.types import TypeDecorator, TypeEngine

from async_storages.errors import InvalidArgumentException, SweepRefusedException
from async_storages.integrations.sqlalchemy import _greenlet
from async_storages.integrations.sqlalchemy.columns.fields import (
    FileField,
    fields_of_table,
    file_type,
    mapped_fields,
)
from async_storages.integrations.sqlalchemy.columns.list_types import FileListType
from async_storages.integrations.sqlalchemy.columns.queries import malformed_rows
from async_storages.integrations.sqlalchemy.columns.types import FileType
from async_storages.integrations.sqlalchemy.ledger.journal import BATCH
from async_storages.integrations.sqlalchemy.ledger.tables import ColumnName, name_of
from async_storages.integrations.sqlalchemy.references.column_locations import ColumnLocation, locate_columns
from async_storages.integrations.sqlalchemy.references.lookup import find_named_ids, is_indexed

__all__ = ["Reference", "References"]

type Reference = Callable[[Connection, Sequence[str]], Iterable[str] | Awaitable[Iterable[str]]]
"""Asked for ids that are kept elsewhere: returns those of the ids that are in use there."""

_SHOWN = 10
"""Malformed values of a column that are told."""

_STORES = ("process_bind_param", "bind_processor", "bind_expression", "column_expression", "load_dialect_impl")


@dataclass(frozen=True, slots=True)
class _Seen:
    """A table that was looked into.

    Attributes:
        parts: Its columns and their types, as they were then.
        fields: Its file columns.
    """

    parts: Sequence[object]
    fields: Sequence[FileField]

    def is_of(self, parts: Sequence[object]) -> bool:
        return len(parts) == len(self.parts) and all(map(is_, parts, self.parts))


class References:
    """The columns of files, and what else may name one.

    Args:
        metadata: Where the columns are; None for those of all mapped classes.
        elsewhere: Asked as well.
        registry: The table of the columns that any process knows.

    Raises:
        InvalidArgumentException: A column holds files in a way that cannot be looked into.
    """

    def __init__(
        self, metadata: Iterable[MetaData] | None, elsewhere: Iterable[Reference], registry: Table | None = None
    ) -> None:
        self._metadata = None if metadata is None else tuple(metadata)
        self._elsewhere = tuple(elsewhere)
        self._registry = registry
        self._seen: dict[Table, _Seen] = {}
        self._columns: frozenset[Column[Any]] = frozenset()
        self.fields()

    def fields(self) -> list[FileField]:
        """The columns that are known now.

        Raises:
            InvalidArgumentException: One of them cannot be looked into.
        """
        if self._metadata is None:
            found = mapped_fields()
            self._look_into(field.column.table for field in found)
        else:
            self._look_into(table for metadata in self._metadata for table in metadata.tables.values())
            found = [field for seen in self._seen.values() for field in seen.fields]
        if len(found) != len(self._columns) or any(field.column not in self._columns for field in found):
            self._columns = frozenset(field.column for field in found)
        return found

    def _look_into(self, tables: Iterable[Table]) -> None:
        """Look into tables, each again only when it has changed: there may be hundreds of them, at each pass."""
        before, self._seen = self._seen, {}
        for table in tables:
            if table not in self._seen:
                parts = [part for column in table.columns for part in (column, column.type)]
                seen = before.get(table)
                if seen is None or not seen.is_of(parts):
                    _check_readable(table)
                    seen = _Seen(parts, fields_of_table(table))
                self._seen[table] = seen

    def knows(self, column: Column[Any]) -> bool:
        """Whether a column is one of them."""
        if column not in self._columns:
            self.fields()
        return column in self._columns

    def check(self, connection: Connection) -> list[ColumnLocation]:
        """The columns to ask, if they are all there.

        Raises:
            SweepRefusedException: None is known, or a table is missing: the files of its rows would be deleted.
        """
        fields = self.fields()
        located = {each.field: each for each in locate_columns(connection, fields)}
        asked = [each for each in fields if self._is_ours(each, located)]
        if not (asked or self._elsewhere):
            raise SweepRefusedException(
                "no file column is known here: import the models, or pass `metadata` or `references`",
                operation="ledger",
            )
        for each in asked:
            if each not in located:
                raise _unknowable(each, "is mapped and not in the database")
            if located[each].is_hidden:
                raise _unknowable(
                    each, "hides rows from this role, by row-level security (give it BYPASSRLS) or for lack of SELECT"
                )
        return [located[each] for each in asked]

    def registered(self, connection: Connection) -> set[ColumnName]:
        """The columns that any process has registered in the database."""
        table = self._registry
        if table is None:
            return set()
        return {(name, column) for name, column in connection.execute(select(table.c.table_name, table.c.column_name))}

    def there(self, connection: Connection, *, but: Collection[ColumnName]) -> set[ColumnName]:
        """The columns that are in the database, as its models say, without some."""
        chosen = [field for field in self.fields() if name_of(field) not in but]
        return {name_of(each.field) for each in locate_columns(connection, chosen)}

    def _check_known(self, connection: Connection) -> None:
        """See that this process knows every column that names files.

        Raises:
            SweepRefusedException: Another one has registered a column that is none of this process's models.
        """
        known = {name_of(field) for field in self.fields()}
        for table, column in sorted(self.registered(connection) - known):
            raise SweepRefusedException(
                f"the column {table}.{column} names files, and this worker does not know it: run the worker with the "
                "models of the newest application. If no program uses the column any more, call "
                f"`await ledger.forget_columns({table!r}, {column!r})`, or in a migration "
                f"`op.forget_file_columns({table!r}, {column!r})`",
                operation="ledger",
            )

    def _is_ours(self, field: FileField, located: Iterable[FileField]) -> bool:
        """Whether a mapped table should be there: not if another database has all its fellows."""
        metadata = field.column.table.metadata
        return self._metadata is not None or any(each.column.table.metadata is metadata for each in located)

    def named(self, connection: Connection, ids: Collection[str]) -> set[str]:
        """Those of the ids that a row names, by the full id or, as old rows may, by the bare key.

        Raises:
            SweepRefusedException: As in `check`; or another process knows a column that this one does not.
        """
        locations = self.check(connection)
        self._check_known(connection)
        return self.named_in(connection, locations, ids)

    def named_in(self, connection: Connection, locations: Iterable[ColumnLocation], ids: Collection[str]) -> set[str]:
        """`named`, when it is known that the columns are all there."""
        named = find_named_ids(connection, locations, ids)
        for some in batched(sorted(ids), BATCH) if self._elsewhere else ():
            named |= self._named_elsewhere(connection, some)
        return named

    def _named_elsewhere(self, connection: Connection, ids: Sequence[str]) -> set[str]:
        named: set[str] = set()
        for ask in self._elsewhere:
            answer = ask(connection, ids)
            named.update(_greenlet.wait_anywhere(answer) if isawaitable(answer) else answer)
        return named

    def malformed(self, connection: Connection) -> list[str]:
        """Some values of each column that are no lists: every id in their text counts as named."""
        asked = [each.field for each in self.check(connection)]
        return [
            f"{field.column.table.fullname}.{field.column.name} of the row {', '.join(map(str, key))}"
            for field in asked
            if (rows := malformed_rows(field.column, connection.dialect.name)) is not None
            for key in connection.execute(rows.limit(_SHOWN))
        ]

    def unindexed(self, connection: Connection) -> list[str]:
        """The columns without an index, whose tables are read whole each time a file is to be deleted."""
        inspector = inspect(connection)
        return [
            f"{each.field.column.table.fullname}.{each.field.column.name}"
            for each in self.check(connection)
            if not is_indexed(inspector, each.field, each.schema)
        ]


def _unknowable(field: FileField, problem: str) -> SweepRefusedException:
    column = f"{field.column.table.fullname}.{field.column.name}"
    return SweepRefusedException(
        f"the column {column} {problem}: nobody can tell which files its rows name", operation="ledger"
    )


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
