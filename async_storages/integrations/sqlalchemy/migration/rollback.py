"""The rollback: rows name their old files again. The old files have stayed in place."""

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
    """The progress and the result of `Migration.rollback`.

    Attributes:
        undone: The number of files that were moved back.
        failed: The number of files that were not, because the old file, the source or the rows were not available.
    """

    undone: int = 0
    failed: int = 0


async def roll_back(
    transactions: Transactions, swaps: Swaps, *, ids: Iterable[str] | None, limit: int | None, concurrency: int
) -> AsyncGenerator[tuple[str, Exception | None]]:
    """Move files back. Yield the old id of each file, with the error if it could not be moved back.

    Args:
        transactions: The migration's transactions.
        swaps: The swaps.
        ids: Old or new ids. None takes all files.
        limit: The largest number of files. None is no limit.
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
