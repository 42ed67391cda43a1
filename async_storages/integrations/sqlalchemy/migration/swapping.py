"""Swaps: the rows that name one id name another id instead, and the same transaction records it in the entry."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Table

from async_storages.integrations.sqlalchemy.ledger import entries as ledger_entries
from async_storages.integrations.sqlalchemy.ledger.file_ledger import FileLedger
from async_storages.integrations.sqlalchemy.ledger.tables import label_of
from async_storages.integrations.sqlalchemy.migration import entries
from async_storages.integrations.sqlalchemy.migration.copying import Copied
from async_storages.integrations.sqlalchemy.migration.crash_points import MoveStep, reached
from async_storages.integrations.sqlalchemy.migration.route import Route
from async_storages.integrations.sqlalchemy.migration.rows import Rows, group_by_id
from async_storages.integrations.sqlalchemy.migration.tables import MoveState
from async_storages.storage.base import Storage

__all__ = ["UNDOABLE", "Copy", "Swaps"]

UNDOABLE = (MoveState.MOVED, MoveState.PLANNED, MoveState.MISSING, MoveState.FAILED)
"""States of entries whose rows may name a copy."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy that will replace its file.

    Attributes:
        arrival: The file, and the new id.
        copied: The size and the checksum of both.
    """

    arrival: entries.Arrival
    copied: Copied

    @property
    def new_id(self) -> str:
        """The new id."""
        return self.arrival.new_id


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

    def swap(self, connection: Connection, copies: Sequence[Copy]) -> list[bool]:
        """Let the rows of files name their copies.

        Returns:
            For each file, False if no row names it any more. Its copy is then left to `finish`.

        Raises:
            FileGoneException: Another mover has taken over one of the files.
            DBAPIError: Another transaction has locked a row: see `is_conflict`.
        """
        locked = entries.lock_all(connection, self.table, [each.arrival for each in copies])
        new_ids: dict[str, str] = {}
        for entry, each in zip(locked, copies, strict=True):
            new_ids |= dict.fromkeys({entry.source, entry.target or entry.source} - {each.new_id}, each.new_id)
        found = self.rows.find(connection, new_ids, is_locking=True)
        named, pinned = set[str](), set[str]()
        for old, rows in group_by_id(found).items():
            named.add(new_ids[old])
            if not all(row.column.field.can_delete_files for row in rows):
                pinned.add(new_ids[old])
        self._claim(connection, named, self.route.target, pinned=pinned)
        self.rows.change(connection, found, new_ids)
        moved = []
        for entry, each in zip(locked, copies, strict=True):
            if each.new_id in named:
                moved.append((entry, each.arrival, each.copied.bytes, each.copied.checksum))
            else:
                entries.settle(connection, self.table, entry, entry.settled)
        if moved:
            entries.settle_moved(connection, self.table, moved)
            reached(MoveStep.SWAPPING)
        return [each.new_id in named for each in copies]

    def undo(self, connection: Connection, source: str) -> bool:
        """Let the rows of a copy name the old file again. Return False if the file has no copy any more."""
        locked = entries.lock_free(connection, self.table, [source], UNDOABLE)
        if not locked or locked[0].target is None:
            return False
        [entry] = locked
        target = str(entry.target)
        self._claim(connection, [source], self.route.source)
        found = self.rows.find(connection, [target], is_locking=True)
        self.rows.change(connection, found, {target: source})
        entries.settle(connection, self.table, entry, MoveState.UNDONE, target=None)
        reached(MoveStep.UNDOING)
        return True

    def _claim(
        self, connection: Connection, ids: Iterable[str], storage: Storage, *, pinned: Collection[str] = ()
    ) -> None:
        """Enter files that rows are about to name into the ledger. Pinned files stay when no row names them any more.

        The files that the rows named before need no claim: the table of moves retains them, or leaves them to `finish`.
        """
        if self.ledger is not None:
            label = label_of(storage)
            wanted = [ledger_entries.Entry(each, label, each in pinned) for each in ids]
            ledger_entries.claim(connection, self.ledger.table, wanted)
