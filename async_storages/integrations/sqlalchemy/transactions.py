"""The transactions of one session that are under way."""

import weakref
from typing import TYPE_CHECKING

from sqlalchemy import Connection
from sqlalchemy import inspect as inspect_object
from sqlalchemy.orm import Session, SessionTransaction

from async_storages.files import StoredFile
from async_storages.integrations.sqlalchemy.endings import finish
from async_storages.integrations.sqlalchemy.file_columns import fields_of, items
from async_storages.integrations.sqlalchemy.levels import Level, Options
from async_storages.integrations.sqlalchemy.outer import park

if TYPE_CHECKING:
    from async_storages.integrations.sqlalchemy.flush import Flush

__all__ = ["Transactions"]


class Transactions:
    """Those of one session that are under way, the innermost last.

    Attributes:
        options: What `enable_file_tracking` was told.
        is_committing: Whether the session began to commit.
        flush: The last flush.
    """

    def __init__(self, session: Session, options: Options) -> None:
        self.options = options
        self.is_committing = False
        self.flush: Flush | None = None
        self._session: Session = weakref.proxy(session)  # which holds this object
        self._levels: list[Level] = []
        self._overdue: list[Level] = []

    @property
    def level(self) -> Level:
        """The innermost transaction; one begins if there is none."""
        if not self._session.in_transaction():
            self._session.begin()
        if not self._levels:  # tracking was enabled in the middle of it
            self._levels.append(Level(self._session.get_transaction()))
        return self._levels[-1]

    def begin(self, transaction: SessionTransaction) -> None:
        """A transaction or savepoint begins."""
        if transaction.parent is None:
            self._end_all()
        self._levels.append(Level(transaction))

    def connect(self, transaction: SessionTransaction, connection: Connection) -> None:
        """A transaction got a connection."""
        for level in self._levels:
            if level.transaction is transaction:
                level.connections.append(connection)

    def commit(self) -> None:
        """The innermost was committed or released."""
        if self._levels:
            self._levels[-1].is_committed = True

    def give_up(self) -> None:
        """What the session holds and has not flushed is about to be dropped: its new files go with the transaction."""
        for target in (*self._session.new, *self._session.dirty) if self._levels else ():
            state = inspect_object(target)
            for field in fields_of(state.mapper):
                for item in items(state.dict.get(field.key)):
                    if isinstance(item, StoredFile):
                        self._levels[-1].frame.make(item)

    def end(self, transaction: SessionTransaction) -> None:
        """A transaction or savepoint has ended, one way or the other."""
        if all(level.transaction is not transaction for level in self._levels):
            return  # a part of a flush
        while self._end_innermost().transaction is not transaction:
            pass
        self._finish()

    def settle(self) -> None:
        """See whether all has ended without saying so."""
        if self._levels and not self._session.in_transaction():
            self._end_all()
        if self._overdue:
            self._finish()

    def _end_all(self) -> None:
        while self._levels:
            self._end_innermost()

    def _end_innermost(self) -> Level:
        ended = self._levels.pop()
        if not ended.is_committed:
            ended.give_back()
        if not self._levels:
            ended.is_uncertain = self.is_committing and not ended.is_committed
            self._overdue.append(ended)
            self.flush = None
        elif ended.is_committed:
            self._levels[-1].release(ended)
        else:
            self._levels[-1].undo(ended)
        self.is_committing = False
        return ended

    def _finish(self) -> None:
        """Remove what the ended transactions leave behind, but not yet what a transaction around them may undo."""
        ended, self._overdue = self._overdue, []
        finish([level for level in ended if not park(level, self.options)], self.options)
