"""What becomes of a connection when its answer was read, left or came early."""

import asyncio

import pytest

from tests.support.raw_servers import LARGE, opened, serving
from tests.support.scripted import reply, scripted


@pytest.mark.parametrize("content", [b"", b"<Error/>"])
async def test_an_answer_before_the_whole_request_is_given_and_costs_the_connection(content):
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply(403, content))
        await asyncio.Event().wait()

    async with serving(serve) as (url, connections), opened() as client:
        for times in (1, 2):
            body = client.body(bytes(LARGE))
            response = await client.send("PUT", url, {}, body)
            assert (response.status, await client.read(response, is_error=True)) == (403, content)
            assert (len(connections), body.was_sent) == (times, False)


async def test_an_answer_that_was_read_gives_its_connection_back_at_once():
    async with scripted(lambda asked: reply(body=b"12345")) as server, opened() as client:
        first = await client.send("GET", server.url, {})
        assert await first.content.read() == b"12345"
        async with await client.send("GET", server.url, {}) as second:
            first.close()  # it has no connection any more
            assert await second.content.read() == b"12345"
    assert server.connections == 1


async def test_an_answer_that_is_closed_gives_no_more():
    async with scripted(lambda asked: reply(body=bytes(LARGE))) as server, opened() as client:
        response = await client.send("GET", server.url, {})
        response.close()
        response.close()
        with pytest.raises(Exception, match="Connection closed"):
            await response.content.read()


async def test_its_repr_holds_no_secret():
    async with scripted(lambda asked: reply(x_secret="hidden")) as server, opened() as client:
        assert repr(await client.send("GET", f"{server.url}/?hidden", {})) == "<answer 200>"
