"""The queue of variants that a worker makes: entries of `stored_files` that stand for no file.

A session writes one in its own transaction, for each image and column: it is there if the row is. Its id is that of the
image between a ``+`` and the digest of the column's name. As long as nobody has tried, `until` is 0; then it is the
end of a worker's lease, or the time of the next attempt, and `since` that of the first one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from sqlalchemy import Connection, Table, case, select, update
from sqlalchemy.dialects import mysql

from async_storages.errors import InvalidArgumentException
from async_storages.integrations.sqlalchemy.columns.fields import FileField
from async_storages.integrations.sqlalchemy.ledger.row_locks import by_key, delete_ids, free_ids
from async_storages.integrations.sqlalchemy.ledger.tables import State, insert_entries, name_of, now

__all__ = ["QueuedVariants", "drop", "enqueue", "has_due", "lease", "mark_of", "postpone"]

_LONGEST = 1024
"""Characters of an id."""


@dataclass(frozen=True, slots=True)
class QueuedVariants:
    """The variants of one image of one column.

    Attributes:
        file_id: The image.
        storage: The label of its storage.
        column: The digest of the column's name.
        until: The end of the lease, by the database's clock: it tells this lease from all others.
        tried_for: Seconds since the first attempt.
    """

    file_id: str
    storage: str
    column: str
    until: float = 0.0
    tried_for: float = 0.0

    @property
    def id(self) -> str:
        """The id of the entry."""
        return f"+{self.file_id} {self.column}"

    @classmethod
    def of(cls, field: FileField, file_id: str, label: str) -> "QueuedVariants":
        """The variants of an image that a row is about to name.

        Raises:
            InvalidArgumentException: The id is so long that the queue has no room for it.
        """
        queued = cls(file_id, label, mark_of(field))
        if len(queued.id) > _LONGEST:
            raise InvalidArgumentException(
                f"the id has {len(file_id)} characters, the queue of variants has room for "
                f"{_LONGEST - len(queued.id) + len(file_id)}: choose a shorter folder",
                operation="flush",
                file_id=file_id,
            )
        return queued


def mark_of(field: FileField) -> str:
    """The digest of a column's name."""
    return blake2b("\n".join(name_of(field)).encode(), digest_size=4).hexdigest()


def enqueue(connection: Connection, table: Table, wanted: Iterable[QueuedVariants]) -> None:
    """Queue variants, at least one, in the transaction of a session; those that are queued are due again."""
    files = sorted({(each.id, each.storage) for each in wanted})
    new = insert_entries(table, connection.dialect, files, State.WANTED)
    anew = {"until": 0.0, "since": now()}
    if isinstance(new, mysql.Insert):
        connection.execute(new.on_duplicate_key_update(anew))
    else:
        connection.execute(new.on_conflict_do_update(index_elements=[table.c.id], set_=anew))


def has_due(connection: Connection, table: Table) -> bool:
    """True if variants are to be made now."""
    return connection.scalar(select(table.c.id).where(*_is_due(table)).limit(1)) is not None


def lease(connection: Connection, table: Table, limit: int, seconds: float) -> list[QueuedVariants]:
    """Take some variants that are due, so that no other worker does; those that another one is taking are passed over.

    Args:
        connection: The connection of a transaction of the worker's own.
        table: The ledger's.
        limit: Entries, at most.
        seconds: The time after which another worker repeats what this one has not finished.
    """
    due = select(table.c.id, table.c.storage, table.c.since, table.c.until).where(*_is_due(table))
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
        file_id, _, column = row.id.removeprefix("+").rpartition(" ")
        tried_for = clock - row.since if row.until else 0.0
        leased.append(QueuedVariants(file_id, row.storage, column, until, tried_for))
    return leased


def postpone(connection: Connection, table: Table, queued: QueuedVariants, seconds: float) -> None:
    """Let variants be due again after so many seconds, unless they were queued anew meanwhile."""
    ours = _ours(connection, table, queued)
    connection.execute(by_key(update(table), table).where(table.c.id.in_(ours)).values(until=now() + seconds))


def drop(connection: Connection, table: Table, queued: QueuedVariants) -> None:
    """Forget variants that are made, or never will be, unless they were queued anew meanwhile."""
    delete_ids(connection, table, _ours(connection, table, queued))


def _ours(connection: Connection, table: Table, queued: QueuedVariants) -> Any:
    found = by_key(select(table.c.id), table).where(table.c.id == queued.id)
    return free_ids(connection, found.where(table.c.state == State.WANTED, table.c.until == queued.until))


def _is_due(table: Table) -> tuple[Any, Any]:
    return table.c.state == State.WANTED, table.c.until <= now()
