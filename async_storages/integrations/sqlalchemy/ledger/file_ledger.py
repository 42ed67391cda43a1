"""Level 2: a table of files, in the database of the rows that name them, and the worker that deletes."""

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, Collection, Iterable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import batched, count
from types import TracebackType
from typing import Any, Self, Unpack, overload

from sqlalchemy import MetaData

from async_storages._deadlines import Deadline
from async_storages._tasks import beside, map_bounded
from async_storages.content import Content, ContentOptions, PendingFile, as_content
from async_storages.errors import (
    FileNotFoundException,
    InvalidArgumentException,
    StorageException,
    SweepRefusedException,
)
from async_storages.events import Operation
from async_storages.files import StoredFile
from async_storages.integrations.sqlalchemy.columns.tracked_file import TrackedFile
from async_storages.integrations.sqlalchemy.ledger import (
    adoption,
    entries,
    inventory,
    journal,
    statistics,
    storage_lookup,
    sweeping,
    worker,
)
from async_storages.integrations.sqlalchemy.ledger.claims import Claims
from async_storages.integrations.sqlalchemy.ledger.crash_points import Step, reached
from async_storages.integrations.sqlalchemy.ledger.databases import AnyEngine, Databases
from async_storages.integrations.sqlalchemy.ledger.journal import BATCH, Intent
from async_storages.integrations.sqlalchemy.ledger.known_columns import KnownColumns
from async_storages.integrations.sqlalchemy.ledger.references import Reference, References
from async_storages.integrations.sqlalchemy.ledger.statistics import LedgerStats
from async_storages.integrations.sqlalchemy.ledger.storage_marks import Owners
from async_storages.integrations.sqlalchemy.ledger.tables import add_ledger_tables, columns_of
from async_storages.naming import unique_key
from async_storages.registry import StorageRouter
from async_storages.sources import Source, Upload, is_empty_input
from async_storages.storage import FileName, Storage

__all__ = ["Drained", "FileLedger"]

logger = logging.getLogger("async_storages")

_AT_A_TIME = 100
"""Files between which others get their turn."""

_MOST_SWEPT = 0.1
"""The part of all files that a sweep dooms without being forced to."""

_FEW = 10
"""So many it always dooms."""


@dataclass(frozen=True, slots=True)
class Drained:
    """What a pass of the worker did.

    Attributes:
        deleted: Files deleted.
        kept: Files that were to be deleted, and are named by a row.
        failed: Files that could not be deleted now; they are tried again after the lease.
    """

    deleted: int = 0
    kept: int = 0
    failed: int = 0

    def __add__(self, other: "Drained") -> "Drained":
        return Drained(self.deleted + other.deleted, self.kept + other.kept, self.failed + other.failed)


class FileLedger:
    """Keeps the promise that no committed row names a missing file, and that no file leaks, also through crashes.

    Give it to `enable_file_tracking`, and let one worker or many run beside the application: `run`, `running`, or
    `drain` and `sweep` called from a job queue. Works on PostgreSQL, and on SQLite in a file.

    Args:
        engine: The application's; its sessions are AsyncSessions for an AsyncEngine, plain ones for an Engine.
        metadata: Where the file columns are, such as ``Base.metadata``, or several; the ledger's tables join the first.
            None: those of all classes that are mapped in this process.
        name: The name of the ledger's table.
        grace: How long a file may be there before a transaction names it: uploads under way count as longer.
        retain: How long a file stays after the last row that named it is gone: as far back as the database may be
            restored.
        lease: How long a worker may take for the files it has condemned, before another one repeats it.
        references: Asked for ids that are kept elsewhere: each is called with a connection and ids, and returns (also
            as an awaitable) those that are in use.
        owner: A name for this database that its copies do not have, such as the name of the deployment; None for its
            address. See `take_ownership`.
        concurrency: Deletions at once, at least 1.
        wait: How long a session waits for a transaction of the ledger's own, on a connection beside its own.

    Attributes:
        table: The ledger's table.
        claims: What sessions use.

    Raises:
        InvalidArgumentException: An option out of its range, a column that cannot be looked into, or a database that
            is neither PostgreSQL nor a SQLite file.

    Example:
        >>> ledger = FileLedger(engine, Base.metadata)
        >>> sessions = enable_file_tracking(async_sessionmaker(engine), ledger=ledger)
        >>> async with ledger.running():
        ...     await serve()
    """

    def __init__(
        self,
        engine: AnyEngine,
        metadata: Any = None,
        *,
        name: str = "stored_files",
        grace: timedelta = timedelta(hours=1),
        retain: timedelta = timedelta(0),
        lease: timedelta = timedelta(minutes=5),
        references: Iterable[Reference] = (),
        owner: str | None = None,
        concurrency: int = 8,
        wait: timedelta = timedelta(seconds=30),
    ) -> None:
        if min(grace, lease, wait) <= timedelta(0) or retain < timedelta(0) or concurrency < 1:
            raise InvalidArgumentException(
                "grace, lease and wait are above 0, retain is not below, concurrency at least 1"
            )
        chosen = _metadata(metadata)
        self.table = add_ledger_tables(chosen[0] if chosen else MetaData(), name)
        self._references = References(chosen, references, columns_of(self.table))
        self._databases = Databases(engine, self.table, wait.total_seconds())
        self._columns = KnownColumns(self._databases, self._references)
        self._owners = Owners(self._databases, owner)
        self._retain = retain.total_seconds()
        self._lease = lease.total_seconds()
        self._concurrency = concurrency
        self._is_told = False
        self._malformed: set[str] = set()
        self.claims = Claims(
            self._databases,
            self._owners,
            self._references,
            self._columns,
            grace=grace.total_seconds(),
            retain=self._retain,
        )
        self.claims.watch_all()

    async def create(self) -> None:
        """Make the ledger's tables, as far as they are not there; where migrations are used, they do it."""
        tables = [self.table, self._databases.journal_table, columns_of(self.table)]
        await self._databases.plainly(lambda connection: self.table.metadata.create_all(connection, tables=tables))
        await self._columns.register()
        await self._mark()

    async def aclose(self) -> None:
        """Close the ledger's connections, as disposing of the engine does, and let go of the columns."""
        self.claims.forget_all()
        await self._databases.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    # ---- files

    @overload
    async def save(  # type: ignore[overload-overlap] # an upload is a source, too
        self,
        storage: Storage,
        content: Upload,
        filename: str | None = None,
        *,
        folder: str = "",
        **options: Unpack[ContentOptions],
    ) -> StoredFile | None: ...

    @overload
    async def save(
        self,
        storage: Storage,
        content: Source | PendingFile | Content,
        filename: str | None = None,
        *,
        folder: str = "",
        **options: Unpack[ContentOptions],
    ) -> StoredFile: ...

    async def save(
        self,
        storage: Storage,
        content: Source | PendingFile | Content,
        filename: str | None = None,
        *,
        folder: str = "",
        **options: Unpack[ContentOptions],
    ) -> StoredFile | None:
        """Store content as `Storage.save` does; a worker deletes it, unless a row names it within the `grace`.

        What `storage.save` has stored is known to the ledger from the flush on only: a crash before leaves it.
        """
        if is_empty_input(content):
            return None
        async with as_content(content, filename, options) as body:
            key = unique_key(body.filename or "file", folder)
            intent = storage_lookup.intent(storage, key)
            async with self.claims.announced([(storage, intent)]) as files:
                stored = await storage._save_as(key, body)  # noqa: SLF001 - what `save` does, when it is announced
                await files.written(intent, stored)
        return stored

    @asynccontextmanager
    async def announcing(self, storage: Storage, name: FileName) -> AsyncGenerator[None]:
        """Put a file that the block writes, under a fresh key, into the journal; a worker deletes it as one of `save`.

        Args:
            storage: A storage with exact keys.
            name: The key.
        """
        intent = Intent(str(storage.identify(name)), storage_lookup.label(storage))
        async with self.claims.announced([(storage, intent)]):
            yield

    async def claim_upload(self, storage: Storage, name: FileName, seconds: float) -> bool:
        """Note that an upload is being attached, as `DirectUploads.attach` does; False if that is noted.

        When the time is over a worker deletes the upload, if there is one again.

        Args:
            storage: Holds the upload.
            name: Its key.
            seconds: Until when it could be attached.
        """
        intent = Intent(str(storage.identify(name)), storage_lookup.label(storage))
        return await self._databases.run_journal(journal.claim, self._databases.journal_table, intent, seconds)

    async def release_upload(self, storage: Storage, name: FileName) -> None:
        """Undo one's own `claim_upload`: the upload was not attached after all."""
        await self._databases.run_journal(journal.drop, self._databases.journal_table, [str(storage.identify(name))])

    async def adopt(self, metadata: Any = None) -> int:
        """Take in the files that rows name already, in bulk; without asking the storages. Again changes nothing.

        Args:
            metadata: Where the columns are; None for those that the ledger was made with.

        Returns:
            How many files were taken in.
        """
        chosen = _metadata(metadata)
        known = self._references if chosen is None else References(chosen, ())
        return await self._databases.run(adoption.adopt, self.table, known)

    async def pin(self, file: FileName, storage: Storage | None = None) -> None:
        """Let a file stay although no row names it, until `unpin`.

        Args:
            file: A fusion id, or a file object.
            storage: Its storage, if the id does not tell.

        Raises:
            FileGoneException: It is being deleted, or is not there.
        """
        tracked = TrackedFile.of(_stored(file, storage))
        await self._databases.run(self.claims.claim, {tracked: True})

    async def unpin(self, file: FileName, storage: Storage | None = None) -> None:
        """Let a pinned file go when no row names it."""
        tracked = TrackedFile.of(_stored(file, storage))
        await self._databases.run(entries.unpin, self.table, tracked.file_id)

    async def forget_columns(self, table: str, column: str | None = None) -> int:
        """Say that a column names files no more: it was renamed or dropped, or its rows are gone for good.

        Every column that any process has ever written files into is known to the database, and a worker whose models
        lack one deletes nothing. One that this process still uses is known again at the next flush or pass.

        Args:
            table: Its table, with its schema if the models say one.
            column: Its name; None for all of the table.

        Returns:
            How many columns were forgotten.
        """
        return await self._columns.forget(table, column)

    async def stats(self) -> LedgerStats:
        """How many files there are in which state."""
        return await self._databases.plainly(statistics.collect, self._databases, self._references)

    # ---- the worker

    async def drain(self, *, wait: bool = False) -> Drained:
        """Delete the files that no row names any more, once: what a worker does again and again.

        Args:
            wait: Go on until nothing that is due is left: also what another worker has begun is waited for, and taken
                over when its lease is over. Not for what is kept by `grace` or `retain`, nor for what this call could
                not delete. It may be cancelled at any moment.

        Returns:
            How many were deleted, kept after all, and could not be deleted.

        Raises:
            SweepRefusedException: A storage is not this ledger's, a table of file columns is missing, or another
                process writes files into a column that this one does not know.
        """
        failed: set[str] = set()
        total = await self._pass(failed)
        for waited in count():
            if not (wait and await self._is_busy(failed)):
                return total
            await asyncio.sleep(random.uniform(0.5, 1) * min(1.0, 0.01 * 2 ** min(waited, 9)))  # noqa: S311 - no secret
            total += await self._pass(failed)
        raise AssertionError("count() does not end")

    async def _is_busy(self, failed: Collection[str]) -> bool:
        is_due = await self._databases.run_journal(journal.is_due, self._databases.journal_table)
        return is_due or await self._databases.plainly(worker.busy, self._databases, failed)

    async def _pass(self, failed: set[str]) -> Drained:
        """One pass; it adds the ids of files that could not be deleted."""
        await self._columns.register()
        await self._mark()
        await self._tell()
        if await self._databases.run_journal(journal.is_due, self._databases.journal_table):
            while await self._databases.run(worker.take_over, self._databases, self._lease, self._retain) == BATCH:
                continue
        if await self._databases.plainly(worker.is_to_bury, self.table):
            while await self._databases.run(worker.bury, self.table) == BATCH:
                continue
        total, refusals = Drained(), list[SweepRefusedException]()
        after: worker.Place | None = None
        while True:
            files, after = await self._databases.plainly(worker.due, self.table, after, BATCH)
            if files:
                total += await self._drain(files, refusals, failed)
            if after is None:
                break
        if refusals:
            raise refusals[0]
        return total

    async def _mark(self) -> None:
        """Leave a mark in the storages, as early as may be."""
        for storage in storage_lookup.of_columns(self._references.fields()):
            try:
                await self._owners.mark([storage])
            except StorageException as error:  # it is tried again
                logger.warning("a storage could not be marked as this ledger's: %s", error)

    async def _tell(self) -> None:
        """Say once which columns have no index."""
        if self._is_told:
            return
        for column in await self._databases.plainly(self._references.unindexed):
            logger.warning("%s has no index: its table is read whole for each file that may be deleted", column)
        await self._tell_malformed()
        self._is_told = True

    async def _tell_malformed(self) -> None:
        """Say once for each row what is no list: no file that its text names is deleted."""
        for value in await self._databases.plainly(self._references.malformed):
            if value not in self._malformed:
                logger.warning("%s is no JSON: the files that its text names stay. Repair it by hand", value)
                self._malformed.add(value)

    async def _drain(self, files: list[Intent], refusals: list[SweepRefusedException], failed: set[str]) -> Drained:
        places = await self._places(files, refusals)
        astray = [file.id for file in files if file not in places]
        if astray:
            await self._databases.run(worker.postpone, self.table, astray, self._lease)
        deadline = Deadline(self._lease / 2)
        condemned = await self._databases.run(worker.condemn, self.table, self._references, list(places), self._lease)
        reached(Step.DELETING)
        deleted = await self._delete(condemned, places, deadline)
        if condemned.kept:
            await self._databases.run_journal(journal.drop, self._databases.journal_table, condemned.kept)
        if deleted:
            await self._databases.run(worker.forget, self._databases, condemned, deleted, self._lease)
            reached(Step.FORGOTTEN)
        undone = {*astray, *(file.id for file in condemned.files)} - {*deleted}
        failed |= undone
        return Drained(len(deleted), len(condemned.kept), len(undone))

    async def _places(self, files: Iterable[Intent], refusals: list[SweepRefusedException]) -> dict[Intent, Storage]:
        """The storages of files that may be deleted from."""
        serving, places, refused = (
            storage_lookup.routers(self._references.fields()),
            dict[Intent, Storage](),
            set[Storage](),
        )
        for some in batched(files, _AT_A_TIME):
            found = {file: storage for file in some if (storage := _found(serving, file)) is not None}
            for storage in {*found.values()} - refused:
                try:
                    await self._owners.check([storage])
                except SweepRefusedException as refusal:
                    refusals.append(refusal)
                    refused.add(storage)
                except StorageException as error:
                    logger.warning("files cannot be deleted: %s", error)
                    refused.add(storage)
            places |= {file: storage for file, storage in found.items() if storage not in refused}
            await asyncio.sleep(0)
        return places

    async def _delete(
        self, condemned: worker.Condemned, places: Mapping[Intent, Storage], deadline: Deadline
    ) -> list[str]:
        """Delete files before another worker may begin to, whatever time this process stands still meanwhile."""
        deleted: list[str] = []

        async def attempt(file: Intent) -> None:
            if deadline.left <= 0:
                raise TimeoutError
            if await _deleted(places[file], file.id):
                deleted.append(file.id)
                reached(Step.OBJECT_DELETED)

        try:
            async with asyncio.timeout(deadline.left):
                with deadline.bounding():
                    await map_bounded(attempt, condemned.files, limit=self._concurrency)
        except TimeoutError:
            logger.warning("deleting files took longer than half of the lease: the rest is left to the next worker")
        return deleted

    async def sweep(
        self,
        older_than: timedelta = timedelta(hours=24),
        *,
        force: bool = False,
        inventory: bool = False,
        prefix: str | None = None,
    ) -> int:
        """Find files that no row names although nobody said so: after raw SQL, cascades and bulk statements.

        They are doomed, not deleted: `drain` does that, and looks again before.

        Args:
            older_than: How long ago the ledger has first known the file, at least; of an inventory, how long ago the
                file was written.
            force: Doom more than ten files and a tenth of all, too.
            inventory: List the storages as well, for files that neither a row nor the ledger knows, as after the
                database was set back to an earlier day. Only keys that `save` and flushes generate count, in the
                folders of the columns.
            prefix: The inventory takes all generated keys that begin so, in whatever folder: say it only where
                nobody else stores files.

        Returns:
            How many files were doomed.

        Raises:
            InvalidArgumentException: A prefix without an inventory.
            SweepRefusedException: A storage has the mark of another database, a table of file columns is missing,
                another process writes files into a column that this one does not know, or more than ten files and
                a tenth of all would be doomed.
        """
        if prefix is not None and not inventory:
            raise InvalidArgumentException("prefix= is for sweep(inventory=True)", operation="sweep")
        await self._columns.register()
        await self._owners.check(storage_lookup.of_columns(self._references.fields()))
        await self._tell_malformed()
        doomed = await self._sweep(self._unnamed(older_than), force=force)
        if inventory:
            doomed += await self._sweep(self._unknown(older_than, prefix), force=force)
        return doomed

    async def _sweep(self, batches: AsyncGenerator[list[Intent]], *, force: bool) -> int:
        """Doom files, none of them if they are too many."""
        live = await self._databases.plainly(sweeping.count_live, self.table)
        found: dict[str, str] = {}
        async with aclosing(batches):
            async for some in batches:
                found |= {file.id: file.storage for file in some}
                if len(found) > max(_FEW, live * _MOST_SWEPT) and not force:
                    raise SweepRefusedException(
                        f"{len(found)} files are named by no row, more than {_FEW} and a tenth of {live}; if that is "
                        "so, sweep with force=True",
                        operation="sweep",
                    )
        refusals: list[SweepRefusedException] = []
        places = await self._places([Intent(*file) for file in found.items()], refusals)
        if refusals:
            raise refusals[0]
        found = {file.id: file.storage for file in places}
        doomed = await self._databases.run(entries.doom, self.table, found, self._retain)
        reached(Step.SWEPT)
        return doomed

    async def _unnamed(self, older_than: timedelta) -> AsyncGenerator[list[Intent]]:
        after: str | None = ""
        while after is not None:
            some, after = await self._databases.plainly(
                sweeping.unnamed, self.table, self._references, older_than.total_seconds(), after
            )
            yield some

    async def _unknown(self, older_than: timedelta, prefix: str | None) -> AsyncGenerator[list[Intent]]:
        for scope in inventory.scopes(self._references.fields(), prefix):
            if prefix is None:
                await self._owners.check_alone(scope.storage)
            async with aclosing(inventory.listed(scope, older_than)) as batches:
                async for ids in batches:
                    unknown = await self._databases.plainly(inventory.unknown, self._databases, self._references, ids)
                    yield [Intent(each, storage_lookup.label(scope.storage)) for each in sorted(unknown)]

    async def run(
        self,
        interval: timedelta = timedelta(seconds=30),
        *,
        sweep_every: timedelta | None = timedelta(days=1),
    ) -> None:
        """Drain, and sweep now and then, until the task is cancelled; what fails is logged, and tried again.

        Any number of workers may run on any number of machines, and be killed at any moment.

        Args:
            interval: Between two passes.
            sweep_every: Between two sweeps, the first of which is at the beginning; None for no sweeps.
        """
        swept = float("-inf")
        while True:
            if sweep_every is not None and time.monotonic() - swept >= sweep_every.total_seconds():
                swept = time.monotonic()
                await _logged("sweep", self.sweep)
            await _logged("drain", self.drain)
            await asyncio.sleep(interval.total_seconds())

    @asynccontextmanager
    async def running(
        self, interval: timedelta = timedelta(seconds=30), *, sweep_every: timedelta | None = timedelta(days=1)
    ) -> AsyncGenerator[Self]:
        """`run` beside the block, as in the lifespan of an application; it has ended when the block is left."""
        async with beside(self.run(interval, sweep_every=sweep_every), "FileLedger.run"):
            yield self

    async def take_ownership(self) -> None:
        """Say that the files in the storages of all file columns are this database's, and no other one's.

        For a database that was moved, or restored in the place of the lost one. Never for a copy beside it: each of
        them would delete what the other one needs.
        """
        await self._owners.take_over(storage_lookup.of_columns(self._references.fields()))


def _found(serving: Iterable[StorageRouter], file: Intent) -> Storage | None:
    try:
        return storage_lookup.find(serving, file.id, file.storage)
    except StorageException as error:
        logger.warning("a file cannot be deleted: %s", error)
        return None


async def _deleted(storage: Storage, file_id: str) -> bool:
    try:
        with Operation("remove", storage.scheme, storage.bucket):
            await storage.delete(file_id)
    except FileNotFoundException:
        return True
    except Exception as error:  # noqa: BLE001 - a storage may raise anything, and the other files are to be deleted
        logger.warning("%r, which nothing names, could not be deleted: %s (%s)", file_id, error, type(error).__name__)
        return False
    return True


async def _logged(what: str, work: Any) -> None:
    try:
        await work()
    except Exception as error:  # noqa: BLE001 - drivers let errors of their own through, and the worker must go on
        logger.warning("the ledger could not %s: %s (%s)", what, error, type(error).__name__)


def _metadata(given: Any) -> tuple[MetaData, ...] | None:
    """One MetaData, a declarative base, or several of them."""
    if given is None:
        return None
    several = given if isinstance(given, Collection) and not isinstance(given, MetaData) else [given]
    found = [getattr(each, "metadata", each) for each in several]
    chosen = tuple(each for each in found if isinstance(each, MetaData))
    if not chosen or len(chosen) < len(found):
        raise InvalidArgumentException(f"metadata is a MetaData, or several, not {given!r}", operation="ledger")
    return chosen


def _stored(file: FileName, storage: Storage | None) -> StoredFile:
    if storage is not None:
        return storage.file(file)
    return file if isinstance(file, StoredFile) else StoredFile(file)
