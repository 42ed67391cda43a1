"""The worker's part in variants: it makes the variants that sessions have queued."""

import logging

from sqlalchemy import Connection, Table

from async_storages._tasks import map_bounded
from async_storages.backends.mirrored.later import mirrored_later
from async_storages.errors import InvalidFileTypeException, StorageException
from async_storages.events import Operation
from async_storages.imaging.pool import ImagePool
from async_storages.integrations.sqlalchemy.columns.declared_variants import recipes_made_at
from async_storages.integrations.sqlalchemy.columns.fields import FileField
from async_storages.integrations.sqlalchemy.ledger import work_queue
from async_storages.integrations.sqlalchemy.ledger.connections import Connections
from async_storages.integrations.sqlalchemy.ledger.entries import Entry
from async_storages.integrations.sqlalchemy.ledger.mirroring import copies_of
from async_storages.integrations.sqlalchemy.ledger.references import References
from async_storages.integrations.sqlalchemy.ledger.storage_marks import StorageMarks
from async_storages.integrations.sqlalchemy.ledger.tables import State, name_of
from async_storages.integrations.sqlalchemy.ledger.work_queue import QueuedWork
from async_storages.storage.base import Storage
from async_storages.variants.making import AT_ONCE, shared_pool
from async_storages.variants.missing import make_missing

__all__ = ["VariantMaking", "mark_of"]

logger = logging.getLogger("async_storages")

_FIRST_PAUSE = 30.0
"""Seconds before the second attempt. Each later pause is as long as the whole time before it."""

_TRIED_FOR = 86_400.0
"""Seconds after the first attempt, after which the next attempt is the last."""


def mark_of(field: FileField) -> str:
    """Return the mark of a column in the queue."""
    return work_queue.digest(*name_of(field))


class VariantMaking:
    """Makes the variants that sessions have queued. Any number of workers may do so at once.

    Args:
        connections: The ledger's connections.
        references: The columns that may name files.
        marks: The marks that identify the ledger's storages.
        lease: Seconds after which another worker takes over unfinished work.
        pool: Makes the images. None uses the shared pool.
    """

    def __init__(
        self,
        connections: Connections,
        references: References,
        marks: StorageMarks,
        *,
        lease: float,
        pool: ImagePool | None,
    ) -> None:
        self._connections = connections
        self._references = references
        self._marks = marks
        self._lease = lease
        self._pool = pool

    async def run(self) -> int:
        """Make all variants that are due now, and return their number.

        It logs a failure. Later calls try again, at growing intervals for a day, and then give up. They also give up
        variants of a column that this process does not know, or that no longer has such a recipe.
        """
        count = 0
        while queued := await self._take():
            count += await self._make_all(queued)
        return count

    async def _take(self) -> list[QueuedWork]:
        if not await self._connections.reading.run(work_queue.has_due, State.WANTED):
            return []
        return await self._connections.main.run(work_queue.lease, State.WANTED, AT_ONCE, self._lease)

    async def _make_all(self, queued: list[QueuedWork]) -> int:
        columns = {mark_of(field): field for field in self._references.fields()}
        entries = {each: Entry(each.file_id, each.storage) for each in queued}
        storages, refusals = await self._marks.find_own_storages({*entries.values()}, columns.values())
        for refusal in refusals:
            logger.warning("variants in a storage are not made: %s", refusal)
        named = await self._connections.reading.run(self._find_named, [each.file_id for each in queued])

        async def make(each: QueuedWork) -> int:
            if each.file_id not in named:  # its row has gone meanwhile
                await self._connections.main.run(work_queue.drop, each)
                return 0
            return await self._make(each, columns.get(each.mark), storages.get(entries[each]))

        return sum(await map_bounded(make, queued, limit=AT_ONCE))

    def _find_named(self, connection: Connection, _table: Table, ids: list[str]) -> set[str]:
        return self._references.find_named(connection, ids)

    async def _make(self, queued: QueuedWork, field: FileField | None, storage: Storage | None) -> int:
        recipes = {} if field is None else recipes_made_at(field.type, "worker")
        if field is None or storage is None or not recipes:
            unknown = StorageException("its column, recipes or storage are not known here, or another ledger's")
            await self._note_failure(queued, storage, unknown)
            return 0
        options = field.type.upload_options
        try:
            with Operation("make_variants", storage.scheme, storage.bucket), mirrored_later():
                pool = self._pool or shared_pool()
                made = await make_missing(storage, queued.file_id, recipes, pool, options=options)
        except Exception as error:  # noqa: BLE001 - a storage may raise anything, and the others are to be made
            await self._note_failure(queued, storage, error)
            return 0
        await self._connections.main.run(_finish, queued, copies_of(storage, queued.file_id, queued.storage))
        return len(made)

    async def _note_failure(self, queued: QueuedWork, storage: Storage | None, error: Exception) -> None:
        said = f"the variants of {queued.file_id!r} could not be made: {error} ({type(error).__name__})"
        if isinstance(error, InvalidFileTypeException) or queued.tried_for >= _TRIED_FOR:
            with Operation("give_up", *((storage.scheme, storage.bucket) if storage else ("unknown", None))):
                logger.warning("%s; they are given up", said)
            await self._connections.main.run(work_queue.drop, queued)
            return
        pause = max(_FIRST_PAUSE, queued.tried_for)
        logger.warning("%s; they are tried again in %.0f s", said, pause)
        await self._connections.main.run(work_queue.postpone, queued, pause)


def _finish(connection: Connection, table: Table, queued: QueuedWork, copies: list[QueuedWork]) -> None:
    """Forget finished variants, and queue their copies together with those of the image."""
    work_queue.drop(connection, table, queued)
    work_queue.enqueue(connection, table, State.COPY, copies)
