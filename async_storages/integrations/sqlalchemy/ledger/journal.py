"""Uploads under way: the entries of `stored_files_journal`, each written before its file is."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import batched
from uuid import uuid4

from sqlalchemy import Connection, Table, delete, select, update

from async_storages.integrations.sqlalchemy.ledger.tables import insert_files, now

__all__ = [
    "BATCH",
    "Intent",
    "add",
    "claim",
    "drop",
    "drop_free",
    "expired",
    "is_due",
    "is_unanswered",
    "known",
    "leave",
    "renew",
    "settle",
    "take",
]

BATCH = 500
"""Rows of one statement."""

_UNANSWERED = "?"


@dataclass(frozen=True, slots=True)
class Intent:
    """A file that is being written.

    Attributes:
        id: Its fusion id.
        storage: The label of its storage.
        is_exact: Whether the key is one of the user's own, which may have been that of another file.
    """

    id: str
    storage: str
    is_exact: bool = False

    @classmethod
    def of_unknown(cls, storage: str) -> "Intent":
        """A file whose id the storage will choose."""
        return cls(f"{_UNANSWERED}{uuid4().hex}", storage)


def is_unanswered(file_id: str) -> bool:
    """Whether the storage has not told the id."""
    return file_id.startswith(_UNANSWERED)


def add(connection: Connection, journal: Table, intents: Iterable[Intent], grace: float) -> None:
    """Write entries that are in force for `grace` seconds."""
    for batch in batched(intents, BATCH):
        new = insert_files(
            journal, connection.dialect, [(each.id, each.storage) for each in batch], until=now() + grace
        )
        connection.execute(new.on_conflict_do_update(index_elements=[journal.c.id], set_={"until": new.excluded.until}))


def claim(connection: Connection, journal: Table, intent: Intent, seconds: float) -> bool:
    """Write an entry that is in force for so many seconds, unless there is one; False if there is."""
    new = insert_files(journal, connection.dialect, [(intent.id, intent.storage)], until=now() + seconds)
    return connection.execute(new.on_conflict_do_nothing()).rowcount == 1


def leave(connection: Connection, journal: Table, intents: Iterable[Intent], seconds: float) -> None:
    """Let a worker look at files after so many seconds, but for those that a session has just claimed."""
    for batch in batched(intents, BATCH):
        ids = [each.id for each in batch]
        before = known(connection, journal, ids)
        free = select(journal.c.id).where(journal.c.id.in_(ids)).with_for_update(skip_locked=True)
        connection.execute(update(journal).where(journal.c.id.in_(free)).values(until=now() + seconds))
        add(connection, journal, [each for each in batch if each.id not in before], seconds)


def settle(connection: Connection, journal: Table, unanswered: str, file_id: str) -> bool:
    """Put in the id that the storage has chosen; False if the entry is gone."""
    changed = connection.execute(update(journal).where(journal.c.id == unanswered).values(id=file_id))
    return changed.rowcount == 1


def renew(connection: Connection, journal: Table, ids: Iterable[str], grace: float) -> int:
    """Let entries be in force for `grace` seconds from now; returns how many there are."""
    renewed = update(journal).values(until=now() + grace)
    return sum(
        connection.execute(renewed.where(journal.c.id.in_(batch))).rowcount for batch in batched(sorted(ids), BATCH)
    )


def known(connection: Connection, journal: Table, ids: Iterable[str]) -> set[str]:
    """Those of the ids that are in the journal."""
    return {
        found
        for batch in batched(sorted(ids), BATCH)
        for found in connection.scalars(select(journal.c.id).where(journal.c.id.in_(batch)))
    }


def take(connection: Connection, journal: Table, ids: Iterable[str]) -> set[str]:
    """Delete entries, and tell which there were."""
    return {
        found
        for batch in batched(sorted(ids), BATCH)
        for found in connection.scalars(delete(journal).where(journal.c.id.in_(batch)).returning(journal.c.id))
    }


def drop(connection: Connection, journal: Table, ids: Iterable[str]) -> None:
    """Delete entries."""
    for batch in batched(sorted(ids), BATCH):
        connection.execute(delete(journal).where(journal.c.id.in_(batch)))


def drop_free(connection: Connection, journal: Table, ids: Iterable[str]) -> set[str]:
    """Delete entries that nobody has locked; returns the ids of those that somebody has."""
    chosen = sorted(ids)
    for batch in batched(chosen, BATCH):
        free = select(journal.c.id).where(journal.c.id.in_(batch)).with_for_update(skip_locked=True)
        connection.execute(delete(journal).where(journal.c.id.in_(free)))
    return known(connection, journal, chosen)


def is_due(connection: Connection, journal: Table) -> bool:
    """Whether an entry is in force no longer."""
    return connection.scalar(select(journal.c.id).where(journal.c.until <= now()).limit(1)) is not None


def expired(connection: Connection, journal: Table, limit: int) -> list[Intent]:
    """Entries that are in force no longer, locked; those of sessions that are committing are passed over."""
    found = (
        select(journal.c.id, journal.c.storage)
        .where(journal.c.until <= now())
        .order_by(journal.c.until)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [Intent(*row) for row in connection.execute(found)]
