"""Large bodies, to servers that take them slowly or not to their end."""

import asyncio

import pytest

from async_storages.errors import StorageUnavailableException
from tests.support.patience import TIME_OUT, time_flies
from tests.support.raw_servers import LARGE, opened, serving
from tests.support.scripted import reply


async def test_a_server_that_takes_little_at_a_time_is_borne():
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        left = LARGE
        while left:
            await asyncio.sleep(0.8 * TIME_OUT)
            left -= len(await reader.readexactly(min(left, 16 << 20)))
        writer.write(reply())
        await asyncio.Event().wait()

    async with serving(serve) as (url, _), opened() as client:
        body = client.body([bytes(LARGE // 2), bytes(LARGE // 2)])
        with time_flies():
            assert (await client.send("PUT", url, {}, body)).status == 200
    assert body.was_sent


async def test_a_connection_that_breaks_off_ends_the_request():
    async def serve(reader, writer):
        await reader.readexactly(1 << 20)

    async with serving(serve) as (url, connections), opened() as client:
        body = client.body(bytes(LARGE))
        with pytest.raises(StorageUnavailableException, match="the connection failed"):
            await client.send("PUT", url, {}, body)
    assert (len(connections), body.times_sent, body.was_sent) == (2, 2, False)
