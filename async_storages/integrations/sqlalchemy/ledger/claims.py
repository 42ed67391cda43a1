"""Claims: the part of a ledger that works in the transactions of sessions and of uploads."""

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection

from async_storages._tasks import map_bounded
from async_storages.backends.mirrored.core import MirroredCore
from async_storages.errors import FileGoneException, InvalidArgumentException
from async_storages.files import StoredFile, new_file_state_of
from async_storages.integrations.sqlalchemy import _greenlet
from async_storages.integrations.sqlalchemy.columns.declared_variants import recipes_made_at
from async_storages.integrations.sqlalchemy.columns.fields import FileField
from async_storages.integrations.sqlalchemy.columns.tracked_file import TrackedFile
from async_storages.integrations.sqlalchemy.ledger import entries, journal, storage_lookup, work_queue
from async_storages.integrations.sqlalchemy.ledger.announcements import Announcement
from async_storages.integrations.sqlalchemy.ledger.connections import Connections
from async_storages.integrations.sqlalchemy.ledger.crash_points import Step, reached
from async_storages.integrations.sqlalchemy.ledger.entries import Entry
from async_storages.integrations.sqlalchemy.ledger.journal import Intent
from async_storages.integrations.sqlalchemy.ledger.known_columns import KnownColumns
from async_storages.integrations.sqlalchemy.ledger.mirroring import copies_of
from async_storages.integrations.sqlalchemy.ledger.placement import Placement
from async_storages.integrations.sqlalchemy.ledger.references import References
from async_storages.integrations.sqlalchemy.ledger.storage_marks import StorageMarks
from async_storages.integrations.sqlalchemy.ledger.tables import State, label_of
from async_storages.integrations.sqlalchemy.ledger.variant_making import mark_of
from async_storages.integrations.sqlalchemy.ledger.work_queue import QueuedWork
from async_storages.registry import StorageAddress
from async_storages.storage.base import Storage

__all__ = ["Claims"]

_AT_ONCE = 8
_NONE: Mapping[str, Any] = MappingProxyType({})


class Claims:
    """The claims of sessions to files, and the announcements of their uploads.

    Args:
        connections: The ledger's connections.
        references: The file columns.
        columns: The columns that workers must know.
        marks: The ledger's marks in its storages.
        grace: Seconds that a file may exist before a transaction claims it.
        retain: Seconds that a file stays after the last row that named it is gone.
    """

    def __init__(
        self,
        connections: Connections,
        references: References,
        columns: KnownColumns,
        marks: StorageMarks,
        *,
        grace: float,
        retain: float,
    ) -> None:
        self._connections = connections
        self._marks = marks
        self._references = references
        self._columns = columns
        self._placement = Placement(connections)
        self._grace = grace
        self._retain = retain

    # ---- uploads

    async def announce(self, intents: Mapping[Intent, Storage]) -> Announcement:
        """Mark the storages that have no mark yet, and return an announcement for the caller's ``async with``.

        On SQLite it marks no storage, because the uploading session may hold the write lock.
        """
        if not self._connections.is_sqlite:
            await self._marks.mark(intents.values())
        return Announcement(self._connections, intents, self._grace)

    async def expire(self, files: Mapping[str, str]) -> None:
        """Let a worker look at files at once and search for rows that name them. Takes ids and labels of storages."""
        await self._connections.journal.run_together(journal.expire, _intents(files))
        reached(Step.INTENTS_EXPIRED)

    def expire_in_event(self, files: Mapping[str, str]) -> None:
        """Do what `expire` does, for a plain Session."""
        self._connections.journal.run_in_event(journal.expire, _intents(files))

    # ---- transactions

    def watch(self, field: FileField) -> None:
        """Take over the deletion of a column's files from `StoredFile.delete`: see `request_deletion`.

        Raises:
            InvalidArgumentException: The column is not in the ledger's metadata. The worker would not search it, and
                would delete the files that its rows name.
        """
        if not self._references.has(field.column):
            raise InvalidArgumentException(
                f"the ledger does not know the column {field.column}: give it the metadata of its table",
                operation="claim",
            )
        field.type.storage_ref.deletion_policy = self  # all copies of the type share it

    def check(self, connection: Connection, fields: Iterable[FileField], options: Mapping[str, Any] = _NONE) -> None:
        """Require that workers will find the rows that a session writes: see `Placement.check`."""
        chosen = list(fields)
        self._placement.check(connection, dict.fromkeys(field.column.table for field in chosen), options)
        self._columns.register_written(connection, chosen)

    def claim(
        self, connection: Connection, files: Mapping[TrackedFile, bool], announced: Collection[str] = ()
    ) -> dict[str, str]:
        """Let rows name files, from the flush until the transaction ends. No worker deletes these files meanwhile.

        If mirrors leave their copies to the worker, this also queues the copies of new files.

        Args:
            connection: The session's connection.
            files: The files. True stands for those that stay when no row names them any more.
            announced: The ids of files that this process has announced.

        Returns:
            Ids and storages' labels of files that `Storage.save` has stored in this process. They are in the journal
            only from now on.

        Raises:
            FileGoneException: A file does not exist, or a worker is deleting it.
            InvalidArgumentException: Another storage has a file with the same id, or the id of a copy is too long for
                the queue.
        """
        by_id = {file.file_id: file for file in files}
        wanted = [Entry(file.file_id, label_of(file.storage), is_pinned) for file, is_pinned in files.items()]
        fresh = [each for each in wanted if each.id in announced and not each.is_pinned]
        table, intents = self._connections.main.table, self._connections.journal.table
        entered = entries.enter(connection, table, intents, fresh) if fresh else set[str]()
        others = [each for each in wanted if each.id not in entered]
        before, unknown = entries.claim(connection, table, others) if others else ([], set[str]())
        for entry in before:
            self._check_storage(by_id[entry.id], entry)
        live = {entry.id for entry in before if not entry.is_doomed}  # whoever entered them has queued their copies
        if mirrored := [file for file in files if isinstance(file.storage, MirroredCore) and file.file_id not in live]:
            self._queue_copies(connection, mirrored)
        if connection.dialect.name != "postgresql":  # there they have an intent
            unknown |= entered
        unseen = unknown - self._find_announced(connection, unknown) if unknown else unknown
        saved = {each: label_of(by_id[each].storage) for each in unseen if _is_new(by_id[each])}
        if saved:
            self._connections.journal.run_in_event(journal.announce, _intents(saved), self._grace)
        if unseen:  # a worker may have been faster with those that were saved, too
            asked = [by_id[each] for each in unseen]
            _greenlet.wait_anywhere(map_bounded(_require_existing, asked, limit=_AT_ONCE))
        reached(Step.CLAIMED)
        return saved

    def queue_variants(self, connection: Connection, files: Iterable[tuple[FileField, StoredFile]]) -> None:
        """Queue the variants that a worker will make of files that rows are about to name. A rollback removes them.

        Raises:
            InvalidArgumentException: An id is too long for the queue.
        """
        chosen = [(field, TrackedFile.of(stored)) for field, stored in files if recipes_made_at(field.type, "worker")]
        if chosen:
            queued = [
                QueuedWork(State.WANTED, file.file_id, label_of(file.storage), mark_of(field)) for field, file in chosen
            ]
            work_queue.enqueue(connection, self._connections.main.table, State.WANTED, queued)

    def _queue_copies(self, connection: Connection, files: Iterable[TrackedFile]) -> None:
        copies = [copy for file in files for copy in copies_of(file.storage, file.file_id, label_of(file.storage))]
        work_queue.enqueue(connection, self._connections.main.table, State.COPY, copies)

    def _find_announced(self, connection: Connection, ids: set[str]) -> set[str]:
        """Find the ids that are in the journal. On PostgreSQL the transaction removes them from it.

        At REPEATABLE READ, MariaDB refuses to lock rows that are newer than the transaction. It also locks gaps, so
        that other uploads would wait.
        """
        found = set[str]()
        if ids and not (self._connections.is_sqlite or self._connections.is_mysql):
            found = journal.take(connection, self._connections.journal.table, ids)
        if rest := ids - found:  # a transaction with an old snapshot does not see them
            found |= self._connections.reading_journal.run_in_event(journal.find, rest)
        return found

    def _check_storage(self, file: TrackedFile, entry: Entry) -> None:
        """Refuse a file if the ledger knows its id in another storage."""
        if entry.storage == label_of(file.storage) or file.address is None:
            return
        routers = storage_lookup.find_routers(self._references.fields())
        theirs = storage_lookup.find_storage(routers, entry.id, entry.storage)
        if StorageAddress.of(theirs) != file.address:
            raise InvalidArgumentException(
                f"the ledger knows this id as that of a file in {theirs!r}: two storages can hold files of one id "
                "only under keys that `save` generates",
                operation="claim",
                file_id=entry.id,
            )

    def doom(self, connection: Connection, files: Collection[TrackedFile]) -> None:
        """Let a worker delete files, if the transaction is committed and no other row names them."""
        if files:
            labels: dict[StorageAddress | None, str] = {}
            chosen: dict[str, str] = {}
            for file in _greenlet.pace(files):
                if file.address not in labels:
                    labels[file.address] = label_of(file.storage)
                chosen[file.file_id] = labels[file.address]
            entries.doom(connection, self._connections.main.table, chosen, self._retain)
            reached(Step.DOOMED)

    def watch_all(self) -> None:
        """Do the work of `watch` for all columns that are known now."""
        for field in self._references.fields():
            self.watch(field)

    def unwatch_all(self) -> None:
        """Undo `watch` for all columns."""
        for field in self._references.fields():
            if field.type.storage_ref.deletion_policy is self:
                field.type.storage_ref.deletion_policy = None

    async def request_deletion(self, stored: StoredFile) -> None:
        """Delete a file as soon as no row names it. `StoredFile.delete` calls this."""
        file = TrackedFile.of(stored)
        await self._connections.journal.run_together(journal.expire, [Intent(file.file_id, label_of(file.storage))])


def _is_new(file: TrackedFile) -> bool:
    fate = new_file_state_of(file.stored)
    return fate is not None and not fate.is_kept


def _intents(storages: Mapping[str, str]) -> list[Intent]:
    return [Intent(*each) for each in storages.items()]


async def _require_existing(file: TrackedFile) -> None:
    if not await file.stored.exists():
        raise FileGoneException("there is no such file", operation="claim", file_id=file.file_id)
