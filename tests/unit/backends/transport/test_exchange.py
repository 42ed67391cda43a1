"""One request and its answer on a connection, against servers that answer early, late or in between."""

import asyncio

import pytest

from async_storages.backends.transport.body import Body
from async_storages.backends.transport.exchange import request_head
from async_storages.errors import InvalidArgumentException, StorageUnavailableException
from tests.support.patience import TIME_OUT, time_flies
from tests.support.raw_servers import OPTIONS, opened, serving
from tests.support.scripted import reply, scripted


@pytest.mark.parametrize(
    ("method", "body", "expected"),
    [
        ("GET", None, ""),
        ("HEAD", None, ""),
        ("DELETE", None, "Content-Length: 0\r\n"),
        ("POST", b"", "Content-Length: 0\r\n"),
        ("PUT", (b"12", b"345"), "Content-Length: 5\r\n"),
    ],
)
def test_the_head_of_a_request(method, body, expected):
    head = request_head(method, "/a?b", "host:80", {"x-a": "1"}, None if body is None else Body(body))
    usual = "Host: host:80\r\nAccept: */*\r\nAccept-Encoding: identity\r\nx-a: 1\r\n"
    assert head.decode() == f"{method} /a?b HTTP/1.1\r\n{usual}{expected}\r\n"


@pytest.mark.parametrize("header", [{"x-a": "1\r\nx-b: 2"}, {"x-a": "\0"}, {"x-a\n": "1"}], ids=repr)
async def test_a_header_that_would_be_two_is_refused_and_costs_no_connection(header):
    async with scripted(lambda asked: reply()) as server, opened() as client:
        for headers in ({}, header, {}):
            if headers:
                with pytest.raises(InvalidArgumentException, match="control characters"):
                    await client.send("GET", server.url, headers)
            else:
                await client.read(await client.send("GET", server.url, headers))
    assert (server.connections, len(server.asked)) == (1, 2)


@pytest.mark.parametrize(
    "pieces",
    [[b"HTTP/1.1 102 Processing\r\n\r\n"] * 4 + [reply()], [reply()[:5], reply()[5:20], reply()[20:]]],
    ids=len,
)
async def test_whatever_comes_renews_the_patience(pieces):
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            await asyncio.sleep(0.9 * TIME_OUT)
            writer.write(piece)
        await asyncio.Event().wait()

    async with serving(serve) as (url, _), opened() as client:
        with time_flies():
            assert (await client.send("GET", url, {})).status == 200


async def test_a_server_that_is_silent_after_an_interim_answer_is_left_in_time():
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 102 Processing\r\n\r\n")
        await asyncio.Event().wait()

    async with serving(serve) as (url, _), opened() as client:
        since = asyncio.get_running_loop().time()
        with time_flies(), pytest.raises(StorageUnavailableException, match="no answer in time"):
            await client.send("GET", url, {})
        assert asyncio.get_running_loop().time() - since < 2 * TIME_OUT < OPTIONS.answer_timeout


@pytest.mark.parametrize("content", [b"", b"1", bytes(1 << 20)], ids=len)
async def test_no_time_out_outlives_its_request(content):
    """It would cost the connection, which the next request uses."""
    async with scripted(lambda asked: reply(body=content)) as server, opened() as client:
        for _ in range(2):
            assert await client.read(await client.send("GET", server.url, {})) == content
            with time_flies():
                await asyncio.sleep(OPTIONS.answer_timeout + TIME_OUT)
    assert server.connections == 1
