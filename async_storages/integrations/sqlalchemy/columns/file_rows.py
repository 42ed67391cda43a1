"""Rows that name a file in one column, read in batches in the order of their primary key."""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
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
from async_storages.integrations.sqlalchemy.columns.fact_columns import fact_columns_of
from async_storages.integrations.sqlalchemy.columns.types import FileType

__all__ = ["FileRows"]


@dataclass(frozen=True, slots=True)
class FileRows:
    """The rows of a table that name a file in one column.

    Attributes:
        table: The table.
        keys: The primary key.
        file: The file column.
        facts: The columns for facts, by fact.
    """

    table: Table
    keys: tuple[ColumnElement[Any], ...]
    file: ColumnElement[Any]
    facts: Mapping[str, ColumnElement[Any]]

    @classmethod
    def of(cls, attribute: InstrumentedAttribute[Any], operation: str) -> "FileRows":
        """The rows of a mapped attribute.

        Raises:
            InvalidArgumentException: It is no attribute of one file.
        """
        column = None
        if isinstance(attribute, InstrumentedAttribute):
            column = next(iter(getattr(attribute.property, "columns", ())), None)
        if column is None or not isinstance(column.type, FileType):
            raise InvalidArgumentException(
                f"give a mapped file column, such as Document.file, not {attribute}", operation=operation
            )
        columns = inspect_object(attribute.class_).column_attrs
        names = fact_columns_of(column.type)
        names.pop("placeholder", None)  # no storage tells it
        facts = {fact: columns[name].columns[0] for fact, name in names.items() if name in columns}
        return cls(column.table, tuple(column.table.primary_key), column, facts)

    async def batches(
        self, engine: AsyncEngine, size: int, *, lacking_facts: bool = False, after: tuple[Any, ...] | None = None
    ) -> AsyncGenerator[Sequence[Row[Any]]]:
        """Yield rows with the primary key, `file_id`, and the facts; no transaction is open meanwhile.

        Args:
            engine: The database.
            size: Rows at a time.
            lacking_facts: Pass over rows that have all their facts.
            after: The primary key of a row: begin behind it.
        """
        last = after
        while True:
            async with engine.connect() as connection:
                rows = (await connection.execute(self._query(last, size, lacking_facts=lacking_facts))).all()
            if not rows:
                return
            yield rows
            last = self.key_of(rows[-1])

    def _query(self, last: tuple[Any, ...] | None, limit: int, *, lacking_facts: bool) -> Executable:
        columns = [type_coerce(self.file, Unicode()).label("file_id"), *self.keys, *self.facts.values()]
        query = select(*columns).where(self.file.is_not(None)).order_by(*self.keys).limit(limit)
        if lacking_facts:
            query = query.where(or_(*(column.is_(None) for column in self.facts.values())))
        return query if last is None else query.where(tuple_(*self.keys) > tuple_(*last))

    def key_of(self, row: Row[Any]) -> tuple[Any, ...]:
        """The primary key of a row."""
        return tuple(row._mapping[key] for key in self.keys)  # noqa: SLF001 - public in spite of its name

    def file_of(self, row: Row[Any]) -> StoredFile:
        """The file of a row, as the column loads it, without facts."""
        type_: Any = self.file.type  # a FileType
        file: StoredFile = type_.file_class(row.file_id, type_.storage_ref)
        return file

    def facts_of(self, row: Row[Any]) -> dict[str, Any]:
        """The facts that a row tells."""
        told = {fact: row._mapping[column] for fact, column in self.facts.items()}  # noqa: SLF001 - see `key_of`
        return {fact: value for fact, value in told.items() if value is not None}

    def parse_key(self, values: Sequence[str]) -> tuple[Any, ...]:
        """The primary key that texts stand for, as `key_of` gives it.

        Raises:
            InvalidArgumentException: They are too many, too few, or of another type.
        """
        try:
            return tuple(_value_of(key, value) for key, value in zip(self.keys, values, strict=True))
        except (ArithmeticError, NotImplementedError, TypeError, ValueError):
            names = ", ".join(str(key) for key in self.keys)
            raise InvalidArgumentException(f"{', '.join(values)!r} is no primary key of {names}") from None

    async def find_named(self, engine: AsyncEngine, file_ids: Collection[str]) -> set[str]:
        """Find the files that rows name, among some."""
        query = select(type_coerce(self.file, Unicode())).where(type_coerce(self.file, Unicode()).in_(file_ids))
        async with engine.connect() as connection:
            return set(await connection.scalars(query)) if file_ids else set()

    async def still_names(self, engine: AsyncEngine, row: Row[Any]) -> bool:
        """True if the row still names its file."""
        async with engine.connect() as connection:
            return await connection.scalar(select(1).where(self._is_unchanged(row))) is not None

    def _is_unchanged(self, row: Row[Any]) -> ColumnElement[bool]:
        keys = zip(self.keys, self.key_of(row), strict=True)
        return and_(*(key == value for key, value in keys), type_coerce(self.file, Unicode()) == row.file_id)

    def change(self, row: Row[Any], facts: Mapping[str, Any]) -> Update:
        """The statement that writes facts into a row, if it still names the file."""
        values = {self.facts[fact].key or "": value for fact, value in facts.items()}
        return update(self.table).where(self._is_unchanged(row)).values(values)


def _value_of(column: ColumnElement[Any], text: str) -> Any:
    kind: Any = column.type.python_type
    return getattr(kind, "fromisoformat", kind)(text)
