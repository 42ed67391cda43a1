"""The ledger: a table of files, in the database of the rows that name them, and a worker that deletes files."""

from collections.abc import AsyncGenerator, Collection, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, Unpack, overload

from sqlalchemy import MetaData
from sqlalchemy.exc import DBAPIError

from async_storages._tasks import beside
from async_storages.backends.mirrored.later import mirrored_later
from async_storages.content import Content, ContentOptions, PendingFile, as_content
from async_storages.errors import InvalidArgumentException, SweepRefusedException
from async_storages.files import StoredFile
from async_storages.imaging.pool import ImagePool
from async_storages.integrations.sqlalchemy.columns.tracked_file import TrackedFile
from async_storages.integrations.sqlalchemy.ledger import adoption, entries, journal, statistics
from async_storages.integrations.sqlalchemy.ledger.claims import Claims
from async_storages.integrations.sqlalchemy.ledger.connections import AnyEngine, Connections
from async_storages.integrations.sqlalchemy.ledger.deletion import Drained
from async_storages.integrations.sqlalchemy.ledger.journal import Intent
from async_storages.integrations.sqlalchemy.ledger.known_columns import KnownColumns
from async_storages.integrations.sqlalchemy.ledger.references import OtherReferences, References
from async_storages.integrations.sqlalchemy.ledger.statistics import LedgerStats
from async_storages.integrations.sqlalchemy.ledger.storage_lookup import find_storages
from async_storages.integrations.sqlalchemy.ledger.storage_marks import StorageMarks
from async_storages.integrations.sqlalchemy.ledger.tables import add_ledger_tables, columns_of
from async_storages.integrations.sqlalchemy.ledger.worker import Worker, run_forever
from async_storages.sources import Source, Upload, is_empty_input
from async_storages.storage.base import FileName, Storage
from async_storages.storage.operation import IdentifiedKey

__all__ = ["Drained", "FileLedger", "metadata_of"]


class FileLedger:
    """Keeps the promise that no committed row names a missing file, and that no file leaks, also through crashes.

    Give it to `enable_file_tracking`, and let one worker or many run beside the application: `run`, `running`, or
    `drain` and `sweep` called from a job queue. Works on PostgreSQL, and on SQLite in a file.

    Args:
        engine: The application's; its sessions are AsyncSessions for an AsyncEngine, plain ones for an Engine.
        metadata: The metadata of the file columns, such as ``Base.metadata``, or several; the ledger's tables join the
            first. None: those of all classes that are mapped in this process.
        name: The name of the ledger's table.
        grace: The time that a file may be there before a transaction names it; an upload under way has longer.
        retain: The time that a file stays after the last row that named it is gone: as far back as the database may be
            restored.
        lease: The time that a worker may take for the files it has condemned, before another one repeats it.
        references: Functions that are asked about ids which are kept elsewhere: each is called with a connection and
            ids, and returns (also as an awaitable) those that are in use.
        owner: A name for this database that its copies do not have, such as the name of the deployment; None for its
            address. See `take_ownership`.
        concurrency: Deletions, and copies for mirrors, at once, at least 1.
        wait: The time that a session waits for a transaction of the ledger's own, on a connection beside its own.
        image_pool: Makes the variants with ``when="worker"``; None for the shared one.

    Attributes:
        engine: The application's engine.
        table: The ledger's table.
        claims: The part of the ledger that sessions use.

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
        references: Iterable[OtherReferences] = (),
        owner: str | None = None,
        concurrency: int = 8,
        wait: timedelta = timedelta(seconds=30),
        image_pool: ImagePool | None = None,
    ) -> None:
        if min(grace, lease, wait) <= timedelta(0) or retain < timedelta(0) or concurrency < 1:
            raise InvalidArgumentException(
                "grace, lease and wait are above 0, retain is not below, concurrency at least 1"
            )
        chosen = metadata_of(metadata)
        self.engine = engine
        self.table = add_ledger_tables(chosen[0] if chosen else MetaData(), name)
        self._references = References(chosen, references, columns_of(self.table))
        self._connections = Connections(engine, self.table, wait.total_seconds())
        self._columns = KnownColumns(self._connections, self._references)
        self._marks = StorageMarks(self._connections, owner)
        keep = retain.total_seconds()
        parts = self._connections, self._references, self._columns, self._marks
        self._worker = Worker(
            *parts, lease=lease.total_seconds(), retain=keep, concurrency=concurrency, image_pool=image_pool
        )
        self.claims = Claims(*parts, grace=grace.total_seconds(), retain=keep)
        self.claims.watch_all()

    async def create(self) -> None:
        """Make the ledger's tables, as far as they are not there; where migrations are used, they do it.

        Processes that start at the same moment may all call it.
        """
        tables = [self.table, self._connections.journal.table, columns_of(self.table)]
        for tries_left in reversed(range(len(tables) + 1)):
            try:
                await self._connections.reading.run(
                    lambda connection, table: table.metadata.create_all(connection, tables=tables)
                )
                break
            except DBAPIError:  # another process made a table since we looked
                if not tries_left:
                    raise
        await self._columns.register()
        await self._worker.mark_storages()

    async def aclose(self) -> None:
        """Close the ledger's connections, as disposing of the engine does, and let go of the columns."""
        self.claims.unwatch_all()
        await self._connections.aclose()

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

        A file that `storage.save` has stored is known to the ledger from the flush on only: a crash before leaves it.
        """
        if is_empty_input(content):
            return None
        async with as_content(content, filename, options) as body:
            key = IdentifiedKey.fresh(storage, body.filename or "file", folder)
            intent = Intent.of(storage, key)
            async with await self.claims.announce({intent: storage}) as announcement:
                with mirrored_later():  # the row that names it queues the copies
                    stored = await storage._save_as(key, body)  # noqa: SLF001 - `save` with an announced key
                await announcement.record_written(intent, stored)
        return stored

    @asynccontextmanager
    async def announcing(self, storage: Storage, name: FileName) -> AsyncGenerator[None]:
        """Announce a file that the block writes under a fresh key; a worker deletes it as one of `save`.

        Args:
            storage: A storage with exact keys.
            name: The key.
        """
        async with await self.claims.announce({Intent.of(storage, name): storage}):
            with mirrored_later():  # the row that names it queues the copies
                yield

    async def claim_upload(self, storage: Storage, name: FileName, seconds: float) -> bool:
        """Claim an upload that is being attached, as `DirectUploads.attach` does; False if it is claimed already.

        When the time is over a worker deletes the upload, if there is one again.

        Args:
            storage: The storage that holds the upload.
            name: Its key.
            seconds: The time for which it could be attached.
        """
        return await self._connections.journal.run(journal.reserve, Intent.of(storage, name), seconds)

    async def release_upload(self, storage: Storage, name: FileName) -> None:
        """Undo one's own `claim_upload`: the upload was not attached after all."""
        await self._connections.journal.run(journal.drop, [str(storage.identify(name))])

    async def adopt(self, metadata: Any = None) -> int:
        """Adopt the files that rows name already, in bulk, without asking the storages; twice is once.

        Args:
            metadata: The metadata of the columns; None for those that the ledger was made with.

        Returns:
            The number of files that were adopted.
        """
        chosen = metadata_of(metadata)
        known = self._references if chosen is None else References(chosen, ())
        return await self._connections.main.run(adoption.adopt, known)

    async def pin(self, file: FileName, storage: Storage | None = None) -> None:
        """Let a file stay even if no row names it, until `unpin`.

        Args:
            file: A fusion id, or a file object.
            storage: Its storage, if the id does not tell.

        Raises:
            FileGoneException: It is being deleted, or is not there.
        """
        tracked = TrackedFile.of(_stored(file, storage))
        await self._connections.main.run(lambda connection, _: self.claims.claim(connection, {tracked: True}))

    async def unpin(self, file: FileName, storage: Storage | None = None) -> None:
        """Let a pinned file go when no row names it."""
        tracked = TrackedFile.of(_stored(file, storage))
        await self._connections.main.run(entries.unpin, tracked.file_id)

    async def find_named(self, files: Iterable[FileName]) -> set[str]:
        """Find the files, among some, that rows name now; nothing is changed.

        Args:
            files: Fusion ids, or file objects.

        Returns:
            Their fusion ids.

        Raises:
            SweepRefusedException: A table of file columns is missing, or another process writes files into a column
                that this one does not know.
        """
        ids = [str(each) for each in files]
        return await self._connections.reading.run(lambda connection, _: self._references.find_named(connection, ids))

    async def forget_columns(self, table: str, column: str | None = None) -> int:
        """Forget a column that names files no more: it was renamed or dropped, or its rows are gone for good.

        Every column that any process has ever written files into is known to the database, and a worker whose models
        lack one deletes nothing. One that this process still uses is known again at the next flush or pass.

        Args:
            table: Its table, with its schema if the models say one.
            column: Its name; None for all of the table.

        Returns:
            The number of columns that were forgotten.
        """
        return await self._columns.forget(table, column)

    async def stats(self) -> LedgerStats:
        """The numbers of files by state."""
        return await self._connections.reading.run(statistics.collect, self._connections.journal, self._references)

    # ---- the worker

    async def drain(self, *, wait: bool = False) -> Drained:
        """Delete the files that no row names any more, and make the copies that are due, in one pass.

        A worker makes one again and again.

        Args:
            wait: True to go on until no file is due: files that another worker has begun to delete are waited for, and
                taken over when its lease is over. Files that `grace` or `retain` keeps, and those that this call could
                not delete, are not waited for. It may be cancelled at any moment.

        Returns:
            The numbers of files that were deleted, kept after all, and could not be deleted.

        Raises:
            SweepRefusedException: A storage is not this ledger's, a table of file columns is missing, or another
                process writes files into a column that this one does not know.
        """
        drained = await self._worker.drain(wait=wait)
        await self._worker.mirror()
        return drained

    async def sweep(
        self,
        older_than: timedelta = timedelta(hours=24),
        *,
        force: bool = False,
        inventory: bool = False,
        prefix: str | None = None,
    ) -> int:
        """Doom files that no row names and no session has doomed: after raw SQL, cascades and bulk statements.

        It deletes nothing: `drain` does that, and asks the rows again before.

        Args:
            older_than: The time for which the ledger has known the file, at least; in an inventory, its age.
            force: True to doom more than ten files and a tenth of all.
            inventory: True to list the storages as well, for files that neither a row nor the ledger knows, as after
                the database was set back to an earlier day. Only keys that `save` and flushes generate count, in the
                folders of the columns.
            prefix: A prefix of keys, for the inventory to take all generated keys that begin so, in any folder: say it
                only where nobody else stores files.

        Returns:
            The number of files that were doomed.

        Raises:
            InvalidArgumentException: A prefix without an inventory.
            SweepRefusedException: A storage has the mark of another database, a table of file columns is missing,
                another process writes files into a column that this one does not know, or more than ten files and
                a tenth of all would be doomed.
        """
        return await self._worker.sweep(older_than, force=force, inventory=inventory, prefix=prefix)

    async def make_variants(self) -> int:
        """Make the variants with ``when="worker"`` that sessions have queued, as far as they are due.

        A failure is logged, and tried again by a later call, at growing intervals for a day; then the variants are
        given up, which is an event ``give_up``. So are at once those of what is no image, or is damaged.

        Returns:
            The number of variants that were made.

        Raises:
            SweepRefusedException: A table of file columns is missing, or another process writes files into a column
                that this one does not know.
        """
        return await self._worker.make_variants()

    async def mirror(self) -> int:
        """Make the copies that sessions have queued for mirrors (``queue=True``), as far as they are due.

        A failure is logged, and tried again by a later call, at growing intervals of a quarter of an hour at most, for
        as long as the mirror is away. `stats` tells how many copies wait, and for how long. Only a copy for a mirror
        that the storage does not have any more is given up, after a day, which is an event ``give_up``.

        Returns:
            The number of copies that were made, or found made.
        """
        return await self._worker.mirror()

    async def run(
        self,
        interval: timedelta = timedelta(seconds=30),
        *,
        sweep_every: timedelta | None = timedelta(days=1),
    ) -> None:
        """Drain, sweep now and then, make variants and copies, until the task is cancelled; what fails is tried again.

        Any number of workers may run on any number of machines, and be killed at any moment.

        Args:
            interval: The time between two passes.
            sweep_every: The time between two sweeps, the first of which is at the beginning; None for no sweeps.
        """

        async def delete() -> None:
            await self._worker.drain(wait=False)

        others = {"make_variants": self.make_variants, "mirror": self.mirror}
        await run_forever(delete, self.sweep, interval, sweep_every, **others)

    @asynccontextmanager
    async def running(
        self, interval: timedelta = timedelta(seconds=30), *, sweep_every: timedelta | None = timedelta(days=1)
    ) -> AsyncGenerator[Self]:
        """`run` beside the block, as in the lifespan of an application; it has ended when the block is left."""
        async with beside(self.run(interval, sweep_every=sweep_every), "FileLedger.run"):
            yield self

    async def take_ownership(self) -> None:
        """Make the files in the storages of all file columns this database's, and no other one's.

        For a database that was moved, or restored in the place of the lost one. Never for a copy beside it: each of
        them would delete files that the other one needs.
        """
        await self._marks.take_ownership(find_storages(self._references.fields()))

    async def check_ownership(self) -> dict[Storage, SweepRefusedException | None]:
        """The storages of all file columns, each with the reason for which nothing is deleted from it; None for none.

        Raises:
            StorageException: A storage cannot be asked.
        """
        return await self._marks.check_ownership(find_storages(self._references.fields()))


def metadata_of(given: Any) -> tuple[MetaData, ...] | None:
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
