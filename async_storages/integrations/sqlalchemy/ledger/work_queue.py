"""The queue of what a worker makes of files: entries of `stored_files` that stand for no file.

A session writes one in its own transaction, for the variants of an image (`State.WANTED`) and for each copy in a
mirror (`State.COPY`): it is there if the row is. Its id is that of the file between a sign for its kind and a mark,
which says whose it is: a column's variants, a mirror's copy. As long as nobody has tried, `until` is 0; then it is the
end of a worker's lease, or the time of the next attempt, and `since` that of the first one.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, Literal

from sqlalchemy import Connection, Table, case, select, update
from sqlalchemy.dialects import mysql

from async_storages.errors import InvalidArgumentException
from async_storages.integrations.sqlalchemy.ledger.row_locks import by_key, delete_ids, free_ids
from async_storages.integrations.sqlalchemy.ledger.tables import State, insert_entries, now

__all__ = ["Kind", "QueuedWork", "digest", "drop", "enqueue", "has_due", "lease", "postpone"]

type Kind = Literal[State.WANTED, State.COPY]

_SIGNS: dict[State, str] = {State.WANTED: "+", State.COPY: "="}

_LONGEST = 1024
"""Characters of an id."""


@dataclass(frozen=True, slots=True)
class QueuedWork:
    """Work on one file that is to be done after the commit.

    Attributes:
        kind: The state of its entry.
        file_id: The file.
        storage: The label of its storage.
        mark: The digest of the name of a column, or of the place of a mirror.
        until: The end of the lease, by the database's clock: it tells this lease from all others.
        tried_for: Seconds since the first attempt.
    """

    kind: Kind
    file_id: str
    storage: str
    mark: str
    until: float = 0.0
    tried_for: float = 0.0

    @property
    def id(self) -> str:
        """The id of the entry."""
        return f"{_SIGNS[self.kind]}{self.file_id} {self.mark}"


def digest(*names: str) -> str:
    """A mark for names."""
    return blake2b("\n".join(names).encode(), digest_size=4).hexdigest()


def enqueue(connection: Connection, table: Table, kind: Kind, wanted: Iterable[QueuedWork]) -> None:
    """Queue work of one kind, in the transaction of a session; what is queued already is due again.

    Raises:
        InvalidArgumentException: An id is so long that the queue has no room for it.
    """
    chosen = {each.id: each for each in wanted}
    for each in chosen.values():
        _require_room(each)
    if not chosen:
        return
    files = sorted((id_, each.storage) for id_, each in chosen.items())
    new = insert_entries(table, connection.dialect, files, kind)
    anew = {"until": 0.0, "since": now()}
    if isinstance(new, mysql.Insert):
        connection.execute(new.on_duplicate_key_update(anew))
    else:
        connection.execute(new.on_conflict_do_update(index_elements=[table.c.id], set_=anew))


def _require_room(work: QueuedWork) -> None:
    if (surplus := len(work.id) - _LONGEST) > 0:
        length = len(work.file_id)
        raise InvalidArgumentException(
            f"the id has {length} characters, the ledger's queue has room for {length - surplus}: choose a shorter "
            "folder",
            operation="flush",
            file_id=work.file_id,
        )


def has_due(connection: Connection, table: Table, kind: Kind) -> bool:
    """True if work of a kind is to be done now."""
    return connection.scalar(select(table.c.id).where(*_is_due(table, kind)).limit(1)) is not None


def lease(connection: Connection, table: Table, kind: Kind, limit: int, seconds: float) -> list[QueuedWork]:
    """Take some work that is due, so that no other worker does; what another one is taking is passed over.

    Args:
        connection: The connection of a transaction of the worker's own.
        table: The ledger's.
        kind: The kind of work.
        limit: Entries, at most.
        seconds: The time after which another worker repeats what this one has not finished.
    """
    due = select(table.c.id, table.c.storage, table.c.since, table.c.until).where(*_is_due(table, kind))
    rows = connection.execute(
        due.order_by(table.c.until, table.c.id).limit(limit).with_for_update(skip_locked=True)
    ).all()
    if not rows:
        return []
    clock = float(connection.scalar(select(now())) or 0.0)
    until = clock + seconds
    begun = case(
        (table.c.until == 0.0, clock), else_=table.c.since
    )  # before `until`, as MySQL sets one after the other
    taken = by_key(update(table), table).where(table.c.id.in_([row.id for row in rows]))
    connection.execute(taken.ordered_values((table.c.since, begun), (table.c.until, until)))
    leased = []
    for row in rows:
        file_id, _, mark = row.id.removeprefix(_SIGNS[kind]).rpartition(" ")
        tried_for = clock - row.since if row.until else 0.0
        leased.append(QueuedWork(kind, file_id, row.storage, mark, until, tried_for))
    return leased


def postpone(connection: Connection, table: Table, work: QueuedWork, seconds: float) -> QueuedWork | None:
    """Let work be due again after so many seconds; also to renew its lease.

    Returns:
        The work with its new lease; None if it was queued anew meanwhile, or another worker has taken it.
    """
    until = float(connection.scalar(select(now())) or 0.0) + seconds
    ours = _ours(connection, table, work)
    changed = connection.execute(by_key(update(table), table).where(table.c.id.in_(ours)).values(until=until))
    return replace(work, until=until) if changed.rowcount else None


def drop(connection: Connection, table: Table, work: QueuedWork) -> None:
    """Forget work that is done, or never will be, unless it was queued anew meanwhile."""
    delete_ids(connection, table, _ours(connection, table, work))


def _ours(connection: Connection, table: Table, work: QueuedWork) -> Any:
    found = by_key(select(table.c.id), table).where(table.c.id == work.id)
    return free_ids(connection, found.where(table.c.state == work.kind, table.c.until == work.until))


def _is_due(table: Table, kind: Kind) -> tuple[Any, Any]:
    return table.c.state == kind, table.c.until <= now()
