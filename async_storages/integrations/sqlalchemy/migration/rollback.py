"""The way back: rows name their old files again, whose bytes have stayed where they were."""

from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError

from async_storages._tasks import map_bounded
from async_storages.errors import FileNotFoundException, StorageException
from async_storages.integrations.sqlalchemy.migration import entries
from async_storages.integrations.sqlalchemy.migration.crash_points import MoveStep, reached
from async_storages.integrations.sqlalchemy.migration.entries import Entry
from async_storages.integrations.sqlalchemy.migration.swapping import UNDOABLE, Swaps
from async_storages.integrations.sqlalchemy.migration.transactions import Transactions, is_conflict

__all__ = ["RolledBack", "roll_back"]


@dataclass(frozen=True, slots=True)
class RolledBack:
    """The result of a rollback so far.

    Attributes:
        undone: Files that were moved back.
        failed: Files that were not: their old file is not there, or the source or the rows were not to be had.
    """

    undone: int = 0
    failed: int = 0


async def roll_back(
    transactions: Transactions, swaps: Swaps, *, ids: Iterable[str] | None, limit: int | None, concurrency: int
) -> AsyncGenerator[tuple[str, Exception | None]]:
    """Move files back; yields the old id of each, and the reason if it could not be.

    Args:
        transactions: The migration's.
        swaps: The swaps.
        ids: Old or new ids; None for all.
        limit: Files at the most; None for any number.
        concurrency: Files at once.
    """
    chosen = None if ids is None else set(ids)

    async def attempt(entry: Entry) -> tuple[str, Exception | None] | None:
        try:
            found = await swaps.route.source.stat(entry.source)
            if entry.bytes is not None and found.file_size != entry.bytes:
                raise FileNotFoundException(
                    f"the old file has {found.file_size} bytes now, not {entry.bytes}", file_id=entry.source
                )
            if not await transactions.run(swaps.undo, entry.source):
                return None
        except StorageException as error:
            return entry.source, error
        except DBAPIError as error:
            if not is_conflict(error):
                raise
            return entry.source, error
        reached(MoveStep.UNDONE)
        return entry.source, None

    after = ""
    while (limit is None or limit > 0) and (
        found := await transactions.read(entries.page, swaps.table, UNDOABLE, after, entries.BATCH)
    ):
        after = found[-1].source
        moved = [each for each in found if each.target is not None]
        moved = [each for each in moved if chosen is None or not chosen.isdisjoint({each.source, each.target})]
        moved = moved[:limit]
        limit = None if limit is None else limit - len(moved)
        for each in await map_bounded(attempt, moved, limit=concurrency):
            if each is not None:
                yield each
