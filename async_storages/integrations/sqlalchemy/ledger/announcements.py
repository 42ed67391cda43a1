"""Announcements: the journal contains files before they are written, and until a transaction ends."""

import asyncio
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

from sqlalchemy import Connection, Table
from sqlalchemy.exc import SQLAlchemyError

from async_storages._deadlines import Deadline
from async_storages._tasks import pause, wait_out
from async_storages.content import Content
from async_storages.errors import (
    AccessDeniedException,
    FileExistsException,
    FileGoneException,
    FileTooLargeException,
    ImageProcessingException,
    InvalidArgumentException,
    InvalidFileTypeException,
    StorageException,
)
from async_storages.files import StoredFile
from async_storages.integrations.sqlalchemy.columns.declared_variants import variants_declared_for
from async_storages.integrations.sqlalchemy.ledger import entries, journal
from async_storages.integrations.sqlalchemy.ledger.connections import Connections, LedgerTransactions
from async_storages.integrations.sqlalchemy.ledger.crash_points import Step, reached
from async_storages.integrations.sqlalchemy.ledger.journal import Intent
from async_storages.storage.base import Storage
from async_storages.variants.removal import delete_with_variants

__all__ = ["Announcement"]

logger = logging.getLogger("async_storages")

_REFUSALS = (
    AccessDeniedException,
    FileExistsException,
    FileTooLargeException,
    ImageProcessingException,
    InvalidArgumentException,
    InvalidFileTypeException,
)
"""Errors after which the storage certainly writes nothing any more."""


class Announcement:
    """Files in the journal. Their intents are in force while a block runs, and for `grace` seconds after it.

    The block begins while the journal is still being written. It waits for `committed` before it completes a file.

    A worker deletes the files that the block writes and no transaction then claims, even if this process crashes.

    Args:
        connections: The ledger's connections.
        intents: The files, and their storages.
        grace: Seconds.

    Attributes:
        storages: The ids of the files in the journal, and the labels of their storages.

    Raises:
        FileExistsException: The ledger knows a file with an exact key. A worker that deletes that file could delete the
            new one.
        FileGoneException: This process has stood still for longer than the grace.
    """

    _writing: asyncio.Task[None]

    def __init__(self, connections: Connections, intents: Mapping[Intent, Storage], grace: float) -> None:
        self.storages = {each.id: each.storage for each in intents}
        self._intents = list(intents)
        self._removable = {each.id: storage for each, storage in intents.items() if not each.is_exact}
        self._connections = connections
        self._grace = grace
        self._unknown: set[str] = set()
        self._in_force = Deadline(grace)
        self._is_gone = False
        self._first_renewal: asyncio.TimerHandle | None = None
        self._renewals: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._writing = asyncio.create_task(self._write(), name="FileLedger: intents")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            await self.settle()
            if error is None:
                self._writing.result()
                reached(Step.UPLOADED)
                if self._is_gone or self._in_force.left <= 0:
                    await self._require_in_force()
        finally:
            if self._first_renewal is not None:
                self._first_renewal.cancel()
            if self._renewals is not None:
                self._renewals.cancel()
                if (cancelled := await wait_out(self._renewals)) is not None:
                    raise cancelled

    async def committed(self) -> None:
        """Wait until the intents are committed.

        Raises:
            FileExistsException: The ledger knows a file with an exact key.
            StorageException: The journal could not be written.
        """
        reached(Step.END_HELD)
        await asyncio.shield(self._writing)

    async def allow(self, storage: Storage, content: Content) -> None:
        """Let a storage write content. It gets the end of the content when the intents are committed.

        A storage that chooses ids waits before the first byte, because its server may keep what is cut off.
        """
        if storage.chooses_ids:
            await self.committed()
        else:
            content.hold_end(self.committed)

    async def settle(self) -> None:
        """Wait until it is known if the intents are committed, even if the task is cancelled meanwhile."""
        cancelled = await wait_out(self._writing)
        if not self._writing.cancelled():
            self._writing.exception()  # retrieved, so that asyncio does not log it as forgotten
        if cancelled is not None:
            raise cancelled

    async def _write(self) -> None:
        uploads, entered = self._connections.journal, self._connections.reading
        await uploads.run_together(_announce, self._intents, self._grace, entered)
        reached(Step.INTENT_WRITTEN)
        self._first_renewal = asyncio.get_running_loop().call_later(self._grace / 3, self._begin_renewals)

    @property
    def decided(self) -> dict[str, str]:
        """The part of `storages` with a known outcome. A slow storage may still finish writing the others.

        The grace of the others stays as it is. A worker looks for them when it ends. Nothing was written if the intents
        could not be.
        """
        if self._writing.cancelled() or self._writing.exception() is not None:
            return {}
        return {file_id: label for file_id, label in self.storages.items() if file_id not in self._unknown}

    @contextmanager
    def writing(self, intent: Intent) -> Iterator[None]:
        """Record if the end of the block, which writes a file, is known."""
        self._unknown.add(intent.id)
        try:
            yield
        except _REFUSALS:
            self._unknown.discard(intent.id)
            raise
        self._unknown.discard(intent.id)

    async def record_written(self, intent: Intent, stored: StoredFile) -> None:
        """Record that a file exists, and its id if the storage has chosen it.

        Raises:
            FileGoneException: The intent is gone, because its `grace` ended.
        """
        reached(Step.OBJECT_WRITTEN)
        if not journal.is_unanswered(intent.id):
            return
        file_id = str(stored.storage.identify(stored.file_id))
        if not await self._connections.journal.run(journal.set_id, intent.id, file_id):
            raise FileGoneException("the upload took longer than the ledger's grace", file_id=file_id)
        self.storages[file_id] = self.storages.pop(intent.id)
        self._removable[file_id] = self._removable.pop(intent.id)

    def _begin_renewals(self) -> None:
        """Start the task that renews the intents. Most uploads end before it starts."""
        self._renewals = asyncio.create_task(self._keep_in_force(), name="FileLedger: uploads under way")

    async def _keep_in_force(self) -> None:
        """Renew the intents, until the task is cancelled."""
        while True:
            try:
                await self._renew()
            except SQLAlchemyError as error:  # the next attempt may be in time
                logger.warning("the intents of uploads could not be renewed: %r", error)
            await pause(self._grace / 3)

    async def _renew(self) -> None:
        was_over, in_force = self._in_force.left <= 0, Deadline(self._grace)
        is_gone = await self._connections.journal.run(
            _renew, self._connections.reading, list(self.storages), grace=self._grace, was_over=was_over
        )
        self._in_force = in_force
        self._is_gone = self._is_gone or is_gone

    async def _require_in_force(self) -> None:
        """Require that no worker has given up the uploads. That happens if this process stands still beyond the grace.

        Raises:
            FileGoneException: A worker has given one up. All files written since are removed.
        """
        if self._in_force.left <= 0:
            await self._renew()
        if not self._is_gone:
            return
        left = [Intent(*each) for each in self.storages.items()]
        await self._connections.journal.run(journal.expire, left)
        for file_id, storage in self._removable.items():  # not an exact key, which may be somebody else's by now
            if not journal.is_unanswered(file_id):
                with suppress(StorageException):  # else the next worker does it
                    await delete_with_variants(storage, file_id, variants_declared_for(storage, file_id))
        raise FileGoneException(
            "the upload stood still for longer than the ledger's grace, and was given up", file_id=left[0].id
        )


def _renew(
    connection: Connection,
    table: Table,
    entered: LedgerTransactions,
    ids: Collection[str],
    *,
    grace: float,
    was_over: bool,
) -> bool:
    """Renew intents. Return True if a worker has given up some of them."""
    if journal.renew(connection, table, ids, grace) < len(ids):
        return True
    if not was_over:
        return False
    with entered.within(connection) as main:
        return bool(entries.find(main, entered.table, ids))


def _announce(
    connection: Connection, table: Table, intents: Sequence[Intent], grace: float, entered: LedgerTransactions
) -> None:
    """Announce and check in one transaction: a worker that forgets a file now drops its own intent, or is noticed."""
    journal.announce(connection, table, intents, grace)
    reached(Step.INTENT_SENT)
    exact = [each.id for each in intents if each.is_exact]
    if exact:
        with entered.within(connection) as main:
            for file_id in entries.find(main, entered.table, exact):
                raise FileExistsException("the ledger knows a file of this key", operation="upload", file_id=file_id)
