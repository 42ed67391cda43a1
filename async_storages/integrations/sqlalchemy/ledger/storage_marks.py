"""Whose files a storage holds: a copy of the database must not delete the files of the original.

A ledger writes an object into each storage that it uses, once; its content says which database that is. The row that
names the object goes with every copy of the database, and there it says that the storage is somebody else's.
"""

import hashlib
from collections.abc import Iterable
from contextlib import aclosing, suppress
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Table, delete, select, text
from sqlalchemy.exc import DBAPIError

from async_storages.errors import FileNotFoundException, StorageException, SweepRefusedException
from async_storages.integrations.sqlalchemy.ledger import journal, storage_lookup
from async_storages.integrations.sqlalchemy.ledger.announcements import announced
from async_storages.integrations.sqlalchemy.ledger.crash_points import Step, reached
from async_storages.integrations.sqlalchemy.ledger.databases import Databases
from async_storages.integrations.sqlalchemy.ledger.journal import Intent
from async_storages.integrations.sqlalchemy.ledger.tables import State, insert, now
from async_storages.registry import StorageAddress
from async_storages.storage import Storage

__all__ = ["FOLDER", "Owners"]

FOLDER = "async-storages-ledger"
"""Where the marks are, in storages with exact keys."""

type _Place = tuple[StorageAddress, str]

_GRACE = 3600.0


class Owners:
    """Which storages this ledger may delete from.

    Args:
        databases: The ledger's.
        owner: What the user calls the database; None for where it is.
    """

    def __init__(self, databases: Databases, owner: str | None) -> None:
        self._databases = databases
        self._owner = owner
        self._marks: dict[_Place, list[str]] = {}
        self._owned: set[_Place] = set()

    async def mark(self, chosen: Iterable[Storage]) -> None:
        """Leave a mark in the storages that have none of this ledger."""
        for storage in chosen:
            await self._marks_of(storage)

    async def check(self, chosen: Iterable[Storage]) -> None:
        """See that storages are this ledger's.

        Raises:
            SweepRefusedException: One of them has the mark of another database, or has lost its own.
        """
        for storage in chosen:
            place = _place_of(storage)
            if place not in self._owned:
                for mark in await self._marks_of(storage):
                    await self._check(storage, mark)
                self._owned.add(place)

    async def check_alone(self, storage: Storage) -> None:
        """See that no other ledger keeps files in a storage that can list them.

        Raises:
            SweepRefusedException: There is a mark of another database.
        """
        ours, proof = await self._marks_of(storage), await self._prove()
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

    async def take_over(self, chosen: Iterable[Storage]) -> None:
        """Make storages this ledger's, whosever they were; the marks of others stay where they are."""
        for storage in chosen:
            found = await self._databases.plainly(_marks, self._databases.table, storage_lookup.label(storage))
            await self._databases.run(
                _forget, self._databases.table, [each for each in found if _serves(storage, each)]
            )
            self._marks[_place_of(storage)] = [await self._write(storage)]

    async def _marks_of(self, storage: Storage) -> list[str]:
        place = _place_of(storage)
        if place not in self._marks:
            found = await self._databases.plainly(_marks, self._databases.table, storage_lookup.label(storage))
            self._marks[place] = [each for each in found if _serves(storage, each)] or [await self._write(storage)]
        return self._marks[place]

    async def _write(self, storage: Storage) -> str:
        while (mark := await self._try_to_write(storage)) is None:
            continue
        return mark

    async def _try_to_write(self, storage: Storage) -> str | None:
        """Write a mark; None if that took so long that a worker has removed it."""
        proof, label, key = await self._prove(), storage_lookup.label(storage), f"{FOLDER}/{uuid4().hex}.txt"
        intent = storage_lookup.intent(storage, key)
        async with announced(self._databases, {intent: storage}, _GRACE) as files:
            stored = storage.file(await storage.upload(proof, key))
            await files.written(intent, stored)
        reached(Step.MARK_WRITTEN)
        file_id = str(storage.identify(stored.file_id))
        is_noted = await self._databases.run(_note, self._databases.table, file_id, label)
        reached(Step.MARK_NOTED)
        was_there = await self._databases.run_journal(journal.take, self._databases.journal_table, [file_id])
        if is_noted and was_there:
            return file_id
        await self._databases.run(_forget, self._databases.table, [file_id])
        await self._databases.run_journal(journal.leave, self._databases.journal_table, [Intent(file_id, label)], 0)
        return None

    async def _check(self, storage: Storage, mark: str) -> None:
        try:
            found = await storage.read(mark)
        except FileNotFoundException:
            found = None
        if found != await self._prove():
            problem = "has lost its mark of this ledger" if found is None else "is marked by another database"
            raise SweepRefusedException(
                f"{storage!r} {problem}: nothing is deleted from it. Is this a copy of a database? If the files are "
                "its own, call `await ledger.take_ownership()`. If it is one database with two addresses, give each "
                "FileLedger the same `owner=`",
                operation="ledger",
                file_id=mark,
            )

    async def _prove(self) -> bytes:
        """What no copy of the database has in common with it."""
        place = await self._databases.plainly(_where) if self._owner is None else self._owner
        return hashlib.sha256(place.encode()).hexdigest().encode()


def _place_of(storage: Storage) -> _Place:
    """A storage's address, and its folder, if it keeps to one."""
    return StorageAddress.of(storage), "" if storage.chooses_ids else str(storage.identify(FOLDER))


def _where(connection: Connection) -> str:
    if connection.dialect.name == "sqlite":
        return str(connection.exec_driver_sql("PRAGMA database_list").all()[0][2])  # the path as it is, in full
    found = [*connection.execute(text("SELECT current_database(), current_schema()")).one()]
    with suppress(DBAPIError), connection.begin_nested():  # it may be forbidden
        found.append(connection.scalar(text("SELECT system_identifier FROM pg_control_system()")))
    url = connection.engine.url
    return repr([url.host, url.port, url.query.get("host"), *found])


def _marks(connection: Connection, table: Table, label: str) -> list[str]:
    found = select(table.c.id).where(table.c.state == State.MARK, table.c.storage == label).order_by(table.c.id)
    return list(connection.scalars(found))


def _note(connection: Connection, table: Table, file_id: str, label: str) -> bool:
    """Note a mark; False if a worker has doomed it."""
    row = {"id": file_id, "storage": label, "state": State.MARK, "until": 0.0, "since": now(), "pinned": True}
    noted = connection.execute(insert(table, connection.dialect).values(row).on_conflict_do_nothing())
    return noted.rowcount == 1


def _forget(connection: Connection, table: Table, ids: list[str]) -> None:
    connection.execute(delete(table).where(table.c.id.in_(ids), table.c.state == State.MARK))


def _serves(storage: Storage, file_id: str) -> bool:
    try:
        storage.identify(file_id)
    except StorageException:
        return False
    return True
