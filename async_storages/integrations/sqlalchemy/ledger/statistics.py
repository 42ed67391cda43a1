"""Statistics of a ledger: its files by state, and the delay of its worker."""

from dataclasses import dataclass

from sqlalchemy import Connection, Table, and_, case, func, select

from async_storages.integrations.sqlalchemy.ledger.connections import LedgerTransactions
from async_storages.integrations.sqlalchemy.ledger.references import References
from async_storages.integrations.sqlalchemy.ledger.tables import State, now

__all__ = ["LedgerStats", "collect"]


@dataclass(frozen=True, slots=True)
class LedgerStats:
    """The numbers of files by their state.

    Attributes:
        uploading: Files in the journal: they are being written, or no transaction has claimed them yet. They include
            uploads that `DirectUploads` has attached, until their time ends. On SQLite they also include files that
            were claimed within the last `grace`.
        live: Files that rows name, pinned files, and files that the next sweep will find unreferenced.
        doomed: Files that wait for a worker, or for the end of `retain`.
        deleting: Files that a worker is deleting, or will try to delete again after a failure.
        pinned: The live files that are pinned. They stay even if no row names them.
        overdue: Seconds that the oldest work, including variants, has waited for a worker. It grows if no worker runs.
        unindexed: Columns without an index, as ``table.column``. A search for a file reads the whole table.
        variants: Images whose variants wait for a worker.
        copies: Copies for mirrors that wait for a worker, or for a mirror that is down.
        copies_overdue: Seconds that the oldest of these copies has waited.
    """

    uploading: int
    live: int
    doomed: int
    deleting: int
    pinned: int
    overdue: float
    unindexed: tuple[str, ...]
    variants: int = 0
    copies: int = 0
    copies_overdue: float = 0.0


def collect(connection: Connection, table: Table, intents: LedgerTransactions, references: References) -> LedgerStats:
    """Count the files, and look for columns without an index."""
    untried = and_(table.c.state == State.WANTED, table.c.until == 0.0)
    waits_since = case((untried, table.c.since), else_=table.c.until)
    counted = select(table.c.state, func.count(), func.min(waits_since)).group_by(table.c.state)
    rows = {state: (count, until) for state, count, until in connection.execute(counted)}
    pinned = select(func.count()).select_from(table).where(table.c.state == State.LIVE, table.c.pinned)
    with intents.within(connection) as uploads:
        uploading, expires = uploads.execute(select(func.count(), func.min(intents.table.c.until))).one()
    queued, oldest = connection.execute(
        select(func.count(), func.min(table.c.since)).where(table.c.state == State.COPY)
    ).one()
    clock: float = connection.scalar(select(now())) or 0.0
    due: list[float] = [rows[state][1] for state in (State.DOOMED, State.DELETING, State.WANTED) if state in rows]
    waiting = [clock - until for until in (*due, expires) if until is not None]
    return LedgerStats(
        uploading=uploading,
        live=rows.get(State.LIVE, (0,))[0],
        doomed=rows.get(State.DOOMED, (0,))[0],
        deleting=rows.get(State.DELETING, (0,))[0],
        pinned=connection.scalar(pinned) or 0,
        overdue=max(0.0, *waiting) if waiting else 0.0,
        unindexed=tuple(references.find_unindexed(connection, table)),
        variants=rows.get(State.WANTED, (0,))[0],
        copies=queued,
        copies_overdue=0.0 if oldest is None else max(0.0, clock - oldest),
    )
