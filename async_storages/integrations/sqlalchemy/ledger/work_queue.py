"""The queue of a worker's tasks: entries of `stored_files` that are no files.

A session writes such an entry in its own transaction, for the variants of an image (`State.WANTED`) and for each copy
in a mirror (`State.COPY`). So the entry exists exactly if the row exists. Its id consists of a sign for its kind, the
file's id, and a mark. The mark identifies the column of the variants, or the mirror of the copy.

Before the first attempt `until` is 0. Later it is the end of a worker's lease, or the time of the next attempt, and
`since` is the time of the first attempt.
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
"""The largest number of characters of an id."""


@dataclass(frozen=True, slots=True)
class QueuedWork:
    """Work on one file, to be done after the commit.

    Attributes:
        kind: The state of its entry.
        file_id: The file.
        storage: The label of its storage.
        mark: The digest of the name of a column, or of the place of a mirror.
        until: The end of the lease, by the database's clock. It identifies this lease.
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
    """Return the mark for names."""
    return blake2b("\n".join(names).encode(), digest_size=4).hexdigest()


def enqueue(connection: Connection, table: Table, kind: Kind, wanted: Iterable[QueuedWork]) -> None:
    """Queue work of one kind, in a session's transaction. Work that is queued already becomes due again.

    Raises:
        InvalidArgumentException: An id is too long for the queue.
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
    """Return True if work of a kind is due now."""
    return connection.scalar(select(table.c.id).where(*_is_due(table, kind)).limit(1)) is not None


def lease(connection: Connection, table: Table, kind: Kind, limit: int, seconds: float) -> list[QueuedWork]:
    """Take some due work, so that no other worker takes it. Work that another worker is taking is skipped.

    Args:
        connection: The connection of a transaction of the worker.
        table: The ledger's table.
        kind: The kind of work.
        limit: The largest number of entries.
        seconds: The time after which another worker repeats unfinished work.
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
    """Make work due again after some seconds. This also renews its lease.

    Returns:
        The work with its new lease. None if it was queued again meanwhile, or another worker has taken it.
    """
    until = float(connection.scalar(select(now())) or 0.0) + seconds
    ours = _ours(connection, table, work)
    changed = connection.execute(by_key(update(table), table).where(table.c.id.in_(ours)).values(until=until))
    return replace(work, until=until) if changed.rowcount else None


def drop(connection: Connection, table: Table, work: QueuedWork) -> None:
    """Forget work that is finished or given up, unless it was queued again meanwhile."""
    delete_ids(connection, table, _ours(connection, table, work))


def _ours(connection: Connection, table: Table, work: QueuedWork) -> Any:
    found = by_key(select(table.c.id), table).where(table.c.id == work.id)
    return free_ids(connection, found.where(table.c.state == work.kind, table.c.until == work.until))


def _is_due(table: Table, kind: Kind) -> tuple[Any, Any]:
    return table.c.state == kind, table.c.until <= now()
