"""The rows of `file_moves`: written before and after each step, in the transaction of that step."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import batched
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    Unicode,
    bindparam,
    delete,
    literal,
    or_,
    select,
    type_coerce,
    update,
)

from async_storages.errors import FileGoneException
from async_storages.integrations.sqlalchemy.ledger.row_locks import by_key
from async_storages.integrations.sqlalchemy.ledger.tables import insert, now, one_of, unless_known
from async_storages.integrations.sqlalchemy.migration.tables import LONGEST_ERROR, MoveState

__all__ = [
    "AGAIN",
    "BATCH",
    "FAILURES",
    "NO_ID",
    "Arrival",
    "Entry",
    "announce",
    "find_known",
    "in_seconds",
    "leave",
    "lock",
    "lock_all",
    "lock_free",
    "mark",
    "page",
    "plan",
    "postpone",
    "remove",
    "renew",
    "settle",
    "settle_moved",
    "take",
]

BATCH = 500
"""Entries per statement."""

AGAIN = (MoveState.MOVED, MoveState.UNDONE, MoveState.GONE, MoveState.FINISHED)
"""States after which a file is planned again if a row names it."""

FAILURES = (MoveState.MISSING, MoveState.FAILED)
"""States of files that are planned again on request."""

_COLUMNS = ("source", "target", "state", "bytes", "checksum", "attempts", "error")


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a migration.

    Attributes:
        source: Its old id.
        target: The new id that rows name; None before.
        state: Its state.
        bytes: Its size, once it was copied.
        checksum: The algorithm and the checksum in hex, ``sha256:…``.
        attempts: The number of times that movers have taken it.
        error: The reason why the last attempt failed.
        arriving: The id of a copy that is being written.
        retained: The old id, as long as the migration keeps the old file.
    """

    source: str
    target: str | None
    state: MoveState
    bytes: int | None
    checksum: str | None
    attempts: int
    error: str | None
    arriving: str | None
    retained: str | None

    @property
    def settled(self) -> MoveState:
        """The state if the present move has no effect: MOVED after an earlier move, otherwise GONE."""
        return MoveState.GONE if self.target is None else MoveState.MOVED


@dataclass(frozen=True, slots=True)
class Arrival:
    """A copy that a mover is about to write, or has written.

    Attributes:
        source: The old id.
        mover: The word that identifies the mover's take.
        new_id: The new id.
    """

    source: str
    mover: str
    new_id: str


def _select(table: Table) -> Any:
    ids = (type_coerce(table.c[name], Unicode()).label(name) for name in ("arriving", "retained"))
    return select(*(table.c[name] for name in _COLUMNS), *ids)


def _entry(row: Any) -> Entry:
    source, target, state, *rest = row
    return Entry(source, target, MoveState(state), *rest)


def _raw(file_id: str | None) -> ColumnElement[Any]:
    """Return an id for one of the file columns, without a known storage."""
    return type_coerce(literal(file_id, Unicode()), Unicode())


NO_ID = _raw(None)
"""The value for no id in a file column."""


def _new(source: str, state: MoveState) -> dict[str, Any]:
    return {"source": source, "state": state, "until": now(), "since": now(), "attempts": 0}


# ---- the plan


def plan(connection: Connection, table: Table, ids: Iterable[str], *, retry: bool) -> tuple[int, int]:
    """Enter files that rows name.

    Args:
        connection: The connection.
        table: The table.
        ids: Their ids.
        retry: True also plans failed files again.

    Returns:
        The number of new files, and of files that are planned again.
    """
    added = again = 0
    for batch in batched(sorted(ids), BATCH):
        before = set(connection.scalars(by_key(select(table.c.source), table).where(table.c.source.in_(batch))))
        if new := [_new(each, MoveState.PLANNED) for each in batch if each not in before]:
            added += connection.execute(unless_known(insert(table, connection.dialect).values(new))).rowcount
        states = AGAIN + (FAILURES if retry else ())
        known = by_key(update(table), table).where(table.c.source.in_(batch), table.c.state.in_(states))
        again += connection.execute(known.values(state=MoveState.PLANNED, until=now(), error=None)).rowcount
    return added, again


# ---- movers


def take(connection: Connection, table: Table, mover: str, limit: int, lease: float) -> list[Entry]:
    """Take some files. No other mover takes them before the lease ends.

    Args:
        connection: The connection.
        table: The table.
        mover: A word that identifies this take.
        limit: The largest number of files.
        lease: Seconds.
    """
    taken: list[Entry] = []
    for state in (MoveState.MOVING, MoveState.PLANNED):  # one after the other: an index has both in order
        due = _select(table).where(table.c.state == state, table.c.until <= now()).order_by(table.c.until)
        if len(taken) < limit:
            free = due.limit(limit - len(taken)).with_for_update(skip_locked=True)
            taken += [_entry(row) for row in connection.execute(free)]
    if taken:
        ours = one_of(table.c.source, [each.source for each in taken], connection.dialect)
        connection.execute(
            by_key(update(table), table)
            .where(ours)
            .values(state=MoveState.MOVING, mover=mover, until=now() + lease, attempts=table.c.attempts + 1, error=None)
        )
    return taken


def renew(connection: Connection, table: Table, mover: str, sources: Sequence[str], lease: float) -> None:
    """Extend the lease of files that a mover has taken."""
    ours = by_key(update(table), table).where(table.c.source.in_(sources))
    connection.execute(ours.where(*_is_taken_by(table, mover)).values(until=now() + lease))


def announce(connection: Connection, table: Table, arrivals: Sequence[Arrival], *, lease: float) -> list[bool]:
    """Enter new ids before their files are written. From then on nothing removes them or the old files.

    Returns:
        For each file, True if an earlier attempt had the same new id. An existing file with this id is then its copy.

    Raises:
        FileGoneException: Another mover has taken over one of the files.
    """
    before = lock_all(connection, table, arrivals)
    left = _unleave(connection, table, [each.new_id for each in arrivals])
    were_ours = []
    for entry, each in zip(before, arrivals, strict=True):
        if entry.arriving is not None and entry.arriving != each.new_id:
            leave(connection, table, entry.arriving)
        were_ours.append(each.new_id in left or entry.arriving == each.new_id)
    values = {"arriving": _bound("new_id"), "retained": _bound("old_id"), "until": now() + lease}
    connection.execute(_one_by_one(table).values(values), [_parameters(each) for each in arrivals])
    return were_ours


def _unleave(connection: Connection, table: Table, ids: Sequence[str]) -> set[str]:
    """Take ids back that were left to `finish`, because they are about to be written again. Return those ids."""
    left = select(table.c.source).where(one_of(table.c.source, ids, connection.dialect))
    left = left.where(table.c.state == MoveState.LEFT)
    found = set(connection.scalars(by_key(left, table).with_for_update()))
    remove(connection, table, sorted(found))
    return found


def _one_by_one(table: Table) -> Any:
    """Return an UPDATE of entries by `_parameters`."""
    return by_key(update(table), table).where(table.c.source == bindparam("entry", type_=table.c.source.type))


def _parameters(arrival: Arrival) -> dict[str, Any]:
    return {"entry": arrival.source, "old_id": arrival.source, "new_id": arrival.new_id}


def _bound(name: str) -> ColumnElement[Any]:
    """Return a parameter for one of the file columns, without a known storage."""
    return type_coerce(bindparam(name, type_=Unicode()), Unicode())


def lock(connection: Connection, table: Table, source: str, mover: str) -> Entry:
    """Lock an entry that a mover has taken.

    Raises:
        FileGoneException: Another mover has taken it over.
    """
    return lock_all(connection, table, [Arrival(source, mover, "")])[0]


def lock_all(connection: Connection, table: Table, arrivals: Sequence[Arrival]) -> list[Entry]:
    """Lock entries that movers of this process have taken.

    Raises:
        FileGoneException: Another mover has taken over one of them.
    """
    movers = {each.source: each.mover for each in arrivals}
    query = _select(table).add_columns(table.c.mover)
    named = one_of(table.c.source, movers, connection.dialect)
    chosen = by_key(query, table).where(named, table.c.state == MoveState.MOVING)
    locked = connection.execute(chosen.order_by(table.c.source).with_for_update())
    found = {row.source: _entry(row[:-1]) for row in locked if row.mover == movers[row.source]}
    for source in movers:
        if source not in found:
            raise FileGoneException("another mover has taken this file over", operation="migrate", file_id=source)
    return [found[source] for source in movers]


def settle_moved(connection: Connection, table: Table, moved: Sequence[tuple[Entry, Arrival, int, str]]) -> None:
    """End moves whose rows name the copies.

    Args:
        connection: The connection.
        table: The table.
        moved: The locked entries, with their new ids, sizes and checksums.
    """
    for entry, arrival, *_ in moved:
        _leave_others(connection, table, entry, arrival.new_id)
    texts = {name: bindparam(f"new_{name}", type_=table.c[name].type) for name in ("bytes", "checksum")}
    target = bindparam("new_id", type_=table.c.target.type)
    said = {"state": MoveState.MOVED, "mover": None, "arriving": NO_ID, "until": now(), "error": None}
    connection.execute(
        _one_by_one(table).values(said | texts | {"target": target, "moved": now()}),
        [
            {"entry": entry.source, "new_id": arrival.new_id, "new_bytes": size, "new_checksum": checksum}
            for entry, arrival, size, checksum in moved
        ],
    )


def _leave_others(
    connection: Connection, table: Table, entry: Entry, target: str | None, *, is_theirs: bool = False
) -> None:
    left = {entry.target} if is_theirs else {entry.target, entry.arriving}
    for each in left - {None, target}:
        leave(connection, table, str(each))


def settle(
    connection: Connection,
    table: Table,
    entry: Entry,
    state: MoveState,
    *,
    error: str | None = None,
    is_theirs: bool = False,
    **values: Any,
) -> None:
    """End a move. If no row names the copy that was being written, leave the copy to `finish`.

    Args:
        connection: The connection.
        table: The table.
        entry: The entry, locked.
        state: Its new state.
        error: The reason of a failure.
        is_theirs: True if the file with the new id belongs to somebody else and must not be deleted.
        **values: Other columns.
    """
    _leave_others(connection, table, entry, values.get("target", entry.target), is_theirs=is_theirs)
    said = {"state": state, "mover": None, "arriving": NO_ID, "until": now(), **values}
    said["error"] = None if error is None else error[:LONGEST_ERROR]
    connection.execute(by_key(update(table), table).where(table.c.source == entry.source).values(said))


def leave(connection: Connection, table: Table, file_id: str) -> None:
    """Enter a copy that no row names, for `finish` to delete."""
    connection.execute(unless_known(insert(table, connection.dialect).values(_new(file_id, MoveState.LEFT))))


def postpone(connection: Connection, table: Table, mover: str, sources: Sequence[str], seconds: float) -> None:
    """Give files back. Movers may take them again after some seconds. The id of an unfinished copy stays recorded."""
    if sources:
        ours = by_key(update(table), table).where(table.c.source.in_(sources), *_is_taken_by(table, mover))
        connection.execute(ours.values(state=MoveState.PLANNED, mover=None, until=now() + seconds))


def _is_taken_by(table: Table, mover: str) -> list[ColumnElement[bool]]:
    return [table.c.state == MoveState.MOVING, table.c.mover == mover]


# ---- all others


def page(
    connection: Connection,
    table: Table,
    states: Sequence[MoveState],
    after: str,
    limit: int,
    *,
    older_than: float = 0.0,
) -> list[Entry]:
    """Return some entries in the order of ids, after one.

    Args:
        connection: The connection.
        table: The table.
        states: Their states.
        after: The id.
        limit: The largest number of entries.
        older_than: The least number of seconds since the file was moved, if it was.
    """
    found = _select(table).where(table.c.source > after, table.c.state.in_(states), _is_free(table))
    if older_than:
        found = found.where(or_(table.c.moved.is_(None), table.c.moved <= now() - older_than))
    return [_entry(row) for row in connection.execute(found.order_by(table.c.source).limit(limit))]


def find_known(connection: Connection, table: Table, ids: Sequence[str]) -> set[str]:
    """Find ids of the target that moves know: of unfinished copies, and of copies left to `finish`."""
    if not ids:
        return set()
    left = select(table.c.source).where(table.c.source.in_(ids))
    arriving = type_coerce(table.c.arriving, Unicode())
    return {*connection.scalars(left), *connection.scalars(select(arriving).where(arriving.in_(ids)))}


def lock_free(connection: Connection, table: Table, sources: Sequence[str], states: Sequence[MoveState]) -> list[Entry]:
    """Lock entries in one of some states, except those that others have locked."""
    chosen = by_key(_select(table), table).where(table.c.source.in_(sources))
    found = chosen.where(table.c.state.in_(states), _is_free(table))
    rows = connection.execute(found.order_by(table.c.source).with_for_update(skip_locked=True))
    return [_entry(row) for row in rows]


def _is_free(table: Table) -> ColumnElement[bool]:
    """Return the condition that no process is deleting the file right now."""
    return or_(table.c.state != MoveState.DELETING, table.c.until <= now())


def in_seconds(seconds: float) -> Any:
    """Return the time in some seconds, by the database's clock."""
    return now() + seconds


def mark(connection: Connection, table: Table, sources: Sequence[str], **values: Any) -> None:
    """Change locked entries."""
    if sources:
        connection.execute(by_key(update(table), table).where(table.c.source.in_(sources)).values(values))


def remove(connection: Connection, table: Table, sources: Sequence[str]) -> None:
    """Delete locked entries."""
    if sources:
        connection.execute(delete(table).where(table.c.source.in_(sources)))
