"""The preparation of planned files for the copy: a mover takes some, and enters the ids of their copies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Table, select

from async_storages import naming
from async_storages._tasks import map_bounded
from async_storages.errors import FileExistsException
from async_storages.integrations.sqlalchemy.migration import entries
from async_storages.integrations.sqlalchemy.migration.crash_points import MoveStep, reached
from async_storages.integrations.sqlalchemy.migration.entries import Arrival
from async_storages.integrations.sqlalchemy.migration.halving import do_together
from async_storages.integrations.sqlalchemy.migration.route import MovingFile, NewKey
from async_storages.integrations.sqlalchemy.migration.rows import group_by_id
from async_storages.integrations.sqlalchemy.migration.swapping import Swaps
from async_storages.integrations.sqlalchemy.migration.tables import MoveState
from async_storages.integrations.sqlalchemy.migration.transactions import Transactions
from async_storages.integrations.sqlalchemy.migration.under_way import TakenFile, UnderWay

__all__ = ["Preparation", "ReadyFile"]


@dataclass(frozen=True, slots=True)
class ReadyFile:
    """A file that can be copied.

    Attributes:
        taken: The taken file.
        file: The file in the source.
        new: The new key.
        facts: The facts of the rows that name it.
        was_ours: True if an earlier attempt may have written the copy.
    """

    taken: TakenFile
    file: MovingFile
    new: NewKey
    facts: Mapping[str, Any]
    was_ours: bool = False

    @property
    def arrival(self) -> Arrival:
        """The copy that is about to be written."""
        return Arrival(self.taken.entry.source, self.taken.mover, self.new.file_id)


@dataclass(frozen=True, slots=True)
class Preparation:
    """Prepares files, many in one transaction.

    Attributes:
        transactions: The migration's transactions.
        table: The table of moves.
        swaps: The swaps.
        under_way: Gets the taken files, and ends those that cannot be copied.
        lease: Seconds for which files are taken.
        concurrency: Files at once in the source.
    """

    transactions: Transactions
    table: Table
    swaps: Swaps
    under_way: UnderWay
    lease: float
    concurrency: int

    async def take(self, limit: int) -> list[TakenFile]:
        """Take some planned files, and find the rows that name them.

        Args:
            limit: The largest number of files.
        """
        mover = uuid4().hex
        taken = await self.transactions.run(entries.take, self.table, mover, limit, self.lease)
        files = [TakenFile(each, mover, []) for each in taken]
        self.under_way.add(files)
        reached(MoveStep.TAKEN)
        sources = [each.source for each in taken]
        found = await self.transactions.read(self.swaps.rows.find, sources) if sources else []
        grouped = group_by_id(found)
        return [replace(each, found=grouped.get(each.entry.source, [])) for each in files]

    async def prepare(self, taken: Sequence[TakenFile]) -> list[ReadyFile]:
        """Choose the new keys of files, and enter them. Return the files that can be copied now."""
        chosen = [each for each in await map_bounded(self._choose, taken, limit=self.concurrency) if each is not None]
        chosen = await self._without_foreign_keys(chosen)
        were_ours = await do_together(self._announce, [each.arrival for each in chosen])
        ready = []
        for each, was_ours in zip(chosen, were_ours, strict=True):
            if isinstance(was_ours, Exception):
                await self.under_way.settle(each.taken, was_ours)
            else:
                ready.append(replace(each, was_ours=was_ours))
                reached(MoveStep.ANNOUNCED)
        return ready

    async def _choose(self, taken: TakenFile) -> ReadyFile | None:
        """Choose the new key of a file. Return None if it cannot be copied."""
        if not taken.found:
            await self.under_way.settle(taken)
            return None
        route, source = self.swaps.route, taken.entry.source
        try:
            info = await route.source.stat(source)
            facts = {fact: value for row in taken.found for fact, value in row.facts.items()}
            filename = naming.clean_filename(str(facts.get("filename") or info.file_name))
            new = route.new_key(MovingFile(source, filename, info))
        except Exception as error:  # noqa: BLE001 - a storage or a rule may raise anything, and the others go on
            await self.under_way.settle(taken, error)
            return None
        if filename != info.file_name:
            info = info.model_copy(update={"file_name": filename})
        return ReadyFile(taken, MovingFile(source, filename, info), new, facts)

    async def _without_foreign_keys(self, chosen: Sequence[ReadyFile]) -> list[ReadyFile]:
        """Return the files whose keys are free, or hold only copies that movers have left there. End the others."""
        exact = [each for each in chosen if each.new.is_exact and each.taken.entry.arriving != each.new.file_id]
        if not exact:
            return list(chosen)
        ids = {each.new.file_id for each in exact}
        states = await self.transactions.read(_states_of, self.table, ids)

        async def find_error(ready: ReadyFile) -> Exception | None:
            file_id = ready.new.file_id
            if (state := states.get(file_id)) is MoveState.LEFT:
                return None
            try:
                if state is None and not await self.swaps.route.target.exists(file_id):
                    return None
            except Exception as error:  # noqa: BLE001 - a storage may raise anything, and the others go on
                return error
            return FileExistsException("another file has the new key", operation="migrate", file_id=file_id)

        errors = await map_bounded(find_error, exact, limit=self.concurrency)
        refused = {each.taken.entry.source: error for each, error in zip(exact, errors, strict=True) if error}
        for each in exact:
            if (error := refused.get(each.taken.entry.source)) is not None:
                await self.under_way.settle(each.taken, error)
        return [each for each in chosen if each.taken.entry.source not in refused]

    async def _announce(self, arrivals: Sequence[Arrival]) -> list[bool]:
        run = self.transactions.run if len(arrivals) == 1 else self.transactions.run_once
        return await run(entries.announce, self.table, arrivals, lease=self.lease)


def _states_of(connection: Connection, table: Table, ids: set[str]) -> dict[str, MoveState]:
    """Return the states of entries by their ids."""
    found = connection.execute(select(table.c.source, table.c.state).where(table.c.source.in_(ids)))
    return {source: MoveState(state) for source, state in found}
