"""The files that rows name now, asked of the database: what a session remembers of them may be missing or outdated."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import batched
from typing import Any

from sqlalchemy import Connection, Select, select, tuple_
from sqlalchemy.orm import Mapper

from async_storages.files import StoredFile
from async_storages.integrations.sqlalchemy.file_columns import FileField, stored_files

__all__ = ["old_files", "old_files_of_rows"]

type Identity = tuple[Any, ...]

_ASKED = 500
"""Rows asked for by one statement."""


def old_files(
    connection: Connection, mapper: Mapper[Any], wanted: Mapping[Identity, Iterable[FileField]]
) -> Iterator[tuple[FileField, StoredFile]]:
    """The files of some attributes of some objects, whose rows are locked until the transaction ends.

    Without the lock two sessions that replace the file of one row would both remove the first one, and neither that
    of the other.

    Args:
        connection: The session's own.
        mapper: The class of the objects.
        wanted: Primary key → attributes, which must be of this mapper.
    """
    fields = list(dict.fromkeys(field for chosen in wanted.values() for field in chosen))
    keys = len(mapper.primary_key)
    for batch in batched(wanted, _ASKED) if fields else ():
        for row in connection.execute(_locking(mapper, fields, batch)):
            chosen = wanted.get(tuple(row[:keys]), ())
            values = zip(fields, row[keys:], strict=True)
            yield from old_files_of_rows((field, value) for field, value in values if field in chosen)


def _locking(mapper: Mapper[Any], fields: Iterable[FileField], identities: Iterable[Identity]) -> Select[Any]:
    key, columns = mapper.primary_key, (field.column for field in fields)
    found = select(*key, *columns).select_from(mapper.persist_selectable).order_by(*key).with_for_update()
    if len(key) == 1:
        return found.where(key[0].in_([identity[0] for identity in identities]))
    return found.where(tuple_(*key).in_(list(identities)))


def old_files_of_rows(values: Iterable[tuple[FileField, Any]]) -> Iterator[tuple[FileField, StoredFile]]:
    """The single files in the values of columns; a row that names one twice is one that names it."""
    for field, value in values:
        for stored in stored_files(value):
            if field.clears(stored):
                yield field, stored
