"""The transactions of one session, from their beginning to their end."""

import weakref
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, Table, delete
from sqlalchemy import inspect as inspect_object
from sqlalchemy.exc import UnboundExecutionError
from sqlalchemy.orm import Session, SessionTransaction

from async_storages.files import new_file_state_of
from async_storages.integrations.sqlalchemy import _greenlet
from async_storages.integrations.sqlalchemy.columns.fields import (
    FileField,
    all_file_fields,
    fields_of,
    mapper_of,
    stored_files_in,
)
from async_storages.integrations.sqlalchemy.columns.tracked_file import TrackedFile
from async_storages.integrations.sqlalchemy.references.column_locations import fields_for_files, locate_columns
from async_storages.integrations.sqlalchemy.tracking.before_commit import defer_to_enclosing, watch_commits
from async_storages.integrations.sqlalchemy.tracking.plain_tables import find_plain_tables
from async_storages.integrations.sqlalchemy.tracking.removal_after_transaction import finish_transactions
from async_storages.integrations.sqlalchemy.tracking.transaction_scope import TrackingOptions, TransactionScope

if TYPE_CHECKING:
    from async_storages.integrations.sqlalchemy.tracking.flush import Flush

__all__ = ["SessionTransactions"]

_NONE: Mapping[str, Any] = MappingProxyType({})


class SessionTransactions:
    """The open transactions of one session, the innermost last.

    Args:
        session: The session.
        options: The options of `enable_file_tracking`.

    Attributes:
        options: The options.
        flush: The last flush.
        is_flushing: True during the flush.
    """

    def __init__(self, session: Session, options: TrackingOptions) -> None:
        self.options = options
        self.flush: Flush | None = None
        self.is_flushing = False
        self._session: Session = weakref.proxy(session)  # which holds this object
        self._scopes: list[TransactionScope] = []
        self._ended: list[TransactionScope] = []

    @property
    def scope(self) -> TransactionScope:
        """The scope of the innermost transaction. If there is none, a transaction begins."""
        if not self._session.in_transaction():
            self._session.begin()
        if not self._scopes:  # tracking was enabled in the middle of it
            self._scopes.append(TransactionScope(self._session.get_transaction()))
        return self._scopes[-1]

    def has_claimed(self, file: TrackedFile) -> bool:
        """True if this transaction, or one around it, has claimed a file from a ledger."""
        return any(file.file_id in scope.claimed_ids for scope in self._scopes)

    def is_on(self, connection: Connection) -> bool:
        """Return True while a transaction is open on a connection."""
        return any(connection in scope.connections for scope in self._scopes)

    # ---- locations of columns that may name files

    def record_locations(
        self, files: Iterable[TrackedFile], options: Mapping[str, Any] = _NONE, *, written: Collection[Table] = ()
    ) -> None:
        """Record the columns that may name files, as this transaction sees them now, for the lookup before its end.

        Args:
            files: The files.
            options: Execution options of the statement that changes them.
            written: The tables of a flush that has only added files to rows. Empty after any other change.
        """
        if self.options.claims is not None or not _greenlet.can_wait():
            return
        by_address = {file.address: file for file in _greenlet.pace(files)}
        if not by_address:
            return
        found = self._by_bind(fields_for_files(all_file_fields(), by_address.values()))
        if not (written and self._record_plain_locations(found, written)):
            self.expect_other_changes()
            for bind, fields in found.items():
                connection = self._session.connection(bind_arguments={"bind": bind})
                self.scope.add_locations(connection, locate_columns(connection, fields, options))
        self._watch_commits()

    def _record_plain_locations(
        self, found: "Mapping[Engine | Connection, list[FileField]]", written: Collection[Table]
    ) -> bool:
        """Record the columns without a query, if rows certainly stay as the flush has written them."""
        scope = self.scope
        if len(found) != 1 or len(self._scopes) > 1:
            return False
        [bind] = found
        if isinstance(bind, Connection):  # others may run statements on it before its commit
            return False
        if scope.locations and not scope.has_flushed_rows_only:  # the database is asked anyway
            return False
        connection = self._session.connection(bind_arguments={"bind": bind})
        if connection.get_execution_options().get("schema_translate_map"):
            return False
        plain = find_plain_tables(connection)
        locations = plain.find_locations(found[bind])
        if locations is None or not plain.tables.issuperset(written):
            return False
        scope.add_locations(connection, locations)
        scope.has_flushed_rows_only = True
        return True

    def expect_other_changes(self) -> None:
        """Prepare for a statement that may change the files that rows name, or move the tables of the rows."""
        if self.is_flushing and self.flush is not None:
            self.flush.has_other_changes = True
        for scope in self._scopes:
            scope.refresh_locations()

    @property
    def has_flushed_rows_only(self) -> bool:
        """Return True if no statement since a flush can have changed the files that its rows name."""
        return any(scope.has_flushed_rows_only for scope in self._scopes)

    def _watch_commits(self) -> None:
        for connection in self._scopes[0].connections:
            watch_commits(connection, self._scopes[0])

    def _find_columns(self, files: Iterable[TrackedFile]) -> dict[Engine, list[FileField]]:
        """Return columns that may name files, by engine. Used after a failed flush that recorded no locations."""
        by_address = {file.address: file for file in files}
        found = self._by_bind(fields_for_files(all_file_fields(), by_address.values()))
        return {bind.engine: fields for bind, fields in found.items()}

    def _by_bind(self, fields: Iterable[FileField]) -> "dict[Engine | Connection, list[FileField]]":
        """Return columns by this session's engine or connection for their tables. Columns without one are left out."""
        found: dict[Engine | Connection, list[FileField]] = {}
        binds: dict[object, Engine | Connection | None] = {}
        for each in fields:
            table = each.column.table
            if table not in binds:
                try:
                    binds[table] = self._session.get_bind(mapper_of(table), clause=delete(table))
                except UnboundExecutionError:
                    binds[table] = None
            bind = binds[table]
            if bind is not None:
                found.setdefault(bind, []).append(each)
        return found

    # ---- beginning and ending

    def begin(self, transaction: SessionTransaction) -> None:
        """Record the beginning of a transaction or savepoint. A flush's own subtransaction has no records."""
        if transaction.parent is None:
            while self._scopes:
                self._end_innermost()
        if transaction.parent is None or transaction.nested:
            self._scopes.append(TransactionScope(transaction))

    def connect(self, transaction: SessionTransaction, connection: Connection) -> None:
        """Record a connection of a transaction."""
        for scope in self._scopes:
            if scope.transaction is transaction:
                scope.connections.append(connection)

    def commit(self) -> None:
        """Record that the innermost transaction was committed or released."""
        if self._scopes:
            self._scopes[-1].is_committed = True

    def record_unflushed_files(self) -> None:
        """Record the new files of objects that the session is about to drop without a flush."""
        for target in (*self._session.new, *self._session.dirty) if self._scopes else ():
            state = inspect_object(target)
            for field in fields_of(state.mapper):
                for stored in stored_files_in(state.dict.get(field.key)):
                    if new_file_state_of(stored) is not None:
                        self._scopes[-1].hold(stored)

    def end(self, transaction: SessionTransaction) -> None:
        """Record the end of a transaction or savepoint, by commit or rollback."""
        if all(scope.transaction is not transaction for scope in self._scopes):
            self.is_flushing = False  # the flush's own subtransaction has ended
            return
        while self._end_innermost().transaction is not transaction:
            pass
        self._finish()

    def finish_if_ended(self) -> None:
        """Finish transactions that have ended without an event."""
        if self._scopes and not self._session.in_transaction():
            while self._scopes:
                self._end_innermost()
        if self._ended:
            self._finish()

    def _end_innermost(self) -> TransactionScope:
        ended = self._scopes.pop()
        if ended.uploads and not ended.is_committed:
            ended.restore_content()
        if not self._scopes:
            ended.find_columns = self._find_columns
            self._ended.append(ended)
            self.flush = None
        elif ended.is_committed:
            self._scopes[-1].merge_released(ended)
        else:
            self._scopes[-1].merge_rolled_back(ended)
        return ended

    def _finish(self) -> None:
        """Remove the files that ended transactions leave, unless an outer transaction decides later."""
        ended, self._ended = [scope for scope in self._ended if not scope.is_idle], []
        if left := [scope for scope in ended if not defer_to_enclosing(scope, self.options)]:
            finish_transactions(left, self.options)
