"""The table `file_moves`: the plan, the journal, the data for a rollback, and the map from old ids to new ones.

Two of its columns are file columns. Sessions and workers therefore search them, too, before they remove a file.
`arriving` contains the new id from before the copy is written until rows name it. `retained` contains the old id from
then on until `finish`. No process that knows the table removes either file meanwhile.
"""

from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Column, Double, Index, Integer, MetaData, String, Table, Unicode

from async_storages.errors import InvalidArgumentException, StorageException
from async_storages.integrations.sqlalchemy.columns.types import FileType
from async_storages.integrations.sqlalchemy.ledger.tables import ENGINE, ExactText

__all__ = ["TABLE", "MoveState", "add_move_table", "is_move_table", "missing_move_table"]

TABLE = "file_moves"
"""The default name of the table."""

_ANY_STORAGE = "async_storages.any"
"""A name that no storage has. It makes every search for files look into the column, whatever their storage is."""

_MARK = "async_storages_moves"
LONGEST_ERROR = 1000
"""The largest number of characters of an error."""


class MoveState(StrEnum):
    """The state of a file of a migration.

    Attributes:
        PLANNED: A mover will move it, from `until` on.
        MOVING: A mover has taken it, until `until`.
        MOVED: The rows that named it name the copy.
        UNDONE: The rows name the old file again.
        GONE: No row named it any more when a mover took it.
        MISSING: Rows name it, but the source does not have it.
        FAILED: It could not be copied, or the copy differed: see `error`.
        LEFT: A copy that no row names, or names no longer. The entry's id is the copy's own.
        DELETING: `finish` is deleting it, until `until`.
        FINISHED: Moved, and the old file is deleted. The entry stays as part of the map.
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
    """Add the table of a `Migration` to a MetaData, so that `create_all` and Alembic create it.

    Every process that removes files must know the table during the migration: the application and the ledger's worker.
    A second call returns the same table.

    Args:
        metadata: The metadata of the application's tables. If it has a schema, the table is in that schema.
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
    """Return True for a table that `add_move_table` made."""
    return _MARK in table.info


def missing_move_table(table: Table) -> StorageException:
    """Return the error for a table that is not in the database."""
    return InvalidArgumentException(
        f"the table {table.fullname!r} is not in the database: run `await migration.create()`, or the migration "
        "that Alembic generates for it",
        operation="migrate",
    )
