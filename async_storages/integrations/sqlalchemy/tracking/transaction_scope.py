"""The files of one transaction, or of one savepoint: new files, and references that rows gained and lost.

A session has one scope for each transaction and each SAVEPOINT. A released savepoint passes all its records to the
outer scope. A savepoint that is rolled back passes only its new files. References are not counted: a database lookup
finds the files that rows name in the end.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Flag, auto
from itertools import batched

from sqlalchemy import Connection, Engine
from sqlalchemy import inspect as inspect_object
from sqlalchemy.orm import SessionTransaction

from async_storages._file_facts import NewFileState
from async_storages.files import StoredFile, new_file_state_of
from async_storages.imaging.pool import ImagePool
from async_storages.integrations.sqlalchemy import _greenlet
from async_storages.integrations.sqlalchemy.columns.fields import FileField, iterate_files, replace_files
from async_storages.integrations.sqlalchemy.columns.tracked_file import TrackedFile
from async_storages.integrations.sqlalchemy.ledger.claims import Claims
from async_storages.integrations.sqlalchemy.references.column_locations import ColumnLocation, locate_columns
from async_storages.integrations.sqlalchemy.references.lookup import LookupResult
from async_storages.integrations.sqlalchemy.tracking import files_in_use
from async_storages.integrations.sqlalchemy.tracking.files_in_use import PendingLookup
from async_storages.integrations.sqlalchemy.tracking.flushed_objects import AssignedContent

__all__ = ["ReferenceChange", "TrackingOptions", "TransactionScope"]


@dataclass(frozen=True, slots=True)
class TrackingOptions:
    """The options of `enable_file_tracking`. `claims` belongs to the ledger, if there is one."""

    concurrency: int
    removal_timeout: float
    claims: Claims | None = None
    image_pool: ImagePool | None = None


class ReferenceChange(Flag):
    """A transaction's changes to the references of one file.

    Attributes:
        ADDED: A row has got it.
        ADDED_EXCLUSIVELY: A row has got it in a column with ``exclusive=True``.
        DROPPED: A row has lost it.
        DROPPED_EXCLUSIVELY: A row has lost it in a column with ``exclusive=True``.
        KEPT: A row has got it in a column with ``on_delete="keep"``.
        ROLLED_BACK: A savepoint that was rolled back has stored it.
    """

    ADDED = auto()
    ADDED_EXCLUSIVELY = auto()
    DROPPED = auto()
    DROPPED_EXCLUSIVELY = auto()
    KEPT = auto()
    ROLLED_BACK = auto()


_AT_A_TIME = 100
"""Number of files after which other tasks get a turn."""

_NEEDS_NO_LOOKUP = (ReferenceChange.ADDED_EXCLUSIVELY, ReferenceChange.DROPPED_EXCLUSIVELY)
_DROPS = ReferenceChange.DROPPED | ReferenceChange.DROPPED_EXCLUSIVELY
_ADDS = ReferenceChange.ADDED | ReferenceChange.ADDED_EXCLUSIVELY | ReferenceChange.KEPT


@dataclass(slots=True, eq=False, weakref_slot=True)
class TransactionScope:
    """The records of one transaction or savepoint of a session.

    Attributes:
        transaction: SQLAlchemy's object for it.
        new_files: Files that this transaction has stored. They are removed unless it is committed.
        changes: Files that rows have got or lost.
        locations: The columns that may name these files, by the connection for the lookup.
        has_flushed_rows_only: True if the columns are in plain tables, and only flushes have written: no other
            statement can have changed the new files that rows name.
        find_columns: Returns, by engine, the columns that may name files, for a lookup without `locations`.
        uploads: Attributes whose content it has uploaded.
        intents: Ids that it has put into a ledger's journal, and the labels of their storages.
        claimed_ids: Ids that it has claimed from a ledger.
        connections: The connections on which it works.
        lookup_result: The result of the lookup of the files before the commit.
        pending_lookup: The lookup with that result.
        postponed_removals: Files that other transactions wanted to remove while this one named them.
        is_committed: True if it was committed, or the savepoint released.
        held_files: Files that `files_in_use` holds for it.
        is_holding_all_files: True if it names unknown files, so that `files_in_use` holds all files.
    """

    transaction: SessionTransaction | None
    new_files: dict[TrackedFile, NewFileState] = field(default_factory=dict)
    changes: dict[TrackedFile, ReferenceChange] = field(default_factory=dict)
    locations: dict[Connection, set[ColumnLocation]] = field(default_factory=dict)
    find_columns: Callable[[Collection[TrackedFile]], Mapping[Engine, Collection[FileField]]] | None = None
    uploads: list[AssignedContent] = field(default_factory=list)
    intents: dict[str, str] = field(default_factory=dict)
    claimed_ids: set[str] = field(default_factory=set)
    connections: list[Connection] = field(default_factory=list)
    lookup_result: LookupResult | None = None
    pending_lookup: PendingLookup | None = None
    postponed_removals: list[TrackedFile] = field(default_factory=list)
    is_committed: bool = False
    has_flushed_rows_only: bool = False
    held_files: set[TrackedFile] = field(default_factory=set)
    is_holding_all_files: bool = False

    # ---- recording

    def hold(self, stored: StoredFile) -> TrackedFile:
        """Protect a file from removal by others in this process. This transaction decides about a new file."""
        file, state = TrackedFile.of(stored), new_file_state_of(stored)
        if state is not None and not state.is_kept:
            self.new_files[file] = state
        if file not in self.held_files:
            self.held_files.add(file)
            files_in_use.hold(file)
        return file

    def record_added(self, file_field: FileField, stored: StoredFile) -> TrackedFile:
        """Record that a row names a file now."""
        file = self.hold(stored)
        if file_field.can_delete_files:
            exclusive = file_field.type.exclusive
            self._record_change(file, ReferenceChange.ADDED_EXCLUSIVELY if exclusive else ReferenceChange.ADDED)
        else:
            self._record_change(file, ReferenceChange.KEPT)
        return file

    def record_dropped(self, file_field: FileField, file: TrackedFile) -> None:
        """Record that a row no longer names a file."""
        exclusive = file_field.type.exclusive
        self._record_change(file, ReferenceChange.DROPPED_EXCLUSIVELY if exclusive else ReferenceChange.DROPPED)

    def _record_change(self, file: TrackedFile, change: ReferenceChange) -> None:
        self.changes[file] = self.changes.get(file, change) | change

    def hold_all_files(self) -> None:
        """Protect all files from removal by others in this process, because a row is about to name an unknown file."""
        if not self.is_holding_all_files:
            self.is_holding_all_files = True
            files_in_use.hold_all_files(self)

    def __del__(self) -> None:
        """Release the files of a session that is deleted in the middle of a transaction."""
        if self.held_files:
            files_in_use.release(self.held_files)

    def release_files(self) -> list[TrackedFile]:
        """Release the held files after the end. Return those that others wanted to remove meanwhile."""
        free: list[TrackedFile] = []
        for number, batch in enumerate(batched(self.held_files, _AT_A_TIME)):
            if number:
                _greenlet.give_way()
            free += files_in_use.release(batch)
        self.held_files.clear()
        if self.is_holding_all_files:
            self.is_holding_all_files = False
            free += files_in_use.release_all_files(self)
        return free

    # ---- locations

    def add_locations(self, connection: Connection, locations: Iterable[ColumnLocation]) -> None:
        """Record columns that may name its files."""
        self.locations.setdefault(connection, set()).update(locations)

    def refresh_locations(self) -> None:
        """Look up the columns of plain tables for this transaction, before a statement may move or change them."""
        if self.has_flushed_rows_only:
            self.has_flushed_rows_only = False
            for connection, locations in self.locations.items():
                self.locations[connection] = set(locate_columns(connection, [each.field for each in locations]))

    # ---- merging

    def merge_released(self, inner: "TransactionScope") -> None:
        """Take over the records of a released savepoint, or of a session that worked inside this transaction."""
        for file, change in inner.changes.items():
            self._record_change(file, change)
        self.uploads += inner.uploads
        self.claimed_ids |= inner.claimed_ids
        self._take_over(inner)

    def merge_rolled_back(self, inner: "TransactionScope") -> None:
        """Take over the new files of a savepoint that was rolled back."""
        for file in inner.new_files:
            self._record_change(file, ReferenceChange.ROLLED_BACK)
        self._take_over(inner)

    def _take_over(self, inner: "TransactionScope") -> None:
        self.new_files |= inner.new_files
        self.intents |= inner.intents
        for connection, locations in inner.locations.items():
            self.add_locations(connection, locations)
        self.find_columns = self.find_columns or inner.find_columns
        if inner.is_holding_all_files:
            self.hold_all_files()
            files_in_use.release_all_files(inner)
            inner.is_holding_all_files = False
        files_in_use.release(self.held_files & inner.held_files)
        self.held_files |= inner.held_files
        inner.held_files = set()

    # ---- deciding

    @property
    def is_idle(self) -> bool:
        """True if it did not change any file."""
        return not (self.new_files or self.changes or self.intents or self.held_files or self.is_holding_all_files)

    def is_surely_named(self, file: TrackedFile) -> bool:
        """Return True if rows certainly name the file after a commit, by all records of this transaction."""
        change = self.changes.get(file, ReferenceChange.ROLLED_BACK)
        return ReferenceChange.KEPT in change or not change & ~_ADDS

    @property
    def files_to_look_up(self) -> list[TrackedFile]:
        """The files that only a database lookup can decide about."""
        unmentioned = (file for file in self.new_files if file not in self.changes)
        changed = _greenlet.pace(self.changes.items())
        return [*unmentioned, *(file for file, change in changed if self._needs_lookup(file, change))]

    def _needs_lookup(self, file: TrackedFile, change: ReferenceChange) -> bool:
        if change in _NEEDS_NO_LOOKUP or change & ReferenceChange.KEPT:
            return False
        return bool(change & _DROPS) or file in self.new_files

    @property
    def exclusively_dropped(self) -> list[TrackedFile]:
        """The files whose only row has lost them, because their columns have ``exclusive=True``."""
        changes = _greenlet.pace(self.changes.items())
        return [file for file, change in changes if change == ReferenceChange.DROPPED_EXCLUSIVELY]

    @property
    def has_dropped(self) -> bool:
        """True if a row has lost a file."""
        return any(change & _DROPS for change in self.changes.values())

    @property
    def new_or_dropped(self) -> list[TrackedFile]:
        """All files that may have no row, by commit or rollback."""
        dropped = (file for file, change in _greenlet.pace(self.changes.items()) if change & _DROPS)
        return list(dict.fromkeys([*self.new_files, *dropped]))

    def mark_kept(self, files: Iterable[TrackedFile]) -> None:
        """Treat new files like any other: no rollback removes them from now on."""
        for file in files:
            if file in self.new_files:
                self.new_files[file].is_kept = True

    def mark_removed(self, files: Iterable[TrackedFile]) -> None:
        """Make new files unusable before they are removed, so that no row can get them."""
        for file in files:
            if file in self.new_files:
                self.new_files[file].is_gone = True

    def restore_content(self) -> None:
        """Restore the uploaded content of objects, so that another attempt can upload it again."""
        for each in self.uploads:
            state = inspect_object(each.target)
            if state.session is not None:  # its row has gone in some other way: a change would begin a transaction
                continue
            value = state.dict.get(each.field.key)
            pairs = zip(iterate_files(each.after), iterate_files(each.before), strict=False)
            contents = {id(after): before for after, before in pairs if before is not after}
            if any(id(item) in contents for item in iterate_files(value)):
                each.set(replace_files(value, contents))
