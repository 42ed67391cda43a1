"""References to files: before a worker deletes a file, it searches every column that may hold the file's id."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from inspect import isawaitable
from itertools import batched
from operator import is_
from typing import Any

from sqlalchemy import Column, Connection, MetaData, Table, select
from sqlalchemy.types import NullType, TypeDecorator, TypeEngine

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
from async_storages.integrations.sqlalchemy.references.lookup import find_named_ids, find_unindexed, warn_unindexed

__all__ = ["OtherReferences", "References"]

type OtherReferences = Callable[[Connection, Sequence[str]], Iterable[str] | Awaitable[Iterable[str]]]
"""A function that gets ids which are stored elsewhere. It returns those that are in use there."""

_SHOWN = 10
"""The number of malformed values that are reported for a column."""

_STORES = ("process_bind_param", "bind_processor", "bind_expression", "column_expression", "load_dialect_impl")


@dataclass(frozen=True, slots=True)
class _CheckedTable:
    """A table whose columns can be searched.

    Attributes:
        columns: Its columns at the time of the check.
        types: The types of its file columns, and of columns that take their type from another column later.
        fields: Its file columns.
    """

    columns: Sequence[Column[Any]]
    types: Sequence[tuple[Column[Any], TypeEngine[Any]]]
    fields: Sequence[FileField]

    @classmethod
    def of(cls, table: Table) -> "_CheckedTable":
        """Check a table.

        Raises:
            InvalidArgumentException: One of its columns holds files and cannot be searched.
        """
        _check_readable(table)
        fields = fields_of_table(table)
        open_ones = [column for column in table.columns if isinstance(column.type, NullType)]
        watched = [*(field.column for field in fields), *open_ones]
        return cls(list(table.columns), [(column, column.type) for column in watched], fields)

    def is_current(self, table: Table) -> bool:
        """Return True if the table has not changed. Most columns are not looked into: that would take milliseconds."""
        columns = list(table.columns)
        is_same = len(columns) == len(self.columns) and all(map(is_, columns, self.columns))
        return is_same and all(column.type is type_ for column, type_ in self.types)


class References:
    """The columns of files, and the functions that know ids elsewhere.

    Args:
        metadata: The tables of the columns; None for those of all mapped classes.
        elsewhere: Further functions that know ids.
        registry: The table of the columns that any process knows.

    Raises:
        InvalidArgumentException: A column holds files in a form that cannot be searched.
    """

    def __init__(
        self, metadata: Iterable[MetaData] | None, elsewhere: Iterable[OtherReferences], registry: Table | None = None
    ) -> None:
        self._metadata = None if metadata is None else tuple(metadata)
        self._elsewhere = tuple(elsewhere)
        self._registry = registry
        self._checked: dict[Table, _CheckedTable] = {}
        self._columns: frozenset[Column[Any]] = frozenset()
        self.fields()

    def fields(self) -> list[FileField]:
        """Return the columns that are known now.

        Raises:
            InvalidArgumentException: One of them cannot be searched.
        """
        if self._metadata is None:
            found = mapped_fields()
            self._check_tables(field.column.table for field in found)
        else:
            self._check_tables(table for metadata in self._metadata for table in metadata.tables.values())
            found = [field for checked in self._checked.values() for field in checked.fields]
        if len(found) != len(self._columns) or any(field.column not in self._columns for field in found):
            self._columns = frozenset(field.column for field in found)
        return found

    def _check_tables(self, tables: Iterable[Table]) -> None:
        """Check tables. Each pass may see hundreds of them, so a table is checked again only after it has changed."""
        before, self._checked = self._checked, {}
        for table in tables:
            if table not in self._checked:
                checked = before.get(table)
                if checked is None or not checked.is_current(table):
                    checked = _CheckedTable.of(table)
                self._checked[table] = checked

    def has(self, column: Column[Any]) -> bool:
        """Return True if a column is one of these."""
        if column not in self._columns:
            self.fields()
        return column in self._columns

    def locate(self, connection: Connection) -> list[ColumnLocation]:
        """Locate the columns in the database. All of them must exist.

        Raises:
            SweepRefusedException: No column is known, or a table is missing. The worker would delete the files of its
                rows.
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

    def find_registered(self, connection: Connection) -> set[ColumnName]:
        """Find the columns that any process has registered in the database."""
        table = self._registry
        if table is None:
            return set()
        return {(name, column) for name, column in connection.execute(select(table.c.table_name, table.c.column_name))}

    def find_in_database(self, connection: Connection, *, but: Collection[ColumnName]) -> set[ColumnName]:
        """Find the columns of this process that are in the database, except some."""
        _greenlet.give_way()  # every pass of a worker comes here, with hundreds of tables
        fields = self.fields()
        _greenlet.give_way()
        chosen = [field for field in fields if name_of(field) not in but]
        return {name_of(each.field) for each in locate_columns(connection, chosen)} if chosen else set()

    def _check_known(self, connection: Connection) -> None:
        """Require that this process knows every column that names files.

        Raises:
            SweepRefusedException: Another process has registered a column that the models of this process lack.
        """
        known = {name_of(field) for field in self.fields()}
        for table, column in sorted(self.find_registered(connection) - known):
            raise SweepRefusedException(
                f"the column {table}.{column} names files, and this worker does not know it: run the worker with the "
                "models of the newest application. If no program uses the column any more, call "
                f"`await ledger.forget_columns({table!r}, {column!r})`, or in a migration "
                f"`op.forget_file_columns({table!r}, {column!r})`",
                operation="ledger",
            )

    def _is_ours(self, field: FileField, located: Iterable[FileField]) -> bool:
        """Return True if a column should be in this database. For mapped tables, that depends on their metadata."""
        metadata = field.column.table.metadata
        return self._metadata is not None or any(each.column.table.metadata is metadata for each in located)

    def find_named(self, connection: Connection, ids: Collection[str]) -> set[str]:
        """Find the ids that a row names, by the full id or, as in old rows, by the bare key.

        Raises:
            SweepRefusedException: As for `locate`, or another process knows a column that this one does not.
        """
        locations = self.locate(connection)
        self._check_known(connection)
        named = find_named_ids(connection, locations, ids)
        for some in batched(sorted(ids), BATCH) if self._elsewhere else ():
            named |= self._find_elsewhere(connection, some)
        return named

    def _find_elsewhere(self, connection: Connection, ids: Sequence[str]) -> set[str]:
        named: set[str] = set()
        for ask in self._elsewhere:
            answer = ask(connection, ids)
            named.update(_greenlet.wait_anywhere(answer) if isawaitable(answer) else answer)
        return named

    def find_malformed(self, connection: Connection, _table: Table) -> list[str]:
        """Find values of list columns that are no lists, some of each. Every id in their text counts as named."""
        asked = [each.field for each in self.locate(connection)]
        return [
            f"{field.column.table.fullname}.{field.column.name} of the row {', '.join(map(str, key))}"
            for field in asked
            if (rows := malformed_rows(field.column, connection.dialect.name)) is not None
            for key in connection.execute(rows.limit(_SHOWN))
        ]

    def find_unindexed(self, connection: Connection, _table: Table) -> list[str]:
        """Find the columns without an index. To delete a file, the worker reads their whole tables."""
        return find_unindexed(connection, self.locate(connection))

    def warn_unindexed(self, connection: Connection, _table: Table) -> None:
        """Log a warning about columns without an index, as sessions do."""
        warn_unindexed(connection, self.locate(connection))


def _unknowable(field: FileField, problem: str) -> SweepRefusedException:
    column = f"{field.column.table.fullname}.{field.column.name}"
    return SweepRefusedException(
        f"the column {column} {problem}: nobody can tell which files its rows name", operation="ledger"
    )


# ---- columns that can be looked into


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
    """Return True if a type stores other values than ids, such as a subclass or a foreign decorator."""
    if not isinstance(type_, FileType | FileListType):
        return isinstance(type_, TypeDecorator)
    own = FileType if isinstance(type_, FileType) else FileListType
    return any(getattr(type(type_), name) is not getattr(own, name) for name in _STORES)


def _inside(type_: TypeEngine[Any], depth: int = 8) -> Iterator[TypeEngine[Any]]:
    """Return a type, and the types that it contains."""
    yield type_
    parts = [*vars(type_).values(), *getattr(type_, "_variant_mapping", {}).values()]
    for part in parts if depth else ():
        if isinstance(part, TypeEngine):
            yield from _inside(part, depth - 1)
