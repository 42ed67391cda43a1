"""Taking in the files of rows that were written before there was a ledger."""

from collections.abc import Iterator

from sqlalchemy import Connection, Table, select

from async_storages.files import StoredFile
from async_storages.integrations.sqlalchemy.columns.fields import FileField, iterate_files
from async_storages.integrations.sqlalchemy.columns.tracked_file import TrackedFile
from async_storages.integrations.sqlalchemy.ledger import storage_lookup
from async_storages.integrations.sqlalchemy.ledger.journal import BATCH
from async_storages.integrations.sqlalchemy.ledger.references import References
from async_storages.integrations.sqlalchemy.ledger.tables import State, insert, now

__all__ = ["adopt"]


def adopt(connection: Connection, table: Table, references: References) -> int:
    """Note the files of all rows; returns how many were new."""
    return sum(_adopt(connection, table, each.field) for each in references.check(connection))


def _adopt(connection: Connection, table: Table, field: FileField) -> int:
    found = select(field.column).where(field.column.is_not(None)).execution_options(yield_per=BATCH)
    count = 0
    for rows in connection.execute(found).scalars().partitions():
        files = {file.file_id: file for value in rows for file in _files(value)}
        new = [_row(file, pinned=not field.can_delete(file.stored)) for file in files.values()]
        if new:
            added = connection.execute(insert(table, connection.dialect).values(new).on_conflict_do_nothing())
            count += added.rowcount
    return count


def _files(value: object) -> Iterator[TrackedFile]:
    return (TrackedFile.of(item) for item in iterate_files(value) if isinstance(item, StoredFile))


def _row(file: TrackedFile, *, pinned: bool) -> dict[str, object]:
    label = "" if file.address is None else storage_lookup.label(file.stored.storage)
    return {
        "id": file.file_id,
        "storage": label,
        "state": State.LIVE,
        "until": 0.0,
        "since": now(),
        "pinned": pinned,
    }
