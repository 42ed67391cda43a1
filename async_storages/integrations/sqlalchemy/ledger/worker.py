"""What a worker does in the database: deciding which files are deleted, and forgetting those that were.

Each function is one transaction, at READ COMMITTED, or with SQLite's one write lock.
"""

import logging
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, and_, delete, or_, select, text, tuple_, update
from sqlalchemy.exc import DBAPIError

from async_storages.integrations.sqlalchemy.ledger import journal
from async_storages.integrations.sqlalchemy.ledger.crash_points import Step, reached
from async_storages.integrations.sqlalchemy.ledger.databases import Databases
from async_storages.integrations.sqlalchemy.ledger.journal import BATCH, Intent
from async_storages.integrations.sqlalchemy.ledger.references import References
from async_storages.integrations.sqlalchemy.ledger.tables import State, insert, now

__all__ = ["Condemned", "Place", "bury", "busy", "condemn", "due", "forget", "is_to_bury", "postpone", "take_over"]

logger = logging.getLogger("async_storages")


@dataclass(frozen=True, slots=True)
class Condemned:
    """What became of the files that were due.

    Attributes:
        files: To be deleted now: nobody can name them any more.
        kept: Those that are named after all.
        begun: Of the files, those that another attempt had begun to delete, and not finished within its lease.
        until: The end of the lease, by the database's clock: it tells this lease from all others.
    """

    files: list[Intent]
    kept: set[str]
    begun: set[str]
    until: float


def take_over(connection: Connection, databases: Databases, lease: float, retain: float) -> int:
    """Doom the files of the journal whose time is over: `condemn` decides on them, and whether anybody claimed them.

    An entry leaves the journal after that decision: until then it says to `claim` that the file is there.
    """
    with databases.journal_in(connection) as entries:
        expired = journal.expired(entries, databases.journal_table, BATCH)
        lost = {each.id for each in expired if journal.is_unanswered(each.id)}
        marks = _marks(connection, databases.table, [each.id for each in expired])
        for each in lost:
            logger.warning("a file may be left whose id nobody was told: its upload ended in the middle (%s)", each)
        for intent in expired:
            if intent.id not in lost | marks:
                _doom(connection, databases.table, intent, retain)
        reached(Step.INTENTS_TAKEN)
        journal.drop(entries, databases.journal_table, lost | marks)
        journal.renew(entries, databases.journal_table, {each.id for each in expired} - lost - marks, lease)
    return len(expired)


def _marks(connection: Connection, table: Table, ids: list[str]) -> set[str]:
    return set(connection.scalars(select(table.c.id).where(table.c.id.in_(ids), table.c.state == State.MARK)))


def _doom(connection: Connection, table: Table, intent: Intent, retain: float) -> None:
    """Doom a file, but not one that a session has claimed and not yet committed: it is looked at again later."""
    row = {
        "id": intent.id,
        "storage": intent.storage,
        "state": State.DOOMED,
        "until": 0.0,
        "since": now(),
        "pinned": False,
    }
    new = insert(table, connection.dialect).values(row)
    named_before = {"state": State.DOOMED, "until": now() + retain}
    with suppress(DBAPIError), connection.begin_nested():
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL lock_timeout = '100ms'"))
        connection.execute(
            new.on_conflict_do_update(index_elements=[table.c.id], set_=named_before, where=table.c.state == State.LIVE)
        )


type Place = tuple[float, str]
"""Where a file is in the order in which files are due."""


def due(connection: Connection, table: Table, after: Place | None, limit: int) -> tuple[list[Intent], Place | None]:
    """Files that may be deleted, as far as can be told without asking who names them; and where to go on, if anywhere.

    Another worker may be busy with them: whoever finds them locked goes on with the next.
    """
    order = tuple_(table.c.until, table.c.id)
    found = select(table.c.id, table.c.storage, table.c.until).where(*_is_due(table)).order_by(*order).limit(limit)
    rows = connection.execute(found if after is None else found.where(order > tuple_(*after))).all()
    files = [Intent(id_, storage) for id_, storage, _ in rows]
    return files, (rows[-1].until, rows[-1].id) if len(rows) == limit else None


def condemn(
    connection: Connection,
    table: Table,
    references: References,
    chosen: Iterable[Intent],
    lease: float,
) -> Condemned:
    """Decide on files that are due: those that a row names stay, nobody can name the others any more.

    The rows that name them are looked for after the files are locked, by statements of their own: one that began
    before would not see what a session has committed while it waited.
    """
    chosen_ids = [each.id for each in chosen]
    locked = connection.execute(
        select(table.c.id, table.c.storage, table.c.pinned, table.c.state)
        .where(table.c.id.in_(chosen_ids), *_is_due(table))
        .order_by(table.c.id)
        .with_for_update(skip_locked=True)
    ).all()
    reached(Step.LOCKED)
    ids = {row.id for row in locked}
    kept = {row.id for row in locked if row.pinned} | references.named(connection, ids)
    until = float(connection.scalar(select(now())) or 0.0) + lease
    _set(connection, table, kept, State.LIVE, 0)
    _set(connection, table, ids - kept, State.DELETING, until)
    reached(Step.CONDEMNED)
    files = [Intent(row.id, row.storage) for row in locked if row.id not in kept]
    return Condemned(files, kept, {row.id for row in locked if row.state == State.DELETING} - kept, until)


def postpone(connection: Connection, table: Table, ids: Iterable[str], seconds: float) -> None:
    """Look at files again later."""
    chosen = sorted(ids)
    connection.execute(update(table).where(table.c.id.in_(chosen), *_is_due(table)).values(until=now() + seconds))


def _is_due(table: Table) -> list[Any]:
    return [table.c.state.in_([State.DOOMED, State.DELETING]), table.c.until <= now()]


def _set(connection: Connection, table: Table, ids: Iterable[str], state: State, until: float) -> None:
    chosen = sorted(ids)
    if chosen:
        connection.execute(update(table).where(table.c.id.in_(chosen)).values(state=state, until=until))


def forget(
    connection: Connection, databases: Databases, condemned: Condemned, ids: Collection[str], lease: float
) -> None:
    """Delete what is known of files that were deleted, in the journal first.

    What somebody else had begun to delete is known for one more lease, in which its late request can do no harm. What
    another worker has taken over meanwhile is its own.
    """
    table = databases.table
    with databases.journal_in(connection) as entries:
        free = set(ids) - journal.drop_free(entries, databases.journal_table, ids)
    reached(Step.INTENTS_DROPPED)

    def ours(chosen: Collection[str]) -> ColumnElement[bool]:
        mine = select(table.c.id).where(table.c.id.in_(sorted(chosen)), table.c.state == State.DELETING)
        return table.c.id.in_(mine.where(table.c.until == condemned.until).with_for_update(skip_locked=True))

    connection.execute(delete(table).where(ours(free - condemned.begun)))
    if late := free & condemned.begun:
        connection.execute(update(table).where(ours(late)).values(state=State.GONE, until=now() + lease))


def bury(connection: Connection, table: Table) -> int:
    """Forget some of the files that were deleted long enough ago; returns how many."""
    due = _buried(table).limit(BATCH).with_for_update(skip_locked=True)
    return connection.execute(delete(table).where(table.c.id.in_(due))).rowcount


def is_to_bury(connection: Connection, table: Table) -> bool:
    """True if there are such entries."""
    return connection.scalar(_buried(table).limit(1)) is not None


def _buried(table: Table) -> Select[Any]:
    return select(table.c.id).where(table.c.state == State.GONE, table.c.until <= now())


def busy(connection: Connection, databases: Databases, but: Collection[str]) -> bool:
    """True if files are being deleted, or are due, but for some, which could not be deleted."""
    table = databases.table
    held = or_(table.c.state == State.DELETING, and_(table.c.state == State.DOOMED, table.c.until <= now()))
    ids = connection.scalars(select(table.c.id).where(held).limit(len(but) + 1))
    return any(each not in but for each in ids)
