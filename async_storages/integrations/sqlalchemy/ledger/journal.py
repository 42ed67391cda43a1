"""The rows of `stored_files_journal`: intents. Each is committed before its file exists."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import batched
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Dialect, Executable, Select, Table, bindparam, delete, select, update

from async_storages.integrations.sqlalchemy.columns.database_types import MYSQL_DIALECTS
from async_storages.integrations.sqlalchemy.ledger.row_locks import by_key, delete_ids, free_ids
from async_storages.integrations.sqlalchemy.ledger.tables import (
    file_parameters,
    insert_files,
    insert_given_files,
    label_of,
    now,
    unless_known,
)
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
"""Rows per statement."""

_UNANSWERED = "?"


@dataclass(frozen=True, slots=True)
class Intent:
    """A file that is about to be written, or that a worker will examine.

    Attributes:
        id: Its fusion id.
        storage: The label of its storage.
        is_exact: True if the user has chosen the key. Another file may have had it before.
    """

    id: str
    storage: str
    is_exact: bool = False

    @classmethod
    def of(cls, storage: Storage, key: FileName, *, is_exact: bool = False) -> "Intent":
        """Return the intent to write a file under a key, or under an id that the storage will choose."""
        if storage.chooses_ids:
            return cls(f"{_UNANSWERED}{uuid4().hex}", label_of(storage))
        file_id = key.file_id if isinstance(key, IdentifiedKey) else storage.identify(key)
        return cls(str(file_id), label_of(storage), is_exact)


def is_unanswered(file_id: str) -> bool:
    """Return True as long as the storage has not chosen the id."""
    return file_id.startswith(_UNANSWERED)


def announce(connection: Connection, journal: Table, intents: Iterable[Intent], grace: float) -> None:
    """Write intents that are in force for `grace` seconds. Existing intents are in force for the same time."""
    dialect = connection.dialect
    for batch in batched(intents, BATCH):
        files = [(each.id, each.storage) for each in batch]
        if dialect.name in MYSQL_DIALECTS:
            new = insert_files(journal, dialect, files, until=now() + grace)
            connection.execute(new.on_duplicate_key_update(until=new.inserted.until))
        else:
            connection.execute(_announcing(journal, dialect), {"grace": grace, **file_parameters(dialect, files)})


@lru_cache(maxsize=16)
def _announcing(journal: Table, dialect: Dialect) -> Executable:
    """Return the statement of `announce`. It is built once, because each upload uses it."""
    new = insert_given_files(journal, dialect, until=now() + bindparam("grace", type_=journal.c.until.type))
    until: Executable = new.on_conflict_do_update(index_elements=[journal.c.id], set_={"until": new.excluded.until})
    return until


def reserve(connection: Connection, journal: Table, intent: Intent, seconds: float) -> bool:
    """Write an intent that is in force for some seconds. Return False if one with that id exists."""
    new = insert_files(journal, connection.dialect, [(intent.id, intent.storage)], until=now() + seconds)
    return connection.execute(unless_known(new)).rowcount == 1


def expire(connection: Connection, journal: Table, intents: Iterable[Intent]) -> None:
    """Let a worker examine files at once, except those that a session has just claimed."""
    for batch in batched(intents, BATCH):
        ids = [each.id for each in batch]
        before = find(connection, journal, ids)
        free = free_ids(connection, _select(journal, ids))
        connection.execute(by_key(update(journal), journal).where(journal.c.id.in_(free)).values(until=now()))
        announce(connection, journal, [each for each in batch if each.id not in before], 0)


def set_id(connection: Connection, journal: Table, unanswered: str, file_id: str) -> bool:
    """Write the id that the storage has chosen. Return False if the intent is gone."""
    changed = connection.execute(update(journal).where(journal.c.id == unanswered).values(id=file_id))
    return changed.rowcount == 1


def renew(connection: Connection, journal: Table, ids: Iterable[str], grace: float) -> int:
    """Extend intents by `grace` seconds from now, and return their number."""
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
    """Return the query of `find`. It is built once, because each claim uses it."""
    return _select(journal, bindparam("ids", type_=journal.c.id.type, expanding=True))


def _select(journal: Table, ids: Any) -> Select[str]:
    return by_key(select(journal.c.id), journal).where(journal.c.id.in_(ids))


def take(connection: Connection, journal: Table, ids: Iterable[str]) -> set[str]:
    """Delete intents, and return the ids of those that existed."""
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
    """Delete intents that no transaction has locked. Return the ids of the locked ones."""
    chosen = sorted(ids)
    for batch in batched(chosen, BATCH):
        delete_ids(connection, journal, free_ids(connection, _select(journal, batch)))
    return find(connection, journal, chosen)


def has_expired(connection: Connection, journal: Table) -> bool:
    """Return True if an intent has expired."""
    return connection.scalar(select(journal.c.id).where(journal.c.until <= now()).limit(1)) is not None


def lock_expired(connection: Connection, journal: Table, limit: int) -> list[Intent]:
    """Lock expired intents, without those of sessions that are committing."""
    found = (
        select(journal.c.id, journal.c.storage)
        .where(journal.c.until <= now())
        .order_by(journal.c.until)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [Intent(*row) for row in connection.execute(found)]
