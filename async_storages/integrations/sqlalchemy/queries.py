"""Queries over file columns as wholes."""

from itertools import batched
from typing import Any

from sqlalchemy import Column, Connection, Unicode, case, select, type_coerce, update

from async_storages.errors import InvalidArgumentException, during
from async_storages.ids import is_fusion_id
from async_storages.registry import StorageRouter

__all__ = ["normalise_file_ids"]

_READ = 10_000
_WRITTEN = 500
"""Keys rewritten by one statement, which has three parameters for each: SQL Server takes 2100."""


def normalise_file_ids(connection: Connection, column: Column[Any], storage: StorageRouter) -> int:
    """Rewrite the bare keys in a column as fusion ids, so that ``==`` finds them.

    Run it once, when a column of plain strings becomes a file column; running it again changes nothing.

    Args:
        connection: A synchronous connection, in a transaction; with an AsyncConnection
            ``await connection.run_sync(normalise_file_ids, Document.__table__.c.file, storage)``.
        column: The table's column; bare keys in it belong to `storage`.
        storage: What makes full ids of them.

    Returns:
        How many different keys were rewritten.

    Raises:
        InvalidArgumentException: A value that can be no key of this storage, or whose id is too long for the column;
            the message names it. Nothing is rewritten if the caller's transaction is then rolled back.
    """
    if column.table is None:
        raise InvalidArgumentException("the column belongs to no table", operation="normalise_file_ids")
    raw = type_coerce(column, Unicode())
    changed, last = 0, ""
    while values := connection.scalars(select(raw).where(raw > last).distinct().order_by(raw).limit(_READ)).all():
        ids = {value: _identify(value, column, storage) for value in values if not is_fusion_id(value)}
        changes = [(value, file_id) for value, file_id in ids.items() if file_id != value]
        for batch in map(dict, batched(changes, _WRITTEN)):  # not key by key: the column may have no index
            connection.execute(update(column.table).where(raw.in_(batch)).values({column: case(batch, value=raw)}))
        changed, last = changed + len(changes), values[-1]
    return changed


def _identify(key: str, column: Column[Any], storage: StorageRouter) -> str:
    length: int | None = getattr(column.type, "length", None)
    with during("normalise_file_ids", key):
        file_id = str(storage.identify(key))
        if length is not None and len(file_id) > length:
            raise InvalidArgumentException(f"the id would have {len(file_id)} characters, the column has {length}")
        return file_id
