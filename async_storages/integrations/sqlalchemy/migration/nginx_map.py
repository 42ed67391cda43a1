"""The map from old ids to new ones, as nginx reads it: old paths in links and texts are redirected for good."""

from collections.abc import AsyncGenerator

from async_storages.ids import FileId
from async_storages.integrations.sqlalchemy.migration import entries
from async_storages.integrations.sqlalchemy.migration.swapping import Swaps
from async_storages.integrations.sqlalchemy.migration.tables import MoveState
from async_storages.integrations.sqlalchemy.migration.transactions import Transactions

__all__ = ["nginx_lines"]

_MOVED = (MoveState.MOVED, MoveState.PLANNED, MoveState.MOVING, MoveState.FINISHED)


async def nginx_lines(transactions: Transactions, swaps: Swaps, prefix: str) -> AsyncGenerator[str]:
    """Lines ``"/old/path" "https://new/url";`` for a block ``map $uri $moved { … }``, in the order of the old ids.

    Args:
        transactions: The migration's.
        swaps: The swaps.
        prefix: What the paths begin with, before the old key.
    """
    after = ""
    while found := await transactions.read(entries.page, swaps.table, _MOVED, after, entries.BATCH):
        for each in found:
            if each.target is not None:
                url = await swaps.route.target.url(each.target)
                yield f"{_quoted(prefix + FileId.parse(each.source).key)} {_quoted(url)};"
        after = found[-1].source


def _quoted(text: str) -> str:
    r"""A parameter of nginx: in quotes, with ``\`` before what would end it, or begin a variable.

    A path in the map is compared with ``$uri``, which is decoded.
    """
    return '"' + "".join(f"\\{each}" if each in '"\\' else each for each in text) + '"'
