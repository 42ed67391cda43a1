"""The way to a server, and its kept connections."""

import pytest

from async_storages.backends.transport.connections import ConnectionPool, Place
from tests.support.patience import TIME_OUT
from tests.support.scripted import reply, scripted


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
