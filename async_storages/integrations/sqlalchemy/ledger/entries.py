"""The rows of `stored_files` as sessions write them: in their own transactions, before the rows that name files."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import batched

from sqlalchemy import Connection, Table, select, update

from async_storages.errors import FileGoneException
from async_storages.integrations.sqlalchemy import _greenlet
from async_storages.integrations.sqlalchemy.ledger.connections import take_write_lock
from async_storages.integrations.sqlalchemy.ledger.journal import BATCH
from async_storages.integrations.sqlalchemy.ledger.tables import State, insert_entries, now, one_of

__all__ = ["Entry", "claim", "doom", "find", "unpin"]


_LOST = (State.DELETING, State.GONE)


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that the ledger knows.

    Attributes:
        id: Its fusion id.
        storage: The label of its storage.
        is_pinned: True if it stays when no row names it.
    """

    id: str
    storage: str
    is_pinned: bool = False


def claim(connection: Connection, table: Table, wanted: Iterable[Entry]) -> tuple[list[Entry], set[str]]:
    """Lock files until the transaction ends: no worker decides on them before it sees the rows that name them.

    A doomed file needs only the lock: before a worker condemns it, it looks for rows that name it.

    Returns:
        The entries as they were, and the ids that had none. The caller asks afterwards whether the files of those are
        there: from then on no worker can begin with them.

    Raises:
        FileGoneException: A worker is deleting one of them.
    """
    take_write_lock(connection, table)
    before, unknown = [], set[str]()
    for batch in batched(sorted(wanted, key=lambda entry: entry.id), BATCH):
        found = _lock(connection, table, [entry.id for entry in batch])
        before += found
        missing = [entry for entry in batch if entry.id not in {each.id for each in found}]
        if missing:
            _insert(connection, table, missing)
            unknown |= {entry.id for entry in missing}
        if pinned := [entry.id for entry in batch if entry.is_pinned]:
            _pin(connection, table, pinned)
    return before, unknown


def _lock(connection: Connection, table: Table, ids: Iterable[str]) -> list[Entry]:
    found = (
        select(table.c.id, table.c.storage, table.c.pinned, table.c.state)
        .where(table.c.id.in_(list(ids)))
        .order_by(table.c.id)
        .with_for_update(read=True)
    )
    rows = connection.execute(found).all()
    if lost := [row.id for row in rows if row.state in _LOST]:
        _refuse(lost)
    return [Entry(*row[:3]) for row in rows]


def _insert(connection: Connection, table: Table, entries: Sequence[Entry]) -> None:
    """Enter files; whoever has entered one meanwhile has it locked, and is waited for."""
    new = insert_entries(table, connection.dialect, [(each.id, each.storage) for each in entries], State.LIVE)
    entered = connection.execute(  # without RETURNING: SQLite would stay locked if this were cancelled
        new.on_conflict_do_update(
            index_elements=[table.c.id], set_={"state": State.LIVE}, where=table.c.state.not_in(_LOST)
        )
    )
    if entered.rowcount != len(entries):
        _lock(connection, table, [each.id for each in entries])  # it says which
        _refuse([each.id for each in entries])


def _pin(connection: Connection, table: Table, ids: list[str]) -> None:
    connection.execute(update(table).where(table.c.id.in_(ids), table.c.pinned.is_(False)).values(pinned=True))


def _refuse(ids: Sequence[str]) -> None:
    raise FileGoneException("the file is being deleted: no row can name it", operation="claim", file_id=ids[0])


def find(connection: Connection, table: Table, ids: Iterable[str]) -> list[str]:
    """Find the ids that the ledger knows, in whatever state."""
    return list(connection.scalars(select(table.c.id).where(table.c.id.in_(list(ids)))))


def unpin(connection: Connection, table: Table, file_id: str) -> None:
    """Let a file go when no row names it."""
    connection.execute(update(table).where(table.c.id == file_id, table.c.state != State.MARK).values(pinned=False))


def doom(connection: Connection, table: Table, storages: Mapping[str, str], retain: float) -> int:
    """Let files be deleted after `retain` seconds, if no row names them then; returns how many are doomed by this.

    Files that others have locked are passed over: a sweep finds them, if nobody names them in the end.

    Args:
        connection: The connection of the transaction that names them no longer.
        table: The ledger's.
        storages: Ids, and the labels of their storages.
        retain: Seconds.
    """
    count = 0
    for batch in batched(_sorted(storages), BATCH):
        free = (
            select(table.c.id)
            .where(one_of(table.c.id, batch, connection.dialect))
            .where(table.c.state == State.LIVE, table.c.pinned.is_(False))
            .with_for_update(skip_locked=True)
        )
        until = now() + retain
        changed = connection.execute(
            update(table).where(table.c.id.in_(free)).values(state=State.DOOMED, until=until)
        ).rowcount
        count += changed
        if changed < len(batch):
            files = [(each, storages[each]) for each in batch]
            new = insert_entries(table, connection.dialect, files, State.DOOMED, until=until)
            count += connection.execute(new.on_conflict_do_nothing()).rowcount
    return count


def _sorted(ids: Iterable[str]) -> Iterator[str]:
    """The ids in order, as everybody locks them; sorting very many at once would take long."""
    runs: list[list[str]] = []
    for batch in batched(ids, BATCH):
        runs.append(sorted(batch))
        _greenlet.give_way()
    return _greenlet.pace(merge(*runs))
