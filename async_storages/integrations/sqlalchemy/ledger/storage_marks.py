"""Marks of a ledger in its storages: a copy of the database must not delete the files of the original.

A ledger writes one mark, a small object, into each storage that it uses. The mark's content identifies the ledger's
database. A copy of the database also has the entry of the mark. But the content names the original database, so the
copy refuses to delete.
"""

import asyncio
import hashlib
import logging
from collections.abc import Iterable
from contextlib import aclosing, nullcontext, suppress
from itertools import batched
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Table, delete, select, text
from sqlalchemy.exc import DBAPIError

from async_storages._single_flight import SingleFlight
from async_storages.backends.transport.per_loop import PerLoop
from async_storages.errors import FileNotFoundException, StorageException, SweepRefusedException
from async_storages.integrations.sqlalchemy.columns.database_types import MYSQL_DIALECTS
from async_storages.integrations.sqlalchemy.columns.fields import FileField
from async_storages.integrations.sqlalchemy.ledger import journal, storage_lookup
from async_storages.integrations.sqlalchemy.ledger.announcements import Announcement
from async_storages.integrations.sqlalchemy.ledger.connections import Connections
from async_storages.integrations.sqlalchemy.ledger.crash_points import Step, reached
from async_storages.integrations.sqlalchemy.ledger.entries import Entry
from async_storages.integrations.sqlalchemy.ledger.journal import Intent
from async_storages.integrations.sqlalchemy.ledger.tables import State, insert_entries, label_of, unless_known
from async_storages.registry import StorageAddress, StorageRouter
from async_storages.storage.base import Storage

__all__ = ["FOLDER", "StorageMarks"]

logger = logging.getLogger("async_storages")

FOLDER = "async-storages-ledger"
"""The folder of marks, in storages with exact keys."""

type _MarkedPart = tuple[StorageAddress, str]
"""A storage's address, and the folder that limits it, if any."""

_GRACE = 3600.0
"""Seconds that a mark may exist before its entry does."""

_AT_A_TIME = 100
"""Number of files after which other tasks get a turn."""


class StorageMarks:
    """The marks of a ledger. They identify the storages from which it may delete.

    Args:
        connections: The ledger's connections.
        owner: The user's name for the database; None for its address.
    """

    def __init__(self, connections: Connections, owner: str | None) -> None:
        self._connections = connections
        self._owner = owner
        self._ids: dict[_MarkedPart, list[str]] = {}
        self._owned: set[_MarkedPart] = set()
        self._flights = PerLoop(lambda: nullcontext(SingleFlight()))

    async def mark(self, chosen: Iterable[Storage]) -> None:
        """Write a mark into the storages that have no mark of this ledger."""
        for storage in chosen:
            await self._ids_of(storage)

    async def require_own(self, chosen: Iterable[Storage]) -> None:
        """Require that storages belong to this ledger.

        Raises:
            SweepRefusedException: A storage has the mark of another database, or has lost its own mark.
        """
        for storage in chosen:
            part = _part_of(storage)
            if part not in self._owned:
                for mark in await self._ids_of(storage):
                    await self._check(storage, mark)
                self._owned.add(part)

    async def check_ownership(self, chosen: Iterable[Storage]) -> dict[Storage, SweepRefusedException | None]:
        """Return each storage with the error of `require_own`; None if the storage belongs to this ledger."""
        found: dict[Storage, SweepRefusedException | None] = {}
        for storage in chosen:
            try:
                await self.require_own([storage])
                found[storage] = None
            except SweepRefusedException as refusal:
                found[storage] = refusal
        return found

    async def find_own_storages(
        self, files: Iterable[Entry], fields: Iterable[FileField]
    ) -> tuple[dict[Entry, Storage], list[SweepRefusedException]]:
        """Find the storages of files that belong to this ledger, and the errors of the other storages.

        Args:
            files: The files.
            fields: The columns whose storages are searched, besides the registered ones.
        """
        routers = storage_lookup.find_routers(fields)
        found, refused, refusals = dict[Entry, Storage](), set[Storage](), list[SweepRefusedException]()
        for some in batched(files, _AT_A_TIME):
            storages = {file: storage for file in some if (storage := _find_storage(routers, file)) is not None}
            for storage in {*storages.values()} - refused:
                try:
                    await self.require_own([storage])
                except SweepRefusedException as refusal:
                    refusals.append(refusal)
                    refused.add(storage)
                except StorageException as error:
                    logger.warning("files cannot be deleted: %s", error)
                    refused.add(storage)
            found |= {file: storage for file, storage in storages.items() if storage not in refused}
            await asyncio.sleep(0)
        return found, refusals

    async def require_alone(self, storage: Storage) -> None:
        """Require that no other ledger keeps files in a storage. The storage must be able to list them.

        Raises:
            SweepRefusedException: The storage has a mark of another database.
        """
        ours, proof = await self._ids_of(storage), await self._make_proof()
        listing: Any = storage
        async with aclosing(listing.list(f"{FOLDER}/")) as marks:
            async for info in marks:
                if str(storage.identify(info.file_id)) not in ours and await storage.read(info.file_id) != proof:
                    raise SweepRefusedException(
                        f"{storage!r} has the mark of another database, whose files look the same: say by `prefix=` "
                        "where all files are this ledger's",
                        operation="sweep",
                        file_id=info.file_id,
                    )

    async def take_ownership(self, chosen: Iterable[Storage]) -> None:
        """Make this ledger the owner of storages, regardless of their present owners. The marks of others stay."""
        for storage in chosen:
            await self._connections.main.run(_forget, await self._find(storage))
            self._ids[_part_of(storage)] = [await self._write(storage)]

    async def _ids_of(self, storage: Storage) -> list[str]:
        """Return the ids of this ledger's marks in a storage. If there is none, write one."""
        part = _part_of(storage)

        async def find_or_write() -> None:
            self._ids[part] = await self._find(storage) or [await self._write(storage)]

        if part not in self._ids:
            await (await self._flights.get()).do(repr(part), find_or_write)
        return self._ids[part]

    async def _find(self, storage: Storage) -> list[str]:
        found = await self._connections.reading.run(_find, label_of(storage))
        return [each for each in found if _serves(storage, each)]

    async def _write(self, storage: Storage) -> str:
        while (mark := await self._try_to_write(storage)) is None:
            continue
        return mark

    async def _try_to_write(self, storage: Storage) -> str | None:
        """Write a mark. Return None if that took so long that a worker has removed it."""
        proof, label, key = await self._make_proof(), label_of(storage), f"{FOLDER}/{uuid4().hex}.txt"
        main, intents = self._connections.main, self._connections.journal
        intent = Intent.of(storage, key)
        async with Announcement(self._connections, {intent: storage}, _GRACE) as announcement:
            await announcement.committed()
            stored = storage.file(await storage.upload(proof, key))
            await announcement.record_written(intent, stored)
        reached(Step.MARK_WRITTEN)
        file_id = str(storage.identify(stored.file_id))
        is_entered = await main.run(_enter, file_id, label)
        reached(Step.MARK_NOTED)
        was_there = await intents.run(journal.take, [file_id])
        if is_entered and was_there:
            return file_id
        await main.run(_forget, [file_id])
        await intents.run(journal.expire, [Intent(file_id, label)])
        return None

    async def _check(self, storage: Storage, mark: str) -> None:
        try:
            found = await storage.read(mark)
        except FileNotFoundException:
            found = None
        if found != await self._make_proof():
            problem = "has lost its mark of this ledger" if found is None else "is marked by another database"
            raise SweepRefusedException(
                f"{storage!r} {problem}: nothing is deleted from it. Is this a copy of a database? If the files are "
                "its own, call `await ledger.take_ownership()`. If it is one database with two addresses, give each "
                "FileLedger the same `owner=`",
                operation="ledger",
                file_id=mark,
            )

    async def _make_proof(self) -> bytes:
        """Return the content of a mark. It differs between a database and its copies."""
        owner = await self._connections.reading.run(_address_of) if self._owner is None else self._owner
        return hashlib.sha256(owner.encode()).hexdigest().encode()


def _find_storage(routers: Iterable[StorageRouter], file: Entry) -> Storage | None:
    try:
        return storage_lookup.find_storage(routers, file.id, file.storage)
    except StorageException as error:
        logger.warning("a file cannot be deleted: %s", error)
        return None


def _part_of(storage: Storage) -> _MarkedPart:
    return StorageAddress.of(storage), "" if storage.chooses_ids else str(storage.identify(FOLDER))


def _address_of(connection: Connection, _table: Table) -> str:
    """Return the address of the database."""
    if connection.dialect.name == "sqlite":
        return str(connection.exec_driver_sql("PRAGMA database_list").all()[0][2])  # the path as it is, in full
    url = connection.engine.url
    if connection.dialect.name in MYSQL_DIALECTS:
        database = connection.scalar(text("SELECT DATABASE()"))
        return repr([url.host, url.port, url.query.get("unix_socket"), database])
    found = [*connection.execute(text("SELECT current_database(), current_schema()")).one()]
    with suppress(DBAPIError), connection.begin_nested():  # it may be forbidden
        found.append(connection.scalar(text("SELECT system_identifier FROM pg_control_system()")))
    return repr([url.host, url.port, url.query.get("host"), *found])


def _find(connection: Connection, table: Table, label: str) -> list[str]:
    found = select(table.c.id).where(table.c.state == State.MARK, table.c.storage == label).order_by(table.c.id)
    return list(connection.scalars(found))


def _enter(connection: Connection, table: Table, file_id: str, label: str) -> bool:
    """Enter a mark. Return False if a worker has doomed it."""
    new = insert_entries(table, connection.dialect, [(file_id, label)], State.MARK, pinned=True)
    return connection.execute(unless_known(new)).rowcount == 1


def _forget(connection: Connection, table: Table, ids: list[str]) -> None:
    connection.execute(delete(table).where(table.c.id.in_(ids), table.c.state == State.MARK))


def _serves(storage: Storage, file_id: str) -> bool:
    try:
        storage.identify(file_id)
    except StorageException:
        return False
    return True
