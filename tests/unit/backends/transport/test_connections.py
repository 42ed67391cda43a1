"""The way to a server, and its kept connections."""

import asyncio

import pytest

from async_storages.backends.transport.connections import ConnectionPool, Place
from async_storages.backends.transport.http import transfer_errors
from tests.support.patience import TIME_OUT
from tests.support.raw_servers import opened, serving
from tests.support.scripted import reply, scripted

UNASKED = {
    "an answer without length": b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n400 Bad Request",
    "an answer": b"HTTP/1.1 204 No Content\r\n\r\n",
}


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://a.example", "a.example"),
        ("http://a.example:80", "a.example"),
        ("https://a.example:443", "a.example"),
        ("https://a.example:8443", "a.example:8443"),
        ("http://[::1]:9000", "[::1]:9000"),
    ],
)
async def test_the_host_header(origin, host):
    assert Place(origin).host == host


@pytest.mark.parametrize(
    ("origin", "proxy", "target"),
    [
        ("http://a.example", None, "/b?c"),
        ("http://a.example", "http://proxy.example", "http://a.example/b?c"),
        ("https://a.example", "http://proxy.example", "/b?c"),
    ],
)
async def test_a_proxy_that_sees_the_request_needs_the_whole_url(origin, proxy, target):
    assert Place(origin, proxy).target("/b?c") == target


async def test_a_connection_is_taken_again():
    async with scripted(lambda asked: reply()) as server:
        pool = ConnectionPool(limit=2, pool_timeout=TIME_OUT, connect_timeout=TIME_OUT)
        place = pool.place(server.url)
        assert pool.place(server.url) is place
        for _ in range(3):
            (await pool.take(place)).release()
        assert not pool.is_closed
        await pool.aclose()
        assert pool.is_closed
    assert server.connections == 1


async def fetched(client, url):
    async with await client.send("GET", url, {}) as response:
        with transfer_errors():
            return await response.content.read()


@pytest.mark.parametrize("unasked", UNASKED.values(), ids=UNASKED.keys())
async def test_a_connection_on_which_the_server_sent_something_unasked_is_not_taken_again(unasked):
    """The next request would take it for its answer."""
    may_send, sent = asyncio.Event(), asyncio.Event()

    async def serve(reader, writer):
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            await may_send.wait()
            if not sent.is_set():
                writer.write(unasked)
                await writer.drain()
                sent.set()

    async with serving(serve) as (url, connections), opened() as client:
        assert await fetched(client, url) == b"ok"
        may_send.set()
        await sent.wait()
        for _ in range(5):  # the bytes are in the socket: the loop reads them
            await asyncio.sleep(0)
        assert await asyncio.wait_for(fetched(client, url), TIME_OUT) == b"ok"
        assert len(connections) == 2
