"""The table `file_moves`: the plan, the journal, the way back, and the map from old ids to new ones.

Two of its columns are file columns, so that sessions and workers which look whether a row names a file look into them,
too: `arriving` has the new id from before the copy is written until rows name it, `retained` has the old id from then
on until `finish`. Nobody who knows the table removes either file meanwhile.
"""

from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Column, Double, Index, Integer, MetaData, String, Table, Unicode

from async_storages.errors import InvalidArgumentException, StorageException
from async_storages.integrations.sqlalchemy.columns.types import FileType
from async_storages.integrations.sqlalchemy.ledger.tables import ENGINE, ExactText

__all__ = ["TABLE", "MoveState", "add_move_table", "is_move_table", "missing_move_table"]

TABLE = "file_moves"
"""The name of the table, unless another one is said."""

_ANY_STORAGE = "async_storages.any"
"""The name of no storage: who asks for files of whatever storage is to look into the column."""

_MARK = "async_storages_moves"
LONGEST_ERROR = 1000
"""Characters of an error."""


class MoveState(StrEnum):
    """The state of a file that is to be moved.

    Attributes:
        PLANNED: To be moved, from `until` on.
        MOVING: Taken by a mover, until `until`.
        MOVED: The rows that named it name the copy.
        UNDONE: They name it again.
        GONE: No row named it when its turn came.
        MISSING: Rows name it, and the source does not have it.
        FAILED: It could not be copied, or the copy was not the same: see `error`.
        LEFT: A copy that no row names, or names no longer; its own id is the entry's.
        DELETING: Being deleted by `finish`, until `until`.
        FINISHED: Moved, and the old file is deleted; the entry stays as part of the map.
    """

    PLANNED = "planned"
    MOVING = "moving"
    MOVED = "moved"
    UNDONE = "undone"
    GONE = "gone"
    MISSING = "missing"
    FAILED = "failed"
    LEFT = "left"
    DELETING = "deleting"
    FINISHED = "finished"


def add_move_table(metadata: MetaData, name: str = TABLE) -> Table:
    """Put the table of a `Migration` into a MetaData, so that `create_all` and Alembic make it; twice is once.

    Every process that removes files is to know it while files are moved: the application, and the ledger's worker.

    Args:
        metadata: The metadata of the application's tables; its schema, if it has one, is that of this table.
        name: The name of the table.
    """
    key = f"{metadata.schema}.{name}" if metadata.schema else name
    if key in metadata.tables:
        return metadata.tables[key]
    return Table(
        name,
        metadata,
        Column("source", ExactText(1024), primary_key=True),
        Column("target", ExactText(1024)),
        Column("arriving", FileType(_ANY_STORAGE)),
        Column("retained", FileType(_ANY_STORAGE)),
        Column("state", String(8), nullable=False),
        Column("until", Double, nullable=False),
        Column("mover", String(32)),
        Column("bytes", BigInteger),
        Column("checksum", String(80)),
        Column("attempts", Integer, nullable=False),
        Column("error", Unicode(LONGEST_ERROR)),
        Column("since", Double, nullable=False),
        Column("moved", Double),
        Index(f"ix_{name}_state_until", "state", "until"),
        Index(f"ix_{name}_target", "target", mysql_length=255, mariadb_length=255),
        Index(f"ix_{name}_arriving", "arriving", mysql_length=255, mariadb_length=255),
        Index(f"ix_{name}_retained", "retained", mysql_length=255, mariadb_length=255),
        info={_MARK: True},
        **ENGINE,
    )


def is_move_table(table: Any) -> bool:
    """True for a table that `add_move_table` made."""
    return _MARK in table.info


def missing_move_table(table: Table) -> StorageException:
    """The error for a table that is not in the database."""
    return InvalidArgumentException(
        f"the table {table.fullname!r} is not in the database: run `await migration.create()`, or the migration "
        "that Alembic generates for it",
        operation="migrate",
    )
