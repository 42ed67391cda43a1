"""The transactions of one session that are under way."""

import weakref
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, Table, delete
from sqlalchemy import inspect as inspect_object
from sqlalchemy.exc import UnboundExecutionError
from sqlalchemy.orm import Session, SessionTransaction

from async_storages.files import StoredFile
from async_storages.integrations.sqlalchemy import _greenlet
from async_storages.integrations.sqlalchemy.columns.fields import FileField, fields_of, items, known_fields, mapper_of
from async_storages.integrations.sqlalchemy.columns.tracked_file import TrackedFile
from async_storages.integrations.sqlalchemy.references.column_locations import locate, may_hold
from async_storages.integrations.sqlalchemy.tracking.after_transaction import finish
from async_storages.integrations.sqlalchemy.tracking.before_commit import park, watch
from async_storages.integrations.sqlalchemy.tracking.plain_tables import plain_tables
from async_storages.integrations.sqlalchemy.tracking.transaction import Options, Scope

if TYPE_CHECKING:
    from async_storages.integrations.sqlalchemy.tracking.flush import Flush

__all__ = ["Transactions"]

_NONE: Mapping[str, Any] = MappingProxyType({})


class Transactions:
    """The transactions of one session that are under way, the innermost last.

    Attributes:
        options: Options of `enable_file_tracking`.
        flush: The last flush.
        is_flushing: It is under way.
    """

    def __init__(self, session: Session, options: Options) -> None:
        self.options = options
        self.flush: Flush | None = None
        self.is_flushing = False
        self._session: Session = weakref.proxy(session)  # which holds this object
        self._scopes: list[Scope] = []
        self._overdue: list[Scope] = []

    @property
    def scope(self) -> Scope:
        """The innermost transaction; one begins if there is none."""
        if not self._session.in_transaction():
            self._session.begin()
        if not self._scopes:  # tracking was enabled in the middle of it
            self._scopes.append(Scope(self._session.get_transaction()))
        return self._scopes[-1]

    def has_claimed(self, stored: StoredFile) -> bool:
        """True if this transaction, or one around it, has claimed a file from a ledger."""
        return any(TrackedFile.of(stored).file_id in scope.claimed for scope in self._scopes)

    def is_on(self, connection: Connection) -> bool:
        """True while a transaction is under way on a connection."""
        return any(connection in scope.connections for scope in self._scopes)

    # ---- where rows may name its files

    def locate(
        self, files: Iterable[TrackedFile], options: Mapping[str, Any] = _NONE, *, written: Collection[Table] = ()
    ) -> None:
        """Note the columns that may name files, as this transaction sees them now, for the question before the end.

        Args:
            files: The files.
            options: Execution options of the statement that changes them.
            written: The tables of a flush which has added files to rows, and done nothing else.
        """
        if self.options.claims is not None or not _greenlet.can_wait():
            return
        places = {file.address: file for file in _greenlet.paced(files)}
        if not places:
            return
        found = self._by_bind(may_hold(known_fields(), places.values()))
        if not (written and self._assume(found, written)):
            self.disturb()
            for bind, fields in found.items():
                connection = self._session.connection(bind_arguments={"bind": bind})
                self.scope.locate(connection, locate(connection, fields, options))
        self.watch()

    def _assume(self, found: "Mapping[Engine | Connection, list[FileField]]", written: Collection[Table]) -> bool:
        """Note the columns without asking for them, if rows are sure to stay as the flush has written them."""
        scope = self.scope
        if len(found) != 1 or len(self._scopes) > 1:
            return False
        [bind] = found
        if isinstance(bind, Connection):  # whose statements are not seen before its commit
            return False
        if scope.located and not scope.is_undisturbed:  # the database is asked anyway
            return False
        connection = self._session.connection(bind_arguments={"bind": bind})
        if connection.get_execution_options().get("schema_translate_map"):
            return False
        plain = plain_tables(connection)
        locations = plain.locate(found[bind])
        if locations is None or not plain.tables.issuperset(written):
            return False
        scope.locate(connection, locations)
        scope.is_undisturbed = True
        return True

    def disturb(self) -> None:
        """Something may change now which files rows name, or where they are."""
        if self.is_flushing and self.flush is not None:
            self.flush.is_disturbed = True
        for scope in self._scopes:
            scope.look_again()

    @property
    def is_undisturbed(self) -> bool:
        """True if nothing has happened since a flush that could change which files its rows name."""
        return any(scope.is_undisturbed for scope in self._scopes)

    def watch(self) -> None:
        """Be asked before a connection of the transaction commits."""
        for connection in self._scopes[0].connections:
            watch(connection, self._scopes[0])

    def _columns(self, files: Iterable[TrackedFile]) -> dict[Engine, list[FileField]]:
        """Columns that may name files, by engine: for a question after the end, as a flush that failed located none."""
        places = {file.address: file for file in files}
        found = self._by_bind(may_hold(known_fields(), places.values()))
        return {bind.engine: fields for bind, fields in found.items()}

    def _by_bind(self, fields: Iterable[FileField]) -> "dict[Engine | Connection, list[FileField]]":
        """Columns by the engine or connection to which this session writes their tables; others are left out."""
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

    # ---- how they begin and end

    def begin(self, transaction: SessionTransaction) -> None:
        """A transaction or savepoint begins."""
        if transaction.parent is None:
            self._end_all()
        self._scopes.append(Scope(transaction))

    def connect(self, transaction: SessionTransaction, connection: Connection) -> None:
        """A transaction got a connection."""
        for scope in self._scopes:
            if scope.transaction is transaction:
                scope.connections.append(connection)

    def commit(self) -> None:
        """The innermost was committed or released."""
        if self._scopes:
            self._scopes[-1].is_committed = True

    def give_up(self) -> None:
        """Note that unflushed objects of the session are about to be dropped, and their new files with them."""
        for target in (*self._session.new, *self._session.dirty) if self._scopes else ():
            state = inspect_object(target)
            for field in fields_of(state.mapper):
                for item in items(state.dict.get(field.key)):
                    if isinstance(item, StoredFile):
                        self._scopes[-1].make(item)

    def end(self, transaction: SessionTransaction) -> None:
        """A transaction or savepoint has ended, one way or the other."""
        if all(scope.transaction is not transaction for scope in self._scopes):
            self.is_flushing = False  # its own part of the transaction has ended
            return
        while self._end_innermost().transaction is not transaction:
            pass
        self._finish()

    def settle(self) -> None:
        """See whether all has ended without saying so."""
        if self._scopes and not self._session.in_transaction():
            self._end_all()
        if self._overdue:
            self._finish()

    def _end_all(self) -> None:
        while self._scopes:
            self._end_innermost()

    def _end_innermost(self) -> Scope:
        ended = self._scopes.pop()
        if not ended.is_committed:
            ended.give_back()
        if not self._scopes:
            ended.columns = self._columns
            self._overdue.append(ended)
            self.flush = None
        elif ended.is_committed:
            self._scopes[-1].release(ended)
        else:
            self._scopes[-1].undo(ended)
        return ended

    def _finish(self) -> None:
        """Remove what the ended transactions leave behind, but not yet what a transaction around them may undo."""
        ended, self._overdue = self._overdue, []
        finish([scope for scope in ended if not park(scope, self.options)], self.options)
