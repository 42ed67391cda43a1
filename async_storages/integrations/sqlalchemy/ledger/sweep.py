"""Sweeps: they find and doom files that became unreferenced without a session noticing, as after raw SQL."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import timedelta

from sqlalchemy import Connection, Table, func, select

from async_storages.errors import SweepRefusedException
from async_storages.integrations.sqlalchemy.ledger import entries, inventory
from async_storages.integrations.sqlalchemy.ledger.connections import Connections
from async_storages.integrations.sqlalchemy.ledger.crash_points import Step, reached
from async_storages.integrations.sqlalchemy.ledger.entries import Entry
from async_storages.integrations.sqlalchemy.ledger.journal import BATCH
from async_storages.integrations.sqlalchemy.ledger.references import References
from async_storages.integrations.sqlalchemy.ledger.storage_marks import StorageMarks
from async_storages.integrations.sqlalchemy.ledger.tables import State, label_of, now

__all__ = ["Sweep"]

_LARGEST_PART = 0.1
"""The fraction of all files that a sweep dooms without ``force``."""

_FEW = 10
"""The number of files that a sweep dooms without ``force``, even if they are a larger fraction."""


class Sweep:
    """The sweeps of one ledger.

    Args:
        connections: The ledger's connections.
        references: The columns that may name files.
        marks: The marks that identify the ledger's storages.
        retain: Seconds that a file stays after the last row that named it is gone.
    """

    def __init__(self, connections: Connections, references: References, marks: StorageMarks, *, retain: float) -> None:
        self._connections = connections
        self._references = references
        self._marks = marks
        self._retain = retain

    async def doom_unnamed(self, older_than: timedelta, *, force: bool) -> int:
        """Doom the files of the ledger that no row names, and return their number.

        Args:
            older_than: The least time for which the ledger has known them.
            force: True dooms any number of them.

        Raises:
            SweepRefusedException: They are too many, or a storage of theirs does not belong to this ledger.
        """
        return await self._doom(self._find_unnamed(older_than), force=force)

    async def doom_unknown(self, older_than: timedelta, prefix: str | None, *, force: bool) -> int:
        """Doom files in storages that neither rows nor the ledger know (see `inventory`), like `doom_unnamed`."""
        return await self._doom(self._find_unknown(older_than, prefix), force=force)

    async def _doom(self, batches: AsyncGenerator[list[Entry]], *, force: bool) -> int:
        """Doom files. If they are too many, doom none of them."""
        live = await self._connections.reading.run(_count_live)
        found: dict[str, Entry] = {}
        async with aclosing(batches):
            async for some in batches:
                found |= {each.id: each for each in some}
                if len(found) > max(_FEW, live * _LARGEST_PART) and not force:
                    raise SweepRefusedException(
                        f"{len(found)} files are named by no row, more than {_FEW} and a tenth of {live}; if that is "
                        "so, sweep with force=True",
                        operation="sweep",
                    )
        storages, refusals = await self._marks.find_own_storages(found.values(), self._references.fields())
        if refusals:
            raise refusals[0]
        labels = {file.id: file.storage for file in storages}
        doomed = await self._connections.main.run(entries.doom, labels, self._retain)
        reached(Step.SWEPT)
        return doomed

    async def _find_unnamed(self, older_than: timedelta) -> AsyncGenerator[list[Entry]]:
        after: str | None = ""
        while after is not None:
            some, after = await self._connections.reading.run(
                _unnamed, self._references, older_than.total_seconds(), after
            )
            yield some

    async def _find_unknown(self, older_than: timedelta, prefix: str | None) -> AsyncGenerator[list[Entry]]:
        for folder in inventory.find_folders(self._references.fields(), prefix):
            if prefix is None:
                await self._marks.require_alone(folder.storage)
            label = label_of(folder.storage)
            async with aclosing(inventory.list_ids(folder, older_than)) as batches:
                async for ids in batches:
                    unknown = await self._connections.reading.run(
                        inventory.find_unknown, self._connections.journal, self._references, ids
                    )
                    yield [Entry(each, label) for each in sorted(unknown)]


def _count_live(connection: Connection, table: Table) -> int:
    found = select(func.count()).select_from(table).where(table.c.state == State.LIVE)
    return connection.scalar(found) or 0


def _unnamed(
    connection: Connection, table: Table, references: References, older_than: float, after: str
) -> tuple[list[Entry], str | None]:
    """Check some files in the order of ids. Return those that no row names, and the next id if there are more."""
    found = (
        select(table.c.id, table.c.storage)
        .where(table.c.id > after, table.c.state == State.LIVE, table.c.pinned.is_(False))
        .where(table.c.since <= now() - older_than)
        .order_by(table.c.id)
        .limit(BATCH)
    )
    files = [Entry(*row) for row in connection.execute(found)]
    named = references.find_named(connection, [each.id for each in files])
    return [each for each in files if each.id not in named], files[-1].id if len(files) == BATCH else None
