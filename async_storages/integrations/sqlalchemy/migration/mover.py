"""A mover: it takes planned files and moves them.

It prepares files, copies others and swaps the rows of others at the same time. Preparing and swapping are transactions
of many files. Copies are checked one by one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from sqlalchemy import Connection, Table, func, select

from async_storages._tasks import beside, map_bounded
from async_storages.integrations.sqlalchemy.ledger.tables import now
from async_storages.integrations.sqlalchemy.migration.batch_size import BatchSize
from async_storages.integrations.sqlalchemy.migration.copying import Copied, Copier
from async_storages.integrations.sqlalchemy.migration.crash_points import MoveStep, reached
from async_storages.integrations.sqlalchemy.migration.halving import do_together
from async_storages.integrations.sqlalchemy.migration.preparation import Preparation, ReadyFile
from async_storages.integrations.sqlalchemy.migration.swapping import Copy, Swaps
from async_storages.integrations.sqlalchemy.migration.tables import MoveState
from async_storages.integrations.sqlalchemy.migration.throttle import Throttle
from async_storages.integrations.sqlalchemy.migration.transactions import Transactions
from async_storages.integrations.sqlalchemy.migration.under_way import Moved, UnderWay

__all__ = ["Moved", "Mover"]

_SOON = 60.0
"""Seconds that a mover waits for postponed files."""

_LEAST, _MOST = 2, 16
"""The sizes of batches for each file at once."""

_JOINING = 0.1
"""Seconds that a copy waits for others, so that one transaction swaps the rows of all of them."""


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
        lease: Seconds for which the mover takes a file. It renews the lease until the file is moved.
        concurrency: Files that are copied at once.
        limit: The largest number of files. None is no limit.
        on_progress: Called with the result so far.
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
    _under_way: UnderWay = field(init=False)
    _batch_size: BatchSize = field(init=False)
    _ready: asyncio.Queue[ReadyFile | None] = field(init=False)
    """Files to copy, then None for each copier."""
    _copied: list[tuple[ReadyFile, Copied]] = field(default_factory=list, init=False)
    """Files whose rows are to be swapped."""
    _copiers: int = field(init=False)
    """Copiers that have not ended."""

    def __post_init__(self) -> None:
        self._under_way = UnderWay(self.transactions, self.table, self.swaps.rows, self.on_progress)
        self._batch_size = BatchSize(_LEAST * self.concurrency, _MOST * self.concurrency)
        self._ready = asyncio.Queue(_LEAST * self.concurrency)
        self._copiers = self.concurrency

    async def run(self) -> Moved:
        """Move files until none is planned. At the end, give back files that were taken but not moved."""
        stages = [self._prepare, *[self._copy] * self.concurrency, self._swap]
        try:
            async with beside(self._under_way.keep(self.lease), "Migration: files under way"):
                await map_bounded(lambda stage: stage(), stages, limit=len(stages))
        finally:
            await self._under_way.give_back()
        return self._under_way.result

    # ---- the first stage

    async def _prepare(self) -> None:
        """Prepare files as fast as copiers take them."""
        preparation = Preparation(
            self.transactions, self.table, self.swaps, self._under_way, self.lease, self.concurrency
        )
        while await self.may_go_on() and self.limit != 0:
            wanted = self._batch_size.next()
            taken = await preparation.take(wanted if self.limit is None else min(wanted, self.limit))
            if self.limit is not None:
                self.limit -= len(taken)
            for each in await preparation.prepare(taken):
                await self._ready.put(each)
            if not taken and not await self._wait_for_more():
                break
        for _ in range(self.concurrency):
            await self._ready.put(None)

    async def _wait_for_more(self) -> bool:
        """Wait until a file may be planned again or movers must stop. Return False if none is due soon."""
        if left := len(self._under_way):
            await self._until(lambda: len(self._under_way) < left)
            return True
        seconds = await self.transactions.read(_due_in, self.table)
        if seconds is None or seconds > _SOON:
            return False
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self.stopped.wait()
        return True

    # ---- the second stage

    async def _copy(self) -> None:
        """Copy prepared files, one after the other. When movers must stop, leave the others."""
        while (ready := await self._ready.get()) is not None:
            if not await self.may_go_on():
                continue
            await self.throttle.take_file()
            try:
                copied = await self.copier.copy(ready.file, ready.new, ready.facts, was_ours=ready.was_ours)
            except Exception as error:  # noqa: BLE001 - a storage may raise anything, and the others go on
                await self._under_way.settle(ready.taken, error)
                continue
            if self.concurrency == 1:  # then the next file begins when this one is moved
                await self._swap_all([(ready, copied)])
                continue
            self._copied.append((ready, copied))
            self._under_way.changed.set()
        self._copiers -= 1
        self._under_way.changed.set()

    # ---- the third stage

    async def _swap(self) -> None:
        """Swap the rows of copied files until all copiers have ended."""
        await self._until(lambda: bool(self._copied) or not self._copiers)
        while self._copied:
            with suppress(TimeoutError):
                async with asyncio.timeout(_JOINING):
                    await self._until(self._is_enough)
            size = self._batch_size.now
            chosen, self._copied = self._copied[:size], self._copied[size:]
            await self._swap_all(chosen)
            await self._until(lambda: bool(self._copied) or not self._copiers)

    def _is_enough(self) -> bool:
        """Return True if no more copies will come, or enough have come for one transaction."""
        return not self._copiers or len(self._copied) >= min(self._batch_size.now, len(self._under_way))

    async def _swap_all(self, files: Sequence[tuple[ReadyFile, Copied]]) -> None:
        copies = [Copy(ready.arrival, copied) for ready, copied in files]
        for (ready, copied), is_named in zip(files, await do_together(self._swap_rows, copies), strict=True):
            if isinstance(is_named, Exception):
                await self._under_way.settle(ready.taken, is_named)
            elif is_named:
                reached(MoveStep.SWAPPED)
                self._under_way.result.bytes += copied.bytes
                self._under_way.end(ready.taken, MoveState.MOVED)
            else:
                self._under_way.end(ready.taken, MoveState.GONE)

    async def _swap_rows(self, copies: Sequence[Copy]) -> list[bool]:
        run = self.transactions.run if len(copies) == 1 else self.transactions.run_once
        return await run(self.swaps.swap, copies)

    async def _until(self, is_so: Callable[[], bool]) -> None:
        """Wait until something is so, which the change of a file can make so."""
        while not is_so():
            self._under_way.changed.clear()
            await self._under_way.changed.wait()


def _due_in(connection: Connection, table: Table) -> float | None:
    """Return the seconds until the next planned file is due."""
    first = select(func.min(table.c.until) - now()).where(table.c.state == MoveState.PLANNED)
    seconds: float | None = connection.scalar(first)
    return seconds
