"""One flush of a session: it uploads, checks and claims files before it writes rows, and records them afterwards."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Null, Table
from sqlalchemy.orm import InstanceState, Session
from sqlalchemy.orm.base import PASSIVE_NO_INITIALIZE
from sqlalchemy.sql import Delete, Insert, Update

from async_storages.content import PendingFile
from async_storages.files import StoredFile
from async_storages.integrations.sqlalchemy import _greenlet
from async_storages.integrations.sqlalchemy.columns.comparator import is_sql
from async_storages.integrations.sqlalchemy.columns.fields import (
    FileField,
    fields_of,
    has_pending_content,
    iterate_files,
    stored_files_in,
)
from async_storages.integrations.sqlalchemy.columns.file_list import FileList
from async_storages.integrations.sqlalchemy.columns.tracked_file import TrackedFile
from async_storages.integrations.sqlalchemy.tracking.flushed_objects import (
    ChangedObject,
    FlushedObjects,
    assigned_since,
    copy_value,
)
from async_storages.integrations.sqlalchemy.tracking.reference_writer import ReferenceWriter, require_available
from async_storages.integrations.sqlalchemy.tracking.replaced_files import ReplacedFiles
from async_storages.integrations.sqlalchemy.tracking.session_transactions import SessionTransactions
from async_storages.integrations.sqlalchemy.tracking.upload_variants import require_ledger
from async_storages.integrations.sqlalchemy.tracking.uploads import upload_content
from async_storages.integrations.sqlalchemy.tracking.written_files import refusal

__all__ = ["Flush"]


class Flush:
    """One flush of a session.

    Args:
        session: The session.
        transactions: Its transactions.
        objects: The objects to flush; None for all.

    Attributes:
        has_other_changes: True if the flush has not only added files to rows: it deleted rows, or a listener ran a
            statement.
    """

    def __init__(self, session: Session, transactions: SessionTransactions, objects: Iterable[object] | None) -> None:
        self._transactions = transactions
        self._scope = transactions.scope
        self._options = transactions.options
        self._objects = FlushedObjects(session, objects)
        self._writer = ReferenceWriter(transactions)
        self._replaced = ReplacedFiles(self._objects, self._writer)
        self._seen: dict[InstanceState[Any], dict[FileField, Any]] = {}
        self._written: set[Table] = set()
        self.has_other_changes = False

    # ---- before the rows are written

    def begin(self) -> None:
        """Upload pending content, and read the files that the rows name now.

        Raises:
            FileGoneException: A file was removed meanwhile, by another transaction, or because one was rolled back.
            StorageException: An upload failed. No row is written, and the uploaded files will be removed.
            InvalidArgumentException: A plain Session within a running event loop has content to upload, or would have
                to remove a file.
        """
        changes = list(self._objects.changes())
        self._prepare(changes)
        self._replaced.read(changes)

    def upload_late(self, state: InstanceState[Any]) -> None:
        """Upload content that later listeners of ``before_flush`` have assigned."""
        fields = [field for field in fields_of(state.mapper) if has_pending_content(state.dict.get(field.key))]
        if fields:
            self._prepare([ChangedObject(state.obj(), state, fields)])
            self._replaced.read_late(state, fields)

    def record_deleted(self, state: InstanceState[Any], connection: Connection) -> None:
        """Record an object that the flush turned out to delete."""
        self._replaced.read_deleted(state, connection)

    def record_statement(self, statement: Insert | Update | Delete) -> None:
        """Record a statement of the flush."""
        if isinstance(statement.table, Table) and not isinstance(statement, Delete):
            self._written.add(statement.table)
        else:
            self.has_other_changes = True

    def _prepare(self, changes: Sequence[ChangedObject]) -> None:
        """Check, upload, claim and hold the files that rows are about to name."""
        self._refuse_expressions(changes)
        named = [item for change in changes for _, value in change.values for item in iterate_files(value)]
        require_available(item for item in named if isinstance(item, StoredFile))
        if self._options.claims is None:
            require_ledger(field for change in changes for field, value in change.values if value)
        announced = upload_content(changes, self._scope, self._options)
        if self._options.claims is not None:
            added: dict[Connection, list[tuple[FileField, StoredFile]]] = {}
            for change in changes:
                files = added.setdefault(self._objects.connection(change.state.mapper), [])
                files += [(field, stored) for field, value in change.values for stored in stored_files_in(value)]
            for connection, files in added.items():
                self._writer.claim(connection, files, announced)
        for change in _greenlet.pace(changes):
            for field, value in change.values:
                self._seen.setdefault(change.state, {})[field] = copy_value(value)
                for stored in stored_files_in(value):
                    self._scope.hold(stored)

    def _refuse_expressions(self, changes: Iterable[ChangedObject]) -> None:
        """With a ledger, refuse SQL expressions, because their files are unknown. Without one, hold all files."""
        for change in changes:
            for field, value in change.values:
                if isinstance(value, StoredFile | PendingFile | Null) or not is_sql(value):
                    continue
                self._scope.hold_all_files()
                if self._options.claims is not None:
                    raise refusal(
                        f"{change.state.class_.__name__}.{field.key} is set to an SQL expression, so nobody can tell "
                        "which file the row names: assign the file's id"
                    )

    # ---- after the rows are written

    def finish(self, states: Iterable[InstanceState[Any]]) -> None:
        """Record the files that rows have got and lost, including those of listeners such as ``before_insert``.

        Args:
            states: The objects that were written.
        """
        late = [
            ChangedObject(state.obj(), state, fields)
            for state in states
            if (fields := assigned_since(state, self._seen.get(state, {})))
        ]
        before = [
            (change.state, field, self._files_before(change.state, field)) for change in late for field in change.fields
        ]
        if late:
            self._prepare(late)
        for state, field, files in before:
            self._replaced.add(self._objects.connection(state.mapper), field, files)
        self._record()

    def _files_before(self, state: InstanceState[Any], field: FileField) -> list[TrackedFile]:
        """Return the files that the row was about to name, or named before as far as the session knows."""
        seen = self._seen.get(state, {})
        if field in seen:
            return [TrackedFile.of(stored) for stored in stored_files_in(seen[field])]
        deleted = state.get_history(field.key, PASSIVE_NO_INITIALIZE).deleted or ()
        return [TrackedFile.of(each) for value in deleted for each in stored_files_in(value) if field.can_delete(each)]

    def _record(self) -> None:
        added = self._record_added()
        still_named = {file for _, file in added}
        changed = [(field, file) for field, file in added if file in self._scope.new_files]
        for connection, dropped in self._replaced.dropped.items():
            self._writer.record_dropped(connection, dropped, still_named)
            changed += dropped
        if self._options.claims is None:
            shared = [file for field, file in changed if not field.type.exclusive]
            only_adds = not (self._replaced.dropped or self.has_other_changes)
            self._transactions.record_locations(shared, written=self._written if only_adds else ())

    def _record_added(self) -> list[tuple[FileField, TrackedFile]]:
        added: list[tuple[FileField, TrackedFile]] = []
        for state, values in _greenlet.pace(self._seen.items()):
            for field in values if state not in self._replaced.deleted else ():
                value = state.dict.get(field.key, values[field])
                if isinstance(value, FileList):
                    value.remember_loaded()
                added += [(field, self._scope.record_added(field, stored)) for stored in stored_files_in(value)]
        return added
