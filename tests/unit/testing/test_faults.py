"""A proxy that breaks a connection at the byte it was told to, and otherwise goes unnoticed."""

import asyncio
import socket
import struct
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import product

import aiohttp
import botocore.session
import pytest
from aiohttp import web
from botocore.config import Config
from botocore.exceptions import ClientError, ResponseStreamingError

from async_storages.errors import InvalidArgumentException
from async_storages.testing.faults import (
    CONNECT,
    Answer,
    Delay,
    Duplicate,
    Fault,
    FaultProxy,
    Place,
    Refuse,
    Request,
    Reset,
    Stall,
    Throttle,
    Truncate,
    request_body,
    request_header,
    response_body,
    response_header,
    to_client,
    to_upstream,
)
from tests.support.clock import JumpingClock


@pytest.fixture(autouse=True)
async def clock(monkeypatch) -> JumpingClock:
    loop = asyncio.get_running_loop()
    clock = JumpingClock(loop)
    monkeypatch.setattr(loop._selector, "select", clock.select)
    monkeypatch.setattr(loop, "time", clock.time)
    return clock


async def rest() -> None:
    """Wait until nothing happens any more."""
    await asyncio.sleep(1)


# What is on the wire: a client sends bytes and their end, the upstream reads to the end, sends bytes and their end.


@dataclass
class Side:
    """What one side has received so far, and whether it ended well."""

    received: bytes = b""
    end: str = "open"

    async def read(self, reader: asyncio.StreamReader) -> None:
        try:
            while piece := await reader.read(100_000):
                self.received += piece
            self.end = "closed"
        except ConnectionResetError:
            self.end = "reset"


@asynccontextmanager
async def listening(
    handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """The port of a server that calls `handle` for each client."""
    tasks = set()

    def accept(reader, writer):
        task = asyncio.ensure_future(handle(reader, writer))
        tasks.add(task)
        task.add_done_callback(lambda _: writer.transport.abort())

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


@dataclass
class Wire:
    """One connection through a proxy, with all that either side has to say."""

    request: bytes
    response: bytes
    raw: bool = False
    upstream: Side = field(default_factory=Side)
    client: Side = field(default_factory=Side)

    @asynccontextmanager
    async def proxy(self) -> AsyncIterator[FaultProxy]:
        async with listening(self._answer) as port, FaultProxy("127.0.0.1", port, raw=self.raw) as proxy:
            yield proxy

    async def ask(self, proxy: FaultProxy) -> None:
        reader, writer = await asyncio.open_connection(*proxy.address)
        try:
            writer.write(self.request)
            writer.write_eof()
            await self.client.read(reader)
        finally:
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.upstream.read(reader)
        writer.write(self.response)
        with suppress(OSError):
            await writer.drain()
            writer.write_eof()
            await reader.read()


BODY = bytes(range(48, 122))
HEADERS = {
    "counted": b"Content-Length: %d\r\n\r\n" % len(BODY),
    "chunked": b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",  # of which only the second counts
    "endless": b"Connection: close\r\n\r\n",
}
CHUNKS = b"7;x=y\r\n" + BODY[:7] + b"\r\n" + b"43\r\n" + BODY[7:] + b"\r\n0\r\nTrailer: yes\r\n\r\n"
BODIES = {"counted": BODY, "chunked": CHUNKS, "endless": BODY}
REQUESTS = {
    kind: (b"PUT /a?b=c HTTP/1.1\r\nHost: x\r\n" + HEADERS[kind], BODIES[kind]) for kind in ("counted", "chunked")
}
RESPONSES = {kind: (b"HTTP/1.1 200 OK\r\n" + HEADERS[kind], BODIES[kind]) for kind in HEADERS}
OFFSETS = [0, 5, -1, -3, "middle"]


def position(place: Place, header: bytes, body: bytes) -> int:
    """Where on the wire a place is, worked out without the proxy."""
    before, part = (b"", header) if place.part.endswith("header") else (header, body)
    offset = len(part) // 2 if place.offset == "middle" else place.offset % len(part)
    return len(before) + offset


@dataclass
class Case:
    """A place in a message, and what has to arrive of it before."""

    place: Place
    request: bytes
    response: bytes
    to_upstream: bool
    at: int

    @property
    def message(self) -> bytes:
        return self.request if self.to_upstream else self.response

    def wire(self) -> Wire:
        return Wire(self.request, self.response, raw=self.place.part.startswith("to "))

    def receiver(self, wire: Wire) -> Side:
        return wire.upstream if self.to_upstream else wire.client


def cases() -> list:
    found = {}
    for (kind, parts), make, offset in product(REQUESTS.items(), (request_header, request_body), OFFSETS):
        case = Case(make(offset), b"".join(parts), b"".join(RESPONSES["counted"]), True, position(make(offset), *parts))
        found[f"{make.__name__}({offset})-{kind}"] = case
    for (kind, parts), make, offset in product(RESPONSES.items(), (response_header, response_body), OFFSETS):
        case = Case(make(offset), b"".join(REQUESTS["counted"]), b"".join(parts), False, position(make(offset), *parts))
        found[f"{make.__name__}({offset})-{kind}"] = case
    for make, offset in product((to_upstream, to_client), (0, 7, 99)):
        case = Case(make(offset), b"\x00\r\n\r\n" * 20, b"\x01\r\n" * 50, make is to_upstream, offset)
        found[f"{make.__name__}({offset})"] = case
    return [pytest.param(case, id=name) for name, case in found.items()]


every_place = pytest.mark.parametrize("case", cases())


@every_place
async def test_a_place_without_a_fault_changes_nothing(case):
    wire = case.wire()
    async with wire.proxy() as proxy:
        proxy.inject(Delay(0), case.place, times=None)
        await wire.ask(proxy)
        assert (wire.upstream.received, wire.client.received) == (case.request, case.response)
        assert (wire.upstream.end, wire.client.end) == ("closed", "closed")
        assert proxy.fired == 1


@every_place
async def test_truncate_ends_at_the_byte(case):
    wire = case.wire()
    async with wire.proxy() as proxy:
        proxy.inject(Truncate(), case.place)
        await wire.ask(proxy)
        await rest()
        receiver = case.receiver(wire)
        assert (receiver.received, receiver.end, wire.client.end) == (case.message[: case.at], "closed", "closed")


@every_place
async def test_reset_resets_at_the_byte(case):
    wire = case.wire()
    async with wire.proxy() as proxy:
        proxy.inject(Reset(), case.place)
        await wire.ask(proxy)
        await rest()
        receiver = case.receiver(wire)
        assert (receiver.received, receiver.end, wire.client.end) == (case.message[: case.at], "reset", "reset")


@every_place
async def test_duplicate_repeats_from_the_byte(case):
    wire = case.wire()
    async with wire.proxy() as proxy:
        proxy.inject(Duplicate(2), case.place)
        await wire.ask(proxy)
        part_ends = {
            "request header": case.request.find(b"\r\n\r\n") + 4,
            "response header": case.response.find(b"\r\n\r\n") + 4,
        }
        end = min(case.at + 2, part_ends.get(case.place.part, len(case.message)))
        assert case.receiver(wire).received == case.message[:end] + case.message[case.at : end] + case.message[end:]


@every_place
async def test_stall_holds_the_byte_until_released(case):
    wire = case.wire()
    async with wire.proxy() as proxy, asyncio.TaskGroup() as tasks:
        stall = proxy.inject(Stall(), case.place)
        tasks.create_task(wire.ask(proxy))
        await stall.wait_fired()
        await rest()
        assert (case.receiver(wire).received, case.receiver(wire).end) == (case.message[: case.at], "open")
        stall.release()
        await rest()
        assert (wire.upstream.received, wire.client.received) == (case.request, case.response)


@every_place
async def test_delay_takes_its_time_at_the_byte(case, clock):
    wire = case.wire()
    async with wire.proxy() as proxy:
        delay = proxy.inject(Delay(3600), case.place)
        asking = asyncio.ensure_future(wire.ask(proxy))
        await delay.wait_fired()
        start = clock.now
        await rest()
        assert case.receiver(wire).received == case.message[: case.at]
        await asking
        assert clock.now - start == pytest.approx(3600)
        assert (wire.upstream.received, wire.client.received) == (case.request, case.response)


@every_place
async def test_throttle_slows_down_from_the_byte(case, clock):
    wire = case.wire()
    async with wire.proxy() as proxy:
        start = clock.now
        proxy.inject(Throttle(200), case.place)
        await wire.ask(proxy)
        assert clock.now - start == pytest.approx((len(case.message) - case.at) / 200)
        assert (wire.upstream.received, wire.client.received) == (case.request, case.response)


# What a client that speaks HTTP sees, through a proxy before a server that does.


class Upstream:
    """A server that returns what it is sent, and remembers what it received whole."""

    port = 0

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.gone = asyncio.Event()
        self.sent = 0

    async def echo(self, request: web.Request) -> web.Response:
        self.received.append(await request.read())
        return web.Response(body=self.received[-1], status=int(request.query.get("status", 200)))

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """So many bytes, in chunks if asked to."""
        response = web.StreamResponse()
        size = int(request.query["size"])
        if "chunked" not in request.query:
            response.content_length = size
        await response.prepare(request)
        try:
            for start in range(0, size, len(PIECE)):
                await response.write(PIECE[: size - start])
                self.sent = start + len(PIECE)
        except ConnectionError:
            self.gone.set()
        return response

    async def digest(self, request: web.Request) -> web.Response:
        digest = sha256()
        async for piece in request.content.iter_any():
            digest.update(piece)
        return web.Response(text=digest.hexdigest())

    @asynccontextmanager
    async def serve(self) -> AsyncIterator["Upstream"]:
        app = web.Application(client_max_size=1 << 30)
        for path, handler in (("/echo", self.echo), ("/stream", self.stream), ("/digest", self.digest)):
            app.router.add_route("*", path, handler)
        runner = web.AppRunner(app, shutdown_timeout=0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            await runner.cleanup()


PIECE = bytes(range(256)) * 256
LARGE = 20_000_000


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream().serve() as upstream:
        yield upstream


@pytest.fixture
async def proxy(upstream) -> AsyncIterator[FaultProxy]:
    async with FaultProxy("127.0.0.1", upstream.port) as proxy:
        yield proxy


@pytest.fixture
async def client(proxy) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(proxy.url, timeout=aiohttp.ClientTimeout(total=600)) as client:
        yield client


# POST, because aiohttp itself sends other requests again when their connection is lost.
async def fetch(client: aiohttp.ClientSession, method: str, path: str, **options) -> tuple[int, bytes]:
    async with client.request(method, path, **options) as response:
        return response.status, await response.read()


CONTENT = bytes(range(100))
REQUEST_PLACES = [make(offset) for make in (request_header, request_body) for offset in (0, 7, "middle", -1)]
RESPONSE_PLACES = [make(offset) for make in (response_header, response_body) for offset in (0, 7, "middle", -1)]
PLACES = [CONNECT, *REQUEST_PLACES, *RESPONSE_PLACES]


def name(value: object) -> str | None:
    if isinstance(value, Place):
        return f"{value.part}[{value.offset}]" if value != CONNECT else "connect"
    return type(value).__name__ if isinstance(value, Fault) else None


@pytest.mark.parametrize("place", PLACES, ids=name)
@pytest.mark.parametrize("fault", [Reset(), Truncate(), Stall()], ids=name)
async def test_a_client_sees_its_request_fail_and_the_next_one_work(fault, place, upstream, proxy, client):
    injection = proxy.inject(fault, place)
    with pytest.raises(TimeoutError if fault == Stall() else aiohttp.ClientError) as error:
        await fetch(client, "POST", "/echo", data=CONTENT)
    if place.part != "response body":
        assert isinstance(error.value, (aiohttp.ClientConnectionError, TimeoutError))
    assert upstream.received == ([CONTENT] if place.part.startswith("response") else [])
    assert injection.fired == proxy.fired == 1
    assert await fetch(client, "POST", "/echo", data=b"more") == (200, b"more")
    assert proxy.connections == 2


async def test_a_refused_client_sees_a_reset_and_the_upstream_nothing(upstream, proxy, client):
    proxy.inject(Refuse(), times=2)
    for _ in range(2):
        with pytest.raises(aiohttp.ClientConnectionError):
            await fetch(client, "POST", "/echo", data=CONTENT)
    assert await fetch(client, "POST", "/echo", data=CONTENT) == (200, CONTENT)
    assert (upstream.received, proxy.connections, len(proxy.requests)) == ([CONTENT], 3, 1)


@pytest.mark.parametrize("place", PLACES, ids=name)
@pytest.mark.parametrize("fault", [Delay(60), Throttle(100)], ids=name)
async def test_a_slow_request_is_right(fault, place, proxy, client, clock):
    start = clock.now
    proxy.inject(fault, place)
    assert await fetch(client, "POST", "/echo", data=CONTENT) == (200, CONTENT)
    assert clock.now - start > (59.9 if fault == Delay(60) else 0.0099)  # as exact as a sum of floats is


async def test_throttle_ends_with_its_request(proxy, client, clock):
    proxy.inject(Throttle(1), response_header())
    for slow in (True, False):
        start = clock.now
        assert await fetch(client, "POST", "/echo", data=CONTENT) == (200, CONTENT)
        assert (clock.now - start > 100) == slow
    assert proxy.connections == 1


async def test_throttle_at_connect_slows_all_requests_both_ways(proxy, client, clock):
    proxy.inject(Throttle(1000))
    for _ in range(2):
        start = clock.now
        assert await fetch(client, "POST", "/echo", data=CONTENT) == (200, CONTENT)
        assert 0.2 < clock.now - start < 2
    start = clock.now
    await fetch(client, "GET", "/stream?size=10000")
    assert clock.now - start > 10


async def test_what_was_duplicated_is_never_taken_for_right(proxy, client):
    fault = proxy.inject(Duplicate(10), response_body())
    seen = None
    with suppress(aiohttp.ClientError):
        seen = await fetch(client, "POST", "/echo", data=CONTENT)
    assert seen in (None, (200, CONTENT[:10] + CONTENT[:90]))
    assert fault.fired == 1


ANSWERS = {
    request_header(): [],
    request_body(): [],
    request_body(-1): [],
    response_header(): [CONTENT],
}


@pytest.mark.parametrize(("place", "received"), ANSWERS.items(), ids=name)
async def test_an_answer_comes_instead_of_the_upstreams(place, received, upstream, proxy, client):
    proxy.inject(Answer(429, b"too many", {"Retry-After": "7"}), place)
    async with client.post("/echo", data=CONTENT) as response:
        assert (response.status, response.reason, response.headers["Retry-After"]) == (429, "Too Many Requests", "7")
        assert await response.read() == b"too many"
    assert upstream.received == received
    assert await fetch(client, "POST", "/echo", data=b"more") == (200, b"more")
    assert proxy.connections == 2


async def test_an_answer_to_head_has_no_body(proxy, client):
    proxy.inject(Answer(503, b"not for you"), request_header())
    async with client.head("/echo") as response:
        assert (response.status, response.headers["Content-Length"]) == (503, "11")


async def test_an_answer_as_s3_gives_it(proxy, client):
    proxy.inject(Answer.s3_error("SlowDown", message="less & slower"), request_header())
    async with client.get("/echo") as response:
        assert (response.status, response.content_type) == (503, "application/xml")
        text = await response.text()
    assert "<Error><Code>SlowDown</Code><Message>less &amp; slower</Message></Error>" in text


@pytest.mark.parametrize("place", [request_header(), request_body(5_000_000)], ids=name)
async def test_an_early_answer_reaches_a_client_that_sends_on(place, proxy):
    """Were the connection closed with bytes unread, the client would be reset before it reads the answer."""
    proxy.inject(Answer(503, b"slow down"), place)
    reader, writer = await asyncio.open_connection(*proxy.address)
    writer.write(b"POST /digest HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % LARGE)
    for start in range(0, LARGE, len(PIECE)):
        writer.write(PIECE[: LARGE - start])
        await writer.drain()
        await asyncio.sleep(0)
    answer = await reader.read()
    writer.transport.abort()
    assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert answer.endswith(b"\r\n\r\nslow down")


async def test_a_truncated_request_ends_though_the_client_stays():
    wire = Wire(b"0123456789", b"", raw=True)
    async with wire.proxy() as proxy:
        proxy.inject(Truncate(), to_upstream(4))
        reader, writer = await asyncio.open_connection(*proxy.address)
        writer.write(wire.request)
        assert await reader.read() == b""
        await rest()
        assert (wire.upstream.received, wire.upstream.end) == (b"0123", "closed")
        writer.transport.abort()


async def test_what_was_passed_on_before_a_truncation_arrives_however_slowly_it_is_read():
    received = Side()

    async def read_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await rest()
        await received.read(reader)

    async with listening(read_late) as port, FaultProxy("127.0.0.1", port, raw=True) as proxy:
        proxy.inject(Truncate(), to_upstream(LARGE - 1))
        reader, writer = await asyncio.open_connection(*proxy.address)
        writer.write(bytes(LARGE))
        assert await reader.read() == b""
        writer.transport.abort()
        await rest()
    assert (len(received.received), received.end) == (LARGE - 1, "closed")


async def test_requests_share_a_connection_and_faults_find_theirs(proxy):
    fault = proxy.inject(Reset(), response_body(), when=lambda method, path: (method, path) == ("POST", "/echo?b=2"))
    connector = aiohttp.TCPConnector(limit=1)
    async with aiohttp.ClientSession(proxy.url, connector=connector) as client:
        for method, path in [("GET", "/echo"), ("HEAD", "/echo"), ("PUT", "/echo?b=2"), ("POST", "/echo?a=1")]:
            assert (await fetch(client, method, path, data=b"x"))[0] == 200
        assert await fetch(client, "PUT", "/echo?status=204") == (204, b"")
        assert (await fetch(client, "GET", "/stream?size=1000&chunked=1"))[0] == 200
        assert proxy.connections == 1
        assert not fault.fired
        with pytest.raises(aiohttp.ClientError):
            await fetch(client, "POST", "/echo?b=2", data=b"x")
    assert fault.fired == 1
    assert proxy.requests[-1] == Request("POST", "/echo?b=2")
    assert [request.method for request in proxy.requests] == ["GET", "HEAD", "PUT", "POST", "PUT", "GET", "POST"]


@pytest.mark.parametrize(("times", "failures"), [(1, 1), (3, 3), (None, 20)])
async def test_a_fault_happens_so_many_times_whoever_asks(times, failures, proxy, client):
    fault = proxy.inject(Truncate(), response_header(), times=times)
    asking = [fetch(client, "POST", "/stream?size=300000") for _ in range(20)]
    results = await asyncio.gather(*asking, return_exceptions=True)
    assert sum(isinstance(result, aiohttp.ClientError) for result in results) == fault.fired == failures
    assert sum(not isinstance(result, Exception) and len(result[1]) == 300000 for result in results) == 20 - failures


@pytest.mark.parametrize("release", [lambda proxy, fault: fault.release(), lambda proxy, fault: proxy.release()])
async def test_a_released_fault_lets_go_and_happens_no_more(release, proxy, client):
    stall = proxy.inject(Stall(), request_body("middle"), times=None)
    async with asyncio.TaskGroup() as tasks:
        asking = [tasks.create_task(fetch(client, "POST", "/echo", data=CONTENT)) for _ in range(3)]
        await stall.wait_fired(3)
        await rest()
        assert not any(task.done() for task in asking)
        release(proxy, stall)
    assert [task.result() for task in asking] == [(200, CONTENT)] * 3
    assert await fetch(client, "POST", "/echo", data=CONTENT) == (200, CONTENT)
    assert stall.fired == 3


async def test_waiting_for_a_fault_to_happen_again(proxy, client):
    fault = proxy.inject(Delay(0), request_header(), times=None)
    waiting = asyncio.ensure_future(fault.wait_fired(2))
    for done in (False, True):
        await fetch(client, "POST", "/echo")
        await rest()
        assert waiting.done() == done
    await fault.wait_fired(2)


async def test_faults_in_one_request_happen_in_order(proxy, client, clock):
    start = clock.now
    faults = [proxy.inject(Delay(60), request_body(7)), proxy.inject(Delay(600), request_body(7))]
    faults += [proxy.inject(Answer(500), response_header()), proxy.inject(Delay(9), response_header())]
    async with aiohttp.ClientSession(proxy.url, timeout=aiohttp.ClientTimeout()) as patient:
        assert await fetch(patient, "POST", "/echo", data=CONTENT) == (500, b"")
    assert [fault.fired for fault in faults] == [1, 1, 1, 0]
    assert clock.now - start == pytest.approx(660)


async def test_a_fault_never_happens_at_a_byte_that_is_not_there(proxy, client):
    for place in (request_body(), response_body(), request_body(-1), response_body("middle"), request_header(100_000)):
        proxy.inject(Reset(), place)
    assert await fetch(client, "PUT", "/echo?status=204") == (204, b"")
    assert proxy.fired == 0


async def test_an_interim_response_is_not_the_response(upstream, proxy, client):
    proxy.inject(Truncate(), response_header())
    with pytest.raises(aiohttp.ClientConnectionError):
        await fetch(client, "POST", "/echo", data=CONTENT, expect100=True)
    assert upstream.received == [CONTENT]


@pytest.mark.parametrize("kind", ["counted", "chunked"])
async def test_a_large_body_needs_little_memory(kind, proxy, client):
    async def pieces():
        for start in range(0, LARGE, len(PIECE)):
            yield PIECE[: LARGE - start]

    digest = sha256()
    sent = sha256()
    proxy.inject(Delay(0), response_body(-1))
    tracemalloc.start()
    try:
        async with client.get(f"/stream?size={LARGE}{'&chunked' * (kind == 'chunked')}") as response:
            async for piece in response.content.iter_any():
                digest.update(piece)
        headers = {"Content-Length": str(LARGE)} if kind == "counted" else {}
        status, answer = await fetch(client, "PUT", "/digest", data=pieces(), headers=headers)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    async for piece in pieces():
        sent.update(piece)
    assert digest.digest() == sent.digest()
    assert (status, answer.decode()) == (200, sent.hexdigest())
    assert proxy.fired == 1
    assert peak < 4_000_000


async def test_a_sender_waits_for_a_stalled_receiver(upstream, proxy, client):
    stall = proxy.inject(Stall(), response_body("middle"))
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(fetch(client, "GET", f"/stream?size={4 * LARGE}"))
        await stall.wait_fired()
        await rest()
        assert upstream.sent < 3 * LARGE
        stall.release()
    assert len(asking.result()[1]) == 4 * LARGE


async def test_a_client_that_sends_waits_too(proxy, client):
    sent = 0

    async def pieces():
        nonlocal sent
        for _ in range(4 * LARGE // len(PIECE)):
            yield PIECE
            sent += len(PIECE)

    stall = proxy.inject(Stall(), request_body())
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(fetch(client, "POST", "/digest", data=pieces()))
        await stall.wait_fired()
        await rest()
        assert sent < LARGE
        stall.release()


@pytest.mark.parametrize("gone", ["client", "proxy"])
async def test_a_sender_waits_for_a_client_that_does_not_read(gone, upstream, proxy):
    _, writer = await asyncio.open_connection(*proxy.address)
    writer.write(b"GET /stream?size=%d HTTP/1.1\r\nHost: x\r\n\r\n" % (4 * LARGE))
    await rest()
    assert 0 < upstream.sent < LARGE
    if gone == "proxy":
        await proxy.aclose()
    writer.transport.abort()
    await asyncio.wait_for(upstream.gone.wait(), 60)


@pytest.mark.parametrize("place", [None, request_body("middle"), response_header(), response_body(-1)], ids=str)
async def test_a_client_that_goes_away_leaves_nothing_behind(place, upstream, proxy, client):
    stall = proxy.inject(Stall(), place) if place else None
    asking = asyncio.ensure_future(fetch(client, "POST", "/echo", data=CONTENT))
    if stall:
        await stall.wait_fired()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    proxy.release()
    await rest()
    assert proxy._listener.clients == 0


@pytest.mark.parametrize("place", PLACES, ids=name)
async def test_closing_the_proxy_ends_what_stalls(place, upstream, client, proxy):
    stall = proxy.inject(Stall(), place)
    asking = asyncio.ensure_future(fetch(client, "POST", "/echo", data=CONTENT))
    await stall.wait_fired()
    await proxy.aclose()
    await proxy.aclose()
    with pytest.raises(aiohttp.ClientError):
        await asking


async def test_a_closed_proxy_refuses_and_comes_back_at_its_address(proxy, client):
    assert await fetch(client, "POST", "/echo", data=CONTENT) == (200, CONTENT)
    address = proxy.address
    await proxy.aclose()
    with pytest.raises(aiohttp.ClientConnectorError):
        await fetch(client, "POST", "/echo", data=CONTENT)
    await proxy.start()
    await proxy.start()
    assert proxy.address == address
    assert await fetch(client, "POST", "/echo", data=CONTENT) == (200, CONTENT)


@pytest.mark.parametrize("steps", range(6))
async def test_a_client_that_connects_as_the_proxy_closes_is_let_go(steps, proxy):
    with socket.socket() as early:
        early.setblocking(False)
        early.connect_ex(proxy.address)
        for _ in range(steps):
            await asyncio.sleep(0)
        await asyncio.wait_for(proxy.aclose(), 60)
        with suppress(ConnectionResetError):
            assert await asyncio.wait_for(asyncio.get_running_loop().sock_recv(early, 1), 60) == b""


async def test_an_upstream_that_is_down_resets_the_client_until_it_is_up():
    upstream = Upstream()
    async with upstream.serve():
        pass
    async with FaultProxy("127.0.0.1", upstream.port) as proxy, aiohttp.ClientSession(proxy.url) as client:
        with pytest.raises(aiohttp.ClientConnectionError):
            await fetch(client, "POST", "/echo")
        async with upstream.serve():
            assert await fetch(client, "POST", "/echo", data=CONTENT) == (200, CONTENT)
        with pytest.raises(aiohttp.ClientConnectionError):
            await fetch(client, "POST", "/echo")


async def test_what_a_client_sends_byte_by_byte_is_understood(proxy, upstream):
    fault = proxy.inject(Delay(0), request_body(-1))
    reader, writer = await asyncio.open_connection(*proxy.address)
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    request = b"PUT /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS
    for start in range(len(request)):
        writer.write(request[start : start + 1])
        await writer.drain()
        await asyncio.sleep(0)
    assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")
    writer.transport.abort()
    assert (upstream.received, fault.fired) == ([BODY], 1)


async def test_requests_that_do_not_wait_for_each_other_get_their_own_faults(proxy):
    """A HEAD, whose response has a length but no body, between two requests with one."""
    fault = proxy.inject(Truncate(), response_header(2), when=lambda method, path: path.endswith("last"))
    reader, writer = await asyncio.open_connection(*proxy.address)
    writer.write(
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nfirst"
        b"HEAD /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nsecond"
        b"POST /echo?last HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nthird"
    )
    received = await reader.read()
    writer.transport.abort()
    assert received.count(b"HTTP/1.1 200") == 2
    assert received.endswith(b"\r\n\r\nHT")
    assert fault.fired == 1


NOT_HTTP = {
    "nothing": b"",
    "no header": b"\x16\x03\x01" * 50,
    "endless header": b"GET / HTTP/1.1\r\nX: " + b"x" * 300_000,
    "header that ends early": b"GET / HTTP/1.1\r\nHost: x\r\n",
    "body that ends early": b"PUT / HTTP/1.1\r\nContent-Length: 1000\r\n\r\nshort",
    "wrong length": b"PUT / HTTP/1.1\r\nContent-Length: -1\r\n\r\nbody",
    "wrong chunk": b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n" + b"b" * 300_000,
    "no chunk": b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"b" * 300_000,
    "chunk that ends early": b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nshort",
    "no status": b"\r\n\r\n",
    "wrong status": b"HTTP/1.1 two hundred\r\n\r\nbody",
    "two responses": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb",
    "new protocol": b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x81\x05hello\r\n\r\n",
}


@pytest.mark.parametrize("request_", NOT_HTTP.values(), ids=NOT_HTTP)
@pytest.mark.parametrize("response", NOT_HTTP.values(), ids=NOT_HTTP)
async def test_what_is_not_understood_passes(request_, response):
    wire = Wire(request_, response)
    async with wire.proxy() as proxy:
        proxy.inject(Delay(0), response_body(-1), times=None)
        await wire.ask(proxy)
        assert (wire.upstream.received, wire.client.received) == (request_, response)
        assert (wire.upstream.end, wire.client.end) == ("closed", "closed")


async def test_raw_faults_are_counted_by_connection():
    wire = Wire(b"ping", b"pong", raw=True)
    async with wire.proxy() as proxy:
        fault = proxy.inject(Truncate(), to_client(2), times=2)
        for expected in (b"po", b"popo", b"popopong"):
            await wire.ask(proxy)
            assert wire.client.received == expected
        assert (fault.fired, proxy.connections, proxy.requests) == (2, 3, [])


def linger_reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize("raw", [True, False])
async def test_a_reset_by_the_client_reaches_the_upstream(raw):
    wire = Wire(b"", b"", raw=raw)
    async with wire.proxy() as proxy:
        _, writer = await asyncio.open_connection(*proxy.address)
        writer.write(b"PUT / HTTP/1.1\r\nContent-Length: 100\r\n\r\nshort")
        await rest()
        linger_reset(writer.get_extra_info("socket"))
        writer.transport.abort()
        await rest()
        assert wire.upstream.received.endswith(b"short")
        assert wire.upstream.end == "reset"


async def test_a_real_client_of_a_real_storage_sees_what_it_understands(s3_server, s3_bucket):
    def put(key: str, url: str) -> bytes:
        keys = {
            "aws_access_key_id": s3_server.access_key_id,
            "aws_secret_access_key": s3_server.secret_access_key,
        }
        config = Config(retries={"max_attempts": 0})
        session = botocore.session.get_session()
        with closing(session.create_client("s3", "us-east-1", endpoint_url=url, config=config, **keys)) as client:
            client.put_object(Bucket=s3_bucket, Key=key, Body=PIECE)
            return client.get_object(Bucket=s3_bucket, Key=key)["Body"].read()

    port = int(s3_server.endpoint_url.rpartition(":")[2])
    async with FaultProxy("127.0.0.1", port) as proxy:
        assert await asyncio.to_thread(put, "ä b", proxy.url) == PIECE
        proxy.inject(Answer.s3_error("SlowDown"), request_header(), when=lambda method, path: method == "PUT")
        with pytest.raises(ClientError, match="SlowDown"):
            await asyncio.to_thread(put, "key", proxy.url)
        proxy.inject(Truncate(), response_body(-1), when=lambda method, path: method == "GET")
        with pytest.raises(ResponseStreamingError):
            await asyncio.to_thread(put, "key", proxy.url)


async def test_a_predicate_that_fails_is_heard_of(upstream, client):
    async with FaultProxy("127.0.0.1", upstream.port) as proxy:
        proxy.inject(Reset(), request_header(), when=lambda method, path: 1 / 0)
        async with aiohttp.ClientSession(proxy.url) as session:
            with pytest.raises(aiohttp.ClientConnectionError):
                await fetch(session, "POST", "/echo")
        with pytest.raises(ExceptionGroup, match="fault proxy failed") as failure:
            await proxy.aclose()
    assert failure.group_contains(ZeroDivisionError)


MISFITS = {
    "refuse later": lambda proxy: proxy.inject(Refuse(), request_header()),
    "answer too early": lambda proxy: proxy.inject(Answer(500)),
    "answer too late": lambda proxy: proxy.inject(Answer(500), response_header(1)),
    "answer much too late": lambda proxy: proxy.inject(Answer(500), response_body()),
    "duplicate nothing": lambda proxy: proxy.inject(Duplicate()),
    "raw place": lambda proxy: proxy.inject(Reset(), to_client(1)),
    "never": lambda proxy: proxy.inject(Reset(), times=0),
    "no request to choose": lambda proxy: proxy.inject(Reset(), when=lambda method, path: True),
    "negative delay": lambda proxy: Delay(-1),
    "nothing a second": lambda proxy: Throttle(0),
    "nothing twice": lambda proxy: Duplicate(0),
    "interim answer": lambda proxy: Answer(100),
}
RAW_MISFITS = {
    "place in a request": lambda proxy: proxy.inject(Reset(), request_header()),
    "from the end": lambda proxy: proxy.inject(Reset(), to_client(-1)),
    "in the middle": lambda proxy: proxy.inject(Reset(), Place("to client", "middle")),
    "answer": lambda proxy: proxy.inject(Answer(500), to_client(0)),
    "no request to choose": lambda proxy: proxy.inject(Reset(), to_client(0), when=lambda method, path: True),
}


@pytest.mark.parametrize(
    ("misfit", "raw"),
    [
        *(pytest.param(misfit, False, id=f"{name}") for name, misfit in MISFITS.items()),
        *(pytest.param(misfit, True, id=f"raw, {name}") for name, misfit in RAW_MISFITS.items()),
    ],
)
def test_what_cannot_happen_is_refused(misfit, raw):
    with pytest.raises(InvalidArgumentException):
        misfit(FaultProxy("127.0.0.1", 1, raw=raw))
