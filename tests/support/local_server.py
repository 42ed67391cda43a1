"""LocalStorage over HTTP on a real socket, by the routes that its presigned URLs and forms are made for."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from async_storages import LocalStorage
from async_storages.integrations.fastapi import register_exception_handlers, signed_downloads, signed_uploads
from tests.support import uvicorn_server

SECRET = "a secret of the tests"


@asynccontextmanager
async def served(
    root: Path, make: type[LocalStorage] = LocalStorage, secret_key: Any = SECRET, **options: Any
) -> AsyncIterator[LocalStorage]:
    """An open storage whose `base_url` works, on a free port of 127.0.0.1."""
    app = FastAPI()
    register_exception_handlers(app)
    async with uvicorn_server.served(app) as url, make(root, f"{url}/files", secret_key, **options) as storage:
        app.include_router(signed_downloads(storage), prefix="/files")
        app.include_router(signed_uploads(storage), prefix="/files")
        yield storage
