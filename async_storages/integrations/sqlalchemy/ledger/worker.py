"""The worker of a ledger: it deletes files that no row names, sweeps now and then, and makes variants and copies."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from datetime import timedelta
from itertools import count
from typing import Any

from async_storages._tasks import beside, pause
from async_storages.errors import InvalidArgumentException, StorageException
from async_storages.imaging.pool import ImagePool
from async_storages.integrations.sqlalchemy.ledger.connections import Connections
from async_storages.integrations.sqlalchemy.ledger.deletion import Deletion, Drained
from async_storages.integrations.sqlalchemy.ledger.known_columns import KnownColumns
from async_storages.integrations.sqlalchemy.ledger.mirroring import Mirroring
from async_storages.integrations.sqlalchemy.ledger.references import References
from async_storages.integrations.sqlalchemy.ledger.storage_lookup import find_storages
from async_storages.integrations.sqlalchemy.ledger.storage_marks import StorageMarks
from async_storages.integrations.sqlalchemy.ledger.sweep import Sweep
from async_storages.integrations.sqlalchemy.ledger.variant_making import VariantMaking

__all__ = ["Worker", "run_forever"]

logger = logging.getLogger("async_storages")


class Worker:
    """The work of a ledger beside the sessions: see `FileLedger.drain`, `sweep` and `run`.

    Args:
        connections: The ledger's connections.
        references: The columns that may name files.
        columns: The columns that all processes know.
        marks: The marks that identify the ledger's storages.
        lease: Seconds after which another worker takes over unfinished work.
        retain: Seconds that a file stays after the last row that named it is gone.
        concurrency: Deletions at once, and copies at once, at least 1.
        image_pool: Makes variants. None uses the shared pool.
    """

    def __init__(
        self,
        connections: Connections,
        references: References,
        columns: KnownColumns,
        marks: StorageMarks,
        *,
        lease: float,
        retain: float,
        concurrency: int,
        image_pool: ImagePool | None = None,
    ) -> None:
        self._connections = connections
        self._references = references
        self._columns = columns
        self._marks = marks
        self._deletion = Deletion(connections, references, marks, lease=lease, retain=retain, concurrency=concurrency)
        self._sweep = Sweep(connections, references, marks, retain=retain)
        self._variants = VariantMaking(connections, references, marks, lease=lease, pool=image_pool)
        self._mirroring = Mirroring(connections, references, marks, lease=lease, concurrency=concurrency)
        self._has_warned = False
        self._malformed: set[str] = set()

    async def drain(self, *, wait: bool) -> Drained:
        """Delete the files that are due, once, or repeatedly until no file is due."""
        failed: set[str] = set()
        total = await self._drain_once(failed)
        for waited in count():
            if not (wait and await self._deletion.is_busy(failed)):
                return total
            await asyncio.sleep(random.uniform(0.5, 1) * min(1.0, 0.01 * 2 ** min(waited, 9)))  # noqa: S311 - no secret
            total += await self._drain_once(failed)
        raise AssertionError("count() does not end")

    async def _drain_once(self, failed: set[str]) -> Drained:
        await self._columns.register()
        await self.mark_storages()
        if not self._has_warned:
            await self._connections.reading.run(self._references.warn_unindexed)
            await self._warn_malformed()
            self._has_warned = True
        return await self._deletion.run(failed)

    async def make_variants(self) -> int:
        """Make the queued variants that are due, and return their number."""
        return await self._variants.run()

    async def mirror(self) -> int:
        """Make the queued copies for mirrors that are due, and return their number."""
        return await self._mirroring.run()

    async def mark_storages(self) -> None:
        """Mark the storages of all columns, as early as possible."""
        for storage in find_storages(self._references.fields()):
            try:
                await self._marks.mark([storage])
            except StorageException as error:  # it is tried again
                logger.warning("a storage could not be marked as this ledger's: %s", error)

    async def _warn_malformed(self) -> None:
        """Log a warning, once, for each row without a valid list. Files that its text names are not deleted."""
        for value in await self._connections.reading.run(self._references.find_malformed):
            if value not in self._malformed:
                logger.warning("%s is no JSON: the files that its text names stay. Repair it by hand", value)
                self._malformed.add(value)

    async def sweep(self, older_than: timedelta, *, force: bool, inventory: bool, prefix: str | None) -> int:
        """Doom the files that no row names, and return their number."""
        if prefix is not None and not inventory:
            raise InvalidArgumentException("prefix= is for sweep(inventory=True)", operation="sweep")
        await self._columns.register()
        await self._marks.require_own(find_storages(self._references.fields()))
        await self._warn_malformed()
        doomed = await self._sweep.doom_unnamed(older_than, force=force)
        if inventory:
            doomed += await self._sweep.doom_unknown(older_than, prefix, force=force)
        return doomed


async def run_forever(
    drain: Callable[[], Coroutine[Any, Any, object]],
    sweep: Callable[[], Coroutine[Any, Any, object]],
    interval: timedelta,
    sweep_every: timedelta | None,
    **others: Callable[[], Coroutine[Any, Any, object]],
) -> None:
    """Drain and sweep at their intervals, and do other work beside it, until the task is cancelled.

    It logs a failure, and repeats the work later.
    """
    async with AsyncExitStack() as stack:
        for name, work in others.items():
            step = name.replace("_", " ")
            await stack.enter_async_context(beside(_repeat(step, work, interval), f"FileLedger.run: {step}"))
        swept = float("-inf")
        while True:
            if sweep_every is not None and time.monotonic() - swept >= sweep_every.total_seconds():
                swept = time.monotonic()
                await _log_failure("sweep", sweep)
            await _log_failure("drain", drain)
            await pause(interval.total_seconds())


async def _repeat(step: str, work: Callable[[], Coroutine[Any, Any, object]], interval: timedelta) -> None:
    while True:
        await _log_failure(step, work)
        await pause(interval.total_seconds())


async def _log_failure(step: str, work: Callable[[], Coroutine[Any, Any, object]]) -> None:
    try:
        await work()
    except Exception as error:  # noqa: BLE001 - drivers let errors of their own through, and the worker must go on
        logger.warning("the ledger could not %s: %s (%s)", step, error, type(error).__name__)
