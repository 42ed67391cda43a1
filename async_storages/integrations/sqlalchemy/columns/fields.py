"""File attributes of mapped classes, file columns of tables, and the files in their values."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

from sqlalchemy import ARRAY, Column, MetaData, Table
from sqlalchemy.orm import Mapper, configure_mappers
from sqlalchemy.types import TypeEngine

from async_storages.content import PendingFile
from async_storages.errors import StorageException
from async_storages.files import StoredFile
from async_storages.integrations.sqlalchemy.columns.database_types import variants_of
from async_storages.integrations.sqlalchemy.columns.list_types import FileListType
from async_storages.integrations.sqlalchemy.columns.tracked_file import TrackedFile
from async_storages.integrations.sqlalchemy.columns.types import FileType

__all__ = [
    "FileField",
    "all_file_fields",
    "fields_of",
    "fields_of_table",
    "file_type",
    "has_pending_content",
    "iterate_files",
    "mapped_fields",
    "mapper_of",
    "remember_mapper",
    "replace_files",
    "stored_files_in",
]


@dataclass(frozen=True, slots=True)
class FileField:
    """A file column of a table or class.

    Attributes:
        key: The name of the attribute. For a table without a class, the column's key.
        column: The column.
        type: The type of one file in it.
    """

    key: str
    column: Column[Any]
    type: FileType

    @property
    def list_facts(self) -> tuple[str, ...]:
        """The facts that a column of lists stores with its files. Other columns have none."""
        type_ = self.column.type
        return type_.facts if isinstance(type_, FileListType) else ()

    @property
    def can_delete_files(self) -> bool:
        """True if files of this column are removed when no row names them any more."""
        return self.type.on_delete == "delete"

    def can_delete(self, stored: StoredFile) -> bool:
        """Return True if a file is removed when no row names it any more. Defaults of the column always stay."""
        has_defaults = self.column.default is not None or self.column.server_default is not None
        is_default = has_defaults and stored in _defaults(self.column, self.type)
        return self.can_delete_files and not is_default


def _defaults(column: Column[Any], type_: FileType) -> list[object]:
    """Return the files that rows get by the defaults of a column."""
    arguments = (getattr(each, "arg", None) for each in (column.default, column.server_default))
    with suppress(StorageException):  # its storage is not registered here
        return [type_.coerce(each) for each in arguments if isinstance(each, str)]
    return []


_mapped: "WeakKeyDictionary[Mapper[Any], tuple[FileField, ...]]" = WeakKeyDictionary()
_mappings = 0
"""All mappers so far, including those that no longer exist."""


def remember_mapper(mapper: Mapper[Any]) -> None:
    """Remember a mapper, for `all_file_fields`."""
    global _mappings  # noqa: PLW0603 - a counter
    _mappings += 1
    fields_of(mapper)


def fields_of(mapper: Mapper[Any]) -> tuple[FileField, ...]:
    """Return the file attributes of a mapped class, including inherited ones."""
    found = _mapped.get(mapper)
    if found is None:
        found = _mapped[mapper] = tuple(_mapped_fields(mapper))
    return found


def _mapped_fields(mapper: Mapper[Any]) -> Iterator[FileField]:
    for attribute in mapper.column_attrs:
        column = attribute.columns[0]
        type_ = file_type(column.type)
        if type_ is not None and isinstance(column, Column):
            yield FileField(attribute.key, column, type_)


def fields_of_table(table: object) -> tuple[FileField, ...]:
    """Return the file columns of a table. Anything else, such as a subquery, has none."""
    if not isinstance(table, Table):
        return ()
    found = ((column, file_type(column.type)) for column in table.columns)
    return tuple(FileField(column.key, column, type_) for column, type_ in found if type_ is not None)


def mapped_fields() -> list[FileField]:
    """Return the file columns of all mapped classes."""
    configure_mappers()
    return list({field.column: field for fields in list(_mapped.values()) for field in fields}.values())


@dataclass(slots=True)
class _CollectedFields:
    """The file columns of all mapped classes, and of other tables in their metadata.

    Attributes:
        state: The value of `_state` at the time of collection. If it has changed since, the columns are collected
            again.
        fields: The columns.
        mappers: For each table, the mapper of one of its classes.
        metadata: The metadata of the tables.
    """

    state: object
    fields: tuple[FileField, ...]
    mappers: "WeakValueDictionary[Table, Mapper[Any]]"
    metadata: tuple[MetaData, ...]


_collected: _CollectedFields | None = None


def all_file_fields() -> tuple[FileField, ...]:
    """Return the file columns of all mapped classes, and of other tables in their metadata, each once."""
    return _collected_fields().fields


def mapper_of(table: Table) -> Mapper[Any] | None:
    """Return the mapper of a class for a table with file columns; None if no class is mapped to it."""
    return _collected_fields().mappers.get(table)


def _collected_fields() -> _CollectedFields:
    global _collected  # noqa: PLW0603 - a walk through all tables takes longer than a flush
    configure_mappers()
    if _collected is None or _collected.state != _state(_collected.metadata):
        fields = mapped_fields()
        metadata = tuple(dict.fromkeys(field.column.table.metadata for field in fields))
        beside = [field for each in metadata for table in each.tables.values() for field in fields_of_table(table)]
        mappers = WeakValueDictionary(
            {field.column.table: each for each, own in list(_mapped.items()) for field in own}
        )
        chosen = tuple({field.column: field for field in (*fields, *beside)}.values())
        _collected = _CollectedFields(_state(metadata), chosen, mappers, metadata)
    return _collected


def _state(metadata: Iterable[MetaData]) -> object:
    """Return a value that changes when a class is mapped or removed, or when their metadata gets a table."""
    return _mappings, len(_mapped), [len(each.tables) for each in metadata]


def file_type(type_: TypeEngine[Any]) -> FileType | None:
    """Return the file type of a column, of its items, or of a variant; None if it has none."""
    if isinstance(type_, FileType):
        return type_
    if isinstance(type_, ARRAY | FileListType):
        return file_type(type_.item_type)
    return next((found for each in variants_of(type_).values() if (found := file_type(each)) is not None), None)


def iterate_files(value: Any) -> Iterator[StoredFile | PendingFile]:
    """Yield the files in the value of an attribute: the value itself, or all items of a list."""
    if isinstance(value, StoredFile | PendingFile):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from iterate_files(item)


def stored_files_in(value: Any) -> list[StoredFile]:
    """Return the stored files in the value of an attribute, each once."""
    if isinstance(value, StoredFile):
        return [value]
    return list({TrackedFile.of(item): item for item in iterate_files(value) if isinstance(item, StoredFile)}.values())


def replace_files(value: Any, others: Mapping[int, Any]) -> Any:
    """Return a value in which other files replace some of its files. The `id()` of a file identifies it."""
    if isinstance(value, list | tuple):
        return [replace_files(item, others) for item in value]
    return others.get(id(value), value)


def has_pending_content(value: Any) -> bool:
    """Return True if a value holds content that is not stored yet."""
    return any(isinstance(item, PendingFile) for item in iterate_files(value))
