"""A mover: it takes planned files and moves them, several at once."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import uuid4

from sqlalchemy import Connection, Table, func, select
from sqlalchemy.exc import DBAPIError

from async_storages import naming
from async_storages._tasks import beside, map_bounded, pause
from async_storages.errors import (
    FileExistsException,
    FileGoneException,
    FileNotFoundException,
    StorageUnavailableException,
)
from async_storages.integrations.sqlalchemy.ledger.tables import now
from async_storages.integrations.sqlalchemy.migration import entries
from async_storages.integrations.sqlalchemy.migration.copying import Copier
from async_storages.integrations.sqlalchemy.migration.crash_points import MoveStep, reached
from async_storages.integrations.sqlalchemy.migration.entries import Arrival, Entry
from async_storages.integrations.sqlalchemy.migration.joining import Joined
from async_storages.integrations.sqlalchemy.migration.route import MovingFile
from async_storages.integrations.sqlalchemy.migration.rows import FoundRow, group_by_id
from async_storages.integrations.sqlalchemy.migration.swapping import Copy, Swaps
from async_storages.integrations.sqlalchemy.migration.tables import MoveState
from async_storages.integrations.sqlalchemy.migration.throttle import Throttle
from async_storages.integrations.sqlalchemy.migration.transactions import Transactions, is_conflict

__all__ = ["Moved", "Mover"]

logger = logging.getLogger("async_storages")

_LOCKED_FOR = 1.0
"""Seconds after which a mover retries a file whose rows are locked."""

_UNAVAILABLE_FOR = 5.0
"""Seconds after which a mover retries a file after a failure of a storage. The time doubles each time."""

_COUNTED = {
    MoveState.MOVED: "moved",
    MoveState.GONE: "gone",
    MoveState.MISSING: "missing",
    MoveState.FAILED: "failed",
}

_JOINING = 0.005
"""Seconds that a file waits for others, so that one transaction enters all of them."""

_MOST_ATTEMPTS = 3
_SOON = 60.0
"""Seconds that a mover waits for postponed files."""


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


@dataclass(slots=True)
class Mover:
    """Moves planned files until none is left.

    Attributes:
        transactions: The migration's transactions.
        table: The table of moves.
        swaps: The swaps.
        copier: Copies files.
        throttle: The limit of the speed.
        may_go_on: Waits while movers are paused. It returns False when they must stop.
        stopped: Set when movers must stop.
        lease: Seconds for which the mover takes a file. It renews the lease while it copies.
        concurrency: Files at once.
        limit: The largest number of files. None is no limit.
        on_progress: Called with the result so far.
        result: The result so far.
    """

    transactions: Transactions
    table: Table
    swaps: Swaps
    copier: Copier
    throttle: Throttle
    may_go_on: Callable[[], Awaitable[bool]]
    stopped: asyncio.Event
    lease: float
    concurrency: int
    limit: int | None
    on_progress: Callable[[Moved], object] | None = None
    result: Moved = field(default_factory=Moved)
    _taken: dict[str, str] = field(default_factory=dict, init=False)
    """For each file that this mover has taken, the word that identifies the take."""
    _waiting: list[tuple[Entry, list[FoundRow]]] = field(default_factory=list, init=False)
    """Files that this mover has taken but not begun, and the rows that named them."""
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    _announce: Joined[Arrival, bool] = field(init=False)
    _swap: Joined[Copy, bool] = field(init=False)

    def __post_init__(self) -> None:
        joining = _JOINING if self.concurrency > 1 else 0.0
        self._announce = Joined(self._announce_all, joining)
        self._swap = Joined(self._swap_all, joining)

    async def run(self) -> Moved:
        """Move files until none is planned. At the end, give back files that were begun but not finished."""
        try:
            async with beside(self._keep(), "Migration: files under way"):
                await map_bounded(lambda _: self._work(), range(self.concurrency), limit=self.concurrency)
        finally:
            for source, mover in self._taken.items():
                with suppress(DBAPIError, OSError):  # else they are free when their lease is over
                    await self.transactions.run(entries.postpone, self.table, mover, [source], 0.0)
        return self.result

    async def _keep(self) -> None:
        """Renew the leases of the current files, until the caller cancels it."""
        while True:
            await pause(self.lease / 3)
            for mover in set(self._taken.values()):
                sources = [source for source, each in self._taken.items() if each == mover]
                try:
                    await self.transactions.run(entries.renew, self.table, mover, sources, self.lease)
                except DBAPIError as error:  # the next attempt may be in time
                    logger.warning("the leases of files under way could not be renewed: %r", error)

    async def _work(self) -> None:
        while (taken := await self._next()) is not None:
            entry, found = taken
            await self.throttle.take_file()
            await self._move(entry, self._taken[entry.source], found)
            self._taken.pop(entry.source)
            if self.on_progress is not None:
                self.on_progress(self.result)

    async def _next(self) -> tuple[Entry, list[FoundRow]] | None:
        async with self._lock:
            while await self.may_go_on():
                if not self._waiting:
                    await self._take()
                if self._waiting:
                    return self._waiting.pop(0)
                if self.limit == 0 or not await self._wait_for_postponed():
                    return None
            return None

    async def _take(self) -> None:
        wanted = 2 * self.concurrency if self.limit is None else min(2 * self.concurrency, self.limit)
        if wanted:
            mover = uuid4().hex
            taken = await self.transactions.run(entries.take, self.table, mover, wanted, self.lease)
            self._taken |= {each.source: mover for each in taken}
            reached(MoveStep.TAKEN)
            sources = [each.source for each in taken]
            found = await self.transactions.read(self.swaps.rows.find, sources) if sources else []
            grouped = group_by_id(found, sources)
            self._waiting = [(each, grouped.get(each.source, [])) for each in taken]
        if self.limit is not None:
            self.limit -= len(self._waiting)

    async def _wait_for_postponed(self) -> bool:
        """Wait until a postponed file is due or movers must stop. Return False if none is due soon."""
        seconds = await self.transactions.read(_due_in, self.table)
        if seconds is None or seconds > _SOON:
            return False
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self.stopped.wait()
        return True

    # ---- one file

    async def _move(self, entry: Entry, mover: str, found: list[FoundRow]) -> None:
        try:
            state = await self._attempt(entry, mover, found)
        except (FileGoneException, DBAPIError) as error:
            if isinstance(error, DBAPIError) and not is_conflict(error):
                raise
            # somebody has locked a row, or is deleting the file, or has taken it over, so that it is ours no more
            await self.transactions.run(entries.postpone, self.table, mover, [entry.source], _LOCKED_FOR)
            return
        if state is not None:
            name = _COUNTED[state]
            setattr(self.result, name, getattr(self.result, name) + 1)

    async def _attempt(self, entry: Entry, mover: str, found: list[FoundRow]) -> MoveState | None:
        """Move a file. Return None if a mover must try again later."""
        if not found:
            return await self._settle(entry, mover)
        try:
            return await self._copy_and_swap(entry, mover, found)
        except FileGoneException:
            raise
        except Exception as error:  # noqa: BLE001 - a storage or a rule may raise anything, and the others go on
            return await self._fail(entry, mover, error)

    async def _fail(self, entry: Entry, mover: str, error: Exception) -> MoveState | None:
        if isinstance(error, DBAPIError) and (is_conflict(error) or error.connection_invalidated):
            raise error
        if isinstance(error, StorageUnavailableException) and entry.attempts + 1 < _MOST_ATTEMPTS:
            seconds = _UNAVAILABLE_FOR * 2**entry.attempts
            await self.transactions.run(entries.postpone, self.table, mover, [entry.source], seconds)
            return None
        is_missing = isinstance(error, FileNotFoundException) and error.file_id == entry.source
        return await self._settle(entry, mover, MoveState.MISSING if is_missing else MoveState.FAILED, error)

    async def _copy_and_swap(self, entry: Entry, mover: str, found: list[FoundRow]) -> MoveState:
        route = self.swaps.route
        info = await route.source.stat(entry.source)
        facts = {fact: value for row in found for fact, value in row.facts.items()}
        filename = naming.clean_filename(str(facts.get("filename") or info.file_name))
        new = route.new_key(MovingFile(entry.source, filename, info))
        if new.is_exact and entry.arriving != new.file_id:
            await self._require_free(new.file_id)
        arrival = Arrival(entry.source, mover, new.file_id)
        was_ours = await self._announce(arrival)
        reached(MoveStep.ANNOUNCED)
        file = MovingFile(entry.source, filename, info.model_copy(update={"file_name": filename}))
        copied = await self.copier.copy(file, new, facts, was_ours=was_ours)
        if not await self._swap(Copy(arrival, copied)):
            return MoveState.GONE
        reached(MoveStep.SWAPPED)
        self.result.bytes += copied.bytes
        return MoveState.MOVED

    async def _announce_all(self, arrivals: Sequence[Arrival]) -> list[bool]:
        run = self.transactions.run if len(arrivals) == 1 else self.transactions.run_once
        return await run(entries.announce, self.table, arrivals, lease=self.lease)

    async def _swap_all(self, copies: Sequence[Copy]) -> list[bool]:
        run = self.transactions.run if len(copies) == 1 else self.transactions.run_once
        return await run(self.swaps.swap, copies)

    async def _require_free(self, file_id: str) -> None:
        """Require that a key is free, or holds only a copy that movers have left there.

        Raises:
            FileExistsException: Another file has the key.
        """
        known = await self.transactions.read(_state_of, self.table, file_id)
        if known is not MoveState.LEFT and (known is not None or await self.swaps.route.target.exists(file_id)):
            raise FileExistsException("another file has the new key", operation="migrate", file_id=file_id)

    async def _settle(
        self, entry: Entry, mover: str, state: MoveState | None = None, error: Exception | None = None
    ) -> MoveState:
        """End a move: with a failure, or because no row names the file any more."""

        def settle(connection: Connection) -> MoveState:
            locked = entries.lock(connection, self.table, entry.source, mover)
            if state is None or not self.swaps.rows.find(connection, [entry.source]):
                entries.settle(connection, self.table, locked, locked.settled)
                return MoveState.GONE
            is_theirs = isinstance(error, FileExistsException)
            reason = f"{error} ({type(error).__name__})"
            entries.settle(connection, self.table, locked, state, error=reason, is_theirs=is_theirs)
            return state

        return await self.transactions.run(settle)


def _due_in(connection: Connection, table: Table) -> float | None:
    """Return the seconds until the next planned file is due."""
    first = select(func.min(table.c.until) - now()).where(table.c.state == MoveState.PLANNED)
    seconds: float | None = connection.scalar(first)
    return seconds


def _state_of(connection: Connection, table: Table, source: str) -> MoveState | None:
    """Return the state of an entry; None if it does not exist."""
    state = connection.scalar(select(table.c.state).where(table.c.source == source))
    return None if state is None else MoveState(state)
