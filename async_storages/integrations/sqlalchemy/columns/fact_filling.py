"""Facts for rows that were written before their table had columns for them."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, Table, Unicode, and_, or_, select, tuple_, type_coerce, update
from sqlalchemy import inspect as inspect_object
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import InstrumentedAttribute

from async_storages._tasks import map_bounded
from async_storages.errors import FileNotFoundException, InvalidArgumentException, StorageException
from async_storages.files import StoredFile, StoredImage
from async_storages.integrations.sqlalchemy.columns.fact_columns import fact_columns_of, fact_value, known_fact
from async_storages.integrations.sqlalchemy.columns.types import FileType

__all__ = ["FilledFacts", "fill_facts"]


@dataclass(frozen=True, slots=True)
class FilledFacts:
    """The result of `fill_facts` so far.

    Attributes:
        rows: Rows that were looked at.
        filled: Rows that got facts.
        missing: Ids of files that do not exist, up to 1,000 of them.
        failed: Ids of files that could not be asked for, with the reason, up to 1,000 of them.
    """

    rows: int = 0
    filled: int = 0
    missing: tuple[str, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)


_MOST_IDS = 1000


async def fill_facts(
    engine: AsyncEngine,
    attribute: InstrumentedAttribute[Any],
    *,
    batch: int = 500,
    concurrency: int = 16,
    every: bool = False,
    on_progress: Callable[[FilledFacts], object] | None = None,
) -> FilledFacts:
    """Ask the storage for the facts of files whose rows lack them, and write them into the rows.

    Rows that have all their facts are passed over, so it can be stopped and run again. A row whose file was replaced
    meanwhile is left to whoever replaced it. Rows are read in the order of the primary key; each batch is written in a
    transaction of its own. For ``sha256=`` whole files are read, as streams.

    Args:
        engine: The database.
        attribute: The attribute of the file, such as ``Document.file``, with ``size=`` or others on its column type.
        batch: Rows at a time, 1 or more.
        concurrency: Files that are asked for at once.
        every: True also asks for rows that have their facts, and overwrites these.
        on_progress: Called with the result so far after each batch.

    Returns:
        The numbers of rows, and ids of files that are missing or could not be asked for; their rows stay as they are.

    Raises:
        InvalidArgumentException: The attribute is no file column, or names no attributes for facts.
    """
    columns = _Columns.of(attribute)
    done, last = FilledFacts(), None
    while True:
        async with engine.connect() as connection:
            rows = (await connection.execute(columns.query(last, batch, every=every))).all()
        if not rows:
            return done
        answers = await map_bounded(columns.ask, rows, limit=concurrency)
        changes = [
            (row, values)
            for row, answer in zip(rows, answers, strict=True)
            if isinstance(answer, StoredFile) and (values := columns.values(row, answer, every=every))
        ]
        async with engine.begin() as connection:
            for row, values in changes:
                await connection.execute(columns.change(row, values))
        done, last = _after(done, rows, answers, len(changes)), columns.key_of(rows[-1])
        if on_progress is not None:
            on_progress(done)


def _after(
    done: FilledFacts, rows: Sequence[Row[Any]], answers: Sequence[StoredFile | StorageException], filled: int
) -> FilledFacts:
    refused = [
        (row.file_id, answer) for row, answer in zip(rows, answers, strict=True) if isinstance(answer, Exception)
    ]
    missing = [file_id for file_id, error in refused if isinstance(error, FileNotFoundException)]
    failed = {file_id: str(error) for file_id, error in refused if not isinstance(error, FileNotFoundException)}
    return FilledFacts(
        rows=done.rows + len(rows),
        filled=done.filled + filled,
        missing=(*done.missing, *missing)[:_MOST_IDS],
        failed=dict(list({**done.failed, **failed}.items())[:_MOST_IDS]),
    )


@dataclass(frozen=True, slots=True)
class _Columns:
    """The columns of a table that matter, and the statements on them.

    Attributes:
        table: The table.
        keys: The primary key.
        file: The file column.
        facts: The columns by fact.
    """

    table: Table
    keys: tuple[ColumnElement[Any], ...]
    file: ColumnElement[Any]
    facts: Mapping[str, ColumnElement[Any]]

    @classmethod
    def of(cls, attribute: InstrumentedAttribute[Any]) -> "_Columns":
        try:
            [column] = attribute.property.columns
        except (AttributeError, ValueError):
            raise InvalidArgumentException(
                f"facts are those of a mapped column, such as Document.file, not of {attribute!r}",
                operation="fill_facts",
            ) from None
        mapper = inspect_object(attribute.class_)
        names = fact_columns_of(column.type)
        facts = {fact: mapper.column_attrs[name].columns[0] for fact, name in names.items() if name in mapper.columns}
        if not facts:
            raise InvalidArgumentException(
                f"{attribute} has no columns for facts: name some by size=, content_type= … of its FileType",
                operation="fill_facts",
            )
        return cls(column.table, tuple(column.table.primary_key), column, facts)

    def query(self, last: tuple[Any, ...] | None, limit: int, *, every: bool) -> Select[Any]:
        """Rows after a key that lack facts."""
        columns = [type_coerce(self.file, Unicode()).label("file_id"), *self.keys, *self.facts.values()]
        query = select(*columns).where(self.file.is_not(None)).order_by(*self.keys).limit(limit)
        if not every:
            query = query.where(or_(*(column.is_(None) for column in self.facts.values())))
        return query if last is None else query.where(tuple_(*self.keys) > tuple_(*last))

    def key_of(self, row: Row[Any]) -> tuple[Any, ...]:
        """The primary key of a row."""
        return tuple(row._mapping[key] for key in self.keys)  # noqa: SLF001 - public in spite of its name

    async def ask(self, row: Row[Any]) -> StoredFile | StorageException:
        """The file of a row, once it knows its facts; or the reason why it does not."""
        type_ = self.file.type
        assert isinstance(type_, FileType)  # noqa: S101 - `fact_columns_of` has seen to it
        file = type_.file_class(row.file_id, type_._ref)  # noqa: SLF001 - as the column loads it
        try:
            info = await file.get_info()
            file.remember(filename=info.file_name)
            if isinstance(file, StoredImage) and not self.facts.keys().isdisjoint({"width", "height"}):
                await _learn_dimensions(file)
            if "sha256" in self.facts:
                file.remember(sha256=await _sha256_of(file))
        except StorageException as error:
            return error
        return file

    def values(self, row: Row[Any], file: StoredFile, *, every: bool) -> dict[str, Any]:
        """The values to write, by column."""
        told = {column: fact_value(known_fact(file, fact), column.type) for fact, column in self.facts.items()}
        return {
            column.key or "": value
            for column, value in told.items()
            if value is not None and (every or row._mapping[column] is None)  # noqa: SLF001 - see `key_of`
        }

    def change(self, row: Row[Any], values: Mapping[str, Any]) -> Any:
        """The statement that writes values into a row, if it still names the file."""
        is_row = and_(*(key == value for key, value in zip(self.keys, self.key_of(row), strict=True)))
        return update(self.table).where(is_row, type_coerce(self.file, Unicode()) == row.file_id).values(values)


async def _learn_dimensions(file: StoredImage) -> None:
    try:
        await file.get_dimensions()
    except InvalidArgumentException:
        return  # a damaged image has none


async def _sha256_of(file: StoredFile) -> str:
    digest = hashlib.sha256()
    async with aclosing(file.stream()) as chunks:
        async for chunk in chunks:
            digest.update(chunk)
    return digest.hexdigest()
