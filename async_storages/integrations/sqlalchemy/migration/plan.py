"""The plan: all files of the source that rows name, in the order of the rows' primary keys."""

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, tuple_

from async_storages.integrations.sqlalchemy.migration import entries
from async_storages.integrations.sqlalchemy.migration.crash_points import MoveStep, reached
from async_storages.integrations.sqlalchemy.migration.route import Route
from async_storages.integrations.sqlalchemy.migration.rows import FileColumn, FoundRow, Rows, texts_in
from async_storages.integrations.sqlalchemy.migration.transactions import Transactions
from async_storages.integrations.sqlalchemy.references.column_locations import router_of

__all__ = ["Planned", "pages", "plan_files"]

logger = logging.getLogger("async_storages")


@dataclass(frozen=True, slots=True)
class Planned:
    """The progress and the result of `Migration.plan`.

    Attributes:
        rows: The number of rows that name files of the source.
        added: The number of files that are planned for the first time; 0 in a dry run.
        again: The number of files that are planned again. They were moved or given up, but a row names their old id.
    """

    rows: int = 0
    added: int = 0
    again: int = 0

    def __add__(self, other: "Planned") -> "Planned":
        return Planned(self.rows + other.rows, self.added + other.added, self.again + other.again)


async def plan_files(
    transactions: Transactions, table: Table, rows: Rows, route: Route, *, retry: bool, is_dry: bool
) -> AsyncGenerator[Planned]:
    """Enter the files of the source that rows name. It yields its progress now and then.

    Args:
        transactions: The migration's transactions.
        table: The table of moves.
        rows: The rows.
        route: The route.
        retry: True also plans failed files again.
        is_dry: True writes nothing.

    Raises:
        RouteNotSupportedException: A column with such files cannot name files of the target.
    """
    for column in await transactions.read(rows.located):
        router = router_of(column.field)
        if router is None:
            logger.warning("%s is passed over: its storage is not registered here", column.name)
            continue
        is_served = False
        async with aclosing(pages(transactions, column)) as batches:
            async for found in batches:
                moving = [{route.moving_id(router, text) for text in texts_in(row.value)} - {None} for row in found]
                ids = {str(each) for some in moving for each in some}
                if ids and not is_served:
                    route.require_served(router, column.name)
                    is_served = True
                added, again = (0, 0) if is_dry else await transactions.run(entries.plan, table, ids, retry=retry)
                reached(MoveStep.PLANNED)
                yield Planned(sum(map(bool, moving)), added, again)


async def pages(transactions: Transactions, column: FileColumn) -> AsyncGenerator[Sequence[FoundRow]]:
    """Yield batches of rows that name files in a column. No transaction is open between two batches."""
    last: tuple[Any, ...] | None = None
    while found := await transactions.read(_page, column, last):
        yield found
        last = found[-1].key


def _page(connection: Connection, column: FileColumn, last: tuple[Any, ...] | None) -> Sequence[FoundRow]:
    """Return some rows that name files, after one."""
    dialect = connection.dialect
    query = column.select(dialect).where(column.field.column.is_not(None), column.is_sound(dialect))
    if last is not None:
        types = [key.type for key in column.keys]
        query = query.where(tuple_(*column.keys) > tuple_(*last, types=types))
    query = query.order_by(*column.keys).limit(entries.BATCH)
    return [column.found(row, {}) for row in connection.execute(query)]
