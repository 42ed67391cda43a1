"""Mapped classes whose files are tracked, and storages that fail or wait when told to."""

import asyncio

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from async_storages import MemoryStorage, PendingFile, StorageUnavailableException, StoredFile
from async_storages.integrations.sqlalchemy import FileList, FileListMapped, FileListType, FileMapped, FileType
from async_storages.integrations.sqlalchemy.ledger.storage_marks import FOLDER


class Base(DeclarativeBase):
    pass


class Shelf(Base):
    __tablename__ = "shelves"
    id: Mapped[int] = mapped_column(primary_key=True)
    books: Mapped[list["Book"]] = relationship(cascade="all, delete-orphan", order_by="Book.id")
    loans: Mapped[list["Loan"]] = relationship(cascade="all, delete", passive_deletes=True)


class Book(Base):
    __tablename__ = "books"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str | None] = mapped_column(String(100), unique=True)
    shelf_id: Mapped[int | None] = mapped_column(ForeignKey(Shelf.id))
    file: FileMapped[StoredFile | None] = mapped_column(FileType("documents"))
    deferred: Mapped[StoredFile | None] = mapped_column(FileType("documents"), deferred=True)
    kept: Mapped[StoredFile | None] = mapped_column(FileType("documents", on_delete="keep"))
    shared: Mapped[StoredFile | None] = mapped_column(FileType("documents", shared=True))
    __table_args__ = (Index("ix_books_shared", "shared", mysql_length=255),)


class Loan(Base):
    __tablename__ = "loans"
    id: Mapped[int] = mapped_column(primary_key=True)
    shelf_id: Mapped[int | None] = mapped_column(ForeignKey(Shelf.id, ondelete="CASCADE"))
    file: Mapped[StoredFile | None] = mapped_column(FileType("documents"))
    shared: Mapped[StoredFile | None] = mapped_column(FileType("documents", shared=True))
    __table_args__ = (Index("ix_loans_shared", "shared", mysql_length=255),)


def indexes_json(_ddl, _target, bind, **_):
    """False for MySQL, whose JSON is no text."""
    return getattr(bind.dialect, "is_mariadb", True)


class Album(Base):
    __tablename__ = "albums"
    id: Mapped[int] = mapped_column(primary_key=True)
    pages: FileListMapped[FileList[StoredFile] | None] = mapped_column(
        FileListType("documents", facts=("size", "filename", "sha256", "uploaded_at"))
    )
    kept: Mapped[FileList[StoredFile] | None] = mapped_column(
        FileListType("documents", on_delete="keep", facts=("size",))
    )
    shared: Mapped[FileList[StoredFile] | None] = mapped_column(FileListType("documents", shared=True))
    __table_args__ = (
        Index("ix_albums_shared", "shared", postgresql_using="gin", mysql_length=255).ddl_if(callable_=indexes_json),
    )


class Signal:
    """An event for which tasks of several event loops wait: a plain Session's upload in another one than the test's."""

    def __init__(self):
        self._is_set = False
        self._waiting = []

    def is_set(self):
        return self._is_set

    def set(self):
        self._is_set = True
        for loop, event in self._waiting:
            loop.call_soon_threadsafe(event.set)

    def clear(self):
        self._is_set, self._waiting = False, []

    async def wait(self):
        self._waiting.append((asyncio.get_running_loop(), event := asyncio.Event()))
        if not self._is_set:
            await event.wait()


class TroubledStorage(MemoryStorage):
    """Refuses what it is told to refuse, and says when it is asked to wait."""

    def __init__(self):
        super().__init__()
        self.refused = set()
        self.held = set()
        self.reached = Signal()
        self.go_on = Signal()

    async def write(self, content, key, *, overwrite=True):
        await self._meet("write", key)
        return await super().write(content, key, overwrite=overwrite)

    async def delete(self, name):
        await self._meet("delete", name)
        await super().delete(name)

    async def _meet(self, operation, key):
        name = str(key).rpartition("_")[2]
        if {operation, name} & self.held:
            self.reached.set()
            await self.go_on.wait()
        if {operation, name} & self.refused:
            raise StorageUnavailableException("told to", operation=operation)


def pending(name):
    return PendingFile(name.encode(), filename=name)


async def files(storage):
    """The names of the files that are there, but for a ledger's mark."""
    return {info.file_name async for info in storage.list() if FOLDER not in info.file_id}
