"""The finish: it deletes old files and copies that no row names."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, Table

from async_storages._deadlines import Deadline
from async_storages._tasks import map_bounded
from async_storages.errors import FileNotFoundException, StorageException
from async_storages.events import Operation
from async_storages.integrations.sqlalchemy.columns.declared_variants import variants_declared_for
from async_storages.integrations.sqlalchemy.columns.tracked_file import TrackedFile
from async_storages.integrations.sqlalchemy.migration import entries
from async_storages.integrations.sqlalchemy.migration.crash_points import MoveStep, reached
from async_storages.integrations.sqlalchemy.migration.entries import Entry
from async_storages.integrations.sqlalchemy.migration.swapping import Swaps
from async_storages.integrations.sqlalchemy.migration.tables import MoveState
from async_storages.integrations.sqlalchemy.migration.transactions import Transactions
from async_storages.registry import StorageAddress
from async_storages.storage.base import Storage
from async_storages.variants.removal import delete_with_variants

__all__ = ["Finish", "Finished"]

logger = logging.getLogger("async_storages")

_STATES = (
    *(MoveState.MOVED, MoveState.UNDONE, MoveState.GONE, MoveState.MISSING, MoveState.FAILED),
    *(MoveState.LEFT, MoveState.DELETING),
)


@dataclass(frozen=True, slots=True)
class Finished:
    """The progress and the result of `Migration.finish`.

    Attributes:
        deleted: The number of files that it deleted or passed to the ledger's worker.
        kept: The number of files that stay because rows name them. Call `plan` and `run` to move files that new rows
            name.
        failed: The number of files that could not be deleted now, or whose copy is missing: see the log.
    """

    deleted: int = 0
    kept: int = 0
    failed: int = 0

    def __add__(self, other: "Finished") -> "Finished":
        return Finished(self.deleted + other.deleted, self.kept + other.kept, self.failed + other.failed)


@dataclass(slots=True)
class _Batch:
    """Entries that one transaction has decided on.

    Attributes:
        deleted: The entries whose files are deleted now.
        kept: The number of files that stay.
        handed_over: The number of files that the ledger's worker deletes.
    """

    deleted: list[Entry] = field(default_factory=list)
    kept: int = 0
    handed_over: int = 0


@dataclass(frozen=True, slots=True)
class Finish:
    """The finish of one migration.

    Attributes:
        transactions: The migration's transactions.
        table: The table of moves.
        swaps: The migration's swaps, which know the rows and the ledger.
        older_than: The least number of seconds since a file was moved.
        lease: Seconds after which another process may take over the deletion.
        concurrency: Deletions at once.
    """

    transactions: Transactions
    table: Table
    swaps: Swaps
    older_than: float
    lease: float
    concurrency: int

    async def next(self, after: str) -> tuple[Finished, str | None]:
        """Finish some entries in the order of ids, after one. Return the id to continue from if there are more."""
        found = await self.transactions.read(
            entries.page, self.table, _STATES, after, entries.BATCH, older_than=self.older_than
        )
        if not found:
            return Finished(), None
        broken = await self._find_broken(found)
        sources = [each.source for each in found if each.source not in broken]
        deadline = Deadline(self.lease / 2)
        batch = await self.transactions.run(self._release, sources)
        reached(MoveStep.RELEASED)
        deleted = await self._delete(batch.deleted, deadline)
        if deleted:
            await self.transactions.run(self._forget, deleted)
        reached(MoveStep.FINISHED)
        failed = len(broken) + len(batch.deleted) - len(deleted)
        return Finished(len(deleted) + batch.handed_over, batch.kept, failed), found[-1].source

    async def _find_broken(self, found: Iterable[Entry]) -> set[str]:
        """Find the old ids of files whose copies are missing although rows name them. Their old files must stay."""
        by_target = {str(each.target): each.source for each in found if each.target is not None}
        named = await self.transactions.read(self.swaps.rows.named, list(by_target))
        broken = set[str]()

        async def look(target: str) -> None:
            try:
                await self.swaps.route.target.stat(target)
            except StorageException as error:
                logger.warning("%r stays: its copy, which rows name, is not to be had: %s", by_target[target], error)
                broken.add(by_target[target])

        await map_bounded(look, sorted(named), limit=self.concurrency)
        return broken

    def _release(self, connection: Connection, sources: Sequence[str]) -> _Batch:
        """Decide on entries. The ledger's worker, or else this process, deletes the files that no row needs."""
        locked = entries.lock_free(connection, self.table, sources, _STATES)
        named = self.swaps.rows.named(connection, [each.source for each in locked])
        batch = _Batch()
        gone, back, left_alone, settled = list[str](), list[str](), list[str](), list[Entry]()
        for each in locked:
            if each.source in named:
                batch.kept += each.state is not MoveState.LEFT
                if each.state in {MoveState.UNDONE, MoveState.LEFT}:
                    left_alone.append(each.source)
                elif each.state is MoveState.DELETING:
                    back.append(each.source)
            elif each.retained is None and each.state not in {MoveState.LEFT, MoveState.DELETING}:
                left_alone.append(each.source)  # it was never taken, so whoever named it has seen to its file
            else:
                batch.deleted.append(each)
                gone.append(each.source)
        entries.remove(connection, self.table, left_alone)
        entries.mark(connection, self.table, back, state=MoveState.MOVED)
        entries.mark(connection, self.table, gone, state=MoveState.DELETING, until=entries.in_seconds(self.lease))
        if self.swaps.ledger is not None:
            settled, batch.deleted = batch.deleted, []
            self.swaps.ledger.claims.doom(connection, [self._tracked(each) for each in settled])
            self._forget(connection, settled)
            batch.handed_over = len(settled)
        reached(MoveStep.RELEASING)
        return batch

    def _storage_of(self, entry: Entry) -> Storage:
        route = self.swaps.route
        return route.source if route.is_of_source(entry.source) else route.target

    def _tracked(self, entry: Entry) -> TrackedFile:
        storage = self._storage_of(entry)
        return TrackedFile(entry.source, StorageAddress.of(storage), storage.file(entry.source), storage)

    async def _delete(self, chosen: Sequence[Entry], deadline: Deadline) -> list[Entry]:
        deleted: list[Entry] = []

        async def attempt(entry: Entry) -> None:
            if deadline.left <= 0:  # another one may begin to delete it before this one has ended
                return
            storage = self._storage_of(entry)
            try:
                with Operation("remove", storage.scheme, storage.bucket), deadline.bounding():
                    await delete_with_variants(storage, entry.source, variants_declared_for(storage, entry.source))
            except FileNotFoundException:
                pass
            except Exception as error:  # noqa: BLE001 - a storage may raise anything, and the others are to be deleted
                logger.warning("%r could not be deleted: %s (%s)", entry.source, error, type(error).__name__)
                return
            deleted.append(entry)
            reached(MoveStep.OLD_DELETED)

        await map_bounded(attempt, chosen, limit=self.concurrency)
        return deleted

    def _forget(self, connection: Connection, deleted: Sequence[Entry]) -> None:
        """Keep the entries of moved files for the map, and remove the other entries."""
        moved = [each.source for each in deleted if each.target is not None]
        entries.mark(connection, self.table, moved, state=MoveState.FINISHED, retained=entries.NO_ID)
        entries.remove(connection, self.table, [each.source for each in deleted if each.target is None])
