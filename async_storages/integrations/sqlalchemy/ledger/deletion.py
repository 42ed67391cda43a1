"""Deletion of due files in batches: condemn them, delete them from their storages, forget them."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from async_storages._deadlines import Deadline
from async_storages._tasks import map_bounded
from async_storages.errors import FileNotFoundException, SweepRefusedException
from async_storages.events import Operation
from async_storages.integrations.sqlalchemy.columns.declared_variants import variants_declared_for
from async_storages.integrations.sqlalchemy.ledger import deletion_decisions, journal
from async_storages.integrations.sqlalchemy.ledger.connections import Connections
from async_storages.integrations.sqlalchemy.ledger.crash_points import Step, reached
from async_storages.integrations.sqlalchemy.ledger.deletion_decisions import Condemned, Position
from async_storages.integrations.sqlalchemy.ledger.entries import Entry
from async_storages.integrations.sqlalchemy.ledger.journal import BATCH
from async_storages.integrations.sqlalchemy.ledger.mirroring import delete_orphans_in_mirrors
from async_storages.integrations.sqlalchemy.ledger.references import References
from async_storages.integrations.sqlalchemy.ledger.storage_marks import StorageMarks
from async_storages.storage.base import Storage
from async_storages.variants.removal import Recipes, delete_with_variants

__all__ = ["Deletion", "Drained"]

logger = logging.getLogger("async_storages")


@dataclass(frozen=True, slots=True)
class Drained:
    """The result of a pass of the worker.

    Attributes:
        deleted: The number of files that it deleted.
        kept: The number of doomed files that stay, because a row names them.
        failed: The number of files that it could not delete now. A worker tries again after the lease.
    """

    deleted: int = 0
    kept: int = 0
    failed: int = 0

    def __add__(self, other: "Drained") -> "Drained":
        return Drained(self.deleted + other.deleted, self.kept + other.kept, self.failed + other.failed)


class Deletion:
    """The deletion of the files of one ledger.

    Args:
        connections: The ledger's connections.
        references: The columns that may name files.
        marks: The marks that identify the ledger's storages.
        lease: Seconds after which another worker takes over unfinished work.
        retain: Seconds that a file stays after the last row that named it is gone.
        concurrency: Deletions at once, at least 1.
    """

    def __init__(
        self,
        connections: Connections,
        references: References,
        marks: StorageMarks,
        *,
        lease: float,
        retain: float,
        concurrency: int,
    ) -> None:
        self._connections = connections
        self._references = references
        self._marks = marks
        self._lease = lease
        self._retain = retain
        self._concurrency = concurrency

    async def run(self, failed: set[str]) -> Drained:
        """Delete all files that are due now.

        Args:
            failed: A set to which it adds the ids of files that it could not delete.

        Raises:
            SweepRefusedException: Some storages do not belong to this ledger. The files of the others are deleted.
        """
        main, reading, intents = self._connections.main, self._connections.reading, self._connections.journal
        if await intents.run(journal.has_expired):
            while await main.run(deletion_decisions.doom_expired, intents, self._lease, self._retain) == BATCH:
                continue
        if await reading.run(deletion_decisions.has_gone):
            while await main.run(deletion_decisions.forget_gone) == BATCH:
                continue
        total, refusals = Drained(), list[SweepRefusedException]()
        files, after = await self._find_due(None)
        while files:
            total += await self._delete_batch(files, refusals, failed)
            files, after = await self._find_due(after) if after else ([], None)
        if refusals:
            raise refusals[0]
        return total

    async def _find_due(self, after: Position | None) -> tuple[list[Entry], Position | None]:
        return await self._connections.reading.run(deletion_decisions.find_due, after, BATCH)

    async def is_busy(self, failed: set[str]) -> bool:
        """Return True if files are due, or another worker is deleting some. Files that failed here do not count."""
        has_expired = await self._connections.journal.run(journal.has_expired)
        return has_expired or await self._connections.reading.run(deletion_decisions.is_busy, failed)

    async def _delete_batch(
        self, files: list[Entry], refusals: list[SweepRefusedException], failed: set[str]
    ) -> Drained:
        main = self._connections.main
        storages, refused = await self._marks.find_own_storages(files, self._references.fields())
        refusals += refused
        unreachable = [file.id for file in files if file not in storages]
        if unreachable:
            await main.run(deletion_decisions.postpone, unreachable, self._lease)
        deadline = Deadline(self._lease / 2)
        condemned = await main.run(deletion_decisions.condemn, self._references, list(storages), self._lease)
        reached(Step.DELETING)
        deleted = await self._delete(condemned, storages, deadline)
        if condemned.kept:
            await self._connections.journal.run(journal.drop, condemned.kept)
        await self._forget(condemned, deleted)
        undone = {*unreachable, *(file.id for file in condemned.files)} - {*deleted}
        failed |= undone
        return Drained(len(deleted), len(condemned.kept), len(undone))

    async def _delete(self, condemned: Condemned, storages: Mapping[Entry, Storage], deadline: Deadline) -> list[str]:
        """Delete files before another worker may begin with them, even if this process stands still for a long time."""
        deleted: list[str] = []

        async def attempt(file: Entry) -> None:
            if deadline.left <= 0:
                raise TimeoutError
            if await _delete_file(storages[file], file.id):
                deleted.append(file.id)
                reached(Step.OBJECT_DELETED)

        try:
            async with asyncio.timeout(deadline.left):
                with deadline.bounding():
                    await map_bounded(attempt, condemned.files, limit=self._concurrency)
        except TimeoutError:
            logger.warning("deleting files took longer than half of the lease: the rest is left to the next worker")
        return deleted

    async def _forget(self, condemned: Condemned, deleted: Iterable[str]) -> None:
        ids = list(deleted)
        if ids:
            await self._connections.main.run(
                deletion_decisions.forget, self._connections.journal, condemned, ids, lease=self._lease
            )
            reached(Step.FORGOTTEN)


async def _delete_file(storage: Storage, file_id: str) -> bool:
    """Delete a file. If it may still exist, log the reason and return False."""
    try:
        declared: list[Recipes] = [*variants_declared_for(storage, file_id)]
        with suppress(FileNotFoundException), Operation("remove", storage.scheme, storage.bucket):
            await delete_with_variants(storage, file_id, declared)
        await delete_orphans_in_mirrors(storage, file_id, declared)
    except Exception as error:  # noqa: BLE001 - a storage may raise anything, and the other files are to be deleted
        logger.warning("%r, which nothing names, could not be deleted: %s (%s)", file_id, error, type(error).__name__)
        return False
    return True
