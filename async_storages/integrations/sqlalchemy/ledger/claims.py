"""What sessions ask of a ledger."""

from collections.abc import AsyncGenerator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection

from async_storages._tasks import map_bounded
from async_storages.errors import FileGoneException, InvalidArgumentException
from async_storages.files import StoredFile, new_file_state_of
from async_storages.integrations.sqlalchemy import _greenlet
from async_storages.integrations.sqlalchemy.columns.fields import FileField
from async_storages.integrations.sqlalchemy.columns.tracked_file import TrackedFile
from async_storages.integrations.sqlalchemy.ledger import entries, journal, storage_lookup
from async_storages.integrations.sqlalchemy.ledger.announcements import Announced, announced
from async_storages.integrations.sqlalchemy.ledger.crash_points import Step, reached
from async_storages.integrations.sqlalchemy.ledger.databases import Databases
from async_storages.integrations.sqlalchemy.ledger.entries import Entry
from async_storages.integrations.sqlalchemy.ledger.journal import Intent
from async_storages.integrations.sqlalchemy.ledger.known_columns import KnownColumns
from async_storages.integrations.sqlalchemy.ledger.references import References
from async_storages.integrations.sqlalchemy.ledger.storage_marks import Owners
from async_storages.registry import StorageAddress
from async_storages.storage import Storage

__all__ = ["Claims", "label_of"]

_AT_ONCE = 8
_NONE: Mapping[str, Any] = MappingProxyType({})


class Claims:
    """The part of a ledger that works in the transactions of sessions, and in those of uploads.

    Args:
        databases: The ledger's tables.
        owners: Whose storages are.
        references: The columns of files.
        columns: Those that workers must know.
        grace: Seconds that a file may be there before a transaction claims it.
        retain: Seconds that a file stays after the last row that named it.
    """

    def __init__(
        self,
        databases: Databases,
        owners: Owners,
        references: References,
        columns: KnownColumns,
        *,
        grace: float,
        retain: float,
    ) -> None:
        self._databases = databases
        self._owners = owners
        self._references = references
        self._columns = columns
        self._grace = grace
        self._retain = retain

    # ---- uploads

    @asynccontextmanager
    async def announced(self, intents: Iterable[tuple[Storage, Intent]]) -> AsyncGenerator[Announced]:
        """See `uploads.announced`; storages that were never used are marked first, if the session lets anybody."""
        chosen = {intent: storage for storage, intent in intents}
        if not self._databases.is_sqlite:
            await self._owners.mark(chosen.values())
        async with announced(self._databases, chosen, self._grace) as files:
            yield files

    async def leave(self, files: Mapping[str, str]) -> None:
        """Leave files to the worker, who asks whether rows name them: ids and labels of storages."""
        await self._databases.run_journal(journal.leave, self._databases.journal_table, _intents(files), 0)
        reached(Step.INTENTS_EXPIRED)

    def leave_now(self, files: Mapping[str, str]) -> None:
        """`leave`, for a plain Session."""
        self._databases.call_journal(journal.leave, self._databases.journal_table, _intents(files), 0)

    # ---- transactions

    def watch(self, field: FileField) -> None:
        """Be told when a file of a column is to be deleted.

        Raises:
            InvalidArgumentException: The column is not in the ledger's metadata, so that the worker would not look
                into it, and would delete the files that its rows name.
        """
        if not self._references.knows(field.column):
            raise InvalidArgumentException(
                f"the ledger does not know the column {field.column}: give it the metadata of its table",
                operation="claim",
            )
        field.type._ref.deletion_policy = self  # noqa: SLF001 - the place that all copies of the type share

    def check(self, connection: Connection, fields: Iterable[FileField], options: Mapping[str, Any] = _NONE) -> None:
        """See that workers will find what a session writes into columns: see `Databases.check`."""
        chosen = list(fields)
        self._databases.check(connection, dict.fromkeys(field.column.table for field in chosen), options)
        self._columns.announce(connection, chosen)

    def claim(self, connection: Connection, files: Mapping[TrackedFile, bool]) -> dict[str, str]:
        """Let rows name files, from the flush until the transaction ends: none of them is deleted meanwhile.

        Args:
            connection: The session's.
            files: With each, whether it stays when no row names it any more.

        Returns:
            Ids and storages' labels of files that `Storage.save` has stored in this process: they went into the
            journal only now.

        Raises:
            FileGoneException: A file is being deleted, or is not there.
            InvalidArgumentException: Another storage holds a file of the same id.
        """
        by_id = {file.file_id: file for file in files}
        wanted = [Entry(file.file_id, label_of(file), keep) for file, keep in files.items()]
        before, unknown = entries.claim(connection, self._databases.table, wanted)
        self._check_places(by_id, before)
        unseen = unknown - self._announced_before(connection, unknown)
        saved = {each: label_of(by_id[each]) for each in unseen if _is_new(by_id[each])}
        if saved:
            self._databases.call_journal(journal.add, self._databases.journal_table, _intents(saved), self._grace)
        if unseen:  # a worker may have been faster with those that were saved, too
            asked = [by_id[each] for each in unseen]
            _greenlet.result_of(map_bounded(_check_there, asked, limit=_AT_ONCE))
        reached(Step.CLAIMED)
        return saved

    def _announced_before(self, connection: Connection, ids: set[str]) -> set[str]:
        """Those that are in the journal; they leave it with the transaction, if it is in the same database."""
        found = set[str]()
        if ids and not self._databases.is_sqlite:
            found = journal.take(connection, self._databases.journal_table, ids)
        if rest := ids - found:  # a transaction with an old snapshot does not see them
            found |= self._databases.call_journal(journal.known, self._databases.journal_table, rest)
        return found

    def _check_places(self, files: Mapping[str, TrackedFile], before: Iterable[Entry]) -> None:
        for entry in before:
            file = files[entry.id]
            if entry.storage == label_of(file) or file.address is None:
                continue
            theirs = storage_lookup.find(storage_lookup.routers(self._references.fields()), entry.id, entry.storage)
            if StorageAddress.of(theirs) != file.address:
                raise InvalidArgumentException(
                    f"the ledger knows this id as that of a file in {theirs!r}: two storages can hold files of one id "
                    "only under keys that `save` generates",
                    operation="claim",
                    file_id=entry.id,
                )

    def doom(self, connection: Connection, files: Collection[TrackedFile]) -> None:
        """Say that rows name files no longer, if the transaction is committed."""
        if files:
            labels: dict[StorageAddress | None, str] = {}
            chosen: dict[str, str] = {}
            for file in _greenlet.paced(files):
                if file.address not in labels:
                    labels[file.address] = label_of(file)
                chosen[file.file_id] = labels[file.address]
            entries.doom(connection, self._databases.table, chosen, self._retain)
            reached(Step.DOOMED)

    def watch_all(self) -> None:
        """`watch` all columns that are known now."""
        for field in self._references.fields():
            self.watch(field)

    def forget_all(self) -> None:
        """Be told no longer."""
        for field in self._references.fields():
            if field.type._ref.deletion_policy is self:  # noqa: SLF001
                field.type._ref.deletion_policy = None  # noqa: SLF001

    async def request_deletion(self, stored: StoredFile) -> None:
        """`StoredFile.delete`: the file is deleted as soon as no row names it."""
        file = TrackedFile.of(stored)
        intent = Intent(file.file_id, label_of(file))
        await self._databases.run_journal(journal.leave, self._databases.journal_table, [intent], 0)


def _is_new(file: TrackedFile) -> bool:
    fate = new_file_state_of(file.stored)
    return fate is not None and not fate.is_kept


def _intents(storages_of: Mapping[str, str]) -> list[Intent]:
    return [Intent(*each) for each in storages_of.items()]


def label_of(file: TrackedFile) -> str:
    """The label of the storage of a file; empty if it is not known here."""
    return "" if file.address is None else storage_lookup.label(file.stored.storage)


async def _check_there(file: TrackedFile) -> None:
    if not await file.stored.exists():
        raise FileGoneException("there is no such file", operation="claim", file_id=file.file_id)
