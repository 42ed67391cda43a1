"""The map from old ids to new ones in nginx's format: nginx redirects old paths in links and texts permanently."""

from collections.abc import AsyncGenerator

from async_storages.ids import FileId
from async_storages.integrations.sqlalchemy.migration import entries
from async_storages.integrations.sqlalchemy.migration.swapping import Swaps
from async_storages.integrations.sqlalchemy.migration.tables import MoveState
from async_storages.integrations.sqlalchemy.migration.transactions import Transactions

__all__ = ["nginx_lines"]

_MOVED = (MoveState.MOVED, MoveState.PLANNED, MoveState.MOVING, MoveState.FINISHED)


async def nginx_lines(transactions: Transactions, swaps: Swaps, prefix: str) -> AsyncGenerator[str]:
    """Yield lines ``"/old/path" "https://new/url";`` for a block ``map $uri $moved { … }``, ordered by old id.

    Args:
        transactions: The migration's transactions.
        swaps: The swaps.
        prefix: The beginning of the paths, before the old key.
    """
    after = ""
    while found := await transactions.read(entries.page, swaps.table, _MOVED, after, entries.BATCH):
        for each in found:
            if each.target is not None:
                url = await swaps.route.target.url(each.target)
                yield f"{_quoted(prefix + FileId.parse(each.source).key)} {_quoted(url)};"
        after = found[-1].source


def _quoted(text: str) -> str:
    r"""Return a parameter of nginx, in quotes. A ``\`` precedes characters that would end it or begin a variable.

    nginx compares a path in the map with ``$uri``, which is decoded.
    """
    return '"' + "".join(f"\\{each}" if each in '"\\' else each for each in text) + '"'
