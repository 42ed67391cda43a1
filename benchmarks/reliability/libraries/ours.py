"""`enable_file_tracking`, without a ledger."""

from functools import cached_property
from typing import Any

from sqlalchemy.ext.asyncio import async_sessionmaker

from async_storages import LocalStorage, PendingFile, StoredFile
from async_storages.content import Content
from async_storages.integrations.sqlalchemy import FileListType, FileType, enable_file_tracking
from async_storages.storage.base import FileName
from benchmarks.reliability.library import Library
from benchmarks.reliability.trouble import Trouble


class Storage(LocalStorage):
    """A folder that can be in trouble."""

    trouble = Trouble()

    async def write(self, content: Content, key: FileName, *, overwrite: bool = True) -> str:
        await self.trouble.wait("write")
        return await super().write(content, key, overwrite=overwrite)

    async def delete(self, name: FileName) -> None:
        await self.trouble.wait("delete")
        await super().delete(name)


class Tracking(Library):
    packages = ("sqlalchemy-async-storages",)

    def column(self, is_shared: bool) -> FileType:
        return FileType(self.storage, shared=is_shared)

    def list_column(self) -> FileListType:
        return FileListType(self.storage)

    @cached_property
    def storage(self) -> Storage:
        return Storage(self.files)

    async def begin(self) -> None:
        self.storage.trouble = self.trouble
        self.sessions = enable_file_tracking(async_sessionmaker(self.engine))

    def new(self, text: str, filename: str | None = None) -> PendingFile:
        return PendingFile(text.encode(), filename=filename or "report.txt")

    def missing(self) -> StoredFile:
        return StoredFile("file:nowhere.txt", self.storage)

    def names(self, value: Any) -> frozenset[str]:
        return frozenset({value.name})

    async def settle(self) -> None:
        """There is nothing to wait for."""
