"""Where ids are: the attributes of a mapped class, the columns of a table, and what is in a value of theirs."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import ARRAY, Column, Table
from sqlalchemy.orm import Mapper, configure_mappers
from sqlalchemy.types import TypeEngine

from async_storages.content import PendingFile
from async_storages.files import StoredFile
from async_storages.integrations.sqlalchemy.types import FileType

__all__ = ["FileField", "fields_of", "fields_of_table", "file_type", "is_pending", "items", "note", "shared_fields"]


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


_mapped: "WeakKeyDictionary[Mapper[Any], tuple[FileField, ...]]" = WeakKeyDictionary()


def note(mapper: Mapper[Any]) -> None:
    """Remember a mapper, for `shared_fields`."""
    fields_of(mapper)


def fields_of(mapper: Mapper[Any]) -> tuple[FileField, ...]:
    """The file attributes of a mapped class, inherited ones included."""
    if mapper not in _mapped:
        _mapped[mapper] = tuple(_mapped_fields(mapper))
    return _mapped[mapper]


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


def shared_fields(table: Table) -> list[FileField]:
    """The columns with ``shared=True`` of all mapped classes, and of the tables beside this one."""
    configure_mappers()
    mapped = [field for fields in list(_mapped.values()) for field in fields]
    beside = [field for other in table.metadata.tables.values() for field in fields_of_table(other)]
    return list({field.column: field for field in [*mapped, *beside] if field.type.shared}.values())


def file_type(type_: TypeEngine[Any]) -> FileType | None:
    """The type of the files in a column, or in its arrays, or in its variant for some database."""
    if isinstance(type_, FileType):
        return type_
    if isinstance(type_, ARRAY):
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


def is_pending(value: Any) -> bool:
    """Whether there is content in it that is not stored yet."""
    return any(isinstance(item, PendingFile) for item in items(value))
