"""The files that rows lose in a flush: rows name them right before it, but not after it.

Files that stay in their list keep the facts from it.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.orm import InstanceState, Mapper

from async_storages.errors import FileGoneException
from async_storages.files import StoredFile, new_file_state_of
from async_storages.integrations.sqlalchemy.columns.fields import FileField, fields_of, stored_files_in
from async_storages.integrations.sqlalchemy.columns.list_attributes import loaded_ids
from async_storages.integrations.sqlalchemy.columns.list_json import keep_facts
from async_storages.integrations.sqlalchemy.columns.tracked_file import TrackedFile
from async_storages.integrations.sqlalchemy.tracking.flushed_objects import ChangedObject, FlushedObjects, identity_of
from async_storages.integrations.sqlalchemy.tracking.previous_files import lock_and_read_rows
from async_storages.integrations.sqlalchemy.tracking.reference_writer import ReferenceWriter

__all__ = ["ReplacedFiles"]

type _State = InstanceState[Any]
type _Fields = dict[_State, list[FileField]]


class ReplacedFiles:
    """The files that rows lose in one flush. They are read from the rows, which are locked.

    Args:
        objects: The objects of the flush.
        writer: The writer of the flush. It checks that files can be removed.

    Attributes:
        dropped: The files, each with its column, by the connection of their rows.
        deleted: The objects whose rows are deleted.
    """

    def __init__(self, objects: FlushedObjects, writer: ReferenceWriter) -> None:
        self._objects = objects
        self._writer = writer
        self._read: set[tuple[_State, FileField]] = set()
        self.dropped: dict[Connection, list[tuple[FileField, TrackedFile]]] = {}
        self.deleted: set[_State] = set()

    def read(self, changes: Iterable[ChangedObject]) -> None:
        """Read the rows of changed and of deleted objects.

        Raises:
            FileGoneException: A file was removed meanwhile, by another transaction.
            InvalidArgumentException: A plain Session would have to remove a file.
        """
        chosen: dict[Mapper[Any], _Fields] = {}
        for change in changes:
            if change.state.key is not None:
                chosen.setdefault(change.state.mapper, {})[change.state] = _to_compare(change.fields)
        if deleted := self._objects.deleted():
            self._choose_deleted(deleted, chosen)
        for mapper, fields in sorted(chosen.items(), key=lambda item: item[0].class_.__qualname__):
            self._read_rows(mapper, fields, self._objects.connection(mapper))

    def read_late(self, state: _State, fields: Iterable[FileField]) -> None:
        """Read a row whose object got content after the flush began."""
        unread = self._unread(state, fields)
        if state.key is not None and unread:
            self._read_rows(state.mapper, {state: unread}, self._objects.connection(state.mapper))

    def read_deleted(self, state: _State, connection: Connection) -> None:
        """Read a row whose object the flush turned out to delete."""
        if state not in self.deleted:
            self.deleted.add(state)
            self._read_rows(state.mapper, {state: self._unread(state, fields_of(state.mapper))}, connection)

    def add(self, connection: Connection, field: FileField, files: Iterable[TrackedFile]) -> None:
        """Add files that a row has lost."""
        self.dropped.setdefault(connection, []).extend((field, file) for file in files)

    def _unread(self, state: _State, fields: Iterable[FileField]) -> list[FileField]:
        return [field for field in _to_compare(fields) if (state, field) not in self._read]

    def _choose_deleted(self, deleted: Iterable[_State], chosen: dict[Mapper[Any], _Fields]) -> None:
        """Choose the attributes of deleted objects to read, in addition to those chosen by class and object."""
        successors = self._objects.new_by_identity()
        for state in deleted:
            if fields := fields_of(state.mapper):
                self.deleted.add(state)
                # a new object of the same primary key takes the row over, with the columns that it does not set
                successor = successors.get((state.mapper.base_mapper, identity_of(state)))
                lost = [each for each in _deletable(fields) if successor is None or each.key in successor.dict]
                chosen.setdefault(state.mapper, {})[state] = lost

    def _read_rows(self, mapper: Mapper[Any], wanted: Mapping[_State, list[FileField]], connection: Connection) -> None:
        identities = {identity_of(state): fields for state, fields in wanted.items()}
        rows = lock_and_read_rows(connection, mapper, identities, only_deleted=wanted.keys() <= self.deleted)
        replacements = list[StoredFile]()
        for state, fields in wanted.items():
            self._read.update((state, field) for field in fields)
            for field, value in rows.get(identity_of(state), {}).items():
                held, now = self._held_by(state, field), stored_files_in(value)
                keep_facts(held, now, field.list_facts)
                if field.can_delete_files:
                    _refuse_outdated_list(state, field, now, held)
                dropped = [each for each in now if each not in held and field.can_delete(each)]
                replacements += [each for each in held if dropped and each not in now and not _is_new(each)]
                self.add(connection, field, map(TrackedFile.of, dropped))
        if self.dropped.get(connection):
            columns = [field for fields in wanted.values() for field in fields]
            self._writer.check_dropped(connection, columns, self.dropped[connection][0][1], replacements)

    def _held_by(self, state: _State, field: FileField) -> list[StoredFile]:
        return [] if state in self.deleted else stored_files_in(state.dict.get(field.key))


def _to_compare(fields: Iterable[FileField]) -> list[FileField]:
    return [field for field in fields if field.can_delete_files or field.list_facts]


def _deletable(fields: Iterable[FileField]) -> list[FileField]:
    return [field for field in fields if field.can_delete_files]


def _is_new(stored: StoredFile) -> bool:
    state = new_file_state_of(stored)
    return state is not None and not state.is_kept


def _refuse_outdated_list(
    state: _State, field: FileField, now: Iterable[StoredFile], held: Iterable[StoredFile]
) -> None:
    """Refuse a list that was loaded before another transaction removed one of its files.

    Raises:
        FileGoneException: The row no longer names a file that the list was loaded with.
    """
    loaded = loaded_ids(state, field.key)
    named = {stored.file_id for stored in now} if loaded else set()
    for stored in held:
        if stored.file_id in loaded and stored.file_id not in named:
            raise FileGoneException(
                f"another transaction has taken this file out of {state.class_.__name__}.{field.key} since it was "
                "loaded: refresh the object, and change it again",
                operation="flush",
                file_id=stored.file_id,
            )
