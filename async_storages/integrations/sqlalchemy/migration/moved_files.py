"""Moved files by their old ids: a storage that looks the new one up, for old ids in texts and other systems."""

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
    """A storage in the place of the source, once that is gone: it serves the old ids, by the files that they became.

    It takes nothing, and deletes nothing. A manager routes old ids to it, as to any storage.

    Args:
        source: The storage that the files were in; only its ids are of interest.
        target: The storage that they are in.
        transactions: The migration's.
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
        """Refuse what the source refuses."""
        self._source.check_id(file_id)

    async def _new_id(self, file_id: FileId) -> str:
        target = await self._transactions.read(_find_target, self._table, str(file_id))
        if target is None:
            raise FileNotFoundException("no file of this id was moved")
        return target

    async def write(self, content: Content, key: FileName, *, overwrite: bool = True) -> str:
        """Refuse the write, as of every read-only storage."""
        with self.operation("write", key) as operation:
            return str(operation.file)

    async def stream(
        self, name: FileName, offset: int = 0, length: int | None = None, *, chunk_size: int = CHUNK_SIZE
    ) -> AsyncGenerator[bytes]:
        """The bytes of the file that an old id became: see `Storage.stream`."""
        with self.operation("stream", name) as operation:
            new_id = await self._new_id(operation.file)
            async with aclosing(self._target.stream(new_id, offset, length, chunk_size=chunk_size)) as chunks:
                async for chunk in chunks:
                    operation.bytes += len(chunk)
                    yield chunk

    async def stat(self, name: FileName) -> FileBasicInfo:
        """All that is known of it, under its new id: see `Storage.stat`."""
        with self.operation("stat", name) as operation:
            return await self._target.stat(await self._new_id(operation.file))

    async def delete(self, name: FileName) -> None:
        """Refuse the deletion, as every read-only storage."""
        with self.operation("delete", name):
            pass

    async def url(self, name: FileName) -> str:
        """The URL of the file that an old id became."""
        with self.operation("url", name) as operation:
            return await self._target.url(await self._new_id(operation.file))


def _find_target(connection: Connection, table: Table, file_id: str) -> str | None:
    target: str | None = connection.scalar(by_key(select(table.c.target), table).where(table.c.source == file_id))
    return target
