"""Decisions about due files: which files a worker deletes, and which records it forgets afterwards.

Each function is one transaction at READ COMMITTED, or with SQLite's one write lock.
"""

import logging
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, Table, and_, or_, select, text, tuple_, update
from sqlalchemy.exc import DBAPIError

from async_storages.integrations.sqlalchemy.columns.database_types import MYSQL_DIALECTS
from async_storages.integrations.sqlalchemy.ledger import journal
from async_storages.integrations.sqlalchemy.ledger.connections import LedgerTransactions, is_conflict
from async_storages.integrations.sqlalchemy.ledger.crash_points import Step, reached
from async_storages.integrations.sqlalchemy.ledger.entries import Entry
from async_storages.integrations.sqlalchemy.ledger.journal import BATCH, Intent
from async_storages.integrations.sqlalchemy.ledger.references import References
from async_storages.integrations.sqlalchemy.ledger.row_locks import by_key, delete_ids, free_ids
from async_storages.integrations.sqlalchemy.ledger.tables import State, insert_entries, now, unless_known

__all__ = [
    "Condemned",
    "Position",
    "condemn",
    "doom_expired",
    "find_due",
    "forget",
    "forget_gone",
    "has_gone",
    "is_busy",
    "postpone",
]

logger = logging.getLogger("async_storages")


@dataclass(frozen=True, slots=True)
class Condemned:
    """The result of `condemn`.

    Attributes:
        files: Files to delete now. No row can name them any more.
        kept: The ids of files that stay, because rows name them or they are pinned.
        begun: The ids of those `files` that another worker has begun to delete and not finished within its lease.
        until: The end of the lease, by the database's clock. It identifies this lease.
    """

    files: list[Entry]
    kept: set[str]
    begun: set[str]
    until: float


def doom_expired(connection: Connection, table: Table, intents: LedgerTransactions, lease: float, retain: float) -> int:
    """Doom the files of expired intents, and return their number.

    An intent leaves the journal only after `condemn` has decided on its file. Until then it tells `claim` that the file
    exists.
    """
    with intents.within(connection) as uploads:
        expired = journal.lock_expired(uploads, intents.table, BATCH)
        lost = {each.id for each in expired if journal.is_unanswered(each.id)}
        marks = _find_marks(connection, table, [each.id for each in expired])
        for each in lost:
            logger.warning("a file may be left whose id nobody was told: its upload ended in the middle (%s)", each)
        for intent in expired:
            if intent.id not in lost | marks:
                _doom(connection, table, intent, retain)
        reached(Step.INTENTS_TAKEN)
        journal.drop(uploads, intents.table, lost | marks)
        journal.renew(uploads, intents.table, {each.id for each in expired} - lost - marks, lease)
    return len(expired)


def _find_marks(connection: Connection, table: Table, ids: list[str]) -> set[str]:
    return set(connection.scalars(select(table.c.id).where(table.c.id.in_(ids), table.c.state == State.MARK)))


def _doom(connection: Connection, table: Table, intent: Intent, retain: float) -> None:
    """Doom a file, unless a session has entered it and not committed yet. Such a file is examined again later."""
    if connection.dialect.name in MYSQL_DIALECTS:
        _doom_in_mysql(connection, table, intent, retain)
        return
    new = insert_entries(table, connection.dialect, [(intent.id, intent.storage)], State.DOOMED)
    named_before = {"state": State.DOOMED, "until": now() + retain}
    with suppress(DBAPIError), connection.begin_nested():
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL lock_timeout = '100ms'"))
        connection.execute(
            new.on_conflict_do_update(index_elements=[table.c.id], set_=named_before, where=table.c.state == State.LIVE)
        )


def _doom_in_mysql(connection: Connection, table: Table, intent: Intent, retain: float) -> None:
    """Do the work of `_doom` without a wait. InnoDB's shortest wait is a second."""
    entry = select(table.c.state).where(table.c.id == intent.id).with_for_update(nowait=True)
    try:
        state = connection.scalar(entry)
    except DBAPIError as error:
        if not is_conflict(error):
            raise
        return
    if state is None:
        new = insert_entries(table, connection.dialect, [(intent.id, intent.storage)], State.DOOMED)
        connection.execute(unless_known(new))
    elif state == State.LIVE:
        _set(connection, table, [intent.id], State.DOOMED, now() + retain)


type Position = tuple[float, str]
"""The position of a file in the order in which files are due."""


def find_due(
    connection: Connection, table: Table, after: Position | None, limit: int
) -> tuple[list[Entry], Position | None]:
    """Find files that may be due for deletion, without a search for rows. Return the next position if there are more.

    A worker that finds a file locked by another worker continues with the next one.
    """
    types = [table.c.until.type, table.c.id.type]
    order = tuple_(table.c.until, table.c.id)
    found = select(table.c.id, table.c.storage, table.c.until).where(*_is_due(table)).order_by(*order).limit(limit)
    rows = connection.execute(found if after is None else found.where(order > tuple_(*after, types=types))).all()
    files = [Entry(id_, storage) for id_, storage, _ in rows]
    return files, (rows[-1].until, rows[-1].id) if len(rows) == limit else None


def condemn(
    connection: Connection, table: Table, references: References, chosen: Iterable[Entry], lease: float
) -> Condemned:
    """Condemn due files that no row names. The others stay.

    It locks the files first. Separate statements then search for rows that name them: a statement that began before the
    lock would miss rows that a session committed during the wait.
    """
    chosen_ids = [each.id for each in chosen]
    locked = connection.execute(
        by_key(select(table.c.id, table.c.storage, table.c.pinned, table.c.state), table)
        .where(table.c.id.in_(chosen_ids), *_is_due(table))
        .order_by(table.c.id)
        .with_for_update(skip_locked=True)
    ).all()
    reached(Step.LOCKED)
    ids = {row.id for row in locked}
    kept = {row.id for row in locked if row.pinned} | references.find_named(connection, ids)
    until = float(connection.scalar(select(now())) or 0.0) + lease
    _set(connection, table, kept, State.LIVE, 0)
    _set(connection, table, ids - kept, State.DELETING, until)
    reached(Step.CONDEMNED)
    files = [Entry(row.id, row.storage) for row in locked if row.id not in kept]
    return Condemned(files, kept, {row.id for row in locked if row.state == State.DELETING} - kept, until)


def postpone(connection: Connection, table: Table, ids: Iterable[str], seconds: float) -> None:
    """Make due files due again after some seconds."""
    chosen = sorted(ids)
    due = by_key(update(table), table).where(table.c.id.in_(chosen), *_is_due(table))
    connection.execute(due.values(until=now() + seconds))


def _is_due(table: Table) -> list[Any]:
    return [table.c.state.in_([State.DOOMED, State.DELETING]), table.c.until <= now()]


def _set(connection: Connection, table: Table, ids: Iterable[str], state: State, until: Any) -> None:
    chosen = sorted(ids)
    if chosen:
        changed = by_key(update(table), table).where(table.c.id.in_(chosen))
        connection.execute(changed.values(state=state, until=until))


def forget(
    connection: Connection,
    table: Table,
    intents: LedgerTransactions,
    condemned: Condemned,
    ids: Collection[str],
    *,
    lease: float,
) -> None:
    """Delete the intents and the entries of deleted files.

    If another worker had begun to delete a file, its entry stays for one more lease, so that a late request of that
    worker does no harm. If another worker has taken over a file meanwhile, its entry is left alone.
    """
    with intents.within(connection) as uploads:
        free = set(ids) - journal.drop_unlocked(uploads, intents.table, ids)
    reached(Step.INTENTS_DROPPED)

    def ours(chosen: Collection[str]) -> Any:
        mine = by_key(select(table.c.id), table).where(table.c.id.in_(sorted(chosen)))
        return free_ids(connection, mine.where(table.c.state == State.DELETING, table.c.until == condemned.until))

    delete_ids(connection, table, ours(free - condemned.begun))
    if late := free & condemned.begun:
        gone = by_key(update(table), table).where(table.c.id.in_(ours(late)))
        connection.execute(gone.values(state=State.GONE, until=now() + lease))


def forget_gone(connection: Connection, table: Table) -> int:
    """Delete some entries of files that were deleted a lease ago, and return their number."""
    return delete_ids(connection, table, free_ids(connection, _gone(table).limit(BATCH)))


def has_gone(connection: Connection, table: Table) -> bool:
    """Return True if `forget_gone` has entries to delete."""
    return connection.scalar(_gone(table).limit(1)) is not None


def _gone(table: Table) -> Select[Any]:
    return select(table.c.id).where(table.c.state == State.GONE, table.c.until <= now())


def is_busy(connection: Connection, table: Table, but: Collection[str]) -> bool:
    """Return True if files are due or being deleted. Files that could not be deleted do not count."""
    held = or_(table.c.state == State.DELETING, and_(table.c.state == State.DOOMED, table.c.until <= now()))
    ids = connection.scalars(select(table.c.id).where(held).limit(len(but) + 1))
    return any(each not in but for each in ids)
