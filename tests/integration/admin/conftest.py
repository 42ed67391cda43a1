"""Each admin panel, with each kind of session."""

import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import sessionmaker

from async_storages import registry
from async_storages.integrations.sqlalchemy import FileLedger, enable_file_tracking
from async_storages.synchronous.background_loop import stop_background_loop
from tests.support.admin import PANELS, STORAGE, Base, StarletteAdmin, client_of, panel_site
from tests.support.ledgers import settle


@pytest.fixture(params=PANELS, ids=lambda panel: panel.kind)
def panel_class(request):
    return request.param


@pytest.fixture(params=["tracked", "ledger", "plain"])
def kind_of_session(request):
    return request.param


@pytest.fixture
async def engine(tmp_path):
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'rows.sqlite'}")
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield engine
    await engine.dispose()


@pytest.fixture
async def ledger(kind_of_session, engine):
    if kind_of_session != "ledger":
        return None
    ledger = FileLedger(engine, Base.metadata)
    await ledger.create()
    return ledger


@pytest.fixture
def sessions(kind_of_session, engine, ledger, tmp_path):
    if kind_of_session != "plain":
        yield enable_file_tracking(async_sessionmaker(engine, expire_on_commit=False), ledger=ledger)
        return
    plain = create_engine(f"sqlite:///{tmp_path / 'rows.sqlite'}")
    yield enable_file_tracking(sessionmaker(plain, expire_on_commit=False))
    plain.dispose()
    stop_background_loop()


@pytest.fixture
async def site(panel_class, kind_of_session, sessions, tmp_path, no_blocking_calls):
    if (panel_class, kind_of_session) == (StarletteAdmin, "plain"):
        no_blocking_calls.deactivate()  # it begins savepoints of plain Sessions on the event loop
    async with panel_site(panel_class, sessions, tmp_path / "files") as site:
        yield site
    registry.unregister(STORAGE)


@pytest.fixture
def storage(site):
    return site[1]


@pytest.fixture
async def panel(panel_class, site):
    async with client_of(site[0]) as client:
        panel = panel_class(client)
        await panel.open()
        yield panel


@pytest.fixture
def settled(ledger):
    """Waits for the worker, if there is one."""

    async def settled():
        if ledger is not None:
            await settle(ledger)

    return settled
