"""Adoption: the ledger enters the files of rows that existed before it."""

from collections.abc import Iterator

from sqlalchemy import Connection, Table, select

from async_storages.files import StoredFile
from async_storages.integrations.sqlalchemy.columns.database_types import MYSQL_DIALECTS
from async_storages.integrations.sqlalchemy.columns.fields import FileField, iterate_files
from async_storages.integrations.sqlalchemy.columns.tracked_file import TrackedFile
from async_storages.integrations.sqlalchemy.ledger.journal import BATCH
from async_storages.integrations.sqlalchemy.ledger.references import References
from async_storages.integrations.sqlalchemy.ledger.tables import State, insert_entries, label_of, unless_known

__all__ = ["adopt"]


def adopt(connection: Connection, table: Table, references: References) -> int:
    """Enter the files of all rows, and return the number of new entries."""
    return sum(_adopt(connection, table, each.field) for each in references.locate(connection))


def _adopt(connection: Connection, table: Table, field: FileField) -> int:
    found = select(field.column).where(field.column.is_not(None))
    if connection.dialect.name not in MYSQL_DIALECTS:  # whose connections do nothing else while they yield rows
        found = found.execution_options(yield_per=BATCH)
    count = 0
    for rows in connection.execute(found).scalars().partitions(BATCH):
        files = {file.file_id: file for value in rows for file in _files(value)}
        kept = {each: not field.can_delete(file.stored) for each, file in files.items()}
        for pinned in (False, True):
            chosen = [(each, label_of(file.storage)) for each, file in files.items() if kept[each] is pinned]
            if chosen:
                new = insert_entries(table, connection.dialect, chosen, State.LIVE, pinned=pinned)
                count += connection.execute(unless_known(new)).rowcount
    return count


def _files(value: object) -> Iterator[TrackedFile]:
    return (TrackedFile.of(item) for item in iterate_files(value) if isinstance(item, StoredFile))
