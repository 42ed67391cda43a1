"""Files in storages that neither rows nor the ledger know, as after a database was set back to an earlier day.

Only what `save` and flushes can have written is looked at: keys of ``[folder/]{16 hex digits}_{name}``, in the folders
of the columns, or below a prefix that somebody has vouched for. All else in a bucket may be somebody else's.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Collection, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from async_storages import naming
from async_storages.capabilities import SupportsList
from async_storages.errors import StorageException
from async_storages.integrations.sqlalchemy.columns.fields import FileField
from async_storages.integrations.sqlalchemy.ledger import entries, journal, storage_lookup
from async_storages.integrations.sqlalchemy.ledger.databases import Databases
from async_storages.integrations.sqlalchemy.ledger.journal import BATCH
from async_storages.integrations.sqlalchemy.ledger.references import References
from async_storages.integrations.sqlalchemy.ledger.storage_marks import FOLDER
from async_storages.models import FileBasicInfo
from async_storages.storage import Storage

__all__ = ["Scope", "listed", "scopes", "unknown"]

_PENDING = re.compile(r"(?:^|/)[1-9a-f][0-9a-f]{7,9}\.[\w-]{43}/", re.ASCII)
"""In keys of uploads that a browser has made and nobody has attached yet."""


@dataclass(frozen=True, slots=True)
class Scope:
    """A part of a storage that the ledger's files are in.

    Attributes:
        storage: Can list its files.
        prefix: Of the keys.
        is_deep: Whether the files of folders below belong to it.
    """

    storage: Storage
    prefix: str
    is_deep: bool

    def holds(self, key: str) -> bool:
        """True if `save` can have written the key, below the prefix."""
        rest = key.removeprefix(self.prefix)
        if _PENDING.search(key) or key.startswith(f"{FOLDER}/") or ("/" in rest and not self.is_deep):
            return False
        return naming.original_filename(key) != key.rpartition("/")[2]


def scopes(fields: Iterable[FileField], prefix: str | None) -> list[Scope]:
    """The folders that columns put their files into; or the prefix, in all of their storages."""
    chosen = list(fields)
    if prefix is not None:
        return [
            Scope(storage, prefix, is_deep=True) for storage in storage_lookup.of_columns(chosen) if _can_list(storage)
        ]
    found: dict[tuple[int, str], Scope] = {}
    for field in chosen:
        if field.type.upload_to is None:
            folder = naming.clean_folder(field.type.folder)
            for storage in storage_lookup.of_columns([field]):
                if _can_list(storage):
                    found[id(storage), folder] = Scope(storage, f"{folder}/" if folder else "", is_deep=False)
    return list(found.values())


def _can_list(storage: Storage) -> bool:
    return isinstance(storage, SupportsList) and not storage.chooses_ids


async def listed(scope: Scope, older_than: timedelta) -> AsyncGenerator[list[str]]:
    """The ids of files in a scope that were written so long ago, some hundred at a time."""
    before, found, count = datetime.now(UTC) - older_than, list[str](), 0
    storage: Any = scope.storage
    async with aclosing(storage.list(scope.prefix)) as files:
        async for info in files:
            count += 1
            if (file_id := _chosen(scope, info, before)) is not None:
                found.append(file_id)
            if len(found) == BATCH:
                yield found
                found = []
            elif count % BATCH == 0:
                await asyncio.sleep(0)
    if found:
        yield found


def _chosen(scope: Scope, info: FileBasicInfo, before: datetime) -> str | None:
    if info.last_modify_time is None or info.last_modify_time > before:
        return None
    try:
        file_id = scope.storage.identify(info.file_id)
        scope.storage.check_key(file_id)
    except StorageException:  # a key that nothing here has made
        return None
    key = scope.storage.bare_key(file_id)
    return str(file_id) if scope.holds(key) else None


def unknown(connection: Connection, databases: Databases, references: References, ids: Collection[str]) -> set[str]:
    """The ids that are not in the journal, nor in the ledger, nor named by a row, in this order.

    Raises:
        SweepRefusedException: As for `References.named`.
    """
    with databases.journal_in(connection) as uploads:
        rest = set(ids) - journal.known(uploads, databases.journal_table, ids)
    rest -= set(entries.known(connection, databases.table, rest))
    return rest - references.named(connection, rest)
