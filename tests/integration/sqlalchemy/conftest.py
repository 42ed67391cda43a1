"""Databases to test on, and the storages of the models in tests/support/documents.py."""

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from async_storages import MemoryStorage, registry
from tests.support.documents import Base


@pytest.fixture(autouse=True)
def storage():
    with registry.override("documents", MemoryStorage()) as documents:
        yield documents


@pytest.fixture(autouse=True)
def archive():
    with registry.override("archive", MemoryStorage()) as archive:
        yield archive


@pytest.fixture
async def engine(database_url):
    engine = create_async_engine(database_url)
    yield engine
    await engine.dispose()


@pytest.fixture
def create(engine):
    """Create the tables of a mapped class's (or its base's) metadata."""

    async def create(class_):
        async with engine.begin() as connection:
            await connection.run_sync(class_.metadata.create_all)

    return create


@pytest.fixture
async def session(engine, create):
    await create(Base)
    async with AsyncSession(engine) as session:
        yield session


@pytest.fixture
def statements(engine):
    """The statements that are sent to the database, as they are sent."""
    sent = []

    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def note(connection, cursor, statement, parameters, context, many):
        sent.append(statement)

    return sent
