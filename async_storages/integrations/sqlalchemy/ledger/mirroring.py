"""The worker's part in mirrors: it makes queued copies, and removes the remains of deleted files."""

import asyncio
import logging

from sqlalchemy.exc import SQLAlchemyError

from async_storages._deadlines import Deadline
from async_storages._tasks import beside, map_bounded, pause
from async_storages.backends.mirrored.core import MirroredCore
from async_storages.errors import StorageException
from async_storages.events import Operation
from async_storages.integrations.sqlalchemy.columns.declared_variants import variants_declared_for
from async_storages.integrations.sqlalchemy.ledger import work_queue
from async_storages.integrations.sqlalchemy.ledger.connections import Connections
from async_storages.integrations.sqlalchemy.ledger.crash_points import CopyStep, reached
from async_storages.integrations.sqlalchemy.ledger.entries import Entry
from async_storages.integrations.sqlalchemy.ledger.references import References
from async_storages.integrations.sqlalchemy.ledger.storage_marks import StorageMarks
from async_storages.integrations.sqlalchemy.ledger.tables import State
from async_storages.integrations.sqlalchemy.ledger.work_queue import QueuedWork
from async_storages.storage.base import Storage
from async_storages.variants.removal import Recipes, delete_orphans, find_variants

__all__ = ["Mirroring", "copies_of", "delete_orphans_in_mirrors"]

logger = logging.getLogger("async_storages")

_FIRST_PAUSE = 30.0
"""Seconds before the second attempt. Each later pause is as long as the whole time before it."""

_LONGEST_PAUSE = 900.0
"""The largest number of seconds between two attempts."""

_UNKNOWN_FOR = 86_400.0
"""Seconds after the first attempt at which the worker gives up a copy for a mirror that the storage does not have."""


def copies_of(storage: Storage | None, file_id: str, label: str) -> list[QueuedWork]:
    """Return the copies of a file to queue: one for each mirror whose copies a ledger makes.

    Args:
        storage: The storage of the file; None if it is not known.
        file_id: The file.
        label: The label of its storage.
    """
    marks = _marks_of(storage) if storage is not None else []
    return [QueuedWork(State.COPY, file_id, label, mark) for mark in marks]


def _marks_of(storage: Storage) -> list[str]:
    if not (isinstance(storage, MirroredCore) and storage.has_queue):
        return []
    return [work_queue.digest(mirror.location or str(index)) for index, mirror in enumerate(storage.mirrors)]


async def delete_orphans_in_mirrors(storage: Storage, file_id: str, declared: list[Recipes]) -> None:
    """Delete the variants of a deleted file in mirrors. They may include variants that the primary no longer has.

    Raises:
        StorageException: A variant could not be deleted.
    """
    if declared and isinstance(storage, MirroredCore) and storage.has_queue:
        for mirror in storage.mirrors:
            await delete_orphans(mirror, file_id, declared)


class Mirroring:
    """Makes the copies that sessions have queued. Any number of workers may do so at once.

    Args:
        connections: The ledger's connections.
        references: The columns that may name files.
        marks: The marks that identify the ledger's storages.
        lease: Seconds after which another worker takes over unfinished work. A copy in progress renews its lease.
        concurrency: Copies at once, at least 1.
    """

    def __init__(
        self,
        connections: Connections,
        references: References,
        marks: StorageMarks,
        *,
        lease: float,
        concurrency: int,
    ) -> None:
        self._connections = connections
        self._references = references
        self._marks = marks
        self._lease = lease
        self._concurrency = concurrency

    async def run(self) -> int:
        """Make all copies that are due now, and return the number of finished entries.

        It logs a failure. Later calls try again, at growing intervals of at most a quarter of an hour.
        """
        if not await self._has_due():
            return 0
        taking = asyncio.Lock()

        async def run_lane(_number: int) -> int:
            count = 0
            while (work := await self._take(taking)) is not None:
                count += await self._copy(work)
            return count

        return sum(await map_bounded(run_lane, range(self._concurrency), limit=self._concurrency))

    async def _has_due(self) -> bool:
        return await self._connections.reading.run(work_queue.has_due, State.COPY)

    async def _take(self, taking: asyncio.Lock) -> QueuedWork | None:
        async with taking:  # one at a time, as on SQLite all of them would wait for its write lock
            if not await self._has_due():
                return None
            leased = await self._connections.main.run(work_queue.lease, State.COPY, 1, self._lease)
        reached(CopyStep.TAKEN)
        return leased[0] if leased else None

    async def _copy(self, work: QueuedWork) -> bool:
        entry = Entry(work.file_id, work.storage)
        storages, refusals = await self._marks.find_own_storages([entry], self._references.fields())
        storage = storages.get(entry)
        if storage is None:
            unknown = StorageException("its storage is not known here, cannot be reached, or is another ledger's")
            await self._note_failure(work, refusals[0] if refusals else unknown)
            return False
        if not isinstance(storage, MirroredCore) or work.mark not in _marks_of(storage):
            await self._note_unknown(work, storage)
            return False
        lease = _Lease(self._connections, work, self._lease)
        try:
            async with beside(lease.keep(), "FileLedger: a copy under way"):
                with lease.deadline.bounding():
                    await _bring_up(storage, _marks_of(storage).index(work.mark), work.file_id)
        except Exception as error:  # noqa: BLE001 - a storage may raise anything, and the others are to be copied
            await self._note_failure(lease.work, error)
            return False
        await self._connections.main.run(work_queue.drop, lease.work)
        reached(CopyStep.FORGOTTEN)
        return True

    async def _note_failure(self, work: QueuedWork, error: Exception) -> None:
        pause = min(max(_FIRST_PAUSE, work.tried_for), _LONGEST_PAUSE)
        logger.warning(
            "%r could not be copied into a mirror: %s (%s); it is tried again in %.0f s",
            work.file_id,
            error,
            type(error).__name__,
            pause,
        )
        await self._connections.main.run(work_queue.postpone, work, pause)

    async def _note_unknown(self, work: QueuedWork, storage: Storage) -> None:
        """Postpone a copy for a mirror that the storage does not have here. Give it up after a day.

        Another process of the deployment has queued it, and may have newer code.
        """
        if work.tried_for < _UNKNOWN_FOR:
            await self._note_failure(work, StorageException(f"{storage!r} has no such mirror"))
            return
        with Operation("give_up", storage.scheme, storage.bucket):
            logger.warning("%r has no such mirror: the copy of %r is given up", storage, work.file_id)
        await self._connections.main.run(work_queue.drop, work)


class _Lease:
    """The lease of a copy. It is renewed while the copy is being made.

    Attributes:
        work: The copy, with its present lease.
        deadline: The end of the lease. A process that has stood still for longer sends no request after it.
    """

    def __init__(self, connections: Connections, work: QueuedWork, seconds: float) -> None:
        self.work = work
        self.deadline = Deadline(seconds)
        self._connections = connections
        self._seconds = seconds

    async def keep(self) -> None:
        """Renew the lease, until the task is cancelled or another worker has the copy."""
        renewed: QueuedWork | None = self.work
        while renewed is not None:
            await pause(self._seconds / 3)
            try:
                renewed = await self._connections.main.run(work_queue.postpone, self.work, self._seconds)
            except (SQLAlchemyError, StorageException) as error:  # the next attempt may be in time
                logger.warning("the lease of a copy could not be renewed: %r", error)
                continue
            if renewed is not None:
                self.work = renewed
                self.deadline.renew(self._seconds)


async def _bring_up(storage: MirroredCore, mirror: int, file_id: str) -> None:
    """Update a file and its variants in a mirror from the primary. Files that the primary no longer has are deleted."""
    declared: list[Recipes] = [*variants_declared_for(storage, file_id)]
    is_there = await storage.mirror_file(file_id, mirror)
    reached(CopyStep.MADE)
    for variant in await find_variants(storage, file_id, declared) if declared else ():
        await storage.mirror_file(variant, mirror)
    if declared and not (is_there and await storage.primary.exists(file_id)):
        await delete_orphans(storage.mirrors[mirror], file_id, declared)
