"""Swaps: the rows that name one id name another one, in one transaction with the entry that says so."""

from dataclasses import dataclass

from sqlalchemy import Connection, Table

from async_storages.integrations.sqlalchemy.ledger import entries as ledger_entries
from async_storages.integrations.sqlalchemy.ledger.file_ledger import FileLedger
from async_storages.integrations.sqlalchemy.ledger.tables import label_of, now
from async_storages.integrations.sqlalchemy.migration import entries
from async_storages.integrations.sqlalchemy.migration.copying import Copied
from async_storages.integrations.sqlalchemy.migration.crash_points import MoveStep, reached
from async_storages.integrations.sqlalchemy.migration.route import Route
from async_storages.integrations.sqlalchemy.migration.rows import Rows
from async_storages.integrations.sqlalchemy.migration.tables import MoveState
from async_storages.storage.base import Storage

__all__ = ["UNDOABLE", "Swaps"]

UNDOABLE = (MoveState.MOVED, MoveState.PLANNED, MoveState.MISSING, MoveState.FAILED)
"""States of entries whose rows may name the copy, if there is one."""


@dataclass(frozen=True, slots=True)
class Swaps:
    """Swaps of one migration; each method is one transaction.

    Attributes:
        table: The table of moves.
        rows: The rows of all file columns.
        route: The route.
        ledger: The ledger of the files; None if there is none.
    """

    table: Table
    rows: Rows
    route: Route
    ledger: FileLedger | None

    def swap(self, connection: Connection, source: str, mover: str, new_id: str, copied: Copied) -> bool:
        """Let the rows of a file name its copy; False if none names it any more, so that the copy is left.

        Raises:
            FileGoneException: Another mover has taken the file over.
            DBAPIError: Somebody has one of the rows: see `is_conflict`.
        """
        entry = entries.lock(connection, self.table, source, mover)
        old = [source] if entry.target in {None, new_id} else [source, str(entry.target)]
        found = self.rows.find(connection, old, is_locking=True)
        if not found:
            entries.settle(connection, self.table, entry, entry.settled)
            return False
        is_pinned = not all(row.column.field.can_delete_files for row in found)
        self._claim(connection, new_id, self.route.target, is_pinned=is_pinned)
        self.rows.change(connection, found, old, new_id)
        entries.settle(
            connection,
            self.table,
            entry,
            MoveState.MOVED,
            target=new_id,
            bytes=copied.bytes,
            checksum=copied.checksum,
            moved=now(),
        )
        reached(MoveStep.SWAPPING)
        return True

    def undo(self, connection: Connection, source: str) -> bool:
        """Let the rows of a copy name the old file again; False if it has no copy by now."""
        locked = entries.lock_free(connection, self.table, [source], UNDOABLE)
        if not locked or locked[0].target is None:
            return False
        [entry] = locked
        target = str(entry.target)
        self._claim(connection, source, self.route.source)
        found = self.rows.find(connection, [target], is_locking=True)
        self.rows.change(connection, found, [target], source)
        entries.settle(connection, self.table, entry, MoveState.UNDONE, target=None)
        reached(MoveStep.UNDOING)
        return True

    def _claim(self, connection: Connection, file_id: str, storage: Storage, *, is_pinned: bool = False) -> None:
        """Let the ledger know a file that rows are about to name; pinned, it stays when no row names it any more.

        The file that they named is retained, or left to `finish`: it needs no claim.
        """
        if self.ledger is not None:
            wanted = ledger_entries.Entry(file_id, label_of(storage), is_pinned)
            ledger_entries.claim(connection, self.ledger.table, [wanted])
