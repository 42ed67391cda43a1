"""Transactions as connections see them: the database is asked right before a COMMIT, whosever transaction it is.

A session can work in a transaction that is not its own, as in tests: what it commits is final when that is committed.
Its scopes are parked until then. A connection says when it is about to commit, not whether it did; so afterwards the
database is asked again.
"""

from typing import Any
from weakref import WeakKeyDictionary, WeakSet, ref

from sqlalchemy import Connection, Engine, Pool, SingletonThreadPool, StaticPool, event

from async_storages.integrations.sqlalchemy.tracking.after_transaction import ask_before_commit, finish
from async_storages.integrations.sqlalchemy.tracking.transaction import Options, Scope

__all__ = ["park", "watch"]

_scopes: "WeakKeyDictionary[Connection, ref[Scope]]" = WeakKeyDictionary()
_parked: "WeakKeyDictionary[Connection, _Enclosing]" = WeakKeyDictionary()
_by_record: "WeakKeyDictionary[object, _Enclosing]" = WeakKeyDictionary()
_engines: "WeakSet[Engine]" = WeakSet()
_pools: "WeakSet[Pool]" = WeakSet()


def watch(connection: Connection, scope: Scope) -> None:
    """Ask about the files of a session's transaction before one of its connections commits."""
    if connection.engine not in _engines:
        event.listen(connection.engine, "commit", _committing)
        event.listen(connection.engine, "prepare_twophase", _preparing)
        _engines.add(connection.engine)
    _scopes[connection] = ref(scope)


def _committing(connection: Connection) -> None:
    enclosing = _parked.get(connection)
    if enclosing is not None:
        enclosing.ask()
    found = _scopes.get(connection)
    scope = None if found is None else found()
    if scope is not None and scope.answer is None and not scope.is_committed:
        ask_before_commit(scope)


def _preparing(connection: Connection, _xid: object) -> None:
    _committing(connection)


def park(scope: Scope, options: Options) -> bool:
    """Put what a session committed aside, if its connection is still in a transaction; it is decided with that."""
    connections = [each for each in scope.connections if not each.closed and each.in_transaction()]
    if not (scope.is_committed and connections):
        return False
    if scope.columns is not None:  # asks the session, which may be gone by then
        found = scope.columns([*scope.made, *scope.mentions])
        scope.columns = lambda _: found
    connection = connections[0]
    if connection not in _parked:
        _parked[connection] = _Enclosing(connection)
    _parked[connection].park(scope, options)
    return True


class _Enclosing:
    """The outcome of all sessions inside of one transaction of a connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = ref(connection)
        self._parked: list[tuple[Scope, Options, frozenset[str]]] = []
        self._asked: Scope | None = None
        pool = connection.engine.pool
        self._is_alone = isinstance(pool, StaticPool | SingletonThreadPool)  # nobody else can ask meanwhile
        event.listen(connection, "rollback", self._rolled_back)
        event.listen(connection, "rollback_twophase", self._rolled_back)
        event.listen(connection, "rollback_savepoint", self._savepoint_rolled_back)
        event.listen(connection, "begin", self._begun)
        _watch_checkins(connection, self)

    def park(self, scope: Scope, options: Options) -> None:
        self._parked.append((scope, options, _savepoints(scope.connections[0])))
        connection = self._connection()
        if connection is not None:
            watch(connection, scope)

    def ask(self) -> None:
        """The connection is about to commit."""
        if self._parked and self._asked is None:
            options = self._parked[-1][1]
            self._asked = self._merged()
            if options.claims is None:
                ask_before_commit(self._asked)

    def _merged(self) -> Scope:
        merged = Scope(None)
        for scope, _, _ in self._parked:
            (merged.release if scope.is_committed else merged.undo)(scope)
        return merged

    def _rolled_back(self, *_: Any) -> None:
        if not self._is_alone:
            self._end()

    def _begun(self, *_: Any) -> None:
        if not self._is_alone:
            self._end()

    def checked_in(self) -> None:
        """The connection was given back."""
        self._end()

    def _savepoint_rolled_back(self, _connection: Connection, name: str, _context: Any) -> None:
        for scope, _, savepoints in self._parked:
            if name in savepoints:
                scope.is_committed = False

    def _end(self) -> None:
        if not self._parked:
            return
        options = self._parked[-1][1]
        scope = self._asked or self._merged()
        scope.is_committed = self._asked is not None and options.claims is not None  # whose worker finds out
        self._parked, self._asked = [], None
        finish([scope], options)


def _watch_checkins(connection: Connection, enclosing: _Enclosing) -> None:
    """A connection says nothing when it is closed, but its pool does."""
    _by_record[connection.connection._connection_record] = enclosing  # noqa: SLF001 - what a checkin names
    pool = connection.engine.pool
    if pool not in _pools:
        event.listen(pool, "checkin", _checked_in)
        _pools.add(pool)


def _checked_in(connection: Any, record: object) -> None:
    enclosing = _by_record.pop(record, None)
    if enclosing is not None:
        if connection is not None:
            connection.rollback()  # SQLAlchemy gives it back in a transaction whose commit failed
        enclosing.checked_in()


def _savepoints(connection: Connection) -> frozenset[str]:
    """The names of the savepoints that the connection is in."""
    names: list[str] = []
    nested: Any = connection.get_nested_transaction()
    while nested is not None:
        names.append(getattr(nested, "_savepoint", ""))
        nested = getattr(nested, "_previous_nested", None)
    return frozenset(names)
