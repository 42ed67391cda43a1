"""Moved files by their old ids: a storage that finds the new file for an old id in texts and other systems."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from sqlalchemy import Connection, Table, select

from async_storages.content import Content
from async_storages.errors import FileNotFoundException
from async_storages.ids import FileId
from async_storages.integrations.sqlalchemy.ledger.row_locks import by_key
from async_storages.integrations.sqlalchemy.migration.transactions import Transactions
from async_storages.models import FileBasicInfo
from async_storages.sources import CHUNK_SIZE
from async_storages.storage.base import FileName, Storage

__all__ = ["MovedFiles"]


class MovedFiles(Storage):
    """A storage that replaces the source after the migration. It finds moved files by their old ids.

    It is read-only. A manager routes old ids to it, as to any other storage.

    Args:
        source: The storage that the files have left. Only its ids matter.
        target: The storage that holds the files now.
        transactions: The migration's transactions.
        table: The table of moves.
    """

    scheme = "mem"  # each has that of its source

    def __init__(self, source: Storage, target: Storage, transactions: Transactions, table: Table) -> None:
        super().__init__(read_only=True)
        vars(self).update(scheme=source.scheme, bucket=source.bucket, location=source.location, prefix=source.prefix)
        self._source = source
        self._target = target
        self._transactions = transactions
        self._table = table

    def __repr__(self) -> str:
        return f"MovedFiles({self._source!r} to {self._target!r})"

    def check_id(self, file_id: FileId) -> None:
        """Refuse every id that the source refuses."""
        self._source.check_id(file_id)

    async def _new_id(self, file_id: FileId) -> str:
        target = await self._transactions.read(_find_target, self._table, str(file_id))
        if target is None:
            raise FileNotFoundException("no file of this id was moved")
        return target

    async def write(self, content: Content, key: FileName, *, overwrite: bool = True) -> str:
        """Refuse the write, because this storage is read-only."""
        with self.operation("write", key) as operation:
            return str(operation.file)

    async def stream(
        self, name: FileName, offset: int = 0, length: int | None = None, *, chunk_size: int = CHUNK_SIZE
    ) -> AsyncGenerator[bytes]:
        """Stream the bytes of the file that now has another id: see `Storage.stream`."""
        with self.operation("stream", name) as operation:
            new_id = await self._new_id(operation.file)
            async with aclosing(self._target.stream(new_id, offset, length, chunk_size=chunk_size)) as chunks:
                async for chunk in chunks:
                    operation.bytes += len(chunk)
                    yield chunk

    async def stat(self, name: FileName) -> FileBasicInfo:
        """Return the facts about the file, with its new id: see `Storage.stat`."""
        with self.operation("stat", name) as operation:
            return await self._target.stat(await self._new_id(operation.file))

    async def delete(self, name: FileName) -> None:
        """Refuse the deletion, because this storage is read-only."""
        with self.operation("delete", name):
            pass

    async def url(self, name: FileName) -> str:
        """Return the URL of the file that now has another id."""
        with self.operation("url", name) as operation:
            return await self._target.url(await self._new_id(operation.file))


def _find_target(connection: Connection, table: Table, file_id: str) -> str | None:
    target: str | None = connection.scalar(by_key(select(table.c.target), table).where(table.c.source == file_id))
    return target
