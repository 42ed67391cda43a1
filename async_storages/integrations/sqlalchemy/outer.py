"""Sessions in a transaction that is not theirs, as in tests: what they commit is final when that is committed."""

from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, event

from async_storages.integrations.sqlalchemy.endings import finish
from async_storages.integrations.sqlalchemy.levels import Level, Options

__all__ = ["park"]

_parked: "WeakKeyDictionary[Connection, _Outer]" = WeakKeyDictionary()
_by_record: "WeakKeyDictionary[object, _Outer]" = WeakKeyDictionary()


def park(level: Level, options: Options) -> bool:
    """Put what a session committed aside, if its connection is still in a transaction; it is decided with that."""
    connections = [each for each in level.connections if not each.closed and each.in_transaction()]
    if not (level.is_committed and connections):
        return False
    connection = connections[0]
    if connection not in _parked:
        _parked[connection] = _Outer(connection)
    _parked[connection].park(level, options)
    return True


class _Outer:
    """The outcome of all sessions inside of one transaction of a connection."""

    def __init__(self, connection: Connection) -> None:
        self._levels: list[tuple[Level, Options, frozenset[str]]] = []
        self._is_committing = False
        event.listen(connection, "commit", self._committing)
        event.listen(connection, "commit_twophase", self._committing)
        event.listen(connection, "rollback", self._rolled_back)
        event.listen(connection, "rollback_twophase", self._rolled_back)
        event.listen(connection, "rollback_savepoint", self._savepoint_rolled_back)
        event.listen(connection, "begin", self._begun)
        _watch_checkins(connection, self)

    def park(self, level: Level, options: Options) -> None:
        self._levels.append((level, options, _savepoints(level.connections[0])))

    def _committing(self, *_: Any) -> None:
        """Told before the database is: it is a commit if the connection then goes on to something else."""
        self._is_committing = True

    def _rolled_back(self, *_: Any) -> None:
        self._end(committed=False)

    def _begun(self, *_: Any) -> None:
        self._end(committed=self._is_committing)

    def checked_in(self) -> None:
        """The connection was given back."""
        self._end(committed=self._is_committing)

    def _savepoint_rolled_back(self, _connection: Connection, name: str, _context: Any) -> None:
        for level, _, savepoints in self._levels:
            if name in savepoints:
                level.is_committed = False

    def _end(self, *, committed: bool) -> None:
        levels, self._levels, self._is_committing = self._levels, [], False
        if levels:
            outer = Level(None, is_committed=committed)
            for level, _, _ in levels:
                if level.is_committed:
                    outer.release(level)
                else:
                    outer.undo(level)
            finish([outer], levels[-1][1])


def _watch_checkins(connection: Connection, outer: _Outer) -> None:
    """A connection says nothing when it is closed, but its pool does."""
    _by_record[connection.connection._connection_record] = outer  # noqa: SLF001 - what a checkin names
    pool = connection.engine.pool
    if not event.contains(pool, "checkin", _checked_in):
        event.listen(pool, "checkin", _checked_in)


def _checked_in(_connection: object, record: object) -> None:
    outer = _by_record.pop(record, None)
    if outer is not None:
        outer.checked_in()


def _savepoints(connection: Connection) -> frozenset[str]:
    """The names of the savepoints that the connection is in."""
    names: list[str] = []
    nested: Any = connection.get_nested_transaction()
    while nested is not None:
        names.append(getattr(nested, "_savepoint", ""))
        nested = getattr(nested, "_previous_nested", None)
    return frozenset(names)
