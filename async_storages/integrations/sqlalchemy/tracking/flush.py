"""Work on files before and after a flush writes its rows."""

from collections.abc import AsyncGenerator, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Null, Table
from sqlalchemy import inspect as inspect_object
from sqlalchemy.orm import InstanceState, Mapper, Session
from sqlalchemy.orm.base import PASSIVE_NO_INITIALIZE
from sqlalchemy.sql import Delete, Insert, Update

from async_storages._tasks import map_bounded
from async_storages.errors import FileGoneException, InvalidArgumentException
from async_storages.files import StoredFile
from async_storages.integrations.sqlalchemy import _greenlet
from async_storages.integrations.sqlalchemy.columns.comparator import is_sql
from async_storages.integrations.sqlalchemy.columns.fields import (
    FileField,
    fields_of,
    is_pending,
    items,
    stored_files,
)
from async_storages.integrations.sqlalchemy.columns.list_attributes import loaded_ids, note_written, put
from async_storages.integrations.sqlalchemy.columns.tracked_file import TrackedFile
from async_storages.integrations.sqlalchemy.ledger.announcements import Announced
from async_storages.integrations.sqlalchemy.ledger.claims import Claims
from async_storages.integrations.sqlalchemy.ledger.journal import Intent
from async_storages.integrations.sqlalchemy.tracking import files_in_use
from async_storages.integrations.sqlalchemy.tracking.previous_files import Identity, rows_now
from async_storages.integrations.sqlalchemy.tracking.transaction import Options, Scope
from async_storages.integrations.sqlalchemy.tracking.transactions import Transactions
from async_storages.integrations.sqlalchemy.tracking.uploads import Announce, Assigned, upload_all
from async_storages.integrations.sqlalchemy.tracking.written_files import refusal
from async_storages.storage import Storage

__all__ = ["Flush", "check_stored", "check_there", "claim", "doom", "refuse_removals"]

_AT_ONCE = 8


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

    @property
    def files(self) -> Iterator[tuple[FileField, StoredFile]]:
        return ((field, item) for field, value in self.values for item in stored_files(value))


class Flush:
    """One flush of a session.

    Before the rows are written, content is uploaded, and the files that rows name then are read. What the flush did to
    files is noted when it has succeeded.

    Args:
        session: The session.
        transactions: Its transactions.
        objects: The objects to flush; None for all.

    Attributes:
        is_disturbed: It has done more than add to rows: it deleted some, or a listener ran a statement.
    """

    def __init__(self, session: Session, transactions: Transactions, objects: Iterable[object] | None) -> None:
        self._session = session
        self._transactions = transactions
        self._scope: Scope = transactions.scope
        self._options: Options = transactions.options
        self._chosen = None if not objects else {id(each) for each in objects}
        self._seen: dict[InstanceState[Any], dict[FileField, Any]] = {}
        self._checked: set[tuple[Connection, Table]] = set()
        self._deleted: set[InstanceState[Any]] = set()
        self._read: set[tuple[InstanceState[Any], FileField]] = set()
        self._dropped: dict[Connection, list[tuple[FileField, TrackedFile]]] = {}
        self._written: set[Table] = set()
        self.is_disturbed = False

    def run(self) -> None:
        """Upload what is pending, and read which files the rows name before.

        Raises:
            FileGoneException: A file was removed meanwhile, by another transaction, or when one was rolled back.
            StorageException: An upload failed: no row is written, and what was uploaded will be removed.
            InvalidArgumentException: A plain Session within a running event loop was given content, or would have to
                remove a file.
        """
        changes = list(self._changes())
        self._prepare(changes)
        for mapper, wanted in self._wanted(changes):
            self._read_rows(mapper, wanted, self._connection(mapper))

    def upload_late(self, state: InstanceState[Any]) -> None:
        """Upload what listeners of ``before_flush`` have assigned that are called after this flush's own."""
        fields = [field for field in fields_of(state.mapper) if is_pending(state.dict.get(field.key))]
        if fields:
            self._prepare([_Change(state.obj(), state, fields)])
            unread = [field for field in _cleared(fields) if (state, field) not in self._read]
            if state.key is not None and unread:
                self._read_rows(state.mapper, {state: unread}, self._connection(state.mapper))

    def delete(self, state: InstanceState[Any], connection: Connection) -> None:
        """Read a row that turned out to be deleted after all."""
        if state not in self._deleted:
            self._deleted.add(state)
            fields = [field for field in _cleared(fields_of(state.mapper)) if (state, field) not in self._read]
            self._read_rows(state.mapper, {state: fields}, connection)

    def send(self, statement: Insert | Update | Delete) -> None:
        """Note a statement of the flush."""
        if isinstance(statement.table, Table) and not isinstance(statement, Delete):
            self._written.add(statement.table)
        else:
            self.is_disturbed = True

    def finish(self, states: Iterable[InstanceState[Any]]) -> None:
        """Note what was done to files; the rows are written, and events such as ``before_insert`` were heard."""
        late = [_Change(state.obj(), state, fields) for state in states if (fields := self._assigned_since(state))]
        before = {
            change.state: [(field, self._before(change.state, field)) for field in change.fields] for change in late
        }
        self._prepare(late)
        for state, dropped in before.items():
            for field, files in dropped:
                self._drop(self._connection(state.mapper), field, files)
        self._note()

    def _prepare(self, changes: Sequence[_Change]) -> None:
        """Let files be named by rows that are about to be written."""
        self._refuse_expressions(changes)
        named = [item for change in changes for _, value in change.values for item in items(value)]
        check_there(item for item in named if isinstance(item, StoredFile))
        self._upload(changes)
        self._claim(changes)
        for change in _greenlet.paced(changes):
            for field, value in change.values:
                self._seen.setdefault(change.state, {})[field] = _files(value)
                for stored in stored_files(value):
                    self._scope.name(stored)

    def _refuse_expressions(self, changes: Iterable[_Change]) -> None:
        """Refuse, with a ledger, what does not say which files the rows will name; without, no file is removed then."""
        for change in changes:
            for field, value in change.values:
                if not is_sql(value) or isinstance(value, Null):
                    continue
                self._scope.hold_everything()
                if self._options.claims is not None:
                    raise refusal(
                        f"{change.state.class_.__name__}.{field.key} is set to an SQL expression, so nobody can tell "
                        "which file the row names: assign the file's id"
                    )

    def _note(self) -> None:
        mentioned: dict[TrackedFile, bool] = {}
        added = set[TrackedFile]()
        for state, values in _greenlet.paced(self._seen.items()):
            if state in self._deleted:
                continue
            for field in values:
                note_written(state, field.key)
                for stored in stored_files(state.dict.get(field.key, values[field])):
                    file = self._scope.add(field, stored)
                    added.add(file)
                    if file in self._scope.made:
                        mentioned[file] = mentioned.get(file, False) or not field.type.exclusive
        for connection, dropped in self._dropped.items():
            for field, file in dropped:
                self._scope.drop(field, file)
                mentioned[file] = mentioned.get(file, False) or not field.type.exclusive
            doom(self._options, [file for _, file in dropped if file not in added], connection)
        asked = [file for file, is_asked in mentioned.items() if is_asked]
        only_adds = not (self._dropped or self.is_disturbed)
        self._transactions.locate(asked, written=self._written if only_adds else ())

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

    def _assigned_since(self, state: InstanceState[Any]) -> list[FileField]:
        fields = fields_of(state.mapper)
        if not fields:
            return []
        seen, changed = self._seen.get(state, {}), state.committed_state
        chosen = [field for field in fields if field.key in changed or field in seen]
        return [field for field in chosen if _is_new(state, field, seen)]

    def _before(self, state: InstanceState[Any], field: FileField) -> list[TrackedFile]:
        """The files that the row would have named, or did name as far as the session knows."""
        seen = self._seen.get(state, {})
        if field in seen:
            return [TrackedFile.of(stored) for stored in stored_files(seen[field])]
        deleted = state.get_history(field.key, PASSIVE_NO_INITIALIZE).deleted or ()
        return [TrackedFile.of(each) for value in deleted for each in stored_files(value) if field.clears(each)]

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
        if not _greenlet.can_wait():
            where = f"{type(attributes[0].target).__name__}.{attributes[0].field.key}"
            raise InvalidArgumentException(
                f"{where} holds content, which this plain Session cannot upload: {_greenlet.IN_EVENT_LOOP}",
                operation="flush",
            )
        _greenlet.wait_for(
            upload_all(
                attributes,
                self._scope.make,
                concurrency=self._options.concurrency,
                announced=None if self._options.claims is None else self._announcing(self._options.claims),
            )
        )
        for each in attributes:
            each.after = put(each.target, each.field.key, each.after)
        self._scope.uploads += attributes

    def _announcing(self, claims: Claims) -> Announce:
        """A function that puts uploads into a ledger's journal, and remembers them for the end of the transaction."""

        @asynccontextmanager
        async def announced(intents: Iterable[tuple[Storage, Intent]]) -> AsyncGenerator[Announced]:
            async with claims.announced(intents) as files:
                try:
                    yield files
                finally:
                    self._scope.intents |= files.settled

        return announced

    # ---- the ledger

    def _claim(self, changes: Iterable[_Change]) -> None:
        if self._options.claims is None:
            return
        for connection, chosen in self._by_connection(changes).items():
            files = [named for change in chosen for named in change.files]
            self._check(connection, [field for field, _ in files])
            claim(self._transactions, connection, files)

    def _by_connection(self, changes: Iterable[_Change]) -> dict[Connection, list[_Change]]:
        found: dict[Connection, list[_Change]] = {}
        for change in changes:
            found.setdefault(self._connection(change.state.mapper), []).append(change)
        return found

    def _connection(self, mapper: Mapper[Any]) -> Connection:
        return self._session.connection(bind_arguments={"mapper": mapper})

    def _check(self, connection: Connection, fields: Iterable[FileField]) -> None:
        """Once for each table: it takes a query."""
        fresh = [field for field in fields if (connection, field.column.table) not in self._checked]
        if fresh and self._options.claims is not None:
            self._options.claims.check(connection, fresh)
            self._checked |= {(connection, field.column.table) for field in fresh}

    # ---- the rows as they are

    def _wanted(
        self, changes: Iterable[_Change]
    ) -> Iterator[tuple[Mapper[Any], dict[InstanceState[Any], list[FileField]]]]:
        """The attributes whose old files are read, by class and object."""
        wanted: dict[Mapper[Any], dict[InstanceState[Any], list[FileField]]] = {}
        for change in changes:
            if change.state.key is not None:
                wanted.setdefault(change.state.mapper, {})[change.state] = _cleared(change.fields)
        deleted = self._of_flush(self._session.deleted)
        successors = self._new_by_identity() if deleted else {}
        for target in deleted:
            state = inspect_object(target)
            if fields := fields_of(state.mapper):
                self._deleted.add(state)
                successor = successors.get((state.mapper.base_mapper, _identity(state)))
                cleared = [each for each in _cleared(fields) if successor is None or each.key in successor.dict]
                wanted.setdefault(state.mapper, {})[state] = cleared
        return iter(sorted(wanted.items(), key=lambda item: item[0].class_.__qualname__))

    def _new_by_identity(self) -> dict[tuple[Mapper[Any], Identity], InstanceState[Any]]:
        """New objects by class and primary key: that of a deleted object gets its row, with what it does not set."""
        states = [inspect_object(target) for target in self._of_flush(self._session.new)]
        return {
            (state.mapper.base_mapper, tuple(state.mapper.primary_key_from_instance(state.obj()))): state
            for state in states
        }

    def _read_rows(
        self, mapper: Mapper[Any], wanted: Mapping[InstanceState[Any], list[FileField]], connection: Connection
    ) -> None:
        identities = {_identity(state): fields for state, fields in wanted.items()}
        rows = rows_now(connection, mapper, identities, only_deleted=wanted.keys() <= self._deleted)
        replaced = list[StoredFile]()
        for state, fields in wanted.items():
            self._read.update((state, field) for field in fields)
            for field, value in rows.get(_identity(state), {}).items():
                held, now = self._held_now(state, field), stored_files(value)
                _check_list(state, field, now, held)
                dropped = [each for each in now if each not in held and field.clears(each)]
                replaced += [each for each in held if dropped and each not in now and not _is_made_here(each)]
                self._drop(connection, field, map(TrackedFile.of, dropped))
        if self._dropped.get(connection):
            fields = [field for chosen in wanted.values() for field in chosen]
            self._check(connection, fields)
            refuse_removals(self._options, self._dropped[connection][0][1])
        if self._options.claims is None:  # which has looked for them
            check_stored(replaced)

    def _held_now(self, state: InstanceState[Any], field: FileField) -> list[StoredFile]:
        return [] if state in self._deleted else stored_files(state.dict.get(field.key))

    def _drop(self, connection: Connection, field: FileField, files: Iterable[TrackedFile]) -> None:
        self._dropped.setdefault(connection, []).extend((field, file) for file in files)


def _has_changed(state: InstanceState[Any], field: FileField) -> bool:
    return field.key in state.committed_state and state.get_history(field.key, PASSIVE_NO_INITIALIZE).has_changes()


def _is_new(state: InstanceState[Any], field: FileField, seen: Mapping[FileField, Any]) -> bool:
    """True if an attribute holds something else than when the flush began."""
    if field not in seen:
        return _has_changed(state, field)
    value = _files(state.dict.get(field.key))
    return value is not seen[field] and value != seen[field]


def _files(value: Any) -> Any:
    """The value of an attribute; of a list, which may be changed, a copy."""
    return value if isinstance(value, StoredFile) else list(items(value))


def _identity(state: InstanceState[Any]) -> Identity:
    return tuple(state.identity or ())


def _cleared(fields: Iterable[FileField]) -> list[FileField]:
    return [field for field in fields if field.is_cleared]


def _is_made_here(stored: StoredFile) -> bool:
    return stored.fate is not None and not stored.fate.is_kept


def _check_list(
    state: InstanceState[Any], field: FileField, now: Iterable[StoredFile], held: Iterable[StoredFile]
) -> None:
    """Refuse a list that was loaded before another transaction took one of its files out.

    Raises:
        FileGoneException: The row names a file no longer that the list was loaded with.
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


def check_there(files: Iterable[StoredFile]) -> None:
    """Refuse files that were removed: a row would name what is not there.

    Raises:
        FileGoneException: A file was removed when its transaction was rolled back, or is being removed now.
    """
    doubtful = []
    for stored in _greenlet.paced(files):
        if stored.fate is not None and stored.fate.is_gone:
            raise FileGoneException(
                "the file was removed when the transaction that was to name it was rolled back",
                operation="flush",
                file_id=stored.file_id,
            )
        file = TrackedFile.of(stored)
        if files_in_use.is_leaving(file):
            raise FileGoneException("the file is being removed", operation="flush", file_id=stored.file_id)
        if files_in_use.may_be_gone(file):
            doubtful.append(stored)
    check_stored(doubtful)


def check_stored(files: Sequence[StoredFile]) -> None:
    """Ask storages whether files are there.

    Raises:
        FileGoneException: One of them is not.
    """
    if files:
        _greenlet.result_of(map_bounded(_require, files, limit=_AT_ONCE))


async def _require(stored: StoredFile) -> None:
    if not await stored.exists():
        raise FileGoneException("there is no such file", operation="flush", file_id=stored.file_id)


def claim(transactions: Transactions, connection: Connection, named: Iterable[tuple[FileField, StoredFile]]) -> None:
    """Claim the files that rows are to name from a ledger, before they do."""
    claims = transactions.options.claims
    if claims is None:
        return
    wanted: dict[TrackedFile, bool] = {}
    for field, stored in named:
        claims.watch(field)
        file = TrackedFile.of(stored)
        wanted[file] = wanted.get(file, False) or not field.clears(stored)
    if wanted:
        scope = transactions.scope
        scope.intents |= claims.claim(connection, wanted)
        scope.claimed.update(file.file_id for file in wanted)


def doom(options: Options, dropped: Collection[TrackedFile], connection: Connection) -> None:
    """Tell a ledger which files fewer rows name."""
    if options.claims is not None:
        options.claims.doom(connection, dropped)


def refuse_removals(options: Options, dropped: TrackedFile) -> None:
    """Refuse what could not be removed after the commit.

    Raises:
        InvalidArgumentException: A plain Session is used within a running event loop, without a ledger.
    """
    if options.claims is None and not _greenlet.can_wait():
        raise InvalidArgumentException(
            f"this plain Session cannot remove the file that is replaced or deleted: {_greenlet.IN_EVENT_LOOP}",
            operation="flush",
            file_id=dropped.file_id,
        )
