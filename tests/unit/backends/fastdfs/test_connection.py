"""One connection: whatever the other end says or does not say, it ends, and is used again only where that is right."""

import asyncio
import socket
from contextlib import asynccontextmanager

import pytest

from async_storages.backends.fastdfs import protocol
from async_storages.backends.fastdfs.connection import Connection
from async_storages.backends.fastdfs.protocol import Name, Server
from async_storages.backends.fastdfs.statuses import ProtocolError, Refusal
from async_storages.errors import InvalidArgumentException, StorageClosedException, StorageUnavailableException
from tests.support.fastdfs import Ending, Silence, reply, scripted, serving
from tests.support.patience import TIME_OUT, time_flies

NAME = Name.parse("group1/M00/00/00/wKgDhF7zb-GAdBjQAAAADcNDGRM463.txt")
NAMED = b"group1".ljust(16, b"\0") + NAME.path.encode()
INFO = (13).to_bytes(8, "big") + (1_593_009_901).to_bytes(8, "big") + bytes(8) + b"127.0.0.1".ljust(16, b"\0")


@asynccontextmanager
async def connected(server):
    connection = await Connection.open(server, connect_timeout=TIME_OUT, network_timeout=TIME_OUT)
    try:
        yield connection
    finally:
        connection.abort()
        await asyncio.shield(connection._lost)


async def pieces(*chunks):
    for chunk in chunks:
        yield chunk


@pytest.mark.parametrize(
    "said",
    {
        "not FastDFS": b"HTTP/1.1 400 Bad Request\r\n\r\n",
        "a request": reply(INFO, command=22),
        "bytes after it": reply(INFO) + b"\0",
        "two replies": reply(INFO) * 2,
        "too short": reply(INFO[:-1]),
        "too long": reply(INFO + b"\0"),
        "endless": (1 << 63).to_bytes(8, "big") + b"\x64\0",
        "nothing": reply(),
        "no text": reply(INFO[:24] + b"\xff" * 16),
    }.items(),
    ids=lambda item: item[0],
)
async def test_what_is_no_answer(said):
    async with scripted(lambda _: said[1]) as script, connected(script.server) as connection:
        with pytest.raises(ProtocolError):
            await connection.ask(protocol.query_file_info(NAME))
        assert said[0] == "no text" or not connection.is_reusable  # that one was read to its end


async def test_a_reply_byte_by_byte():
    async def converse(reader, writer):
        for byte in reply(INFO):
            writer.write(bytes([byte]))
            await asyncio.sleep(0)
        await reader.read()

    async with serving(converse) as server, connected(server) as connection:
        assert (await connection.ask(protocol.query_file_info(NAME))).size == 13
        assert connection.is_reusable


@pytest.mark.parametrize("length", range(len(reply(INFO))))
async def test_a_reply_that_breaks_off(length):
    async with scripted(lambda _: Ending(reply(INFO)[:length])) as script, connected(script.server) as connection:
        with pytest.raises(StorageUnavailableException):
            await connection.ask(protocol.query_file_info(NAME))
        assert not connection.is_reusable


async def test_a_refusal_leaves_the_connection_usable():
    async with scripted(lambda _: reply(status=2)) as script, connected(script.server) as connection:
        for _ in range(2):
            with pytest.raises(Refusal) as refused:
                await connection.ask(protocol.query_file_info(NAME))
            assert (refused.value.status, connection.is_reusable) == (2, True)


@pytest.mark.parametrize("said", [reply(status=22), reply(status=5), reply(b"no", status=5), reply(b"no", status=2)])
async def test_most_refusals_end_the_connection(said):
    """Real servers close it, or never answer there again; the length that is told may be anything."""
    announced = (3).to_bytes(8) + said[8:10]
    negative = (-3).to_bytes(8, signed=True) + said[8:10]
    for told in (said, announced, negative):
        async with scripted(lambda _, told=told: told) as script, connected(script.server) as connection:
            with pytest.raises(Refusal) as refused:
                await connection.ask(protocol.query_file_info(NAME))
            assert refused.value.status == said[9]
            assert connection.is_reusable == (said[9] == 2)


async def test_a_refused_upload_ends_the_connection():
    """What the server has not read yet of it, it may take for requests."""
    async with scripted(lambda _: reply(status=2)) as script, connected(script.server) as connection:
        with pytest.raises(Refusal):
            await connection.ask(protocol.upload_slave(NAME, 5, "-s"), pieces(b"12345"))
        assert not connection.is_reusable


@pytest.mark.parametrize("size", [1 << 16, 1 << 20])
async def test_a_refusal_is_read_though_the_server_resets_the_connection(size, caplog):
    """It answers a large upload at once, and closes with most of it unread: 100 of 100 times the reason is told."""

    def refuse(listener):
        for _ in range(100):
            client, _ = listener.accept()
            with client:
                client.recv(10)
                client.sendall(reply(status=28))

    told = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        refusing = asyncio.create_task(asyncio.to_thread(refuse, listener))
        for _ in range(100):
            async with connected(Server(*listener.getsockname())) as connection:
                with pytest.raises(Refusal) as refused:
                    await connection.ask(protocol.upload(64 << 20), pieces(*[bytes(size)] * ((64 << 20) // size)))
                told.append(refused.value.status)
        await refusing
    assert told == [28] * 100
    assert not caplog.records


# ---- content


@pytest.mark.parametrize(("said", "error"), [(reply(status=28), Refusal), (reply(NAMED), ProtocolError)])
async def test_a_reply_before_all_was_sent(said, error):
    """The rest is not sent, and an id that comes too early is not believed."""
    taken = []

    async def converse(reader, writer):
        await reader.readexactly(10)
        writer.write(said)
        await reader.read()

    async def endless():
        for number in range(1 << 16):
            taken.append(number)
            yield bytes(1 << 16)
            await asyncio.sleep(0)

    async with serving(converse) as server, connected(server) as connection:
        with pytest.raises(error):
            await connection.ask(protocol.upload(1 << 32), endless())
        assert len(taken) < 1 << 12
        assert not connection.is_reusable
        assert not connection.has_sent_all


async def test_content_that_fails_before_its_first_byte_is_not_heard_of():
    async def failing():
        raise InvalidArgumentException("too small")
        yield b""

    async with scripted(lambda _: reply(NAMED)) as script:
        async with connected(script.server) as connection:
            with pytest.raises(InvalidArgumentException):
                await connection.ask(protocol.upload(0), failing())
            assert not connection.has_sent_all
        await script.ended.wait()
        assert script.commands == []


async def test_empty_content_is_sent():
    async with scripted(lambda _: reply(NAMED)) as script, connected(script.server) as connection:
        assert await connection.ask(protocol.upload(0), pieces()) == NAME
        assert connection.has_sent_all


# ---- time-outs and ends


async def test_a_server_that_says_nothing():
    async with scripted(Silence()) as script, connected(script.server) as connection:
        with time_flies(), pytest.raises(StorageUnavailableException, match=f"nothing moved for {TIME_OUT} s"):
            await connection.ask(protocol.active_test())
        assert connection.has_sent_all
        assert not connection.is_reusable


async def test_a_server_that_takes_nothing():
    async def converse(reader, writer):
        writer.transport.pause_reading()
        await asyncio.Event().wait()

    async with serving(converse) as server, connected(server) as connection:
        with time_flies(), pytest.raises(StorageUnavailableException, match="nothing moved"):
            await connection.ask(protocol.upload(1 << 26), pieces(*[bytes(1 << 20)] * 64))
        assert not connection.has_sent_all


async def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(StorageUnavailableException, match=rf"127\.0\.0\.1:{port}: Connection refused"):
        await Connection.open(Server("127.0.0.1", port), connect_timeout=TIME_OUT, network_timeout=TIME_OUT)


async def test_a_host_that_cannot_be():
    with pytest.raises(StorageUnavailableException):
        await Connection.open(Server("a" * 64 + ".example", 1), connect_timeout=TIME_OUT, network_timeout=TIME_OUT)


async def test_nobody_accepts():
    with socket.socket() as listener, socket.socket() as waiting, socket.socket() as waiting_too:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for client in (waiting, waiting_too):
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        with time_flies(), pytest.raises(StorageUnavailableException, match=f"no connection within {TIME_OUT} s"):
            await Connection.open(Server(*listener.getsockname()), connect_timeout=TIME_OUT, network_timeout=TIME_OUT)


@pytest.mark.parametrize("said", [b"", b"surprise"], ids=["the end", "bytes"])
async def test_what_comes_unasked_ends_it(said):
    async def converse(reader, writer):
        writer.write(said)

    async with serving(converse) as server, connected(server) as connection:
        await asyncio.shield(connection._lost)
        assert not connection.is_reusable
        with pytest.raises((StorageUnavailableException, ProtocolError)):
            await connection.ask(protocol.active_test())
        assert not connection.has_sent_all


async def test_closing_says_good_bye():
    async with scripted(lambda _: reply()) as script, connected(script.server) as connection:
        await connection.ask(protocol.active_test())
        await connection.aclose()
        await script.ended.wait()
        assert script.commands == [111, 82]


async def test_closing_ends_what_is_under_way():
    async with scripted(Silence()) as script, connected(script.server) as connection:
        asked = asyncio.create_task(connection.ask(protocol.active_test()))
        await script.was_asked.wait()
        await connection.aclose()
        with pytest.raises(StorageClosedException):
            await asked


async def test_a_request_while_the_last_reply_is_unread():
    async with scripted(lambda _: reply(b"x" * 1000)) as script, connected(script.server) as connection:
        connection.begin(protocol.download(NAME))
        await connection.receive()
        with pytest.raises(ProtocolError, match="not read to its end"):
            connection.begin(protocol.active_test())
