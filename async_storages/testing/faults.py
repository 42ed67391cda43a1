"""Faults of the network and of the storage behind it, at a chosen byte: a TCP proxy to point any client at.

It knows just enough of HTTP/1.1 (RFC 9112) to find where headers and bodies begin and end, also on connections
that carry several requests; what it does not understand it passes on as it is. With ``raw=True``, for any other
protocol, it counts bytes per connection and direction. It speaks neither TLS nor HTTP/2 nor WebSocket,
and runs on event loops that have `add_reader`: all but the Proactor of Windows.

Example:
    ```python
    async with FaultProxy("127.0.0.1", 8333) as proxy:
        storage = S3Storage(bucket_name="test", endpoint_url=proxy.url, ...)
        fault = proxy.inject(Reset(), response_body("middle"), when=lambda method, path: method == "GET")
        assert await storage.read(file_id) == content  # it tried again
        assert fault.fired == 1
    ```
"""

import asyncio
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html import escape
from http import HTTPStatus
from typing import Literal, Self

from async_storages.errors import InvalidArgumentException
from async_storages.testing._http1 import PIECE, Request
from async_storages.testing._links import Cut, Flow, Link, Part

__all__ = [
    "CONNECT",
    "Answer",
    "Delay",
    "Duplicate",
    "Fault",
    "FaultProxy",
    "Injection",
    "Place",
    "Refuse",
    "Request",
    "Reset",
    "Stall",
    "Throttle",
    "Truncate",
    "request_body",
    "request_header",
    "response_body",
    "response_header",
    "to_client",
    "to_upstream",
]

_HOST = "127.0.0.1"
_FAR = PIECE  # the middle of more than this, if no one says how much more, is taken to be in the midst of this


@dataclass(frozen=True, slots=True)
class Place:
    """Where a fault strikes: when all before this byte was passed on, and this byte is about to be.

    Made by `request_header`, `request_body`, `response_header`, `response_body`, `to_upstream` and `to_client`.
    `CONNECT` is the place where a client has connected and the upstream is about to be.
    """

    part: Part
    offset: int | Literal["middle"] = 0

    def resolve(self, length: int | None) -> int | None:
        """The byte of a part that has this length, counted from 0; None while it cannot be told."""
        if self.offset == "middle":
            return (_FAR if length is None else length) // 2
        if self.offset < 0:
            return None if length is None else length + self.offset
        return self.offset

    @property
    def lag(self) -> int:
        """How many bytes must be there beyond one to tell whether it is this, where no one says how many come."""
        return _FAR if self.offset == "middle" else max(0, -self.offset)


CONNECT = Place("connect")


def request_header(offset: int | Literal["middle"] = 0) -> Place:
    """A byte of a request's header, counted from 0; from the end if negative (-1 is the last), or ``"middle"``."""
    return Place("request header", offset)


def request_body(offset: int | Literal["middle"] = 0) -> Place:
    """A byte of a request's body as it stands on the wire, chunk sizes included; as for `request_header`.

    A body in chunks tells its length at its end only, so the proxy holds back as many bytes as it needs to: those
    behind the place, or 64 KiB for ``"middle"``, which is byte 32768 of a longer one. An empty body has no byte.
    """
    return Place("request body", offset)


def response_header(offset: int | Literal["middle"] = 0) -> Place:
    """A byte of a response's header, as for `request_header`; interim responses (100 Continue) do not count."""
    return Place("response header", offset)


def response_body(offset: int | Literal["middle"] = 0) -> Place:
    """A byte of a response's body, as for `request_body`."""
    return Place("response body", offset)


def to_upstream(offset: int = 0) -> Place:
    """A byte that a client sends on one connection, counted from 0; for a proxy with ``raw=True``."""
    return Place("to upstream", offset)


def to_client(offset: int = 0) -> Place:
    """A byte that the upstream sends on one connection, counted from 0; for a proxy with ``raw=True``."""
    return Place("to client", offset)


class Fault(ABC):
    """What can go wrong."""

    __slots__ = ()

    @abstractmethod
    async def happen(self, flow: Flow, injection: "Injection") -> None:
        """Go wrong between two bytes of a connection, in one direction; called by the proxy."""


@dataclass(frozen=True, slots=True)
class Reset(Fault):
    """The connections to both sides are reset (TCP RST); what a side had not received yet may be lost to it."""

    async def happen(self, flow: Flow, injection: "Injection") -> None:
        """See `Fault.happen`."""
        raise ConnectionResetError


@dataclass(frozen=True, slots=True)
class Refuse(Fault):
    """The client's connection is reset before a byte was exchanged, and the upstream not asked; at `CONNECT` only.

    The client has connected by then. To refuse even that, close the proxy, and start it again later.
    """

    async def happen(self, flow: Flow, injection: "Injection") -> None:
        """See `Fault.happen`."""
        raise ConnectionResetError


@dataclass(frozen=True, slots=True)
class Truncate(Fault):
    """The connections to both sides are closed in good order (TCP FIN): what was passed on arrives, but no more."""

    async def happen(self, flow: Flow, injection: "Injection") -> None:
        """See `Fault.happen`."""
        raise Cut


@dataclass(frozen=True, slots=True)
class Stall(Fault):
    """This direction stands still until `Injection.release`, or the proxy closes. The other one goes on."""

    async def happen(self, flow: Flow, injection: "Injection") -> None:
        """See `Fault.happen`."""
        await injection.wait_released()


@dataclass(frozen=True, slots=True)
class Delay(Fault):
    """This direction stands still for a time.

    Args:
        seconds: How long, by the clock of the event loop; 0 or more.
    """

    seconds: float

    def __post_init__(self) -> None:
        _require(self.seconds >= 0, "a delay is not negative")

    async def happen(self, flow: Flow, injection: "Injection") -> None:
        """See `Fault.happen`."""
        await asyncio.sleep(self.seconds)


@dataclass(frozen=True, slots=True)
class Throttle(Fault):
    """The rest of this request or response is slow; at `CONNECT`, or with ``raw=True``, that of the connection.

    Args:
        bytes_per_second: How fast it goes on, by the clock of the event loop; 1 or more.
    """

    bytes_per_second: int

    def __post_init__(self) -> None:
        _require(self.bytes_per_second >= 1, "nothing would ever arrive at less than 1 byte a second")

    async def happen(self, flow: Flow, injection: "Injection") -> None:
        """See `Fault.happen`."""
        flow.rate = self.bytes_per_second


@dataclass(frozen=True, slots=True)
class Duplicate(Fault):
    """What begins here is sent twice; whoever counts bytes finds the next message begin with the surplus.

    Args:
        length: How many bytes are sent twice, 1 or more; fewer where the header or body ends before.
    """

    length: int = 1024

    def __post_init__(self) -> None:
        _require(self.length >= 1, "a piece has at least one byte")

    async def happen(self, flow: Flow, injection: "Injection") -> None:
        """See `Fault.happen`."""
        flow.to_copy = self.length


@dataclass(frozen=True, slots=True)
class Answer(Fault):
    """The proxy answers instead of the upstream and closes the connections, having let the client finish.

    At `request_header` the upstream does not hear of the request, in `request_body` it hears a part of it, at
    `response_header` it has done what was asked for.

    Args:
        status: From 200 to 599.
        body: What follows the header, except in answer to HEAD.
        headers: Fields besides ``Content-Length`` and ``Connection``, or instead of them.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _require(200 <= self.status <= 599, "the status of an answer is from 200 to 599")

    async def happen(self, flow: Flow, injection: "Injection") -> None:
        """See `Fault.happen`."""
        raise Cut(self._to(flow.request))

    @classmethod
    def s3_error(cls, code: str, status: int = 503, message: str = "") -> "Answer":
        """What S3 says when it fails, such as ``Answer.s3_error("SlowDown")``."""
        text = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
        body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{text}</Error>'
        return cls(status, body.encode(), {"Content-Type": "application/xml"})

    def _to(self, request: Request | None) -> bytes:
        phrase = HTTPStatus(self.status).phrase if self.status in set(HTTPStatus) else ""
        fields = {"Content-Length": str(len(self.body)), "Connection": "close", **self.headers}
        lines = [f"HTTP/1.1 {self.status} {phrase}", *(f"{name}: {value}" for name, value in fields.items())]
        body = b"" if request is not None and request.method == "HEAD" else self.body
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


class Injection:
    """A fault in its place, as `FaultProxy.inject` returns it.

    Attributes:
        fault: What happens.
        place: Where.
        fired: How often it has happened.
    """

    def __init__(self, fault: Fault, place: Place, times: int | None, when: Callable[[str, str], bool] | None) -> None:
        self.fault = fault
        self.place = place
        self.fired = 0
        self._times = times
        self._when = when
        self._released = asyncio.Event()
        self._has_fired = asyncio.Event()

    def release(self) -> None:
        """Let go on what this `Stall` holds, and have the fault happen no more."""
        self._released.set()

    async def wait_released(self) -> None:
        """Wait for `release`."""
        await self._released.wait()

    async def wait_fired(self, times: int = 1) -> None:
        """Wait until it has happened so often: with a `Stall`, until all hangs together."""
        while self.fired < times:
            self._has_fired.clear()
            await self._has_fired.wait()

    def concerns(self, part: Part, request: Request | None) -> bool:
        """Whether it may happen in this part of this request and its response."""
        return self.place.part == part and (self._when is None or (request is not None and self._when(*request)))

    def take(self) -> bool:
        """Whether it happens this time, which counts."""
        if self._released.is_set() or self.fired == self._times:
            return False
        self.fired += 1
        self._has_fired.set()
        return True


class FaultProxy:
    """A TCP proxy on this machine whose connections fail as told.

    Without faults it is transparent: it passes on bytes, ends and resets, and slows a sender down to the pace of
    the receiver, so that it needs some 256 KiB per connection whatever passes. Headers are passed on whole.

    Args:
        upstream_host: Where to connect for each client that connects; when that fails, the client is reset.
        upstream_port: From 1 to 65535.
        raw: Count bytes only, of whatever protocol, instead of looking for requests and responses.

    Attributes:
        address: Host and port, once it is started; the same when it is started again.
        connections: How many clients have connected.
        requests: What was asked for, in the order of arrival; nothing with ``raw=True``.

    Raises:
        ExceptionGroup: On closing, if a predicate raised; the connections concerned were closed.

    Example:
        ```python
        async with FaultProxy("127.0.0.1", 8333) as proxy:
            proxy.inject(Answer.s3_error("SlowDown"), request_header(), times=2)
            stall = proxy.inject(Stall(), request_body(-1), when=lambda method, path: method == "PUT")
            ...
        ```
    """

    def __init__(self, upstream_host: str, upstream_port: int, *, raw: bool = False) -> None:
        self.address = (_HOST, 0)
        self.connections = 0
        self.requests: list[Request] = []
        self._upstream = (upstream_host, upstream_port)
        self._raw = raw
        self._injections: list[Injection] = []
        self._listener: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures: list[BaseException] = []

    @property
    def url(self) -> str:
        """The address as the root of ``http://`` URLs, such as ``http://127.0.0.1:40123``."""
        return f"http://{self.address[0]}:{self.address[1]}"

    @property
    def fired(self) -> int:
        """How many faults have happened."""
        return sum(injection.fired for injection in self._injections)

    def inject(
        self,
        fault: Fault,
        place: Place = CONNECT,
        *,
        times: int | None = 1,
        when: Callable[[str, str], bool] | None = None,
    ) -> Injection:
        """Let something go wrong, in headers, bodies and (with ``raw=True``) connections that begin from now on.

        Faults in one place happen in the order of their injection.

        Args:
            fault: What.
            place: Where. It never happens where there is no such byte, in an empty body for example.
            times: How often, counted when it happens: once by default; None for always.
            when: Called with the method and the path (with the query, as sent): in which requests. In all if None.

        Raises:
            InvalidArgumentException: This fault cannot happen in this place.
        """
        _check(fault, place, raw=self._raw)
        _require(times is None or times >= 1, "times is 1 or more, or None")
        _require(when is None or not (self._raw or place == CONNECT), "there is no request yet to choose by")
        injection = Injection(fault, place, times, when)
        self._injections.append(injection)
        return injection

    def release(self) -> None:
        """`Injection.release` all faults: from now on the proxy is transparent."""
        for injection in self._injections:
            injection.release()

    async def start(self) -> None:
        """Listen; nothing happens if it does already."""
        if self._listener is None:
            self._listener = socket.create_server(self.address)
            self._listener.setblocking(False)
            self.address = self._listener.getsockname()
            asyncio.get_running_loop().add_reader(self._listener, self._accept, self._listener)

    async def aclose(self) -> None:
        """Close all connections and refuse new ones, until it is started again; nothing happens the second time."""
        if self._listener is None:
            return
        asyncio.get_running_loop().remove_reader(self._listener)
        self._listener.close()
        self._listener = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        failures, self._failures = self._failures, []
        if failures:
            raise BaseExceptionGroup("connections through the fault proxy failed", failures)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _accept(self, listener: socket.socket) -> None:
        """Take the next client in one step, as `asyncio.start_server` does not: none is lost if that is the last."""
        try:
            client, _ = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):  # gone again
            return
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as asyncio does: pieces go out as they come
        self.connections += 1
        link = Link(self._upstream, self._injections, None if self._raw else self.requests)
        task = asyncio.Task(link.serve(client), loop=asyncio.get_running_loop(), eager_start=True)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.remove(task)
        if not task.cancelled() and (failure := task.exception()):
            self._failures.append(failure)


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise InvalidArgumentException(otherwise, operation="inject")


def _check(fault: Fault, place: Place, *, raw: bool) -> None:
    """Raise `InvalidArgumentException` if the fault cannot happen there."""
    by_byte = place.part in {"to upstream", "to client"}
    _require(place == CONNECT or by_byte == raw, f"a proxy with raw={raw} does not know the {place.part}")
    _require(not by_byte or place.lag == 0, "the bytes of a connection are counted from its beginning")
    if isinstance(fault, Refuse):
        _require(place == CONNECT, "a connection is refused at CONNECT")
    if isinstance(fault, Duplicate):
        _require(place != CONNECT, "there is nothing to send twice at CONNECT")
    if isinstance(fault, Answer):
        fits = place.part.startswith("request") or place == response_header()
        _require(fits, "an answer is given in a request or at response_header()")
