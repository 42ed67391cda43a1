"""What is done to files before a flush writes its rows."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, Engine
from sqlalchemy import inspect as inspect_object
from sqlalchemy.orm import InstanceState, Mapper, Session

from async_storages.errors import FileGoneException, InvalidArgumentException
from async_storages.files import StoredFile
from async_storages.integrations.sqlalchemy import _greenlet
from async_storages.integrations.sqlalchemy.file_columns import (
    FileField,
    fields_of,
    is_pending,
    items,
    shared_fields,
)
from async_storages.integrations.sqlalchemy.frames import Frame
from async_storages.integrations.sqlalchemy.levels import Level, Options
from async_storages.integrations.sqlalchemy.old_ids import Identity, old_files
from async_storages.integrations.sqlalchemy.removal import Home
from async_storages.integrations.sqlalchemy.uploads import Assigned, keep_beginning, upload_all

__all__ = ["Flush", "check_removals", "check_there", "shared_homes"]


@dataclass(frozen=True, slots=True)
class _Change:
    """An object whose row is to be written.

    Attributes:
        target: The object.
        state: SQLAlchemy's view of it.
        fields: The file attributes that are new or changed.
    """

    target: Any
    state: InstanceState[Any]
    fields: list[FileField]

    @property
    def values(self) -> Iterator[tuple[FileField, Any]]:
        return ((field, self.state.dict.get(field.key)) for field in self.fields)


class Flush:
    """One flush of a session.

    Args:
        session: The session.
        level: Its innermost transaction.
        options: What `enable_file_tracking` was told.
        objects: The objects to flush; None for all.
    """

    def __init__(self, session: Session, level: Level, options: Options, objects: Iterable[object] | None) -> None:
        self._session = session
        self._level = level
        self._options = options
        self._chosen = None if not objects else {id(each) for each in objects}
        self._added: dict[InstanceState[Any], list[StoredFile]] = {}
        self._counted: set[tuple[InstanceState[Any], FileField]] = set()
        self._deleted: set[InstanceState[Any]] = set()

    def run(self) -> None:
        """Upload what is pending, then count which rows name which files, before and after.

        Raises:
            FileGoneException: A file was removed meanwhile, as another transaction was rolled back.
            StorageException: An upload failed: no row is written, and what was uploaded will be removed.
            InvalidArgumentException: A plain Session was given content, or would have to remove a file.
        """
        changes = list(self._changes())
        check_there(item for change in changes for _, value in change.values for item in items(value))
        self._upload(changes)
        self._count(changes)

    def delete(self, state: InstanceState[Any], connection: Connection) -> None:
        """Count a row that turned out to be deleted after all."""
        if state in self._deleted:
            return
        self._deleted.add(state)
        work = Frame()
        for stored in self._added.pop(state, ()):
            work.remove(stored)
        fields = [field for field in _cleared(fields_of(state.mapper)) if (state, field) not in self._counted]
        self._count_old(work, state.mapper, {_identity(state): fields}, connection)
        check_removals(work)
        self._level.frame.release(work)

    # ---- what changes

    def _changes(self) -> Iterator[_Change]:
        for target in self._of_flush(self._session.new):
            state = inspect_object(target)
            fields = [field for field in fields_of(state.mapper) if state.dict.get(field.key) is not None]
            if fields:
                yield _Change(target, state, fields)
        for target in self._of_flush(self._session.dirty):
            state = inspect_object(target)
            fields = [each for each in fields_of(state.mapper) if state.attrs[each.key].history.has_changes()]
            if fields:
                yield _Change(target, state, fields)

    def _of_flush(self, targets: Iterable[Any]) -> list[Any]:
        return [target for target in targets if self._chosen is None or id(target) in self._chosen]

    # ---- uploads

    def _upload(self, changes: Iterable[_Change]) -> None:
        attributes = [
            Assigned(change.target, field, value)
            for change in changes
            for field, value in change.values
            if is_pending(value)
        ]
        if not attributes:
            return
        if not _greenlet.is_inside():
            where = f"{type(attributes[0].target).__name__}.{attributes[0].field.key}"
            raise InvalidArgumentException(
                f"{where} holds content, which a plain Session cannot upload: {_greenlet.NEEDS_ASYNC_SESSION}",
                operation="flush",
            )
        for each in attributes:
            each.before = keep_beginning(each.before)
            setattr(each.target, each.field.key, each.before)
        _greenlet.wait_for(upload_all(attributes, self._level.frame.make, concurrency=self._options.concurrency))
        for each in attributes:
            setattr(each.target, each.field.key, each.after)
            each.after = inspect_object(each.target).dict[each.field.key]
        self._level.uploads += attributes

    # ---- references

    def _count(self, changes: Iterable[_Change]) -> None:
        work = Frame()
        try:
            self._count_new(work, changes)
            for mapper, wanted in self._wanted(changes):
                connection = self._session.connection(bind_arguments={"mapper": mapper})
                self._count_old(work, mapper, wanted, connection)
            check_removals(work)
        except BaseException:
            self._level.frame.undo(work)
            raise
        self._level.frame.release(work)

    def _count_new(self, work: Frame, changes: Iterable[_Change]) -> None:
        for change in changes:
            for field, value in change.values:
                for item in items(value):
                    if isinstance(item, StoredFile):
                        work.add(item)
                        self._added.setdefault(change.state, []).append(item)
                        if item.fate is not None:
                            self._level.homes.add(Home(self._engine(change.state.mapper), field.column))

    def _engine(self, mapper: Mapper[Any]) -> Engine:
        return self._session.get_bind(mapper).engine

    def _wanted(self, changes: Iterable[_Change]) -> Iterator[tuple[Mapper[Any], dict[Identity, list[FileField]]]]:
        """The attributes whose old files are asked for, by class and primary key."""
        wanted: dict[Mapper[Any], dict[Identity, list[FileField]]] = {}
        for change in changes:
            if change.state.key is not None:
                wanted.setdefault(change.state.mapper, {})[_identity(change.state)] = _cleared(change.fields)
                self._counted.update((change.state, field) for field in change.fields)
        for target in self._of_flush(self._session.deleted):
            state = inspect_object(target)
            if fields := fields_of(state.mapper):
                self._deleted.add(state)
                wanted.setdefault(state.mapper, {})[_identity(state)] = _cleared(fields)
        return iter(sorted(wanted.items(), key=lambda item: item[0].class_.__qualname__))

    def _count_old(
        self, work: Frame, mapper: Mapper[Any], wanted: dict[Identity, list[FileField]], connection: Connection
    ) -> None:
        for field, stored in old_files(connection, mapper, wanted):
            work.remove(stored, shared=field.type.shared)
            if field.type.shared:
                self._level.shared_homes |= shared_homes(self._session, field.column)


def _identity(state: InstanceState[Any]) -> Identity:
    return tuple(state.identity or ())


def _cleared(fields: Iterable[FileField]) -> list[FileField]:
    return [field for field in fields if field.is_cleared]


def shared_homes(session: Session, column: Column[Any]) -> set[Home]:
    """Where else a file of a shared column may be named."""
    return {
        Home(session.get_bind(clause=field.column.table).engine, field.column) for field in shared_fields(column.table)
    }


def check_there(files: Iterable[object]) -> None:
    """Refuse files that were removed: a row would name what is not there."""
    for file in files:
        if isinstance(file, StoredFile) and file.fate is not None and file.fate.is_gone:
            raise FileGoneException(
                "the file was removed when the transaction that was to name it was rolled back",
                operation="flush",
                file_id=file.file_id,
            )


def check_removals(work: Frame) -> None:
    """Refuse what would leave files behind that a plain Session cannot remove."""
    if work.dropped and not _greenlet.is_inside():
        raise InvalidArgumentException(
            "a plain Session cannot remove the file that is replaced or deleted: use AsyncSession, "
            "or a column with on_delete='keep'",
            operation="flush",
            file_id=work.dropped[0].file_id,
        )
