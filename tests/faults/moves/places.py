"""A database and two storages between which files are moved, and what is missing, wrong or left there."""

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Index, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.pool import NullPool

from async_storages import (
    FastDFSStorage,
    LocalStorage,
    RouteNotSupportedException,
    S3Storage,
    StorageManager,
    StoredFile,
    registry,
)
from async_storages.integrations.sqlalchemy import (
    FileLedger,
    FileList,
    FileListType,
    FileType,
    Migration,
    enable_file_tracking,
)
from async_storages.integrations.sqlalchemy.ledger.storage_marks import FOLDER
from async_storages.integrations.sqlalchemy.migration.tables import MoveState, add_move_table
from async_storages.storage.base import Storage
from tests.faults.leftovers import wait_for_the_dead
from tests.integration.transactions.conftest import begin_with_begin
from tests.support.ledgers import pass_time, settle


class Base(DeclarativeBase):
    pass


class Paper(Base):
    """A row that remembers what its file holds."""

    __tablename__ = "papers"
    id: Mapped[int] = mapped_column(primary_key=True)
    content: Mapped[str | None]
    file: Mapped[StoredFile | None] = mapped_column(FileType("papers"))
    __table_args__ = (Index("ix_papers_file", "file", mysql_length=255),)


class Copy(Base):
    __tablename__ = "copies"
    id: Mapped[int] = mapped_column(primary_key=True)
    content: Mapped[str | None]
    file: Mapped[StoredFile | None] = mapped_column(FileType("papers"))
    __table_args__ = (Index("ix_copies_file", "file", mysql_length=255),)


class Bundle(Base):
    __tablename__ = "bundles"
    id: Mapped[int] = mapped_column(primary_key=True)
    content: Mapped[str | None]
    """Of all its files, with commas between them."""
    files: Mapped[FileList[StoredFile] | None] = mapped_column(FileListType("papers"))
    __table_args__ = (Index("ix_bundles_files", "files", postgresql_using="gin", mysql_length=255),)


for _column in (Paper.content, Copy.content, Bundle.content):
    _column.property.columns[0].type.length = 200
add_move_table(Base.metadata)


@dataclass(frozen=True)
class Place:
    """What a process needs to know to work there.

    Attributes:
        database: SQLAlchemy's URL.
        source: Of S3Storage, the arguments; of FastDFSStorage, the tracker; or the folder of a LocalStorage.
        target: Likewise.
        has_ledger: Whether files are in a ledger.
        fills_source: Whether the application's new files go to the source.
    """

    database: str
    source: dict[str, Any] | str
    target: dict[str, Any] | str
    has_ledger: bool
    fills_source: bool = True

    @property
    def is_sqlite(self):
        return self.database.startswith("sqlite")


@dataclass(frozen=True)
class App:
    """A process at work."""

    engine: AsyncEngine
    source: Storage
    target: Storage
    ledger: FileLedger | None
    migration: Migration
    sessions: async_sessionmaker[Any]


def _storage(said):
    if isinstance(said, dict):
        return S3Storage(**said)
    if said.startswith("/"):
        root, _, folder = said.rpartition("#")
        return LocalStorage(root).within(folder)
    return FastDFSStorage(tracker_servers=[said], url_base="http://files.example")


@asynccontextmanager
async def at_work(place):
    options = {"poolclass": NullPool} if place.is_sqlite else {}
    engine = create_async_engine(place.database, **options)
    if place.is_sqlite:
        begin_with_begin(engine.sync_engine)
    async with AsyncExitStack() as opened:
        source, target = [await opened.enter_async_context(_storage(each)) for each in (place.source, place.target)]
        opened.enter_context(registry.override("papers", _router(place, source, target)))
        ledger = FileLedger(engine, Base.metadata) if place.has_ledger else None
        migration = Migration(engine, Base.metadata, source=source, target=target, ledger=ledger)
        maker = async_sessionmaker(engine, expire_on_commit=False)
        sessions = enable_file_tracking(maker, ledger=ledger)
        try:
            yield App(engine, source, target, ledger, migration, sessions)
        finally:
            if ledger is not None:
                await ledger.aclose()
            await engine.dispose()


class _TwoFolders:
    """Routes between two folders of one storage, which no manager tells apart."""

    def __init__(self, first, second):
        self.storages = (first, second)

    def storage_for_new(self):
        return self.storages[0]

    def storage_for(self, file_id):
        for each in self.storages:
            if str(file_id).startswith(f"file:{each.prefix}"):
                return each
        raise RouteNotSupportedException("it is in neither folder", file_id=str(file_id))

    def identify(self, name):
        return self.storage_for(name).identify(name)


def _router(place, source, target):
    ordered = (source, target) if place.fills_source else (target, source)
    if source.scheme == target.scheme == "file":
        return _TwoFolders(*ordered)
    return StorageManager.from_storages(*ordered)


async def prepare(place):
    async with at_work(place) as app:
        tables = [each for each in Base.metadata.sorted_tables if place.has_ledger or "stored_files" not in each.name]
        async with app.engine.begin() as connection:
            await connection.run_sync(lambda found: Base.metadata.create_all(found, tables=tables))
        await app.migration.create()


# ---- what is there


@dataclass(frozen=True)
class Verdict:
    """What should not be: rows whose file is missing or holds something else, and files that no row names."""

    broken: frozenset[str] = frozenset()
    leaked: frozenset[str] = frozenset()
    unmoved: frozenset[str] = frozenset()


CLEAN = Verdict()


async def judge(place, random=None):
    """Whether all is well: as the killed have left it, and when everything is moved and finished."""
    async with at_work(place) as app:
        await wait_for_the_dead(app.engine)
        if broken := await _broken(app):
            return Verdict(broken=frozenset(broken))
        await let_leases_pass(app)
        if random is not None and random.random() < 0.3:
            await app.migration.rollback(limit=3)
        await app.migration.plan(retry=True)
        await app.migration.run()
        if app.ledger is not None:
            await settle(app.ledger)
        await app.migration.finish()
        if app.ledger is not None:
            await settle(app.ledger)
        broken, named = await _broken(app), await _named(app)
        unmoved = {each for each in named if app.migration._route.is_of_source(each)}
        return Verdict(frozenset(broken), frozenset(await _present(app) - named), frozenset(unmoved))


async def let_time_pass(place):
    async with at_work(place) as app:
        await wait_for_the_dead(app.engine)
        await let_leases_pass(app)


async def let_leases_pass(app):
    table = app.migration.table
    held = (MoveState.MOVING, MoveState.DELETING, MoveState.PLANNED)
    async with app.engine.begin() as connection:
        await connection.execute(update(table).where(table.c.state.in_(held)).values(until=0))
    if app.ledger is not None:
        await pass_time(app.ledger)


async def _rows(app):
    async with app.engine.connect() as connection:
        for column, content in ((Paper.file, Paper.content), (Copy.file, Copy.content), (Bundle.files, Bundle.content)):
            for value, said in await connection.execute(select(column, content)):
                files = list(value) if isinstance(value, Iterable) else [value] if value is not None else []
                yield files, said


async def _broken(app):
    problems = set()
    async for files, said in _rows(app):
        found = []
        for file in files:
            try:
                found.append((await file.read()).decode())
            except Exception as error:  # noqa: BLE001 - it is reported
                found.append(f"{type(error).__name__}")
                problems.add(f"{file.file_id}: {error!r}")
        if ",".join(found) != (said or ""):
            problems.add(f"{files} holds {found}, not {said!r}")
    return problems


async def _named(app):
    return {file.file_id async for files, _ in _rows(app) for file in files}


async def _present(app):
    marks = set() if app.ledger is None else await _marks(app)
    found = set()
    for storage in (app.source, app.target):
        if storage.chooses_ids:
            continue
        found |= {str(storage.identify(info.file_id)) async for info in storage.list()}
    return {each for each in found if FOLDER not in each} - marks


async def _marks(app):
    table = app.ledger.table
    async with app.engine.connect() as connection:
        return set(await connection.scalars(select(table.c.id).where(table.c.state == "mark")))


def run(work):
    return asyncio.run(work)
