"""The migration: it moves files from one storage to another, and changes their rows, while the application runs."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, inspect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from async_storages.errors import InvalidArgumentException
from async_storages.integrations.sqlalchemy.columns.fields import fields_of_table
from async_storages.integrations.sqlalchemy.ledger.file_ledger import FileLedger, metadata_of
from async_storages.integrations.sqlalchemy.ledger.references import References
from async_storages.integrations.sqlalchemy.migration import statistics
from async_storages.integrations.sqlalchemy.migration.copying import Copier
from async_storages.integrations.sqlalchemy.migration.finish import Finish, Finished
from async_storages.integrations.sqlalchemy.migration.moved_files import MovedFiles
from async_storages.integrations.sqlalchemy.migration.mover import Moved, Mover
from async_storages.integrations.sqlalchemy.migration.nginx_map import nginx_lines
from async_storages.integrations.sqlalchemy.migration.plan import Planned, plan_files
from async_storages.integrations.sqlalchemy.migration.rollback import RolledBack, roll_back
from async_storages.integrations.sqlalchemy.migration.route import KeyRule, Route
from async_storages.integrations.sqlalchemy.migration.rows import Rows
from async_storages.integrations.sqlalchemy.migration.statistics import MigrationStatus, MoveFailure
from async_storages.integrations.sqlalchemy.migration.swapping import Swaps
from async_storages.integrations.sqlalchemy.migration.tables import TABLE, add_move_table
from async_storages.integrations.sqlalchemy.migration.throttle import Throttle
from async_storages.integrations.sqlalchemy.migration.transactions import Transactions
from async_storages.integrations.sqlalchemy.migration.verification import Verified, verify_rows, verify_target
from async_storages.storage.base import Storage

__all__ = ["Migration"]

_LEDGER = "stored_files"
"""The default name of a ledger's table."""


class Migration:
    """Moves files from one storage to another, and changes the rows that name them, while the application runs.

    At every moment, also after a crash, each row names a readable file. A row names the copy of a file only after the
    migration has checked the copy. The old file stays until `finish`. Until then `rollback` can undo the whole
    migration. It works on PostgreSQL, MySQL, MariaDB and SQLite.

    Args:
        engine: The application's AsyncEngine.
        metadata: The metadata of the file columns, such as ``Base.metadata``, or several of them. The first one gets
            the table of moves. Every process that removes files must have this table in its metadata: see
            `add_move_table`.
        source: The storage that files leave. `within` can limit it to a folder.
        target: The storage that gets the files. It must have exact keys, so FastDFS cannot be the target.
        ledger: The application's `FileLedger`, if it has one.
        folder: The folder of the new keys. None keeps the folder of the old key. If the source is FastDFS, None means
            no folder.
        key: A function that replaces `folder`. It is called with a `MovingFile`, and returns a folder, with a slash at
            its end, or an exact key, which must be free.
        files_per_second: The largest number of files that the movers of this process begin per second.
        bytes_per_second: The largest number of bytes that they read per second, from the source and from copies they
            check.
        lease: How long a mover may take for a file. The files of a killed mover wait until this time is over.
        name: The name of the table of moves.

    Attributes:
        engine: The engine.
        source: The source.
        target: The target.
        ledger: The ledger; None if there is none.
        table: The table of moves.

    Raises:
        InvalidArgumentException: An option is wrong, the two storages have the same ids, or the ledger does not know
            the table.

    Example:
        >>> old, new = LocalStorage("old"), MemoryStorage()
        >>> migration = Migration(engine, Base.metadata, source=old, target=new, folder="documents")
        >>> await migration.create()
        >>> await migration.plan()
        >>> await migration.run()
    """

    def __init__(
        self,
        engine: AsyncEngine,
        metadata: Any,
        *,
        source: Storage,
        target: Storage,
        ledger: FileLedger | None = None,
        folder: str | None = None,
        key: KeyRule | None = None,
        files_per_second: float | None = None,
        bytes_per_second: float | None = None,
        lease: timedelta = timedelta(minutes=5),
        name: str = TABLE,
    ) -> None:
        chosen = metadata_of(metadata)
        if not chosen:
            raise InvalidArgumentException("a migration needs the metadata of the file columns", operation="migrate")
        if lease <= timedelta(0):
            raise InvalidArgumentException(f"the lease is above 0, not {lease}", operation="migrate")
        self.table = add_move_table(chosen[0], name)
        self.engine = engine
        self.source = source
        self.target = target
        self.ledger = ledger
        self._lease = lease.total_seconds()
        self._route = Route(source, target, folder, key)
        self._throttle = Throttle(files_per_second, bytes_per_second)
        self._transactions = Transactions(engine, self.table)
        self._rows = Rows(References(chosen, ()))
        self._rows.columns()  # their tables have primary keys
        self._swaps = Swaps(self.table, self._rows, self._route, ledger)
        names = {table for each in chosen for table in each.tables}
        self._names_of_ledgers = {_LEDGER, *(name for name in names if {f"{name}_journal", f"{name}_columns"} <= names)}
        self._may_run = asyncio.Event()
        self._may_run.set()
        self._stopped = asyncio.Event()
        if ledger is not None:
            for field in fields_of_table(self.table):
                ledger.claims.watch(field)  # which refuses a ledger that does not know the table

    def _check_ledger(self, connection: Connection) -> None:
        """Require the ledger if the database contains one."""
        if self.ledger is None:
            there = inspect(connection)
            for name in self._names_of_ledgers:
                if there.has_table(name, schema=self.table.schema):
                    raise InvalidArgumentException(
                        f"the files of this database are in a ledger, {name!r}: give it to the migration, `ledger=`, "
                        "so that its worker and the movers know of each other",
                        operation="migrate",
                    )

    async def create(self) -> None:
        """Create the table of moves if it is missing, and register it with the ledger. Call it also if you use Alembic.

        From then on, a worker of the ledger that does not know the table deletes nothing.

        Raises:
            InvalidArgumentException: The database contains a ledger, but the migration got none.
        """

        def make(connection: Connection) -> None:
            self._check_ledger(connection)
            self.table.create(connection, checkfirst=True)

        try:
            await self._transactions.read(make)
        except DBAPIError:  # another process has made it since we looked
            await self._transactions.read(make)
        if self.ledger is not None:
            await self.ledger.create()

    async def plan(
        self, *, retry: bool = False, dry_run: bool = False, on_progress: Callable[[Planned], object] | None = None
    ) -> Planned:
        """Enter into the table of moves each file of the source that a row names.

        Call it again as the application uploads further files.

        Args:
            retry: True also plans missing and failed files again.
            dry_run: True only counts the rows, and writes nothing.
            on_progress: Called with the result so far.

        Returns:
            The numbers of rows and of planned files.

        Raises:
            RouteNotSupportedException: A column names files of the source, but its storage does not serve ids of the
                target.
            SweepRefusedException: A table of file columns is not in the database, or hides rows from this role.
            InvalidArgumentException: The database contains a ledger, but the migration got none.
        """
        await self._transactions.read(self._check_ledger)
        done = Planned()
        steps = plan_files(self._transactions, self.table, self._rows, self._route, retry=retry, is_dry=dry_run)
        async with aclosing(steps):
            async for some in steps:
                done += some
                if on_progress is not None:
                    on_progress(done)
        return done

    async def run(
        self,
        *,
        concurrency: int = 8,
        limit: int | None = None,
        on_progress: Callable[[Moved], object] | None = None,
    ) -> Moved:
        """Move planned files until none is left.

        Any number of processes may run it at once. You may kill them at any moment.

        Args:
            concurrency: Files at once, at least 1.
            limit: The largest number of files, at least 1. None is no limit.
            on_progress: Called with the result so far, after each file.

        Returns:
            The numbers of files that this call has moved, and of files that it could not move.
        """
        if concurrency < 1 or (limit is not None and limit < 1):
            raise InvalidArgumentException("concurrency and limit are at least 1", operation="migrate")
        self._stopped.clear()
        mover = Mover(
            transactions=self._transactions,
            table=self.table,
            swaps=self._swaps,
            copier=Copier(self._route, self._throttle),
            throttle=self._throttle,
            may_go_on=self._may_go_on,
            stopped=self._stopped,
            lease=self._lease,
            concurrency=concurrency,
            limit=limit,
            on_progress=on_progress,
        )
        return await mover.run()

    async def _may_go_on(self) -> bool:
        await self._may_run.wait()
        return not self._stopped.is_set()

    def pause(self) -> None:
        """Let `run` begin no further file until `resume`. Files that it has begun are finished."""
        self._may_run.clear()

    def resume(self) -> None:
        """Let `run` continue after `pause`."""
        self._may_run.set()

    def stop(self) -> None:
        """Let `run` return when it has moved the files that it has begun."""
        self._stopped.set()
        self._may_run.set()

    async def status(self) -> MigrationStatus:
        """Return the numbers of files by state, the speed, and the remaining time."""
        return await self._transactions.read(statistics.collect, self.table)

    def failures(self) -> AsyncGenerator[MoveFailure]:
        """Yield the files that could not be moved, in the order of their ids. ``plan(retry=True)`` plans them again."""
        return statistics.list_failures(self._transactions, self.table)

    async def verify(
        self,
        *,
        content: bool = False,
        objects: bool = True,
        concurrency: int = 16,
        on_progress: Callable[[Verified], object] | None = None,
    ) -> Verified:
        """Compare each row with its file in the target, and each file there with the rows. It changes nothing.

        It reads rows and files in batches of some hundred, so that millions of them need little memory.

        Args:
            content: True reads the files, and compares their checksums with those of the old files.
            objects: True also lists the target, to find files that no row names.
            concurrency: Files that are checked at once, at least 1.
            on_progress: Called with the result so far.

        Returns:
            The numbers of rows and files, and the ids of files with problems.

        Raises:
            OperationNotSupportedException: The target cannot list its files.
        """
        done = Verified()
        steps = verify_rows(self._transactions, self._swaps, content=content, concurrency=concurrency)
        async with aclosing(steps):
            async for done in steps:
                if on_progress is not None:
                    on_progress(done)
        if objects:
            steps = verify_target(self._transactions, self._swaps, done)
            async with aclosing(steps):
                async for done in steps:
                    if on_progress is not None:
                        on_progress(done)
        return done

    def moved_files(self) -> MovedFiles:
        """Return a storage that replaces the source after the migration. It finds moved files by their old ids.

        Use it for old ids in texts and in other systems. A manager takes it like any other storage.
        """
        return MovedFiles(self.source, self.target, self._transactions, self.table)

    def nginx_map(self, prefix: str = "/") -> AsyncGenerator[str]:
        """Yield the lines of nginx's ``map $uri $moved { … }``: each has an old path, and the URL of the new file.

        Args:
            prefix: The beginning of the old paths, before the key. For FastDFS's nginx module it is ``"/"``.
        """
        return nginx_lines(self._transactions, self._swaps, prefix)

    async def rollback(
        self,
        ids: Iterable[str] | None = None,
        *,
        limit: int | None = None,
        concurrency: int = 8,
        on_progress: Callable[[RolledBack], object] | None = None,
    ) -> RolledBack:
        """Let rows name their old files again: all of them, or some. Stop `run` before you call it.

        Planned files stay planned. Files that the application has uploaded to the target stay there. If `finish` has
        deleted an old file, its copy stays there, too.

        Args:
            ids: Old or new ids. None takes all files.
            limit: The largest number of files. None is no limit.
            concurrency: Files at once, at least 1.
            on_progress: Called with the result so far.

        Returns:
            The numbers of files that were moved back, and of files that were not.
        """
        done = RolledBack()
        steps = roll_back(self._transactions, self._swaps, ids=ids, limit=limit, concurrency=concurrency)
        async with aclosing(steps):
            async for _, error in steps:
                done = RolledBack(done.undone + (error is None), done.failed + (error is not None))
                if on_progress is not None:
                    on_progress(done)
        return done

    async def finish(
        self,
        *,
        older_than: timedelta = timedelta(0),
        concurrency: int = 8,
        on_progress: Callable[[Finished], object] | None = None,
    ) -> Finished:
        """Delete the old files of moved files, and copies that no row names. You cannot undo it.

        It first searches the rows, and keeps files that a row names. With a ledger, the ledger's worker deletes the
        other files. Without one, this call deletes them. The entries of moved files stay as the map from old ids to new
        ones.

        Args:
            older_than: Only take files that were moved at least so long ago.
            concurrency: Deletions at once, at least 1.
            on_progress: Called with the result so far.

        Returns:
            The numbers of files that were deleted, kept, and not deletable now.

        Raises:
            SweepRefusedException: A table of file columns is not in the database, or hides rows from this role. Or the
                ledger's worker refuses to delete.
        """
        finish = Finish(
            self._transactions, self.table, self._swaps, older_than.total_seconds(), self._lease, concurrency
        )
        done, after = await finish.next("")
        while after is not None:
            if on_progress is not None:
                on_progress(done)
            some, after = await finish.next(after)
            done += some
        if self.ledger is not None:
            await self.ledger.drain()
        return done
