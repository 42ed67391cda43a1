"""Steps before and after rows get and lose files: check, claim, record. Flushes and statements share them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, Table

from async_storages._tasks import map_bounded
from async_storages.errors import FileGoneException, InvalidArgumentException
from async_storages.files import StoredFile, new_file_state_of
from async_storages.integrations.sqlalchemy import _greenlet
from async_storages.integrations.sqlalchemy.columns.fields import FileField
from async_storages.integrations.sqlalchemy.columns.tracked_file import TrackedFile
from async_storages.integrations.sqlalchemy.ledger.claims import Claims
from async_storages.integrations.sqlalchemy.tracking import files_in_use
from async_storages.integrations.sqlalchemy.tracking.session_transactions import SessionTransactions

__all__ = ["ReferenceWriter", "require_available", "require_existing"]

_AT_ONCE = 8
"""Number of storages that are queried at the same time."""

_NONE: Mapping[str, Any] = MappingProxyType({})


class ReferenceWriter:
    """Claims the files that rows get, and checks and records those that rows lose.

    Args:
        transactions: The session's transactions.
        options: Execution options of the statement, if they differ from the connection's.
    """

    def __init__(self, transactions: SessionTransactions, options: Mapping[str, Any] = _NONE) -> None:
        self._transactions = transactions
        self._claims: Claims | None = transactions.options.claims
        self._options = options
        self._checked: set[tuple[Connection, Table]] = set()

    def claim(
        self,
        connection: Connection,
        added: Sequence[tuple[FileField, StoredFile]],
        announced: Collection[str] = (),
        *,
        skip_claimed: bool = False,
    ) -> None:
        """If there is a ledger, claim from it the files that rows are about to name.

        Args:
            connection: The session's connection.
            added: The files, each with its column, which the ledger checks.
            announced: The ids of files that the flush has just uploaded: see `upload_content`.
            skip_claimed: True skips files that the transaction has claimed, unless their new column keeps them.

        Raises:
            FileGoneException: A file does not exist, or a worker is deleting it.
            InvalidArgumentException: The ledger's worker would not see the rows.
        """
        claims = self._claims
        if claims is None or not added:
            return
        self._check_tables(claims, connection, [field for field, _ in added])
        wanted: dict[TrackedFile, bool] = {}
        for field, stored in added:
            claims.watch(field)
            file, is_kept = TrackedFile.of(stored), not field.can_delete(stored)
            if is_kept or not (skip_claimed and self._transactions.has_claimed(file)):
                wanted[file] = wanted.get(file, False) or is_kept
        if wanted:
            scope = self._transactions.scope
            scope.intents |= claims.claim(connection, wanted, announced)
            scope.claimed_ids.update(file.file_id for file in wanted)
            if with_variants := [each for each in added if each[0].type.variants is not None]:
                claims.queue_variants(connection, with_variants)

    def check_dropped(
        self,
        connection: Connection,
        fields: Iterable[FileField],
        dropped: TrackedFile,
        replacements: Sequence[StoredFile],
    ) -> None:
        """Check that dropped files can be removed, and that their replacements exist.

        Args:
            connection: The session's connection.
            fields: The columns of the rows.
            dropped: One of the files that rows lose.
            replacements: The files that rows get instead. A ledger checks them when it claims them.

        Raises:
            InvalidArgumentException: A plain Session is used within a running event loop, without a ledger.
            FileGoneException: A replacement does not exist.
        """
        if self._claims is not None:
            self._check_tables(self._claims, connection, fields)
            return
        if not _greenlet.can_wait():
            raise InvalidArgumentException(
                f"this plain Session cannot remove the file that is replaced or deleted: {_greenlet.IN_EVENT_LOOP}",
                operation="flush",
                file_id=dropped.file_id,
            )
        require_existing(replacements)

    def record_dropped(
        self,
        connection: Connection,
        dropped: Sequence[tuple[FileField, TrackedFile]],
        still_named: Collection[TrackedFile] = (),
    ) -> None:
        """Record the files that rows have lost. With a ledger, doom those that no other row has got."""
        scope = self._transactions.scope
        for field, file in _greenlet.pace(dropped):
            scope.record_dropped(field, file)
        if self._claims is not None:
            self._claims.doom(connection, [file for _, file in dropped if file not in still_named])

    def _check_tables(self, claims: Claims, connection: Connection, fields: Iterable[FileField]) -> None:
        """Let the ledger check each table once, because that takes a query."""
        fresh = [field for field in fields if (connection, field.column.table) not in self._checked]
        if fresh:
            claims.check(connection, fresh, self._options)
            self._checked |= {(connection, field.column.table) for field in fresh}


def require_available(files: Iterable[StoredFile]) -> None:
    """Refuse files that this process has removed, or is removing. It queries storages only about doubtful files.

    Raises:
        FileGoneException: A file was removed when its transaction was rolled back, or is being removed now.
    """
    doubtful = []
    for stored in _greenlet.pace(files):
        state = new_file_state_of(stored)
        if state is not None and state.is_gone:
            raise _gone(stored, "the file was removed when the transaction that was to name it was rolled back")
        file = TrackedFile.of(stored)
        if files_in_use.is_being_removed(file):
            raise _gone(stored, "the file is being removed")
        if files_in_use.has_been_removed(file):
            doubtful.append(stored)
    if doubtful:
        require_existing(doubtful)


def require_existing(files: Sequence[StoredFile]) -> None:
    """Check that files exist in their storages.

    Raises:
        FileGoneException: One of them does not exist.
    """
    if files:
        _greenlet.wait_anywhere(map_bounded(_require, files, limit=_AT_ONCE))


async def _require(stored: StoredFile) -> None:
    if not await stored.exists():
        raise _gone(stored, "there is no such file")


def _gone(stored: StoredFile, reason: str) -> FileGoneException:
    return FileGoneException(reason, operation="flush", file_id=stored.file_id)
