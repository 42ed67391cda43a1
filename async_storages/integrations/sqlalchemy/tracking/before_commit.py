"""Lookups right before a COMMIT, by events of connections.

A session can work inside another transaction, as in tests. The commits of the session are final when the outer
transaction is committed. Until then its scopes are deferred. A connection fires an event before a COMMIT, but not after
it. The database is therefore searched again afterwards.
"""

from typing import Any
from weakref import WeakKeyDictionary, WeakSet, ref

from sqlalchemy import Connection, Engine, Pool, SingletonThreadPool, StaticPool, event

from async_storages.integrations.sqlalchemy.tracking.removal_after_transaction import (
    finish_transactions,
    look_up_before_commit,
)
from async_storages.integrations.sqlalchemy.tracking.transaction_scope import TrackingOptions, TransactionScope

__all__ = ["defer_to_enclosing", "watch_commits"]

_scopes: "WeakKeyDictionary[Connection, ref[TransactionScope]]" = WeakKeyDictionary()
_enclosing: "WeakKeyDictionary[Connection, _EnclosingTransaction]" = WeakKeyDictionary()
_by_record: "WeakKeyDictionary[object, _EnclosingTransaction]" = WeakKeyDictionary()
_engines: "WeakSet[Engine]" = WeakSet()
_pools: "WeakSet[Pool]" = WeakSet()


def watch_commits(connection: Connection, scope: TransactionScope) -> None:
    """Look up the files of a session's transaction before one of its connections commits."""
    if connection.engine not in _engines:
        event.listen(connection.engine, "commit", _committing)
        event.listen(connection.engine, "prepare_twophase", _preparing)
        _engines.add(connection.engine)
    _scopes[connection] = ref(scope)


def _committing(connection: Connection) -> None:
    enclosing = _enclosing.get(connection)
    if enclosing is not None:
        enclosing.look_up()
    found = _scopes.get(connection)
    scope = None if found is None else found()
    if scope is not None and scope.lookup_result is None and not scope.is_committed:
        look_up_before_commit(scope)


def _preparing(connection: Connection, _xid: object) -> None:
    _committing(connection)


def defer_to_enclosing(scope: TransactionScope, options: TrackingOptions) -> bool:
    """Defer a committed scope to the transaction in which its connection still is.

    Returns:
        True if there is such a transaction. It then decides about the files.
    """
    connections = [each for each in scope.connections if not each.closed and each.in_transaction()]
    if not (scope.is_committed and connections):
        return False
    if scope.find_columns is not None:  # asks the session, which may be gone by then
        found = scope.find_columns([*scope.new_files, *scope.changes])
        scope.find_columns = lambda _: found
    connection = connections[0]
    if connection not in _enclosing:
        _enclosing[connection] = _EnclosingTransaction(connection)
    _enclosing[connection].add(scope, options)
    return True


class _EnclosingTransaction:
    """A transaction of a connection, and the scopes of all sessions that have committed inside it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = ref(connection)
        self._deferred: list[tuple[TransactionScope, TrackingOptions, frozenset[str]]] = []
        self._looked_up: TransactionScope | None = None
        pool = connection.engine.pool
        self._has_only_connection = isinstance(pool, StaticPool | SingletonThreadPool)  # no other one can look up
        event.listen(connection, "rollback", self._ended)
        event.listen(connection, "rollback_twophase", self._ended)
        event.listen(connection, "rollback_savepoint", self._savepoint_rolled_back)
        event.listen(connection, "begin", self._ended)
        _watch_checkins(connection, self)

    def add(self, scope: TransactionScope, options: TrackingOptions) -> None:
        """Defer a scope to the end of this transaction."""
        self._deferred.append((scope, options, _savepoints(scope.connections[0])))
        connection = self._connection()
        if connection is not None:
            watch_commits(connection, scope)

    def look_up(self) -> None:
        """Look the files up, because the connection is about to commit."""
        if self._deferred and self._looked_up is None:
            options = self._deferred[-1][1]
            self._looked_up = self._merged()
            if options.claims is None:
                look_up_before_commit(self._looked_up)

    def _merged(self) -> TransactionScope:
        merged = TransactionScope(None)
        for scope, _, _ in self._deferred:
            (merged.merge_released if scope.is_committed else merged.merge_rolled_back)(scope)
        return merged

    def _ended(self, *_: Any) -> None:
        if not self._has_only_connection:
            self.end()

    def _savepoint_rolled_back(self, _connection: Connection, name: str, _context: Any) -> None:
        for scope, _, savepoints in self._deferred:
            if name in savepoints:
                scope.is_committed = False

    def end(self) -> None:
        """Decide about the files of the deferred scopes."""
        if not self._deferred:
            return
        options = self._deferred[-1][1]
        scope = self._looked_up or self._merged()
        scope.is_committed = self._looked_up is not None and options.claims is not None  # the worker looks again
        self._deferred, self._looked_up = [], None
        finish_transactions([scope], options)


def _watch_checkins(connection: Connection, enclosing: _EnclosingTransaction) -> None:
    """Listen to the pool of a connection, because a connection has no event for its end."""
    _by_record[connection.connection._connection_record] = enclosing  # noqa: SLF001 - the argument of "checkin"
    pool = connection.engine.pool
    if pool not in _pools:
        event.listen(pool, "checkin", _checked_in)
        _pools.add(pool)


def _checked_in(connection: Any, record: object) -> None:
    enclosing = _by_record.pop(record, None)
    if enclosing is not None:
        if connection is not None:
            connection.rollback()  # SQLAlchemy gives it back in a transaction whose commit failed
        enclosing.end()


def _savepoints(connection: Connection) -> frozenset[str]:
    """Return the names of the savepoints in which the connection is."""
    names: list[str] = []
    nested: Any = connection.get_nested_transaction()
    while nested is not None:
        names.append(getattr(nested, "_savepoint", ""))
        nested = getattr(nested, "_previous_nested", None)
    return frozenset(names)
