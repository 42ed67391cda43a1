"""Rows that name files in one column. They are read in batches, in the order of their primary key."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Executable,
    Row,
    Table,
    Unicode,
    Update,
    and_,
    or_,
    select,
    tuple_,
    type_coerce,
    update,
)
from sqlalchemy import inspect as inspect_object
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import InstrumentedAttribute

from async_storages.errors import InvalidArgumentException
from async_storages.files import StoredFile
from async_storages.integrations.sqlalchemy.columns.fact_columns import (
    fact_columns_of,
    fact_value,
    known_facts,
    tell_facts,
)
from async_storages.integrations.sqlalchemy.columns.list_types import FileListType
from async_storages.integrations.sqlalchemy.columns.types import FileType

__all__ = ["FileRows", "NamedFile"]

type _LearntFacts = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A file that a row names.

    Attributes:
        file: The file as the column loads it, without facts.
        told: The facts about it in the row.
    """

    file: StoredFile
    told: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FileRows(ABC):
    """The rows of a table that name files in one column.

    Attributes:
        table: The table.
        keys: The primary key.
        column: The file column.
        facts: The names of the facts that rows store about their files.
    """

    table: Table
    keys: tuple[ColumnElement[Any], ...]
    column: Column[Any]
    facts: frozenset[str]

    @staticmethod
    def of(attribute: InstrumentedAttribute[Any], operation: str, *, but: Collection[str] = ()) -> "FileRows":
        """Return the rows of a mapped attribute.

        Args:
            attribute: The attribute.
            operation: The operation that needs them, for the error.
            but: Facts to ignore.

        Raises:
            InvalidArgumentException: It is not an attribute of a file or of a list of files.
        """
        column = None
        if isinstance(attribute, InstrumentedAttribute):
            column = next(iter(getattr(attribute.property, "columns", ())), None)
        if isinstance(column, Column) and isinstance(column.type, FileListType):
            listed = frozenset(column.type.facts).difference(but)
            return _RowsWithLists(column.table, tuple(column.table.primary_key), column, listed)
        if not isinstance(column, Column) or not isinstance(column.type, FileType):
            raise InvalidArgumentException(
                f"give a mapped file column, such as Document.file, not {attribute}", operation=operation
            )
        columns = inspect_object(attribute.class_).column_attrs
        names = {fact: name for fact, name in fact_columns_of(column.type).items() if fact not in but}
        siblings = {fact: columns[name].columns[0] for fact, name in names.items() if name in columns}
        return _RowsWithSiblings(column.table, tuple(column.table.primary_key), column, frozenset(siblings), siblings)

    @abstractmethod
    def files_of(self, row: Row[Any]) -> list[NamedFile]:
        """Return the files of a row, each once."""

    @abstractmethod
    def change(self, row: Row[Any], learnt: _LearntFacts) -> Update | None:
        """Return the statement that writes facts into a row, provided that it still names the same files.

        Args:
            row: The row.
            learnt: The facts by the ids of its files.

        Returns:
            None if the row cannot be written, because its list contains an item that is no file.
        """

    @abstractmethod
    def _query(self, *, lacking_facts: bool) -> Any:
        """Return the query for rows, optionally without those that have all facts."""

    def lacking(self, named: NamedFile) -> frozenset[str]:
        """Return the facts about a file that its row lacks."""
        return self.facts - named.told.keys()

    async def batches(
        self, engine: AsyncEngine, size: int, *, lacking_facts: bool = False, after: tuple[Any, ...] | None = None
    ) -> AsyncGenerator[Sequence[Row[Any]]]:
        """Yield rows. No transaction is open between two batches.

        Args:
            engine: The database.
            size: Rows per batch.
            lacking_facts: True skips rows that have all their facts.
            after: The primary key of a row. The first batch begins behind it.
        """
        last = after
        while True:
            async with engine.connect() as connection:
                rows = (await connection.execute(self._page(last, size, lacking_facts=lacking_facts))).all()
            if not rows:
                return
            chosen = [row for row in rows if any(map(self.lacking, self.files_of(row)))] if lacking_facts else rows
            if chosen:
                yield chosen
            last = self.key_of(rows[-1])

    def _page(self, last: tuple[Any, ...] | None, limit: int, *, lacking_facts: bool) -> Executable:
        query = self._query(lacking_facts=lacking_facts).where(self.column.is_not(None))
        if last is not None:
            query = query.where(tuple_(*self.keys) > tuple_(*last))
        page: Executable = query.order_by(*self.keys).limit(limit)
        return page

    def key_of(self, row: Row[Any]) -> tuple[Any, ...]:
        """Return the primary key of a row."""
        return tuple(row._mapping[key] for key in self.keys)  # noqa: SLF001 - public in spite of its name

    def _has_key_of(self, row: Row[Any]) -> ColumnElement[bool]:
        return and_(*(key == value for key, value in zip(self.keys, self.key_of(row), strict=True)))

    def parse_key(self, values: Sequence[str]) -> tuple[Any, ...]:
        """Return the primary key that some texts represent, in the form of `key_of`.

        Raises:
            InvalidArgumentException: They are too many, too few, or of another type.
        """
        try:
            return tuple(_value_of(key, value) for key, value in zip(self.keys, values, strict=True))
        except (ArithmeticError, NotImplementedError, TypeError, ValueError):
            names = ", ".join(str(key) for key in self.keys)
            raise InvalidArgumentException(f"{', '.join(values)!r} is no primary key of {names}") from None

    async def still_names(self, engine: AsyncEngine, row: Row[Any], file_id: str) -> bool:
        """Return True if the row still names a file."""
        async with engine.connect() as connection:
            found = (await connection.execute(self._query(lacking_facts=False).where(self._has_key_of(row)))).all()
        return any(each.file.file_id == file_id for now in found for each in self.files_of(now))


@dataclass(frozen=True, slots=True)
class _RowsWithSiblings(FileRows):
    """Rows that name one file, and store its facts in sibling columns."""

    siblings: Mapping[str, ColumnElement[Any]]

    def _query(self, *, lacking_facts: bool) -> Any:
        query = select(type_coerce(self.column, Unicode()).label("file_id"), *self.keys, *self.siblings.values())
        return query.where(or_(*(each.is_(None) for each in self.siblings.values()))) if lacking_facts else query

    def files_of(self, row: Row[Any]) -> list[NamedFile]:
        if row.file_id is None:
            return []
        told = {fact: row._mapping[column] for fact, column in self.siblings.items()}  # noqa: SLF001 - see `key_of`
        return [_named(self.column.type, row.file_id, {fact: each for fact, each in told.items() if each is not None})]

    def change(self, row: Row[Any], learnt: _LearntFacts) -> Update | None:
        facts = learnt[row.file_id].items()
        values = {self.siblings[fact].key or "": fact_value(value, self.siblings[fact].type) for fact, value in facts}
        is_unchanged = type_coerce(self.column, Unicode()) == row.file_id
        return update(self.table).where(self._has_key_of(row), is_unchanged).values(values)


@dataclass(frozen=True, slots=True)
class _RowsWithLists(FileRows):
    """Rows that name several files, and store their facts in the list."""

    def _query(self, *, lacking_facts: bool) -> Any:
        return select(self.column.label("files"), *self.keys)

    def files_of(self, row: Row[Any]) -> list[NamedFile]:
        type_: Any = self.column.type  # a FileListType
        files = {each.file_id: each for each in row.files or () if isinstance(each, StoredFile)}
        return [_named(type_.item_type, file_id, known_facts(file, type_.facts)) for file_id, file in files.items()]

    def change(self, row: Row[Any], learnt: _LearntFacts) -> Update | None:
        if not all(isinstance(each, StoredFile) for each in row.files):
            return None
        for file in row.files:
            tell_facts(file, learnt.get(file.file_id, {}))
        is_unchanged = self.column == row.files  # which compares the ids alone
        return update(self.table).where(self._has_key_of(row), is_unchanged).values({self.column.key: row.files})


def _named(type_: Any, file_id: str, told: Mapping[str, Any]) -> NamedFile:
    return NamedFile(type_.file_class(file_id, type_.storage_ref), told)


def _value_of(column: ColumnElement[Any], text: str) -> Any:
    kind: Any = column.type.python_type
    return getattr(kind, "fromisoformat", kind)(text)
