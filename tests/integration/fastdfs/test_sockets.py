"""After many operations at once, abandoned and cancelled, only idle connections are open, at both ends."""

import asyncio
import gc

import pytest

from async_storages.testing import FastDFSServer
from tests.support.fastdfs import fastdfs_cluster, opened_by

CONTENT = bytes(range(256)) * 4
LARGE = bytes(3_000_000)


@pytest.fixture
async def server():
    async with FastDFSServer() as server:
        yield server


@pytest.fixture
async def client(server):
    async with fastdfs_cluster(server) as client:
        yield client


async def test_200_operations_at_once(server, client):
    async def work():
        file_id = await client.upload(CONTENT)
        assert b"".join([chunk async for chunk in client.download(file_id)]) == CONTENT
        await client.delete(file_id)

    await asyncio.gather(*(work() for _ in range(200)))
    await check_sockets(server, client)


async def test_50_abandoned_downloads(server, client):
    file_id = await client.upload(LARGE)
    for closes in [True, False] * 25:
        chunks = client.download(file_id)
        await anext(chunks)
        if closes:
            await chunks.aclose()
        del chunks
        gc.collect(0)
    await check_sockets(server, client)


async def test_50_cancelled_uploads(server, client):
    async def endless():
        while True:
            yield CONTENT
            await asyncio.sleep(0)

    async def cancelled(number):
        task = asyncio.create_task(client.upload(LARGE if number % 5 else endless()))
        for _ in range(number % 10):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert all(await asyncio.gather(*map(cancelled, range(50))))
    await check_sockets(server, client)
    assert await server.files() == []


async def check_sockets(server, client):
    """All that are open are idle, and the server sees no others."""
    for _ in range(10_000):  # turns, for it to notice that some have gone
        opened, idle = await opened_by(client)
        if opened == idle == sum(server.connections.values()):
            return
        await asyncio.sleep(0)
    raise AssertionError((await opened_by(client), server.connections))
