"""The rows of `stored_files_journal`: intents, each written before its file is."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import batched
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Select, Table, bindparam, delete, select, update
from sqlalchemy.dialects import mysql

from async_storages.integrations.sqlalchemy.ledger.row_locks import by_key, delete_ids, free_ids
from async_storages.integrations.sqlalchemy.ledger.tables import insert_files, label_of, now, unless_known
from async_storages.storage.base import FileName, Storage
from async_storages.storage.operation import IdentifiedKey

__all__ = [
    "BATCH",
    "Intent",
    "announce",
    "drop",
    "drop_unlocked",
    "expire",
    "find",
    "has_expired",
    "is_unanswered",
    "lock_expired",
    "renew",
    "reserve",
    "set_id",
    "take",
]

BATCH = 500
"""Rows of one statement."""

_UNANSWERED = "?"


@dataclass(frozen=True, slots=True)
class Intent:
    """A file that is about to be written, or that a worker is to look at.

    Attributes:
        id: Its fusion id.
        storage: The label of its storage.
        is_exact: True if the key is one of the user's own, which may have been that of another file.
    """

    id: str
    storage: str
    is_exact: bool = False

    @classmethod
    def of(cls, storage: Storage, key: FileName, *, is_exact: bool = False) -> "Intent":
        """The intent to write a file under a key, or under an id that the storage will choose."""
        if storage.chooses_ids:
            return cls(f"{_UNANSWERED}{uuid4().hex}", label_of(storage))
        file_id = key.file_id if isinstance(key, IdentifiedKey) else storage.identify(key)
        return cls(str(file_id), label_of(storage), is_exact)


def is_unanswered(file_id: str) -> bool:
    """True as long as the storage has not chosen the id."""
    return file_id.startswith(_UNANSWERED)


def announce(connection: Connection, journal: Table, intents: Iterable[Intent], grace: float) -> None:
    """Write intents that are in force for `grace` seconds; those that are there are in force as long."""
    for batch in batched(intents, BATCH):
        new = insert_files(
            journal, connection.dialect, [(each.id, each.storage) for each in batch], until=now() + grace
        )
        if isinstance(new, mysql.Insert):
            connection.execute(new.on_duplicate_key_update(until=new.inserted.until))
        else:
            renewed = {"until": new.excluded.until}
            connection.execute(new.on_conflict_do_update(index_elements=[journal.c.id], set_=renewed))


def reserve(connection: Connection, journal: Table, intent: Intent, seconds: float) -> bool:
    """Write an intent that is in force for so many seconds; False if there is one of that id."""
    new = insert_files(journal, connection.dialect, [(intent.id, intent.storage)], until=now() + seconds)
    return connection.execute(unless_known(new)).rowcount == 1


def expire(connection: Connection, journal: Table, intents: Iterable[Intent]) -> None:
    """Let a worker look at files at once, except for those that a session has just claimed."""
    for batch in batched(intents, BATCH):
        ids = [each.id for each in batch]
        before = find(connection, journal, ids)
        free = free_ids(connection, _select(journal, ids))
        connection.execute(by_key(update(journal), journal).where(journal.c.id.in_(free)).values(until=now()))
        announce(connection, journal, [each for each in batch if each.id not in before], 0)


def set_id(connection: Connection, journal: Table, unanswered: str, file_id: str) -> bool:
    """Put in the id that the storage has chosen; False if the intent is gone."""
    changed = connection.execute(update(journal).where(journal.c.id == unanswered).values(id=file_id))
    return changed.rowcount == 1


def renew(connection: Connection, journal: Table, ids: Iterable[str], grace: float) -> int:
    """Let intents be in force for `grace` seconds from now; returns how many there are."""
    renewed = by_key(update(journal), journal).values(until=now() + grace)
    return sum(
        connection.execute(renewed.where(journal.c.id.in_(batch))).rowcount for batch in batched(sorted(ids), BATCH)
    )


def find(connection: Connection, journal: Table, ids: Iterable[str]) -> set[str]:
    """Find the ids that the journal knows."""
    asked = _finding(journal)
    batches = batched(sorted(ids), BATCH)
    return {found for batch in batches for found in connection.scalars(asked, {"ids": list(batch)})}


@lru_cache(maxsize=16)
def _finding(journal: Table) -> Select[str]:
    """The query of `find`, made once, as each claim asks it."""
    return _select(journal, bindparam("ids", type_=journal.c.id.type, expanding=True))


def _select(journal: Table, ids: Any) -> Select[str]:
    return by_key(select(journal.c.id), journal).where(journal.c.id.in_(ids))


def take(connection: Connection, journal: Table, ids: Iterable[str]) -> set[str]:
    """Delete intents; returns the ids of those there were."""
    taken = set[str]()
    for batch in batched(sorted(ids), BATCH):
        if connection.dialect.delete_returning:
            taken |= {*connection.scalars(delete(journal).where(journal.c.id.in_(batch)).returning(journal.c.id))}
        else:  # MySQL
            found = connection.scalars(_select(journal, batch).with_for_update()).all()
            delete_ids(connection, journal, found)
            taken |= {*found}
    return taken


def drop(connection: Connection, journal: Table, ids: Iterable[str]) -> None:
    """Delete intents."""
    for batch in batched(sorted(ids), BATCH):
        delete_ids(connection, journal, batch)


def drop_unlocked(connection: Connection, journal: Table, ids: Iterable[str]) -> set[str]:
    """Delete intents that nobody has locked; returns the ids of those that somebody has."""
    chosen = sorted(ids)
    for batch in batched(chosen, BATCH):
        delete_ids(connection, journal, free_ids(connection, _select(journal, batch)))
    return find(connection, journal, chosen)


def has_expired(connection: Connection, journal: Table) -> bool:
    """True if an intent is in force no longer."""
    return connection.scalar(select(journal.c.id).where(journal.c.until <= now()).limit(1)) is not None


def lock_expired(connection: Connection, journal: Table, limit: int) -> list[Intent]:
    """Lock intents that are in force no longer; those of sessions that are committing are passed over."""
    found = (
        select(journal.c.id, journal.c.storage)
        .where(journal.c.until <= now())
        .order_by(journal.c.until)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [Intent(*row) for row in connection.execute(found)]
