"""Kept connections on which the server sends something that nobody asked for."""

import asyncio

import pytest

from async_storages.backends.transport.http import HttpClient, HttpOptions, transfer_errors
from tests.support.patience import TIME_OUT

OPTIONS = HttpOptions(connect_timeout=TIME_OUT, read_timeout=TIME_OUT, pool_timeout=TIME_OUT)

UNASKED = {
    "an answer without length": b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n400 Bad Request",
    "an answer": b"HTTP/1.1 204 No Content\r\n\r\n",
}


async def fetched(client, url):
    async with await client.send("GET", url, {}) as response:
        with transfer_errors():
            return await response.content.read()


@pytest.mark.parametrize("unasked", UNASKED.values(), ids=UNASKED.keys())
async def test_the_next_request_has_another_connection(unasked):
    may_send, sent, connections = asyncio.Event(), asyncio.Event(), []

    async def serve(reader, writer):
        connections.append(writer)
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                await may_send.wait()
                if not sent.is_set():
                    writer.write(unasked)
                    await writer.drain()
                    sent.set()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    client = HttpClient(OPTIONS)
    try:
        assert await fetched(client, url) == b"ok"
        may_send.set()
        await sent.wait()
        for _ in range(5):  # the bytes are in the socket: the loop reads them
            await asyncio.sleep(0)
        assert await asyncio.wait_for(fetched(client, url), TIME_OUT) == b"ok"
        assert len(connections) == 2
    finally:
        await client.aclose()
        server.close()
        for each in connections:
            each.transport.abort()
        await server.wait_closed()
