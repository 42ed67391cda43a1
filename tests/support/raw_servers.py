"""Connections of storages to servers on asyncio's streams, which answer when a test says so."""

import asyncio
from contextlib import asynccontextmanager

from async_storages.backends.transport.http import HttpClient, HttpOptions
from tests.support.patience import TIME_OUT

OPTIONS = HttpOptions(connect_timeout=TIME_OUT, read_timeout=TIME_OUT, pool_timeout=TIME_OUT)
LARGE = 64 << 20
"""More bytes than the system buffers."""


@asynccontextmanager
async def opened(options=OPTIONS):
    """A client, closed with the block."""
    client = HttpClient(options)
    try:
        yield client
    finally:
        await client.aclose()


@asynccontextmanager
async def serving(serve):
    """The URL of a server whose connections `serve` has, and the list of them."""
    tasks = []

    async def begin(reader, writer):
        tasks.append(asyncio.current_task())
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", tasks
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
