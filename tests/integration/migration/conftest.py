"""An application whose files are to be moved from one storage to another, with a ledger and without one."""

from types import SimpleNamespace

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from async_storages import LocalStorage, MemoryStorage, StorageManager, registry
from async_storages.integrations.sqlalchemy import FileLedger, Migration, enable_file_tracking
from tests.integration.transactions.conftest import begin_with_begin
from tests.support.ledgers import forget_ledgers, settle
from tests.support.moving import Album, Base, Paper


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def database_url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'test.sqlite'}"
    return request.getfixturevalue("postgres_database" if request.param == "postgresql" else "mariadb_database")


@pytest.fixture
async def engine(database_url):
    engine = create_async_engine(database_url)
    if engine.dialect.name == "sqlite":
        begin_with_begin(engine.sync_engine)
    yield engine
    await engine.dispose()


@pytest.fixture
def source(tmp_path):
    return LocalStorage(tmp_path / "old")


@pytest.fixture
def target():
    return MemoryStorage()


@pytest.fixture(params=["tracking", "ledger"])
def has_ledger(request):
    return request.param == "ledger"


@pytest.fixture
async def app(engine, source, target, has_ledger):
    """The engine, the two storages, a migration between them, tracked sessions, and maybe a ledger."""
    with registry.override("papers", StorageManager.from_storages(target, source)):
        ledger = FileLedger(engine, Base.metadata) if has_ledger else None
        migration = Migration(engine, Base.metadata, source=source, target=target, ledger=ledger)
        tables = [each for each in Base.metadata.sorted_tables if has_ledger or "stored_files" not in each.name]
        async with engine.begin() as connection:
            await connection.run_sync(lambda found: Base.metadata.create_all(found, tables=tables))
        await migration.create()
        sessions = enable_file_tracking(async_sessionmaker(engine, expire_on_commit=False), ledger=ledger)
        yield SimpleNamespace(
            engine=engine, source=source, target=target, ledger=ledger, migration=migration, sessions=sessions
        )
        if ledger is not None:
            await ledger.aclose()
    forget_ledgers(Base.metadata)


@pytest.fixture
def papers(app):
    """A function that makes rows with files of the source, one for each content; they are 1, 2 …"""

    async def papers(*contents):
        async with app.sessions.begin() as session:
            for content in contents:
                file = await app.source.save(content.encode(), f"{content}.txt", folder="reports")
                session.add(Paper(content=content, file=file))

    return papers


@pytest.fixture
def move(app):
    """A function that plans and runs."""

    async def move():
        await app.migration.plan()
        return await app.migration.run(concurrency=2)

    return move


@pytest.fixture
def contents(app):
    """A function for what the files of all rows hold."""

    async def contents():
        async with app.sessions() as session:
            papers = await session.scalars(select(Paper).order_by(Paper.id))
            albums = await session.scalars(select(Album).order_by(Album.id))
            files = [paper.file for paper in papers] + [file for album in albums for file in album.files or ()]
        return [(await file.read()).decode() for file in files if file is not None]

    return contents


@pytest.fixture
def present(app):
    """A function for the names of the files in a storage, when a ledger's worker has done what there was."""

    async def present(storage):
        if app.ledger is not None:
            await settle(app.ledger)
        infos = [info async for info in storage.list()]
        return sorted(info.file_name for info in infos if "async-storages-ledger" not in info.file_id)

    return present
