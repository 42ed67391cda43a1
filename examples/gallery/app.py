"""The application: ``uvicorn --factory gallery.app:create_app``."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from sqlalchemy.ext.asyncio import create_async_engine

from async_storages import LocalStorage, StorageManager
from async_storages.integrations.fastapi import register_exception_handlers, signed_downloads, storage_lifespan
from async_storages.integrations.sqlalchemy import FileLedger, enable_file_tracking
from gallery.models import LARGEST_FILE, Base
from gallery.pages import page_headers, router, sessions
from gallery.refusals import tell_refusals
from gallery.settings import SIGNED, Settings


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application; its settings are those of the environment unless given."""
    settings = settings or Settings.from_environment()
    storage = settings.storage()
    manager = StorageManager.from_storages(storage, name="photos")
    engine = create_async_engine(settings.database_url)
    ledger = FileLedger(engine, Base.metadata)
    enable_file_tracking(sessions, ledger=ledger).configure(bind=engine)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        await ledger.create()
        app.state.page_headers = await page_headers(storage)
        try:
            yield
        finally:
            await engine.dispose()

    app = FastAPI(
        title="Gallery",
        lifespan=storage_lifespan(manager, ledger=ledger, lifespan=lifespan),
        openapi_url=None,
        max_body_size=LARGEST_FILE + 1_000_000,  # bytes, of which the form needs some
    )
    app.state.ledger = ledger
    register_exception_handlers(app)
    tell_refusals(app)
    app.include_router(router)
    app.mount("/static", StaticFiles(directory=Path(__file__).with_name("static")), name="static")
    if isinstance(storage, LocalStorage):
        app.include_router(signed_downloads(storage), prefix=SIGNED)
    return app
