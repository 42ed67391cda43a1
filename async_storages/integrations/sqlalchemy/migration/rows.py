"""Rows that name ids, in all file columns: find them, lock them, and make them name other ids."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    ColumnElement,
    Connection,
    Dialect,
    Select,
    Table,
    Unicode,
    and_,
    any_,
    bindparam,
    case,
    cast,
    false,
    literal,
    not_,
    or_,
    select,
    true,
    type_coerce,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator, TypeEngine

from async_storages.errors import InvalidArgumentException
from async_storages.integrations.sqlalchemy.columns.database_types import has_gin_index, variants_of
from async_storages.integrations.sqlalchemy.columns.fact_columns import fact_columns_of
from async_storages.integrations.sqlalchemy.columns.fields import FileField
from async_storages.integrations.sqlalchemy.columns.list_types import FileListType
from async_storages.integrations.sqlalchemy.columns.queries import is_malformed
from async_storages.integrations.sqlalchemy.ledger.references import References
from async_storages.integrations.sqlalchemy.ledger.tables import one_of
from async_storages.integrations.sqlalchemy.migration.tables import is_move_table
from async_storages.integrations.sqlalchemy.references.column_locations import OWN_STATEMENT, router_of
from async_storages.integrations.sqlalchemy.references.lookup import bare_spelling, find_named_ids

__all__ = ["FileColumn", "FoundRow", "Rows", "group_by_id", "spellings", "texts_in"]

_FACTS = ("filename", "content_type")
"""Facts in rows that are copied with a file."""


@dataclass(frozen=True, slots=True)
class FoundRow:
    """A row that names an id.

    Attributes:
        column: The column.
        key: The row's primary key.
        value: The value of the column: a text, or a list of texts.
        facts: The facts about the file in the row.
        ids: The ids that were looked for and that the row names, by the texts in the value.
    """

    column: "FileColumn"
    key: tuple[Any, ...]
    value: Any
    facts: Mapping[str, Any]
    ids: Mapping[str, str]


class FileColumn:
    """A file column as a mover reads and writes it: as plain texts, without the work of its type.

    Args:
        field: The column.

    Attributes:
        field: The column.
        table: Its table.
        keys: The primary key of the table.
        name: The column's name, for messages.

    Raises:
        InvalidArgumentException: The table has no primary key.
    """

    def __init__(self, field: FileField) -> None:
        self.field = field
        self.table: Table = field.column.table
        self.keys = tuple(self.table.primary_key)
        self.name = f"{self.table.fullname}.{field.column.name}"
        if not self.keys:
            raise InvalidArgumentException(
                f"{self.name} is in a table without a primary key, so its rows cannot be changed one by one",
                operation="migrate",
            )
        names = fact_columns_of(field.type)
        by_key = {column.key: column for column in self.table.columns}
        self._facts = {fact: by_key[names[fact]] for fact in _FACTS if names.get(fact) in by_key}
        # what a user's change would set, such as the time of it, stays: a move is none
        self._unchanged = {each: each for each in self.table.columns if each.onupdate is not None}

    def raw(self, dialect: Dialect) -> ColumnElement[Any]:
        """The column with the type of its plain texts."""
        return type_coerce(self.field.column, self._raw_type(dialect))

    def is_list(self, dialect: Dialect) -> bool:
        """True if a row can name several files."""
        return not isinstance(self._raw_type(dialect), Unicode)

    def _raw_type(self, dialect: Dialect) -> TypeEngine[Any]:
        type_ = variants_of(self.field.column.type).get(dialect.name, self.field.column.type)
        plain = type_.load_dialect_impl(dialect) if isinstance(type_, TypeDecorator) else type_
        if isinstance(plain, ARRAY):
            return ARRAY(Unicode(), dimensions=plain.dimensions)
        return (
            JSONB(none_as_null=True) if isinstance(plain, JSONB) else JSON() if isinstance(plain, JSON) else Unicode()
        )

    def select(self, dialect: Dialect) -> Select[Any]:
        """Return the query for primary keys, values, and facts."""
        columns: Any = [*self.keys, self.raw(dialect).label("value"), *self._facts.values()]
        query: Any = select(*columns)
        own: Select[Any] = query.execution_options(**{OWN_STATEMENT: True})
        return own

    def is_sound(self, dialect: Dialect) -> ColumnElement[bool]:
        """Return the condition that a value is NULL or can be read."""
        is_json = isinstance(self._raw_type(dialect), JSON) and not has_gin_index(self.field.column)
        return not_(is_malformed(self.field.column)) if is_json else true()

    def names(self, texts: Iterable[str], dialect: Dialect) -> ColumnElement[bool]:
        """Return the condition that a value is, or contains, one of some texts. A collation may match others, too."""
        raw_type, raw = self._raw_type(dialect), self.raw(dialect)
        if isinstance(raw_type, Unicode):
            return one_of(raw, texts, dialect)
        if isinstance(raw_type, ARRAY):
            return or_(*(literal(each, Unicode()) == any_(raw) for each in texts))
        stored: Any = cast(self.field.column, JSONB) if dialect.name == "postgresql" else self.field.column
        lists = type_coerce(stored, FileListType(None))
        holds = or_(*(lists.contains(literal(each, Unicode())) for each in texts))
        if has_gin_index(self.field.column):
            return holds
        return case((is_malformed(self.field.column), false()), else_=holds)

    def found(self, row: Sequence[Any], ids_by_text: Mapping[str, str]) -> FoundRow:
        """Return a row of `select`.

        Args:
            row: The row.
            ids_by_text: The ids that were looked for, by the texts that name them.
        """
        count = len(self.keys)
        facts = {fact: value for fact, value in zip(self._facts, row[count + 1 :], strict=True) if value}
        ids = {text: ids_by_text[text] for text in texts_in(row[count]) if text in ids_by_text}
        if ids and isinstance(row[count], list):  # whose facts may be under the other spelling
            named = set(ids.values())
            ids |= {text: ids_by_text[text] for text in _keys_in(row[count]) if ids_by_text.get(text) in named}
        return FoundRow(self, tuple(row[:count]), row[count], facts, ids)

    def change(self, connection: Connection, rows: Sequence[FoundRow], new_ids: Mapping[str, str]) -> None:
        """Make locked rows name other ids: see `Rows.change`."""
        raw_type = self._raw_type(connection.dialect)
        same = [key == bindparam(f"key_{number}", type_=key.type) for number, key in enumerate(self.keys)]
        changed = update(self.table).where(and_(*same))
        changed = changed.values({self.field.column: type_coerce(bindparam("new_value", type_=raw_type), raw_type)})
        changed = changed.values(self._unchanged) if self._unchanged else changed
        connection.execute(
            changed.execution_options(**{OWN_STATEMENT: True}),
            [
                {"new_value": _replaced(row.value, {text: new_ids[each] for text, each in row.ids.items()})}
                | {f"key_{number}": key for number, key in enumerate(row.key)}
                for row in rows
            ],
        )


def _replaced(value: Any, others: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_replaced(each, others) for each in value]
    if isinstance(value, dict):  # facts of files by their ids, after those in a list
        return {others.get(each, each): facts for each, facts in value.items()}
    return others.get(value, value) if isinstance(value, str) else value


def texts_in(value: Any) -> Iterator[str]:
    """Return the texts in the value of a column."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from texts_in(each)


def _keys_in(value: Any) -> Iterator[str]:
    """Return the keys of the facts of files in a list."""
    if isinstance(value, dict):
        yield from value
    elif isinstance(value, list):
        for each in value:
            yield from _keys_in(each)


class Rows:
    """The rows of all file columns of some metadata, without the table of moves.

    Args:
        references: The file columns.
    """

    def __init__(self, references: References) -> None:
        self._references = references
        self._fields: list[FileField] = []
        self._located: list[FileColumn] = []

    def columns(self) -> list[FileColumn]:
        """The columns that are known now."""
        fields = (each for each in self._references.fields() if not is_move_table(each.column.table))
        return [FileColumn(field) for field in fields]

    def located(self, connection: Connection) -> list[FileColumn]:
        """Return the columns. At the first call, all of them must be in the database and hide no rows.

        Raises:
            SweepRefusedException: A column is missing, or hides rows.
        """
        fields = self._references.fields()
        if fields != self._fields:
            self._references.locate(connection)
            self._fields, self._located = fields, self.columns()
        return self._located

    def find(self, connection: Connection, ids: Iterable[str], *, is_locking: bool = False) -> list[FoundRow]:
        """Find the rows that name one of some ids, by the full id or the bare key.

        Args:
            connection: The connection.
            ids: The ids.
            is_locking: True locks the rows until the transaction ends. It does not wait for other locks.

        Raises:
            DBAPIError: Another transaction has locked a row: see `is_conflict`.
        """
        dialect = connection.dialect
        found: list[FoundRow] = []
        for column in self.located(connection):
            texts = spellings(column.field, ids)
            query = column.select(dialect).where(column.names(texts, dialect))
            if is_locking:
                query = query.with_for_update(nowait=True, key_share=True)
            rows = [column.found(row, texts) for row in connection.execute(query)]
            found += [row for row in rows if row.ids]
        return found

    def named(self, connection: Connection, ids: Sequence[str]) -> set[str]:
        """Find those of some ids that rows name, in a few statements for all of them.

        Raises:
            SweepRefusedException: A column is not in the database, or hides rows.
        """
        locations = self._references.locate(connection)
        chosen = [each for each in locations if not is_move_table(each.field.column.table)]
        return find_named_ids(connection, chosen, ids) if ids else set()

    def change(self, connection: Connection, rows: Iterable[FoundRow], new_ids: Mapping[str, str]) -> None:
        """Make locked rows name other ids.

        Args:
            connection: The connection.
            rows: The rows.
            new_ids: The new ids by the old ones.

        Raises:
            InvalidArgumentException: A new id is too long for a column.
        """
        by_column: dict[FileColumn, list[FoundRow]] = {}
        for row in rows:
            by_column.setdefault(row.column, []).append(row)
        for column, chosen in by_column.items():
            length = column.field.type.length
            for new in {new_ids[each] for row in chosen for each in row.ids.values()}:
                if length is not None and len(new) > length:
                    raise InvalidArgumentException(
                        f"the new id has {len(new)} characters, the column {column.name} has {length}", file_id=new
                    )
            column.change(connection, chosen, new_ids)


def group_by_id(rows: Iterable[FoundRow]) -> dict[str, list[FoundRow]]:
    """Group rows by the ids that they name. A row that names several ids is in several groups."""
    grouped = defaultdict[str, list[FoundRow]](list)
    for row in rows:
        for each in set(row.ids.values()):
            grouped[each].append(row)
    return grouped


def spellings(field: FileField, ids: Iterable[str]) -> dict[str, str]:
    """Return the texts by which rows of a column may name some ids, with these ids."""
    router = router_of(field)
    return {text: file_id for file_id in ids for text in (bare_spelling(router, file_id), file_id)}
