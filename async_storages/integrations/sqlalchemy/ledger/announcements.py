"""Writing files whose entry is in the journal before they are."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Collection, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from async_storages._deadlines import Deadline
from async_storages._tasks import beside
from async_storages.errors import (
    AccessDeniedException,
    FileExistsException,
    FileGoneException,
    FileTooLargeException,
    InvalidArgumentException,
    InvalidFileTypeException,
    StorageException,
)
from async_storages.files import StoredFile
from async_storages.integrations.sqlalchemy.ledger import entries, journal
from async_storages.integrations.sqlalchemy.ledger.crash_points import Step, reached
from async_storages.integrations.sqlalchemy.ledger.databases import Databases
from async_storages.integrations.sqlalchemy.ledger.journal import Intent
from async_storages.storage import Storage

__all__ = ["Announced", "announced"]

logger = logging.getLogger("async_storages")

_REFUSALS = (
    AccessDeniedException,
    FileExistsException,
    FileTooLargeException,
    InvalidArgumentException,
    InvalidFileTypeException,
)
"""Errors after which nothing is written any more."""


class Announced:
    """Files that may be written now.

    Attributes:
        storages: Their ids as they are in the journal, and the labels of their storages.
    """

    def __init__(self, databases: Databases, intents: Mapping[Intent, Storage], grace: float) -> None:
        self.storages = {each.id: each.storage for each in intents}
        self._places = {each.id: storage for each, storage in intents.items() if not each.is_exact}
        self._databases = databases
        self._grace = grace
        self._unknown: set[str] = set()
        self._in_force = Deadline(grace)
        self._is_gone = False

    @property
    def settled(self) -> dict[str, str]:
        """Of `storages`, the files that are there or are not: a slow storage may still finish the others.

        Nobody shortens the grace of those: a worker looks for them when it is over.
        """
        return {file_id: label for file_id, label in self.storages.items() if file_id not in self._unknown}

    @contextmanager
    def writing(self, intent: Intent) -> Iterator[None]:
        """Note whether it is known how the block, which writes a file, has ended."""
        self._unknown.add(intent.id)
        try:
            yield
        except _REFUSALS:
            self._unknown.discard(intent.id)
            raise
        self._unknown.discard(intent.id)

    async def written(self, intent: Intent, stored: StoredFile) -> None:
        """Say that a file is there, and its id if the storage has chosen it.

        Raises:
            FileGoneException: The entry is gone: its `grace` was over.
        """
        reached(Step.OBJECT_WRITTEN)
        if not journal.is_unanswered(intent.id):
            return
        file_id = str(stored.storage.identify(stored.file_id))
        if not await self._databases.run_journal(journal.settle, self._databases.journal_table, intent.id, file_id):
            raise FileGoneException("the upload took longer than the ledger's grace", file_id=file_id)
        self.storages[file_id] = self.storages.pop(intent.id)
        self._places[file_id] = self._places.pop(intent.id)

    async def keep_in_force(self) -> None:
        """Renew the entries, for as long as this is awaited."""
        while True:
            await asyncio.sleep(self._grace / 3)
            try:
                await self._renew()
            except SQLAlchemyError as error:  # the next attempt may be in time
                logger.warning("the journal entries of uploads could not be renewed: %r", error)

    async def _renew(self) -> None:
        was_over, in_force = self._in_force.left <= 0, Deadline(self._grace)
        is_gone = await self._databases.run_journal(_renew, self._databases, list(self.storages), self._grace, was_over)
        self._in_force = in_force
        self._is_gone = self._is_gone or is_gone

    async def check_in_force(self) -> None:
        """See that no worker has given the uploads up, as it does when this process stands still beyond the grace.

        Raises:
            FileGoneException: One has: what was written since is removed.
        """
        if self._in_force.left <= 0:
            await self._renew()
        if not self._is_gone:
            return
        left = [Intent(*each) for each in self.storages.items()]
        await self._databases.run_journal(journal.leave, self._databases.journal_table, left, 0)
        for file_id, storage in self._places.items():  # not an exact key, which may be somebody else's by now
            if not journal.is_unanswered(file_id):
                with suppress(StorageException):  # else the next worker does it
                    await storage.delete(file_id)
        raise FileGoneException(
            "the upload stood still for longer than the ledger's grace, and was given up", file_id=left[0].id
        )


@asynccontextmanager
async def announced(databases: Databases, intents: Mapping[Intent, Storage], grace: float) -> AsyncGenerator[Announced]:
    """Put files into the journal, where they stay in force while the block runs, and for `grace` seconds after it.

    What the block writes and no transaction then claims is deleted by a worker, whatever happens to this process.

    Raises:
        FileExistsException: The ledger knows a file of an exact key: a worker that is about to delete that could delete
            the new one.
        FileGoneException: This process has stood still for longer than the grace.
    """
    files = Announced(databases, intents, grace)
    await databases.run_journal(_announce, databases, list(intents), grace)
    reached(Step.INTENT_WRITTEN)
    async with beside(files.keep_in_force(), "FileLedger: uploads under way"):
        yield files
        reached(Step.UPLOADED)
        await files.check_in_force()


def _renew(connection: Connection, databases: Databases, ids: Collection[str], grace: float, was_over: bool) -> bool:
    """Renew entries; returns whether a worker has given some of them up."""
    if journal.renew(connection, databases.journal_table, ids, grace) < len(ids):
        return True
    if not was_over:
        return False
    with databases.main_in(connection) as main:
        return bool(entries.known(main, databases.table, ids))


def _announce(connection: Connection, databases: Databases, intents: Iterable[Intent], grace: float) -> None:
    """Both in one transaction: a worker that forgets a file meanwhile forgets its own entry, or is seen."""
    journal.add(connection, databases.journal_table, intents, grace)
    exact = [each.id for each in intents if each.is_exact]
    if exact:
        with databases.main_in(connection) as main:
            for file_id in entries.known(main, databases.table, exact):
                raise FileExistsException("the ledger knows a file of this key", operation="upload", file_id=file_id)
