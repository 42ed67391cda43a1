"""The files that one mover has taken: it keeps their leases, and ends each of them in the table of moves."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from sqlalchemy import Connection, Table
from sqlalchemy.exc import DBAPIError

from async_storages._tasks import pause
from async_storages.errors import (
    FileExistsException,
    FileGoneException,
    FileNotFoundException,
    StorageUnavailableException,
)
from async_storages.integrations.sqlalchemy.migration import entries
from async_storages.integrations.sqlalchemy.migration.crash_points import MoveStep, reached
from async_storages.integrations.sqlalchemy.migration.entries import Entry
from async_storages.integrations.sqlalchemy.migration.rows import FoundRow, Rows
from async_storages.integrations.sqlalchemy.migration.tables import MoveState
from async_storages.integrations.sqlalchemy.migration.transactions import Transactions, is_conflict

__all__ = ["Moved", "TakenFile", "UnderWay"]

logger = logging.getLogger("async_storages")

_LOCKED_FOR = 1.0
"""Seconds after which a mover retries a file whose rows are locked."""

_UNAVAILABLE_FOR = 5.0
"""Seconds after which a mover retries a file after a failure of a storage. The time doubles each time."""

_MOST_ATTEMPTS = 3

_COUNTED = {
    MoveState.MOVED: "moved",
    MoveState.GONE: "gone",
    MoveState.MISSING: "missing",
    MoveState.FAILED: "failed",
}


@dataclass(slots=True)
class Moved:
    """The result of `Migration.run`.

    Attributes:
        moved: The number of moved files.
        gone: The number of planned files that no row named any more.
        missing: The number of files that rows name, but that the source does not have.
        failed: The number of files that could not be moved. `Migration.failures` yields the reasons.
        bytes: The total size of the moved files in bytes.
    """

    moved: int = 0
    gone: int = 0
    missing: int = 0
    failed: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class TakenFile:
    """A file that a mover has taken.

    Attributes:
        entry: Its entry.
        mover: The word that identifies the take.
        found: The rows that named it then.
    """

    entry: Entry
    mover: str
    found: Sequence[FoundRow]


@dataclass(slots=True)
class UnderWay:
    """The files that a mover has taken and not ended yet.

    Attributes:
        transactions: The migration's transactions.
        table: The table of moves.
        rows: The rows of all file columns.
        on_progress: Called with the result so far when a file has ended.
        result: The result so far.
        changed: Set when a file has ended.
    """

    transactions: Transactions
    table: Table
    rows: Rows
    on_progress: Callable[[Moved], object] | None = None
    result: Moved = field(default_factory=Moved)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    _movers: dict[str, str] = field(default_factory=dict, init=False)
    """The word of the take of each file."""

    def __len__(self) -> int:
        return len(self._movers)

    def add(self, taken: Sequence[TakenFile]) -> None:
        """Add files that were taken."""
        self._movers |= {each.entry.source: each.mover for each in taken}

    # ---- all of them

    async def keep(self, lease: float) -> None:
        """Renew the leases, until the caller cancels it."""
        while True:
            await pause(lease / 3)
            for mover, sources in self._sources_by_mover():
                try:
                    await self.transactions.run(entries.renew, self.table, mover, sources, lease)
                except DBAPIError as error:  # the next attempt may be in time
                    logger.warning("the leases of files under way could not be renewed: %r", error)

    async def give_back(self) -> None:
        """Let movers take the files again at once."""
        for mover, sources in self._sources_by_mover():
            with suppress(DBAPIError, OSError):  # else they are free when their lease is over
                await self.transactions.run(entries.postpone, self.table, mover, sources, 0.0)
                reached(MoveStep.GIVEN_BACK)

    def _sources_by_mover(self) -> list[tuple[str, list[str]]]:
        grouped = defaultdict[str, list[str]](list)
        for source, mover in self._movers.items():
            grouped[mover].append(source)
        return list(grouped.items())

    # ---- one of them

    def end(self, taken: TakenFile, state: MoveState | None) -> None:
        """Count a file by its final state. None means that movers retry it later."""
        if state is not None:
            name = _COUNTED[state]
            setattr(self.result, name, getattr(self.result, name) + 1)
        if self._movers.get(taken.entry.source) == taken.mover:  # else the lease was lost, and this mover took it again
            del self._movers[taken.entry.source]
        self.changed.set()
        if self.on_progress is not None:
            self.on_progress(self.result)

    async def settle(self, taken: TakenFile, error: Exception | None = None) -> None:
        """End a file that no row named when it was taken, or whose move failed. Some failures are retried later.

        Raises:
            DBAPIError: The database failed, not the file.
        """
        try:
            state = await self._settle(taken, error)
        except (FileGoneException, DBAPIError) as reason:
            if isinstance(reason, DBAPIError) and not is_conflict(reason):
                raise
            # somebody has locked a row, or is deleting the file, or has taken it over, so that it is ours no more
            await self._postpone(taken, _LOCKED_FOR)
            state = None
        self.end(taken, state)

    async def _settle(self, taken: TakenFile, error: Exception | None) -> MoveState | None:
        if isinstance(error, FileGoneException) or (isinstance(error, DBAPIError) and _is_of_database(error)):
            raise error
        attempts = taken.entry.attempts
        if isinstance(error, StorageUnavailableException) and attempts + 1 < _MOST_ATTEMPTS:
            await self._postpone(taken, _UNAVAILABLE_FOR * 2**attempts)
            return None
        return await self.transactions.run(self._record, taken, error)

    async def _postpone(self, taken: TakenFile, seconds: float) -> None:
        await self.transactions.run(entries.postpone, self.table, taken.mover, [taken.entry.source], seconds)

    def _record(self, connection: Connection, taken: TakenFile, error: Exception | None) -> MoveState:
        """Record a failure, or that no row names the file any more."""
        source = taken.entry.source
        locked = entries.lock(connection, self.table, source, taken.mover)
        if error is None or not self.rows.find(connection, [source]):
            entries.settle(connection, self.table, locked, locked.settled)
            return MoveState.GONE
        is_missing = isinstance(error, FileNotFoundException) and error.file_id == source
        state = MoveState.MISSING if is_missing else MoveState.FAILED
        is_theirs = isinstance(error, FileExistsException)
        reason = f"{error} ({type(error).__name__})"
        entries.settle(connection, self.table, locked, state, error=reason, is_theirs=is_theirs)
        return state


def _is_of_database(error: DBAPIError) -> bool:
    """Return True if an error says nothing about the file: others had locked it, or the connection was lost."""
    return is_conflict(error) or error.connection_invalidated
