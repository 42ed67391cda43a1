"""What is done to files before a flush writes its rows."""

from collections.abc import AsyncGenerator, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any

from sqlalchemy import Column, Connection, Engine, Table
from sqlalchemy import inspect as inspect_object
from sqlalchemy.orm import InstanceState, Mapper, Session
from sqlalchemy.orm.base import PASSIVE_NO_INITIALIZE

from async_storages.errors import FileGoneException, InvalidArgumentException
from async_storages.files import StoredFile
from async_storages.integrations.sqlalchemy import _greenlet
from async_storages.integrations.sqlalchemy.file_columns import (
    FileField,
    fields_of,
    is_pending,
    items,
    shared_fields,
    stored_files,
)
from async_storages.integrations.sqlalchemy.frames import Frame, TrackedFile
from async_storages.integrations.sqlalchemy.ledger.claims import Claims
from async_storages.integrations.sqlalchemy.ledger.journal import Intent
from async_storages.integrations.sqlalchemy.ledger.uploads import Announced
from async_storages.integrations.sqlalchemy.levels import Level, Options
from async_storages.integrations.sqlalchemy.list_attributes import put
from async_storages.integrations.sqlalchemy.old_ids import Identity, old_files
from async_storages.integrations.sqlalchemy.removal import Home
from async_storages.integrations.sqlalchemy.uploads import Announce, Assigned, keep_beginning, upload_all
from async_storages.storage import Storage

__all__ = ["Flush", "check_there", "claim", "see_to_removals", "shared_homes"]


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
        self._seen: dict[InstanceState[Any], dict[str, Any]] = {}
        self._checked: set[tuple[Connection, Table]] = set()
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
        self._claim(changes)
        self._count(changes)

    def delete(self, state: InstanceState[Any], connection: Connection) -> None:
        """Count a row that turned out to be deleted after all."""
        if state in self._deleted:
            return
        self._deleted.add(state)
        fields = [field for field in _cleared(fields_of(state.mapper)) if (state, field) not in self._counted]
        with self._counting() as work:
            for stored in self._added.pop(state, ()):
                work.remove(stored)
            self._count_old(work, state.mapper, {_identity(state): fields}, connection)
            self._tell(work, connection, fields)

    def finish(self, states: Iterable[InstanceState[Any]]) -> None:
        """Count what events, such as ``before_insert``, have assigned since the flush began; the rows are written."""
        changes = [_Change(state.obj(), state, fields) for state in states if (fields := self._assigned_since(state))]
        if not changes:
            return
        check_there(item for change in changes for _, value in change.values for item in items(value))
        before = {
            (change.state, field): list(self._before(change.state, field))
            for change in changes
            for field in change.fields
        }
        with self._counting() as work:
            self._count_new(work, changes)
            self._claim(changes)
            for connection, theirs in self._by_connection(changes).items():
                told = set(work.dropped)
                for state, field in [(change.state, field) for change in theirs for field in change.fields]:
                    self._remove(work, field, before[state, field])
                self._tell(work, connection, [field for change in theirs for field in change.fields], told)

    def _assigned_since(self, state: InstanceState[Any]) -> list[FileField]:
        fields = fields_of(state.mapper)
        if not fields:
            return []
        seen, changed = self._seen.get(state, {}), state.committed_state
        chosen = [field for field in fields if field.key in changed or field.key in seen]
        return [field for field in chosen if _is_new(state, field, seen)]

    @contextmanager
    def _counting(self) -> Iterator[Frame]:
        """What the block counts; if it fails, the transaction still knows the new files."""
        work = Frame()
        try:
            yield work
        except BaseException:
            self._level.frame.undo(work)
            raise
        self._level.frame.release(work)

    def _before(self, state: InstanceState[Any], field: FileField) -> Iterable[StoredFile]:
        """What the row would have named, or did name as far as the session knows."""
        seen = self._seen.get(state, {})
        if field.key in seen:
            return stored_files(seen[field.key])
        deleted = state.get_history(field.key, PASSIVE_NO_INITIALIZE).deleted or ()
        return [stored for value in deleted for stored in stored_files(value) if field.clears(stored)]

    # ---- what changes

    def _changes(self) -> Iterator[_Change]:
        for target in self._of_flush(self._session.new):
            state = inspect_object(target)
            fields = [field for field in fields_of(state.mapper) if state.dict.get(field.key) is not None]
            if fields:
                yield _Change(target, state, fields)
        for target in self._of_flush(self._session.dirty):
            state = inspect_object(target)
            fields = [each for each in fields_of(state.mapper) if _has_changed(state, each)]
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
            put(each.target, each.field.key, each.before)
        _greenlet.wait_for(
            upload_all(
                attributes,
                self._level.frame.make,
                concurrency=self._options.concurrency,
                announced=None if self._options.claims is None else self._announcing(self._options.claims),
            )
        )
        for each in attributes:
            each.after = put(each.target, each.field.key, each.after)
        self._level.uploads += attributes

    def _announcing(self, claims: Claims) -> Announce:
        """What puts uploads into a ledger's journal, and remembers them for the end of the transaction."""

        @asynccontextmanager
        async def announced(intents: Iterable[tuple[Storage, Intent]]) -> AsyncGenerator[Announced]:
            async with claims.announced(intents) as files:
                try:
                    yield files
                finally:
                    self._level.intents |= files.settled

        return announced

    # ---- references

    def _claim(self, changes: Iterable[_Change]) -> None:
        if self._options.claims is None:
            return
        for connection, chosen in self._by_connection(changes).items():
            named = [(field, item) for change in chosen for field, value in change.values for item in items(value)]
            files = [(field, item) for field, item in named if isinstance(item, StoredFile)]
            self._check(connection, [field for field, _ in files])
            claim(self._options.claims, self._level, connection, files)

    def _by_connection(self, changes: Iterable[_Change]) -> dict[Connection, list[_Change]]:
        found: dict[Connection, list[_Change]] = {}
        for change in changes:
            found.setdefault(self._connection(change.state.mapper), []).append(change)
        return found

    def _connection(self, mapper: Mapper[Any]) -> Connection:
        return self._session.connection(bind_arguments={"mapper": mapper})

    def _count(self, changes: Iterable[_Change]) -> None:
        with self._counting() as work:
            self._count_new(work, changes)
            for mapper, wanted in self._wanted(changes):
                connection, before = self._connection(mapper), set(work.dropped)
                self._count_old(work, mapper, wanted, connection)
                self._tell(work, connection, chain.from_iterable(wanted.values()), before)

    def _tell(
        self, work: Frame, connection: Connection, fields: Iterable[FileField], told: Container[TrackedFile] = ()
    ) -> None:
        dropped = [file for file in work.dropped if file not in told]
        if dropped:
            self._check(connection, fields)
            see_to_removals(self._options, dropped, connection)

    def _check(self, connection: Connection, fields: Iterable[FileField]) -> None:
        """Once for each table: it takes a query."""
        fresh = [field for field in fields if (connection, field.column.table) not in self._checked]
        if fresh and self._options.claims is not None:
            self._options.claims.check(connection, fresh)
            self._checked |= {(connection, field.column.table) for field in fresh}

    def _count_new(self, work: Frame, changes: Iterable[_Change]) -> None:
        for change in changes:
            for field, value in change.values:
                self._seen.setdefault(change.state, {})[field.key] = _files(value)
                for stored in stored_files(value):
                    work.add(stored)
                    self._added.setdefault(change.state, []).append(stored)
                    if stored.fate is not None:
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
        deleted = self._of_flush(self._session.deleted)
        successors = self._new_by_identity() if deleted else {}
        for target in deleted:
            state = inspect_object(target)
            if fields := fields_of(state.mapper):
                self._deleted.add(state)
                successor = successors.get((state.mapper.base_mapper, _identity(state)))
                cleared = [each for each in _cleared(fields) if successor is None or each.key in successor.dict]
                wanted.setdefault(state.mapper, {})[_identity(state)] = cleared
        return iter(sorted(wanted.items(), key=lambda item: item[0].class_.__qualname__))

    def _new_by_identity(self) -> dict[tuple[Mapper[Any], Identity], InstanceState[Any]]:
        """New objects by class and primary key: that of a deleted object gets its row, with what it does not set."""
        states = [inspect_object(target) for target in self._of_flush(self._session.new)]
        return {
            (state.mapper.base_mapper, tuple(state.mapper.primary_key_from_instance(state.obj()))): state
            for state in states
        }

    def _count_old(
        self, work: Frame, mapper: Mapper[Any], wanted: dict[Identity, list[FileField]], connection: Connection
    ) -> None:
        for field, stored in old_files(connection, mapper, wanted):
            self._remove(work, field, [stored])

    def _remove(self, work: Frame, field: FileField, files: Iterable[StoredFile]) -> None:
        for stored in files:
            work.remove(stored, shared=field.type.shared)
            if field.type.shared:
                self._level.shared_homes |= shared_homes(self._session, field.column)


def _has_changed(state: InstanceState[Any], field: FileField) -> bool:
    return field.key in state.committed_state and state.get_history(field.key, PASSIVE_NO_INITIALIZE).has_changes()


def _is_new(state: InstanceState[Any], field: FileField, seen: Mapping[str, Any]) -> bool:
    """Whether an attribute holds something else than when the flush began."""
    if field.key not in seen:
        return _has_changed(state, field)
    value = _files(state.dict.get(field.key))
    return value is not seen[field.key] and value != seen[field.key]


def _files(value: Any) -> Any:
    """What an attribute holds; of a list, which may be changed, a copy."""
    return value if isinstance(value, StoredFile) else list(items(value))


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


def claim(claims: Claims, level: Level, connection: Connection, named: Iterable[tuple[FileField, StoredFile]]) -> None:
    """Tell a ledger which files rows are to name, before they do."""
    wanted: dict[TrackedFile, bool] = {}
    for field, stored in named:
        claims.watch(field)
        file = TrackedFile.of(stored)
        wanted[file] = wanted.get(file, False) or not field.clears(stored)
    if wanted:
        level.intents |= claims.claim(connection, wanted)


def see_to_removals(options: Options, dropped: Sequence[TrackedFile], connection: Connection) -> None:
    """Tell a ledger which files fewer rows name; without, refuse what a plain Session could not remove."""
    if options.claims is not None:
        options.claims.doom(connection, dropped)
    elif dropped and not _greenlet.is_inside():
        raise InvalidArgumentException(
            "a plain Session cannot remove the file that is replaced or deleted: use AsyncSession, a ledger, "
            "or a column with on_delete='keep'",
            operation="flush",
            file_id=dropped[0].file_id,
        )
