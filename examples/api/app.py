"""The application: ``uvicorn --factory api.app:create_app``."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from sqlalchemy.ext.asyncio import create_async_engine

from api import documents, health
from api.dependencies import current_user, sessions
from api.models import FOLDER, RULES, Base
from api.settings import SIGNED, Settings
from async_storages import LocalStorage, StorageManager
from async_storages.integrations.fastapi import (
    DirectUploads,
    direct_router,
    register_exception_handlers,
    signed_downloads,
    signed_uploads,
    storage_lifespan,
)
from async_storages.integrations.sqlalchemy import FileLedger, enable_file_tracking

MAX_BODY_SIZE = 11_000_000  # bytes, of which the form needs some
DESCRIPTION = """
Keeps PDFs, pictures and texts. `X-User` says who you are: another name sees other documents.

A file can also be sent straight to its storage: ask `POST /uploads` for a form, send it to its URL with all `fields`
and then the `file`, and hand the `key` to `POST /documents/direct`:

    curl -F key=… -F …=… -F file=@photo.png URL
"""


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application; its settings are those of the environment unless given."""
    settings = settings or Settings.from_environment()
    storage = settings.storage()
    manager = StorageManager.from_storages(storage, *settings.old_storages(), name="documents")
    engine = create_async_engine(settings.database_url)
    ledger = FileLedger(engine, Base.metadata)
    enable_file_tracking(sessions, ledger=ledger).configure(bind=engine)
    secret = settings.secret_key.get_secret_value()
    uploads = DirectUploads(storage, secret, folder=FOLDER, validator=RULES, ledger=ledger)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        try:
            async with storage_lifespan(manager, ledger=ledger, uploads=uploads)(app):
                yield
        finally:
            await engine.dispose()

    app = FastAPI(title="Documents", description=DESCRIPTION, lifespan=lifespan, max_body_size=MAX_BODY_SIZE)
    app.state.ledger, app.state.uploads = ledger, uploads
    register_exception_handlers(app)
    app.include_router(documents.router)
    app.include_router(direct_router(uploads, owner=current_user))
    app.include_router(health.router)
    if isinstance(storage, LocalStorage):
        app.include_router(signed_downloads(storage), prefix=SIGNED)
        app.include_router(signed_uploads(storage), prefix=SIGNED)
    return app
