"""The fixtures of the scenarios, with plain Sessions on drivers that block."""

from functools import partial

import pytest
from sqlalchemy import create_engine, event

from async_storages.integrations.sqlalchemy import FileLedger, enable_file_tracking
from tests.integration.transactions.conftest import *  # noqa: F403 - all of them but those below
from tests.integration.transactions.conftest import _left, begin_with_begin
from tests.support.plain_sessions import PlainSessions, plain_url
from tests.support.tracked import Base


@pytest.fixture
def plain_engine(database_url, engine):
    plain = create_engine(plain_url(database_url))
    if plain.dialect.name == "sqlite":
        begin_with_begin(plain)
    event.listen(engine.sync_engine, "engine_disposed", lambda _: plain.dispose())
    yield plain
    plain.dispose()


@pytest.fixture
async def ledger(level, plain_engine):
    return None if level == 1 else FileLedger(plain_engine, Base.metadata)


@pytest.fixture
def track(ledger, plain_engine):
    """Gives plain Sessions their level, in the place of the AsyncSessions that a test makes."""

    def track(async_maker):
        sessions = PlainSessions.of(async_maker, plain_engine)
        enable_file_tracking(sessions.maker, ledger=ledger)
        return sessions

    return track


@pytest.fixture
def track_metadata(engine, plain_engine, storage, level, track):
    async def track_metadata(metadata):
        ledger = FileLedger(plain_engine, metadata) if level == 2 else None
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        sessions = PlainSessions.of(async_sessionmaker(engine), plain_engine)  # noqa: F405
        enable_file_tracking(sessions.maker, ledger=ledger)
        return sessions, partial(_left, storage, ledger)

    return track_metadata
