"""An inventory: files in storages that neither rows nor the ledger know, as after a restore of an earlier database.

It only looks at keys that `save` and flushes can have written, ``[folder/]{16 hex digits}_{name}``. They must be in the
folders of the columns, or below a prefix that the caller vouches for. A variant counts as its original. All other files
may belong to another application.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Collection, Iterable
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Table

from async_storages import naming
from async_storages.errors import StorageException
from async_storages.ids import FileId
from async_storages.integrations.sqlalchemy.columns.declared_variants import variants_declared_for
from async_storages.integrations.sqlalchemy.columns.fields import FileField
from async_storages.integrations.sqlalchemy.ledger import entries, journal, storage_lookup
from async_storages.integrations.sqlalchemy.ledger.connections import LedgerTransactions
from async_storages.integrations.sqlalchemy.ledger.journal import BATCH
from async_storages.integrations.sqlalchemy.ledger.references import References
from async_storages.integrations.sqlalchemy.ledger.storage_marks import FOLDER
from async_storages.models import FileBasicInfo
from async_storages.storage.base import Storage
from async_storages.storage.capabilities import SupportsList
from async_storages.variants.keys import find_original

__all__ = ["ListedFolder", "find_folders", "find_unknown", "list_ids"]

_PENDING = re.compile(r"(?:^|/)[1-9a-f][0-9a-f]{7,9}\.[\w-]{43}/", re.ASCII)
"""A part of the keys of uploads that a browser has made and that are not attached yet."""


@dataclass(frozen=True, slots=True)
class ListedFolder:
    """A folder of a storage that holds files of the ledger.

    Attributes:
        storage: A storage that can list its files.
        prefix: The prefix of the keys.
        is_deep: True includes the files of its subfolders.
    """

    storage: Storage
    prefix: str
    is_deep: bool

    def holds(self, key: str) -> bool:
        """Return True if `save` can have written the key below the prefix."""
        rest = key.removeprefix(self.prefix)
        if _PENDING.search(key) or key.startswith(f"{FOLDER}/") or ("/" in rest and not self.is_deep):
            return False
        return naming.original_filename(key) != key.rpartition("/")[2]


def find_folders(fields: Iterable[FileField], prefix: str | None) -> list[ListedFolder]:
    """Find the folders into which columns put files. With a prefix, return the prefix in all of their storages."""
    chosen = list(fields)
    if prefix is not None:
        storages = storage_lookup.find_storages(chosen)
        return [ListedFolder(each, prefix, is_deep=True) for each in storages if _can_list(each)]
    found: dict[tuple[int, str], ListedFolder] = {}
    for field in chosen:
        if field.type.upload_to is None:
            folder = naming.clean_folder(field.type.folder)
            for storage in storage_lookup.find_storages([field]):
                if _can_list(storage):
                    found[id(storage), folder] = ListedFolder(storage, f"{folder}/" if folder else "", is_deep=False)
    return list(found.values())


def _can_list(storage: Storage) -> bool:
    return isinstance(storage, SupportsList) and not storage.chooses_ids


async def list_ids(folder: ListedFolder, older_than: timedelta) -> AsyncGenerator[list[str]]:
    """Yield the ids of files that are at least so old, some hundred at a time."""
    before, found, count = datetime.now(UTC) - older_than, list[str](), 0
    storage: Any = folder.storage
    async with aclosing(storage.list(folder.prefix)) as files:
        async for info in files:
            count += 1
            if (file_id := _id_of(folder, info, before)) is not None:
                found.append(file_id)
            if len(found) == BATCH:
                yield found
                found = []
            elif count % BATCH == 0:
                await asyncio.sleep(0)
    if found:
        yield found


def _id_of(folder: ListedFolder, info: FileBasicInfo, before: datetime) -> str | None:
    """Return the id of a file that the ledger can have written before the given time; None for all other files."""
    if info.last_modify_time is None or info.last_modify_time > before:
        return None
    try:
        file_id = folder.storage.identify(info.file_id)
        folder.storage.check_key(file_id)
    except StorageException:  # a key that nothing here has made
        return None
    if (original := find_original(file_id.key)) is not None:
        return _original_of(folder, replace(file_id, key=original))
    return str(file_id) if folder.holds(folder.storage.bare_key(file_id)) else None


def _original_of(folder: ListedFolder, original: FileId) -> str | None:
    """Return the id that a variant counts as, if a worker would remove the variant with it."""
    key = folder.storage.bare_key(original)
    if not key.startswith(folder.prefix) or not folder.holds(key):
        return None
    return str(original) if variants_declared_for(folder.storage, str(original)) else None


def find_unknown(
    connection: Connection, table: Table, intents: LedgerTransactions, references: References, ids: Collection[str]
) -> set[str]:
    """Find the ids that neither the journal, nor the ledger, nor a row knows. It searches in this order.

    Raises:
        SweepRefusedException: As for `References.find_named`.
    """
    with intents.within(connection) as uploads:
        rest = set(ids) - journal.find(uploads, intents.table, ids)
    rest -= set(entries.find(connection, table, rest))
    return rest - references.find_named(connection, rest)
