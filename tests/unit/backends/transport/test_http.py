"""Connections, time-outs and retries, against servers that behave as they should not."""

import asyncio
import gc
import random
import socket
from dataclasses import replace

import pytest

from async_storages.backends.transport.http import HttpClient, HttpOptions, transfer_errors
from async_storages.backends.transport.retries import Retries
from async_storages.errors import InvalidArgumentException, StorageOperationException, StorageUnavailableException
from tests.support.patience import TIME_OUT, time_flies
from tests.support.raw_servers import OPTIONS, opened, serving
from tests.support.scripted import reply, scripted


async def fetched(client, url, method="GET", headers=(), body=None):
    async with await client.send(method, url, dict(headers), body) as response:
        with transfer_errors():
            return await response.content.read()


# ---- requests


async def test_a_request_is_sent_as_it_is():
    async with scripted(lambda asked: reply()) as server, opened() as client:
        await fetched(client, f"{server.url}/a%2Fb//c/../%7e?q=%20+", "PUT", {"x-a": "1  2"}, client.body(b"12345"))
    [asked] = server.asked
    assert (asked.method, asked.path, asked.body) == ("PUT", "/a%2Fb//c/../%7e?q=%20+", b"12345")
    assert {name.lower(): value for name, value in asked.headers.items() if name != "Host"} == {
        "accept": "*/*",
        "accept-encoding": "identity",
        "content-length": "5",
        "x-a": "1  2",
    }


async def test_an_answer_is_given_as_it_is():
    """Nothing is unpacked, followed or remembered."""
    said = reply(302, b"\x1f\x8bgzip", Content_Encoding="gzip", Location="/elsewhere", Set_Cookie="a=1")
    async with scripted(lambda asked: said) as server, opened() as client:
        assert await fetched(client, server.url) == b"\x1f\x8bgzip"
        assert await fetched(client, server.url) == b"\x1f\x8bgzip"
    assert [asked.path for asked in server.asked] == ["/", "/"]
    assert server.asked[1].headers["Cookie"] is None


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 3_000_000])
async def test_a_body_is_sent_whole_and_again(size):
    content = random.randbytes(size)
    async with scripted(lambda asked: reply()) as server, opened() as client:
        body = client.body(content)
        assert (body.times_sent, body.was_sent) == (0, False)
        for times in (1, 2):
            await fetched(client, server.url, "PUT", body=body)
            assert (body.times_sent, body.was_sent) == (times, True)
    assert [asked.body for asked in server.asked] == [content] * 2


async def test_a_request_on_a_connection_that_was_closed_meanwhile_counts_twice():
    """The client sends it again by itself; whoever makes new files must know."""
    answers = iter([reply(), b"", reply()])
    async with scripted(lambda asked: next(answers)) as server, opened() as client:
        await fetched(client, server.url)
        body = client.body(b"12345")
        await fetched(client, server.url, "PUT", body=body)
    assert body.times_sent == 2
    assert [asked.method for asked in server.asked] == ["GET", "PUT", "PUT"]


# ---- connections


async def test_connections_are_used_again():
    async with scripted(lambda asked: reply()) as server, opened() as client:
        for _ in range(10):
            await fetched(client, server.url)
    assert server.connections == 1


async def test_there_are_never_more_connections_than_allowed():
    async def answer(asked):
        await asyncio.sleep(0)
        return reply()

    async with scripted(answer) as server, opened(HttpOptions(max_connections=3)) as client:
        await asyncio.gather(*(fetched(client, server.url) for _ in range(50)))
    assert server.connections <= 3
    assert len(server.asked) == 50


async def test_an_answer_that_is_left_costs_its_connection():
    async with scripted(lambda asked: reply(body=b"0" * 5_000_000)) as server, opened() as client:
        for _ in range(2):
            async with await client.send("GET", server.url, {}) as response:
                await response.content.readany()
    assert server.connections == 2


async def test_each_loop_has_its_own_connections():
    async with scripted(lambda asked: reply(body=b"1")) as server, opened() as client:
        assert await fetched(client, server.url) == b"1"
        for _ in range(3):
            # not closed there: the loop does it when it ends
            assert await asyncio.to_thread(asyncio.run, fetched(client, server.url)) == b"1"
        assert await fetched(client, server.url) == b"1"
        assert server.connections == 4
        assert len(client._connections._kept) <= 2  # its own, and that of the loop that ended last


async def test_a_closed_client_opens_again():
    async with scripted(lambda asked: reply()) as server, opened() as client:
        for _ in range(2):
            await fetched(client, server.url)
            await client.aclose()
            await client.aclose()
    assert server.connections == 2


async def test_a_client_that_is_dropped_closes_its_connections():
    async with scripted(lambda asked: reply()) as server:
        client = HttpClient(OPTIONS)
        await fetched(client, server.url)
        pool = (await client._connections.get()).pool
        del client
        gc.collect()
        for _ in range(3):
            await asyncio.sleep(0)
        assert pool.is_closed


# ---- trouble


async def hang(asked):
    await asyncio.Event().wait()


TROUBLE = {
    "no answer": (hang, "no answer in time"),
    "closed": (lambda asked: b"", "Disconnected"),
    "not HTTP": (lambda asked: b"220 smtp.example.com ESMTP\r\n\r\n", "no HTTP"),
    "bad header": (lambda asked: b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "no HTTP"),
    "huge header": (lambda asked: reply(x="x" * 100_000), "no HTTP"),
    "half an answer": (lambda asked: reply(Content_Length="10", body=b"12345")[:-1], "no answer in time"),
    "bad chunks": (lambda asked: reply(Content_Length=None, Transfer_Encoding="chunked", body=b"xyz\r\n"), "no HTTP"),
}


@pytest.mark.parametrize(("answer", "reason"), TROUBLE.values(), ids=TROUBLE)
async def test_trouble_is_one_exception_and_keeps_secrets(answer, reason):
    async with scripted(answer) as server, opened() as client:
        with time_flies(), pytest.raises(StorageUnavailableException, match=reason) as caught:
            await fetched(client, f"{server.url}/?X-Amz-Signature=hidden", headers={"Authorization": "hidden"})
    shown = [repr(error) + str(error) for error in (caught.value, caught.value.__cause__) if error]
    assert "hidden" not in "".join(shown)


async def test_a_server_that_takes_nothing_is_left_in_time():
    """More than the system buffers, to a server that reads none of it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        async with opened() as client:
            body = client.body(bytes(64 << 20))
            with time_flies(), pytest.raises(StorageUnavailableException, match="no answer in time"):
                await fetched(client, f"http://127.0.0.1:{server.getsockname()[1]}", "PUT", body=body)
    assert not body.was_sent


async def test_nobody_listens():
    async with scripted(lambda asked: reply()) as server:
        pass
    async with opened() as client:
        with pytest.raises(StorageUnavailableException, match=r"the connection failed \(Connect call failed") as caught:
            await fetched(client, f"{server.url}/key")
    assert "key" not in str(caught.value)


async def test_waiting_for_a_free_connection_has_an_end():
    async with scripted(lambda asked: reply(body=b"0" * 5_000_000)) as server, opened(ONE_CONNECTION) as client:
        async with await client.send("GET", server.url, {}):
            with time_flies(), pytest.raises(StorageUnavailableException, match="no answer in time"):
                await fetched(client, server.url)
        await fetched(client, server.url)


async def test_a_reader_may_take_its_time():
    """Longer than the time-out: it is the server that must not stand still."""
    async with (
        scripted(lambda asked: reply(body=b"0" * 20_000_000)) as server,
        opened() as client,
        await client.send("GET", server.url, {}) as response,
    ):
        size = len(await response.content.readany())
        with time_flies():
            await asyncio.sleep(2 * TIME_OUT)
        with transfer_errors():
            size += len(await response.content.read())
    assert size == 20_000_000


ONE_CONNECTION = HttpOptions(max_connections=1, pool_timeout=TIME_OUT)

# ---- options

NOT_ABOVE_0 = {"retries", "reserved_connections"}


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        *(
            ({name: value}, HttpOptions)
            for name in HttpOptions.__slots__
            if name not in NOT_ABOVE_0
            for value in (0, -1)
        ),
        ({"read_timeout": float("nan")}, HttpOptions),
        ({"reserved_connections": -1}, HttpOptions),
        ({"reserved_connections": 64}, HttpOptions),
        ({"attempts": 0}, Retries),
        ({"base": -1}, Retries),
        ({"cap": -0.1}, Retries),
    ],
    ids=str,
)
def test_options_that_make_no_sense_are_refused(options, kind):
    with pytest.raises(InvalidArgumentException):
        kind(**options)


async def test_pauses_grow_to_a_limit(monkeypatch):
    longest = []

    async def note(seconds):
        longest.append(seconds)

    monkeypatch.setattr(random, "uniform", lambda least, most: most)
    monkeypatch.setattr(asyncio, "sleep", note)
    retries = Retries(base=1, cap=5)
    for failures in (1, 2, 3, 4, 50):
        await retries.pause(failures)
    assert longest == [1, 2, 4, 5, 5]


# ---- answers that hold no file


ENDLESS = f"HTTP/1.1 200 Any\r\nContent-Length: {1 << 40}\r\n\r\n".encode()


async def read(answers, *, is_error=False, **options):
    """The body of the answer of a server that gives these pieces, and then nothing."""
    pieces = iter(answers)

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        await asyncio.Event().wait()

    async with serving(serve) as (url, _), opened(replace(OPTIONS, **options)) as client:
        return await client.read(await client.send("GET", url, {}), is_error=is_error)


@pytest.mark.parametrize("size", [0, 5, 1 << 20, 16 << 20])
async def test_an_answer_is_read_whole(size):
    head = f"HTTP/1.1 200 Any\r\nContent-Length: {size}\r\n\r\n".encode()
    assert await read([head, bytes(size)]) == bytes(size)


async def test_an_answer_that_is_too_large_is_not_read_to_its_end():
    with pytest.raises(StorageOperationException, match="too large"):
        await read([ENDLESS, *[bytes(1 << 20)] * 17])


async def test_of_an_error_the_beginning_is_read():
    assert await read([ENDLESS, b"<Error>", *[b" " * 65_536] * 2], is_error=True) == b"<Error>".ljust(65_536)


async def test_an_answer_that_stands_still_is_given_up():
    with pytest.raises(StorageUnavailableException, match="no answer in time"):
        await read([ENDLESS, b"<Error>"], answer_timeout=0.1)


async def test_interim_answers_do_not_prolong_the_wait():
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        while True:
            writer.write(b"HTTP/1.1 102 Processing\r\n\r\n")
            await writer.drain()
            await asyncio.sleep(0.001)

    quick = replace(OPTIONS, answer_timeout=0.1, pool_timeout=0.1)
    async with serving(serve) as (url, _), opened(quick) as client:
        for body in (None, client.body(b""), client.body(b"content")):
            with pytest.raises(StorageUnavailableException, match="no answer in time"):
                await client.send("PUT", url, {}, body)
