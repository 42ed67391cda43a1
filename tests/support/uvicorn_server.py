"""ASGI applications on a real uvicorn, in the test's own loop, so that a test sees what its storages hold open."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import uvicorn

from tests.support.patience import TIME_OUT


@asynccontextmanager
async def served(app: Any, **options: Any) -> AsyncIterator[str]:
    """The URL of the application on a free port of 127.0.0.1, within its lifespan; `options` are uvicorn's.

    Leaving it closes the socket, waits for the answers under way, and ends the lifespan.
    """
    settings = {"lifespan": "on", "log_config": None, "timeout_graceful_shutdown": int(TIME_OUT), **options}
    config = uvicorn.Config(app, host="127.0.0.1", port=0, **settings)
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()  # its `serve` would take over the signals, and close within 0.1 s at the soonest
    try:
        await server.on_tick(0)  # the headers that it puts in every answer
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        await server.shutdown()


@asynccontextmanager
async def asking(app: Any, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the served application; `options` are httpx's."""
    async with served(app) as url, httpx.AsyncClient(base_url=url, timeout=TIME_OUT, **options) as client:
        yield client
