"""Statistics of a migration: its files by state, its speed, the remaining time, and the files that failed."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from sqlalchemy import Connection, Table, func, select

from async_storages.integrations.sqlalchemy.ledger.tables import now
from async_storages.integrations.sqlalchemy.migration import entries
from async_storages.integrations.sqlalchemy.migration.entries import FAILURES
from async_storages.integrations.sqlalchemy.migration.tables import MoveState
from async_storages.integrations.sqlalchemy.migration.transactions import Transactions

__all__ = ["MigrationStatus", "MoveFailure", "collect", "list_failures"]

_WINDOW = 60.0
"""Seconds over which the speed is measured."""


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """The numbers of files by their state.

    Attributes:
        planned: Files that wait for a mover.
        moving: Files that movers have taken.
        moved: Moved files whose old file still exists.
        finished: Moved files whose old file is deleted.
        undone: Files that were moved back.
        gone: Planned files that no row named any more.
        missing: Files that rows name, but that the source does not have.
        failed: Files that could not be moved.
        left: Copies that no row names, and old files that are being deleted. `finish` deletes them.
        bytes: The total size in bytes of the moved and finished files.
        files_per_second: Files moved per second within the last minute; 0 if none was moved.
        seconds_left: Seconds until all files are moved, at that speed; None if no file was moved in the last minute.
    """

    planned: int
    moving: int
    moved: int
    finished: int
    undone: int
    gone: int
    missing: int
    failed: int
    left: int
    bytes: int
    files_per_second: float
    seconds_left: float | None


@dataclass(frozen=True, slots=True)
class MoveFailure:
    """A file that could not be moved.

    Attributes:
        file_id: Its old id.
        is_missing: True if the source does not have it.
        reason: The error.
        attempts: The number of attempts.
    """

    file_id: str
    is_missing: bool
    reason: str
    attempts: int


def collect(connection: Connection, table: Table) -> MigrationStatus:
    """Count the files."""
    counted = select(table.c.state, func.count(), func.sum(table.c.bytes)).group_by(table.c.state)
    found = {state: (count, bytes_) for state, count, bytes_ in connection.execute(counted)}
    counts = {state: found.get(state, (0, 0))[0] for state in MoveState}
    recent = select(func.count(), func.min(table.c.moved), now()).where(table.c.moved > now() - _WINDOW)
    count, first, clock = connection.execute(recent).one()
    speed = count / max(clock - first, 1.0) if count else 0.0
    to_do = counts[MoveState.PLANNED] + counts[MoveState.MOVING]
    return MigrationStatus(
        planned=counts[MoveState.PLANNED],
        moving=counts[MoveState.MOVING],
        moved=counts[MoveState.MOVED],
        finished=counts[MoveState.FINISHED],
        undone=counts[MoveState.UNDONE],
        gone=counts[MoveState.GONE],
        missing=counts[MoveState.MISSING],
        failed=counts[MoveState.FAILED],
        left=counts[MoveState.LEFT] + counts[MoveState.DELETING],
        bytes=sum(int(found.get(state, (0, 0))[1] or 0) for state in (MoveState.MOVED, MoveState.FINISHED)),
        files_per_second=speed,
        seconds_left=to_do / speed if speed else None,
    )


async def list_failures(transactions: Transactions, table: Table) -> AsyncGenerator[MoveFailure]:
    """Yield the files that could not be moved, in the order of their ids."""
    after = ""
    while found := await transactions.read(entries.page, table, FAILURES, after, entries.BATCH):
        for each in found:
            yield MoveFailure(each.source, each.state is MoveState.MISSING, each.error or "", each.attempts)
        after = found[-1].source
