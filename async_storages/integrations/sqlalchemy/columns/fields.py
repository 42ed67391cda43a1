"""Where ids are: the attributes of a mapped class, the columns of a table, and what is in a value of theirs."""

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
from async_storages.integrations.sqlalchemy.columns.list_types import FileListType
from async_storages.integrations.sqlalchemy.columns.tracked_file import TrackedFile
from async_storages.integrations.sqlalchemy.columns.types import FileType

__all__ = [
    "FileField",
    "all_fields",
    "exchanged",
    "fields_of",
    "fields_of_table",
    "file_type",
    "is_pending",
    "items",
    "known_fields",
    "mapper_of",
    "note",
    "stored_files",
]


@dataclass(frozen=True, slots=True)
class FileField:
    """A column of file ids.

    Attributes:
        key: Its attribute's name; the column's key for a table without a class.
        column: The table's column.
        type: The type of one file in it.
    """

    key: str
    column: Column[Any]
    type: FileType

    @property
    def is_cleared(self) -> bool:
        """Whether its files are removed once no row of it names them."""
        return self.type.on_delete == "delete"

    def clears(self, stored: StoredFile) -> bool:
        """Whether this file is: not the one that rows get by default."""
        return self.is_cleared and stored not in _defaults(self.column, self.type)


def _defaults(column: Column[Any], type_: FileType) -> list[object]:
    """What rows get that are given no file, if the column says it."""
    arguments = (getattr(each, "arg", None) for each in (column.default, column.server_default))
    with suppress(StorageException):  # its storage is not registered here
        return [type_.coerce(each) for each in arguments if isinstance(each, str)]
    return []


_mapped: "WeakKeyDictionary[Mapper[Any], tuple[FileField, ...]]" = WeakKeyDictionary()


_mappings = 0


def note(mapper: Mapper[Any]) -> None:
    """Remember a mapper, for `known_fields`."""
    global _mappings  # noqa: PLW0603 - how many there have been
    _mappings += 1
    fields_of(mapper)


def fields_of(mapper: Mapper[Any]) -> tuple[FileField, ...]:
    """The file attributes of a mapped class, inherited ones included."""
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
    """The file columns of a table; none of anything else that a statement may work on."""
    if not isinstance(table, Table):
        return ()
    found = ((column, file_type(column.type)) for column in table.columns)
    return tuple(FileField(column.key, column, type_) for column, type_ in found if type_ is not None)


def all_fields() -> list[FileField]:
    """The file columns of all mapped classes."""
    configure_mappers()
    return list({field.column: field for fields in list(_mapped.values()) for field in fields}.values())


@dataclass(slots=True)
class _Known:
    """The columns of all mapped classes and of the tables beside theirs, as long as there are no others."""

    state: object
    fields: tuple[FileField, ...]
    mappers: "WeakValueDictionary[Table, Mapper[Any]]"
    metadata: tuple[MetaData, ...]


_known: _Known | None = None


def known_fields() -> tuple[FileField, ...]:
    """The file columns of all mapped classes, and of the tables beside theirs: each once."""
    return _all_known().fields


def mapper_of(table: Table) -> Mapper[Any] | None:
    """A class that is mapped to a table with file columns."""
    return _all_known().mappers.get(table)


def _all_known() -> _Known:
    global _known  # noqa: PLW0603 - walking all tables takes longer than a flush
    configure_mappers()
    if _known is None or _known.state != _state(_known.metadata):
        fields = all_fields()
        metadata = tuple(dict.fromkeys(field.column.table.metadata for field in fields))
        beside = [field for each in metadata for table in each.tables.values() for field in fields_of_table(table)]
        mappers = WeakValueDictionary(
            {field.column.table: each for each, own in list(_mapped.items()) for field in own}
        )
        chosen = tuple({field.column: field for field in (*fields, *beside)}.values())
        _known = _Known(_state(metadata), chosen, mappers, metadata)
    return _known


def _state(metadata: Iterable[MetaData]) -> object:
    """Equal for as long as no class is mapped, forgotten, or gets a table beside its own."""
    return _mappings, len(_mapped), [len(each.tables) for each in metadata]


def file_type(type_: TypeEngine[Any]) -> FileType | None:
    """The type of the files in a column, or in its arrays or lists, or in its variant for some database."""
    if isinstance(type_, FileType):
        return type_
    if isinstance(type_, ARRAY | FileListType):
        return file_type(type_.item_type)
    variants: dict[str, TypeEngine[Any]] = getattr(type_, "_variant_mapping", {})
    return next((found for each in variants.values() if (found := file_type(each)) is not None), None)


def items(value: Any) -> Iterator[StoredFile | PendingFile]:
    """The files in what an attribute holds: itself, or those in an array, as often as they are there."""
    if isinstance(value, StoredFile | PendingFile):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from items(item)


def stored_files(value: Any) -> list[StoredFile]:
    """The files that a row names there, each once, however often they are in an array."""
    if isinstance(value, StoredFile):
        return [value]
    return list({TrackedFile.of(item): item for item in items(value) if isinstance(item, StoredFile)}.values())


def exchanged(value: Any, others: Mapping[int, Any]) -> Any:
    """The same with other files in it, those of the same `id()`."""
    if isinstance(value, list | tuple):
        return [exchanged(item, others) for item in value]
    return others.get(id(value), value)


def is_pending(value: Any) -> bool:
    """Whether there is content in it that is not stored yet."""
    return any(isinstance(item, PendingFile) for item in items(value))
