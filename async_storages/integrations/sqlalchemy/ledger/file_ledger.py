"""The ledger: a table of files in the database of the rows that name them, and a worker that deletes files."""

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
    """Keeps files and rows consistent, also through crashes: no committed row names a missing file, and no file leaks.

    Pass it to `enable_file_tracking`, and let one or more workers run beside the application. A worker is `run`,
    `running`, or a job queue that calls `drain` and `sweep`. The ledger works on PostgreSQL, MySQL and MariaDB, and on
    SQLite in a file.

    Args:
        engine: The application's engine. With an AsyncEngine use AsyncSessions, with an Engine plain Sessions.
        metadata: The metadata of the file columns, such as ``Base.metadata``, or several of them. The first one gets
            the ledger's tables. None uses the metadata of all classes that this process has mapped.
        name: The name of the ledger's table.
        grace: How long a file may exist before a transaction names it, above 0. The ledger extends this time while an
            upload goes on.
        retain: How long a file stays after the last row that named it is gone, 0 or more. If you may restore the
            database to an earlier moment, set it to the longest time that you may go back.
        lease: How long a worker may take for files it has condemned, above 0. Then another worker takes over.
        references: Functions that know ids which are stored elsewhere. The worker calls each function with a connection
            and ids. The function returns the ids that are in use, directly or as an awaitable.
        owner: A name for this database that none of its copies has, such as the name of the deployment. None uses its
            address. See `take_ownership`.
        concurrency: Deletions at once, and copies for mirrors at once, at least 1.
        wait: How long a session waits for one of the ledger's own transactions, above 0. These use another connection.
        image_pool: Makes the variants with ``when="worker"``. None uses the shared pool.

    Attributes:
        engine: The application's engine.
        table: The ledger's table.
        claims: The part of the ledger that sessions use.

    Raises:
        InvalidArgumentException: An option is out of its range, the ledger cannot search a column, or the database is
            not PostgreSQL, MySQL, MariaDB, or SQLite in a file.

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
        """Create the missing tables of the ledger. If you use Alembic, your migrations create them instead.

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
        """Close the ledger's connections, and stop watching the columns.

        If you dispose of the engine, that closes the connections, too.
        """
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
        """Store content as `Storage.save` does. A worker deletes the file unless a row names it within the `grace`.

        In contrast, the ledger knows a file of `storage.save` only from the flush on. A crash before the flush leaves
        that file in the storage.

        Args:
            storage: The storage that gets the file.
            content: The content, as for `Storage.save`.
            filename: The file's name. None uses the name of the content.
            folder: The folder of the key.
            **options: As for `Storage.save`.

        Returns:
            The stored file. None if a form was sent without a chosen file.
        """
        if is_empty_input(content):
            return None
        async with as_content(content, filename, options) as body:
            key = IdentifiedKey.fresh(storage, body.filename or "file", folder)
            intent = Intent.of(storage, key)
            async with await self.claims.announce({intent: storage}) as announcement:
                await announcement.allow(storage, body)
                with mirrored_later():  # the row that names it queues the copies
                    stored = await storage._save_as(key, body)  # noqa: SLF001 - `save` with an announced key
                await announcement.record_written(intent, stored)
        return stored

    @asynccontextmanager
    async def announcing(self, storage: Storage, name: FileName) -> AsyncGenerator[None]:
        """Announce a file that the block writes under a fresh key. A worker deletes it unless a row names it in time.

        Args:
            storage: A storage with exact keys.
            name: The key.
        """
        async with await self.claims.announce({Intent.of(storage, name): storage}) as announcement:
            await announcement.committed()
            with mirrored_later():  # the row that names it queues the copies
                yield

    async def claim_upload(self, storage: Storage, name: FileName, seconds: float) -> bool:
        """Claim a direct upload before you attach it, as `DirectUploads.attach` does.

        After `seconds` a worker deletes the file with this key, if one exists by then.

        Args:
            storage: The storage that holds the upload.
            name: Its key.
            seconds: The time for which a client can attach the upload.

        Returns:
            False if somebody else has claimed the upload already.
        """
        return await self._connections.journal.run(journal.reserve, Intent.of(storage, name), seconds)

    async def release_upload(self, storage: Storage, name: FileName) -> None:
        """Undo your own `claim_upload`, after you failed to attach the upload."""
        await self._connections.journal.run(journal.drop, [str(storage.identify(name))])

    async def adopt(self, metadata: Any = None) -> int:
        """Adopt the files that rows name already, without requests to the storages. You may call it again.

        Args:
            metadata: The metadata of the columns. None uses the metadata of this ledger.

        Returns:
            The number of files that the ledger did not know before.
        """
        chosen = metadata_of(metadata)
        known = self._references if chosen is None else References(chosen, ())
        return await self._connections.main.run(adoption.adopt, known)

    async def pin(self, file: FileName, storage: Storage | None = None) -> None:
        """Keep a file even if no row names it, until `unpin`.

        Args:
            file: A fusion id, or a file object.
            storage: The storage of the file, if the id alone does not identify it.

        Raises:
            FileGoneException: The file does not exist, or a worker is deleting it.
        """
        tracked = TrackedFile.of(_stored(file, storage))
        await self._connections.main.run(lambda connection, _: self.claims.claim(connection, {tracked: True}))

    async def unpin(self, file: FileName, storage: Storage | None = None) -> None:
        """End a `pin`. A worker then deletes the file when no row names it."""
        tracked = TrackedFile.of(_stored(file, storage))
        await self._connections.main.run(entries.unpin, tracked.file_id)

    async def find_named(self, files: Iterable[FileName]) -> set[str]:
        """Return the files, among these, that rows name now. It changes nothing.

        Args:
            files: Fusion ids, or file objects.

        Returns:
            The fusion ids of the named files.

        Raises:
            SweepRefusedException: A table of file columns is missing, or another process writes files into a column
                that this process does not know.
        """
        ids = [str(each) for each in files]
        return await self._connections.reading.run(lambda connection, _: self._references.find_named(connection, ids))

    async def forget_columns(self, table: str, column: str | None = None) -> int:
        """Forget a column that no longer names files: you renamed it, dropped it, or deleted its rows for good.

        The database knows every column into which any process has written files. A worker whose models lack such a
        column deletes nothing. If this process still uses the column, its next flush or pass registers the column
        again.

        Args:
            table: The column's table, with its schema if the models have one.
            column: The column's name. None forgets all columns of the table.

        Returns:
            The number of columns that the ledger has forgotten.
        """
        return await self._columns.forget(table, column)

    async def stats(self) -> LedgerStats:
        """Return the numbers of files by state."""
        return await self._connections.reading.run(statistics.collect, self._connections.journal, self._references)

    # ---- the worker

    async def drain(self, *, wait: bool = False) -> Drained:
        """Delete the due files that no row names any more, and make the copies for mirrors that are due.

        This is one pass. A worker repeats it. You may cancel it at any moment.

        Args:
            wait: True continues until no file is due. It waits for files that another worker is deleting, and takes
                them over when that worker's lease ends. It does not wait for files that `grace` or `retain` keeps, nor
                for files that this call could not delete.

        Returns:
            The numbers of files that were deleted, kept because a row names them, and not deletable now.

        Raises:
            SweepRefusedException: A storage belongs to another ledger, a table of file columns is missing, or another
                process writes files into a column that this process does not know.
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
        """Find unreferenced files that no session has noticed, for example after raw SQL, cascades or bulk statements.

        It deletes nothing, and only marks these files as doomed. `drain` deletes doomed files, after it has searched
        the rows again.

        Args:
            older_than: Ignore files that the ledger has known for a shorter time. In an inventory, ignore younger
                files.
            force: True dooms any number of files. False raises if there are more than ten of them, and more than a
                tenth of all files.
            inventory: True also lists the storages, for files that neither a row nor the ledger knows. Such files exist
                after you restored the database to an earlier day. The inventory only looks at keys that `save` and
                flushes generate, in the folders of the columns.
            prefix: A prefix of keys. The inventory then takes all generated keys with this prefix, in any folder. Use
                it only where no other application stores files.

        Returns:
            The number of files that it doomed.

        Raises:
            InvalidArgumentException: A prefix without an inventory.
            SweepRefusedException: A storage belongs to another ledger, a table of file columns is missing, another
                process writes files into a column that this process does not know, or more than ten files, and more
                than a tenth of all, are unreferenced.
        """
        return await self._worker.sweep(older_than, force=force, inventory=inventory, prefix=prefix)

    async def make_variants(self) -> int:
        """Make the variants with ``when="worker"`` that sessions have queued and that are due.

        It logs a failure. Later calls try again, at growing intervals for a day. Then the ledger gives up the variants
        and reports an event ``give_up``. It gives up at once if the file is no image, or is damaged.

        Returns:
            The number of variants that it made.

        Raises:
            SweepRefusedException: A table of file columns is missing, or another process writes files into a column
                that this process does not know.
        """
        return await self._worker.make_variants()

    async def mirror(self) -> int:
        """Make the copies for mirrors that sessions have queued (``queue=True``) and that are due.

        It logs a failure. Later calls try again, at growing intervals of at most a quarter of an hour, until the mirror
        is back. `stats` returns how many copies wait, and for how long. If the storage no longer has the mirror, the
        ledger gives up the copy after a day and reports an event ``give_up``.

        Returns:
            The number of copies that it made or found complete.
        """
        return await self._worker.mirror()

    async def run(
        self,
        interval: timedelta = timedelta(seconds=30),
        *,
        sweep_every: timedelta | None = timedelta(days=1),
    ) -> None:
        """Drain, sweep, and make variants and copies, until the task is cancelled. It repeats work that failed.

        Any number of workers may run on any number of machines. You may kill them at any moment.

        Args:
            interval: The time between two passes.
            sweep_every: The time between two sweeps. The first sweep is at the beginning. None disables sweeps.
        """

        async def delete() -> None:
            await self._worker.drain(wait=False)

        others = {"make_variants": self.make_variants, "mirror": self.mirror}
        await run_forever(delete, self.sweep, interval, sweep_every, **others)

    @asynccontextmanager
    async def running(
        self, interval: timedelta = timedelta(seconds=30), *, sweep_every: timedelta | None = timedelta(days=1)
    ) -> AsyncGenerator[Self]:
        """Do the work of `run` beside the block, for example in an application's lifespan. It ends with the block."""
        async with beside(self.run(interval, sweep_every=sweep_every), "FileLedger.run"):
            yield self

    async def take_ownership(self) -> None:
        """Make this database the owner of the files in the storages of all file columns.

        Call it after you moved the database, or restored it in place of a lost one. Never call it for a copy beside the
        original: each of the two would delete files that the other one needs.
        """
        await self._marks.take_ownership(find_storages(self._references.fields()))

    async def check_ownership(self) -> dict[Storage, SweepRefusedException | None]:
        """Check which storages of file columns belong to this ledger.

        Returns:
            Each storage with the reason why no worker deletes from it; None if the storage belongs to this ledger.

        Raises:
            StorageException: A storage does not answer.
        """
        return await self._marks.check_ownership(find_storages(self._references.fields()))


def metadata_of(given: Any) -> tuple[MetaData, ...] | None:
    """Return a list of the MetaData of a MetaData, a declarative base, or several of them."""
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
