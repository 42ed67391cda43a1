"""Writing files whose entry is in the journal before they are."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from async_storages._tasks import beside
from async_storages.errors import FileExistsException, FileGoneException
from async_storages.files import StoredFile
from async_storages.integrations.sqlalchemy.ledger import entries, journal
from async_storages.integrations.sqlalchemy.ledger.databases import Databases
from async_storages.integrations.sqlalchemy.ledger.journal import Intent
from async_storages.integrations.sqlalchemy.ledger.steps import Step, reached

__all__ = ["Announced", "announced"]

logger = logging.getLogger("async_storages")


class Announced:
    """Files that may be written now.

    Attributes:
        storages: Their ids as they are in the journal, and the labels of their storages.
    """

    def __init__(self, databases: Databases, intents: Iterable[Intent], grace: float) -> None:
        self.storages = {each.id: each.storage for each in intents}
        self._databases = databases
        self._grace = grace

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

    async def keep_in_force(self) -> None:
        """Renew the entries, for as long as this is awaited."""
        while True:
            await asyncio.sleep(self._grace / 3)
            try:
                ids = list(self.storages)
                await self._databases.run_journal(journal.renew, self._databases.journal_table, ids, self._grace)
            except SQLAlchemyError as error:  # the next attempt may be in time
                logger.warning("the journal entries of uploads could not be renewed: %r", error)


@asynccontextmanager
async def announced(databases: Databases, intents: Iterable[Intent], grace: float) -> AsyncGenerator[Announced]:
    """Put files into the journal, where they stay in force while the block runs, and for `grace` seconds after it.

    What the block writes and no transaction then claims is deleted by a worker, whatever happens to this process.

    Raises:
        FileExistsException: The ledger knows a file of an exact key: a worker that is about to delete that could delete
            the new one.
    """
    chosen = list(intents)
    await databases.run_journal(_announce, databases, chosen, grace)
    reached(Step.INTENT_WRITTEN)
    files = Announced(databases, chosen, grace)
    async with beside(files.keep_in_force(), "FileLedger: uploads under way"):
        yield files
        reached(Step.UPLOADED)


def _announce(connection: Connection, databases: Databases, intents: Iterable[Intent], grace: float) -> None:
    """Both in one transaction: a worker that forgets a file meanwhile forgets its own entry, or is seen."""
    journal.add(connection, databases.journal_table, intents, grace)
    exact = [each.id for each in intents if each.is_exact]
    if exact:
        with databases.main_in(connection) as main:
            for file_id in entries.known(main, databases.table, exact):
                raise FileExistsException("the ledger knows a file of this key", operation="upload", file_id=file_id)
