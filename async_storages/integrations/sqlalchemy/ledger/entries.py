"""The rows of `stored_files`, as sessions write them: in their own transactions, before the rows that name files."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import batched

from sqlalchemy import Connection, Table, select, update

from async_storages.errors import FileGoneException
from async_storages.integrations.sqlalchemy import _greenlet
from async_storages.integrations.sqlalchemy.ledger.databases import take_write_lock
from async_storages.integrations.sqlalchemy.ledger.journal import BATCH
from async_storages.integrations.sqlalchemy.ledger.tables import State, insert_files, now, one_of

__all__ = ["Entry", "claim", "doom", "known", "unpin"]


_LOST = (State.DELETING, State.GONE)


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that a row names.

    Attributes:
        id: Its fusion id.
        storage: The label of its storage.
        pinned: Whether it stays when no row names it.
    """

    id: str
    storage: str
    pinned: bool = False


def claim(connection: Connection, table: Table, entries: Iterable[Entry]) -> tuple[list[Entry], set[str]]:
    """Lock files until the transaction ends, so that no worker decides on them before it sees the rows that name them.

    A file that is doomed needs only the lock: before it is deleted, its worker looks for rows that name it.

    Returns:
        The entries as they were in the table, and the ids that were not: whether their files are there is to be asked
        afterwards, when no worker can begin with them any more.

    Raises:
        FileGoneException: A worker is deleting one of them.
    """
    take_write_lock(connection, table)
    before, unknown = [], set[str]()
    for batch in batched(sorted(entries, key=lambda entry: entry.id), BATCH):
        found = _lock(connection, table, [entry.id for entry in batch])
        before += found
        missing = [entry for entry in batch if entry.id not in {each.id for each in found}]
        _insert(connection, table, missing)
        unknown |= {entry.id for entry in missing}
        _pin(connection, table, [entry.id for entry in batch if entry.pinned])
    return before, unknown


def _lock(connection: Connection, table: Table, ids: Iterable[str]) -> list[Entry]:
    found = (
        select(table.c.id, table.c.storage, table.c.pinned, table.c.state)
        .where(table.c.id.in_(list(ids)))
        .order_by(table.c.id)
        .with_for_update(read=True)
    )
    rows = connection.execute(found).all()
    _check_not_gone(id_ for id_, _, _, state in rows if state in _LOST)
    return [Entry(*row[:3]) for row in rows]


def _insert(connection: Connection, table: Table, entries: Sequence[Entry]) -> None:
    """Note files; whoever has noted one meanwhile has it locked, and is waited for."""
    if not entries:
        return
    files = [(each.id, each.storage) for each in entries]
    new = insert_files(table, connection.dialect, files, state=State.LIVE, until=0.0, since=now(), pinned=False)
    noted = connection.execute(  # without RETURNING: SQLite would stay locked if this were cancelled
        new.on_conflict_do_update(
            index_elements=[table.c.id], set_={"state": State.LIVE}, where=table.c.state.not_in(_LOST)
        )
    )
    if noted.rowcount != len(files):
        _lock(connection, table, [each.id for each in entries])  # it says which
        _check_not_gone(each.id for each in entries)


def _pin(connection: Connection, table: Table, ids: list[str]) -> None:
    if ids:
        connection.execute(update(table).where(table.c.id.in_(ids), table.c.pinned.is_(False)).values(pinned=True))


def known(connection: Connection, table: Table, ids: Iterable[str]) -> list[str]:
    """Those of the ids that are in the table, in whatever state."""
    return list(connection.scalars(select(table.c.id).where(table.c.id.in_(list(ids)))))


def unpin(connection: Connection, table: Table, file_id: str) -> None:
    """Let a file go when no row names it."""
    connection.execute(update(table).where(table.c.id == file_id, table.c.state != State.MARK).values(pinned=False))


def _check_not_gone(ids: Iterable[str]) -> None:
    for file_id in ids:
        raise FileGoneException("the file is being deleted: no row can name it", operation="claim", file_id=file_id)


def doom(connection: Connection, table: Table, storages: Mapping[str, str], retain: float) -> int:
    """Say that files may be deleted after `retain` seconds, if no row names them then; returns how many.

    Those that others have locked are passed over: a sweep finds them, if nobody names them in the end.

    Args:
        connection: In the transaction that says so.
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
        doomed = {"state": State.DOOMED, "until": now() + retain}
        changed = connection.execute(update(table).where(table.c.id.in_(free)).values(doomed))
        count += changed.rowcount
        if changed.rowcount < len(batch):
            files = [(each, storages[each]) for each in batch]
            new = insert_files(table, connection.dialect, files, since=now(), pinned=False, **doomed)
            count += connection.execute(new.on_conflict_do_nothing()).rowcount
    return count


def _sorted(ids: Iterable[str]) -> Iterator[str]:
    """The ids in order, as everybody locks them; sorting very many at once would take long."""
    runs: list[list[str]] = []
    for batch in batched(ids, BATCH):
        runs.append(sorted(batch))
        _greenlet.give_way()
    return _greenlet.pace(merge(*runs))
