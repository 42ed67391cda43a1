"""The rows of `stored_files` as sessions write them: in their own transactions, before the rows that name files."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from heapq import merge
from itertools import batched
from random import random
from typing import Any

from sqlalchemy import (
    ARRAY,
    Connection,
    Dialect,
    Executable,
    Table,
    Unicode,
    any_,
    bindparam,
    cast,
    delete,
    false,
    literal,
    select,
    update,
)

from async_storages.errors import FileGoneException
from async_storages.integrations.sqlalchemy import _greenlet
from async_storages.integrations.sqlalchemy.columns.database_types import MYSQL_DIALECTS
from async_storages.integrations.sqlalchemy.ledger.connections import take_write_lock
from async_storages.integrations.sqlalchemy.ledger.journal import BATCH
from async_storages.integrations.sqlalchemy.ledger.row_locks import by_key, free_ids
from async_storages.integrations.sqlalchemy.ledger.tables import (
    State,
    file_parameters,
    insert_entries,
    insert_given_files,
    now,
    one_of,
    unless_known,
)
from async_storages.integrations.sqlalchemy.references.column_locations import OWN_STATEMENT

__all__ = ["Entry", "claim", "doom", "enter", "find", "unpin"]


_LOST = (State.DELETING, State.GONE)


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that the ledger knows.

    Attributes:
        id: Its fusion id.
        storage: The label of its storage.
        is_pinned: True if it stays when no row names it.
        is_doomed: True if a worker will delete it, unless a row names it by then.
    """

    id: str
    storage: str
    is_pinned: bool = False
    is_doomed: bool = False


def claim(connection: Connection, table: Table, wanted: Iterable[Entry]) -> tuple[list[Entry], set[str]]:
    """Lock files until the transaction ends. No worker decides about them before it sees the rows that name them.

    For a doomed file the lock is enough: before a worker condemns it, the worker searches for rows that name it.

    Returns:
        The entries as they were, and the ids without an entry. The caller then checks that those files exist. No worker
        can begin with them from then on.

    Raises:
        FileGoneException: A worker is deleting one of them.
    """
    take_write_lock(connection, table)
    before, unknown = [], set[str]()
    mysql = connection.dialect.name in MYSQL_DIALECTS
    for batch in batched(sorted(wanted, key=lambda entry: entry.id), BATCH):
        ids = [entry.id for entry in batch]
        found = _enter_in_mysql(connection, table, batch) if mysql else _lock(connection, table, ids)
        before += [Entry(row.id, row.storage, row.pinned, row.state == State.DOOMED) for row in found]
        missing = [entry for entry in batch if entry.id not in {row.id for row in found}]
        if missing and not mysql:
            _insert(connection, table, missing)
        unknown |= {entry.id for entry in missing}
        if pinned := [entry.id for entry in batch if entry.is_pinned]:
            _pin(connection, table, pinned)
    return before, unknown


def enter(connection: Connection, table: Table, intents: Table, fresh: Sequence[Entry]) -> set[str]:
    """Enter files that this process has announced, and lock them as `claim` does.

    On PostgreSQL it takes their intents from the journal, and enters no file without an intent. On MariaDB that would
    lock gaps, so that other uploads would wait. SQLite's journal is in another database.

    Args:
        connection: The connection of the session.
        table: The ledger's table.
        intents: The journal.
        fresh: The files.

    Returns:
        The ids of the files that it has entered.
    """
    take_write_lock(connection, table)
    entered = set[str]()
    for batch in batched(sorted(fresh, key=lambda entry: entry.id), BATCH):
        files, ours = [(each.id, each.storage) for each in batch], -random()  # noqa: S311 - as in _enter_in_mysql
        if connection.dialect.name in MYSQL_DIALECTS:
            new = unless_known(insert_entries(table, connection.dialect, files, State.LIVE, until=ours))
            count = connection.execute(new).rowcount
        else:
            given = {**file_parameters(connection.dialect, files), "ours": ours}
            count = connection.execute(_entering(table, connection.dialect, intents), given).rowcount
        ids = {each.id for each in batch}
        if count != len(ids):
            mine = by_key(select(table.c.id), table).where(table.c.id.in_(ids), table.c.until == ours)
            ids = set(connection.scalars(mine))
        entered |= ids
    return entered


@lru_cache(maxsize=16)
def _entering(table: Table, dialect: Dialect, intents: Table) -> Executable:
    """Return the statement of `enter`. It is built once, because each upload uses it."""
    ours = bindparam("ours", type_=table.c.until.type)
    state = literal(State.LIVE, table.c.state.type)
    taken = None
    if dialect.name == "postgresql":
        announced = intents.c.id == any_(cast(bindparam("given_ids"), ARRAY(Unicode())))
        taken = delete(intents).where(announced).returning(intents.c.id).cte("taken")
    new = insert_given_files(table, dialect, only=taken, until=ours, state=state, since=now(), pinned=false())
    entering: Executable = unless_known(new)
    return entering


def _lock(connection: Connection, table: Table, ids: Sequence[str]) -> Sequence[Any]:
    """Lock the entries of files, and return them. Refuse files that a worker is deleting.

    On PostgreSQL the lock does not wait for sessions that doom the files. It does keep off workers, which lock FOR
    UPDATE.
    """
    rows = connection.execute(_locking(table), {"ids": ids}).all()
    if lost := [row.id for row in rows if row.state in _LOST]:
        _refuse(lost)
    return rows


@lru_cache(maxsize=16)
def _locking(table: Table) -> Executable:
    """Return the query of `_lock`. It is built once, because each session uses it."""
    return (
        by_key(select(table.c.id, table.c.storage, table.c.pinned, table.c.state, table.c.until), table)
        .where(table.c.id.in_(bindparam("ids", type_=table.c.id.type, expanding=True)))
        .order_by(table.c.id)
        .with_for_update(read=True, key_share=True)
        .execution_options(**{OWN_STATEMENT: True})
    )


def _enter_in_mysql(connection: Connection, table: Table, entries: Sequence[Entry]) -> Sequence[Any]:
    """Enter files, then lock all of them. Return the entries that existed before.

    The lock follows the INSERT: if the entry were missing, InnoDB would lock the gap, and with it the new files of all
    sessions. A time in `until` identifies new entries, because that column means nothing while a file is live.
    """
    ids = [each.id for each in entries]
    known = set(find(connection, table, ids))
    ours = -random()  # noqa: S311 - it need only differ from those of sessions that enter the same file right now
    if missing := [(each.id, each.storage) for each in entries if each.id not in known]:
        new: Any = insert_entries(table, connection.dialect, missing, State.LIVE, until=ours)
        connection.execute(new.on_duplicate_key_update(id=table.c.id))
    rows = _lock(connection, table, ids)
    if len(rows) < len(ids):
        _refuse([each for each in ids if each not in {row.id for row in rows}])
    return [row for row in rows if row.until != ours]


def _insert(connection: Connection, table: Table, entries: Sequence[Entry]) -> None:
    """Enter files. If another transaction has entered one of them meanwhile, wait for that transaction."""
    new = insert_entries(table, connection.dialect, [(each.id, each.storage) for each in entries], State.LIVE)
    entered = connection.execute(  # without RETURNING: SQLite would stay locked if this were cancelled
        new.on_conflict_do_update(
            index_elements=[table.c.id], set_={"state": State.LIVE}, where=table.c.state.not_in(_LOST)
        )
    )
    if entered.rowcount != len(entries):
        ids = [each.id for each in entries]
        _lock(connection, table, ids)  # it says which
        _refuse(ids)


def _pin(connection: Connection, table: Table, ids: list[str]) -> None:
    unpinned = by_key(update(table), table).where(table.c.id.in_(ids), table.c.pinned.is_(False))
    connection.execute(unpinned.values(pinned=True))


def _refuse(ids: Sequence[str]) -> None:
    raise FileGoneException("the file is being deleted: no row can name it", operation="claim", file_id=ids[0])


def find(connection: Connection, table: Table, ids: Iterable[str]) -> list[str]:
    """Find the ids that the ledger knows, in any state."""
    return list(connection.scalars(by_key(select(table.c.id), table).where(table.c.id.in_(list(ids)))))


def unpin(connection: Connection, table: Table, file_id: str) -> None:
    """Let a worker delete a pinned file when no row names it."""
    connection.execute(update(table).where(table.c.id == file_id, table.c.state != State.MARK).values(pinned=False))


def doom(connection: Connection, table: Table, storages: Mapping[str, str], retain: float) -> int:
    """Let a worker delete files after `retain` seconds if no row names them then. Return the number of files doomed.

    It skips files that others have locked, so that two sessions never wait for each other. If such a file becomes
    unreferenced, a sweep finds it. Claims of others do no harm, because a worker waits for their end.

    Args:
        connection: The connection of the transaction that no longer names them.
        table: The ledger's table.
        storages: Ids, and the labels of their storages.
        retain: Seconds.
    """
    count = 0
    until = now() + retain
    mysql = connection.dialect.name in MYSQL_DIALECTS
    for batch in batched(_sorted(storages), BATCH):
        chosen = {each: storages[each] for each in batch}
        if mysql:  # first, as the gap of a missing entry would be locked
            count += _doom_new(connection, table, chosen, until)
        live = by_key(select(table.c.id), table).where(one_of(table.c.id, batch, connection.dialect))
        live = live.where(table.c.state == State.LIVE, table.c.pinned.is_(False))
        free = free_ids(connection, live, are_claims_free=True)
        changed = connection.execute(
            by_key(update(table), table).where(table.c.id.in_(free)).values(state=State.DOOMED, until=until)
        ).rowcount
        count += changed
        if changed < len(batch) and not mysql:
            count += _doom_new(connection, table, chosen, until)
    return count


def _doom_new(connection: Connection, table: Table, storages: Mapping[str, str], until: Any) -> int:
    """Enter files without an entry as doomed, and return their number.

    It first removes the other files: an INSERT waits for a transaction that has changed the entry, and that transaction
    may wait for this one.
    """
    missing = storages.keys() - set(find(connection, table, storages))
    if not missing:
        return 0
    files = [(each, storages[each]) for each in sorted(missing)]
    new = insert_entries(table, connection.dialect, files, State.DOOMED, until=until)
    return connection.execute(unless_known(new)).rowcount


def _sorted(ids: Iterable[str]) -> Iterator[str]:
    """Return the ids in the order in which all transactions lock them. Sorting very many at once would take long."""
    runs: list[list[str]] = []
    for batch in batched(ids, BATCH):
        runs.append(sorted(batch))
        _greenlet.give_way()
    return _greenlet.pace(merge(*runs))
