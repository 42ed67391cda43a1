"""A browser, and a storage of each kind that its files must arrive in."""

import gc

import pytest
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from async_storages import LocalStorage, registry
from async_storages.integrations.sqlalchemy import enable_file_tracking
from tests.support.admin import PANELS, STORAGE, Base, panel_site
from tests.support.admin_pages import Pages
from tests.support.browser import SECRET, browser_page
from tests.support.s3 import s3_storage


@pytest.fixture
async def page():
    async with browser_page() as page:
        yield page


@pytest.fixture(params=["local", "s3"])
def make_storage(request, tmp_path):
    """Makes the storage, once the site's URL is known."""
    if request.param == "local":
        return lambda url: LocalStorage(tmp_path / "files", base_url=f"{url}/stored", secret_key=SECRET)
    server, bucket = request.getfixturevalue("s3_server"), request.getfixturevalue("s3_bucket")
    return lambda _url: s3_storage(server, bucket)


# ---- admin panels


@pytest.fixture
async def engine(tmp_path):
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'rows.sqlite'}")
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield engine
    await engine.dispose()


@pytest.fixture(params=PANELS, ids=lambda panel: panel.kind)
async def panel(request, engine, page, tmp_path):
    """The panel, its storage, and its pages in the browser."""
    sessions = enable_file_tracking(async_sessionmaker(engine, expire_on_commit=False))
    async with panel_site(request.param, sessions, tmp_path / "files") as (url, storage):
        yield Pages(page, request.param(None), url, storage)
        await page.goto("about:blank")  # its connections are closed before the server is
    registry.unregister(STORAGE)
    gc.collect()


@pytest.fixture
def picked(tmp_path):
    """Makes files that the browser can choose."""

    def picked(name, content):
        (tmp_path / "picked").mkdir(exist_ok=True)
        path = tmp_path / "picked" / name
        path.write_bytes(content)
        return path

    return picked
