"""Faults of a connection: resets, delays, slow or doubled bytes, answers instead of the upstream's."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from http import HTTPStatus
from typing import TYPE_CHECKING

from async_storages.errors import InvalidArgumentException
from async_storages.testing._http1 import Request
from async_storages.testing.faults._connections import Cut, Flow
from async_storages.testing.faults._places import CONNECT, Place, response_header

if TYPE_CHECKING:
    from async_storages.testing.faults._injections import Injection

__all__ = [
    "Answer",
    "Delay",
    "Duplicate",
    "Fault",
    "Refuse",
    "Reset",
    "Stall",
    "Throttle",
    "Truncate",
    "check_place",
    "require",
]


class Fault(ABC):
    """A fault of a connection."""

    __slots__ = ()

    @abstractmethod
    async def happen(self, flow: Flow, injection: "Injection") -> None:
        """Apply the fault between two bytes of a connection, in one direction. The proxy calls this method."""


@dataclass(frozen=True, slots=True)
class Reset(Fault):
    """Resets the connections to both sides (TCP RST). Bytes that a side has not received yet may be lost."""

    async def happen(self, flow: Flow, injection: "Injection") -> None:
        """See `Fault.happen`."""
        raise ConnectionResetError


@dataclass(frozen=True, slots=True)
class Refuse(Fault):
    """Resets the client's connection before any byte, and does not connect to the upstream. At `CONNECT` only.

    The client is already connected. To refuse the connection itself, close the proxy, and start it again later.
    """

    async def happen(self, flow: Flow, injection: "Injection") -> None:
        """See `Fault.happen`."""
        raise ConnectionResetError


@dataclass(frozen=True, slots=True)
class Truncate(Fault):
    """Closes the connections to both sides in good order (TCP FIN). Bytes passed on before still arrive."""

    async def happen(self, flow: Flow, injection: "Injection") -> None:
        """See `Fault.happen`."""
        raise Cut


@dataclass(frozen=True, slots=True)
class Stall(Fault):
    """Holds back this direction until `Injection.release`, or until the proxy closes. The other direction goes on."""

    async def happen(self, flow: Flow, injection: "Injection") -> None:
        """See `Fault.happen`."""
        await injection.wait_released()


@dataclass(frozen=True, slots=True)
class Delay(Fault):
    """Holds back this direction for a time.

    Args:
        seconds: The time in seconds, 0 or more, by the clock of the event loop.
    """

    seconds: float

    def __post_init__(self) -> None:
        require(self.seconds >= 0, f"seconds is {self.seconds!r}: give 0 or more")

    async def happen(self, flow: Flow, injection: "Injection") -> None:
        """See `Fault.happen`."""
        await asyncio.sleep(self.seconds)


@dataclass(frozen=True, slots=True)
class Throttle(Fault):
    """Slows down the rest of this request or response. At `CONNECT` or with ``raw=True``: the rest of the connection.

    Args:
        bytes_per_second: The speed in bytes per second, 1 or more, by the clock of the event loop.
    """

    bytes_per_second: int

    def __post_init__(self) -> None:
        require(self.bytes_per_second >= 1, f"bytes_per_second is {self.bytes_per_second!r}: give 1 or more")

    async def happen(self, flow: Flow, injection: "Injection") -> None:
        """See `Fault.happen`."""
        flow.rate = self.bytes_per_second


@dataclass(frozen=True, slots=True)
class Duplicate(Fault):
    """Sends the bytes from here on twice. A client that counts bytes reads the second copy as the next message.

    Args:
        length: The number of bytes, 1 or more. Fewer if the header or body ends earlier.
    """

    length: int = 1024

    def __post_init__(self) -> None:
        require(self.length >= 1, f"length is {self.length!r}: give 1 or more")

    async def happen(self, flow: Flow, injection: "Injection") -> None:
        """See `Fault.happen`."""
        flow.to_copy = self.length


@dataclass(frozen=True, slots=True)
class Answer(Fault):
    """Answers instead of the upstream, and closes the connections after the client has finished.

    At `request_header` the upstream receives nothing of the request. In `request_body` it receives a part of it. At
    `response_header` it has carried the request out.

    Args:
        status: The HTTP status, 200 to 599.
        body: The body. The proxy leaves it out of an answer to HEAD.
        headers: Header fields besides ``Content-Length`` and ``Connection``. They may replace these two.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require(200 <= self.status <= 599, f"status is {self.status!r}: give 200 to 599")

    async def happen(self, flow: Flow, injection: "Injection") -> None:
        """See `Fault.happen`."""
        raise Cut(self._to(flow.request))

    @classmethod
    def s3_error(cls, code: str, status: int = 503, message: str = "") -> "Answer":
        """Make an error response of S3, for example ``Answer.s3_error("SlowDown")``."""
        text = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
        body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{text}</Error>'
        return cls(status, body.encode(), {"Content-Type": "application/xml"})

    def _to(self, request: Request | None) -> bytes:
        phrase = HTTPStatus(self.status).phrase if self.status in set(HTTPStatus) else ""
        fields = {"Content-Length": str(len(self.body)), "Connection": "close", **self.headers}
        lines = [f"HTTP/1.1 {self.status} {phrase}", *(f"{name}: {value}" for name, value in fields.items())]
        body = b"" if request is not None and request.method == "HEAD" else self.body
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def require(condition: bool, otherwise: str) -> None:
    """Raise InvalidArgumentException with this reason if the condition does not hold."""
    if not condition:
        raise InvalidArgumentException(otherwise, operation="inject")


def check_place(fault: Fault, place: Place, *, raw: bool) -> None:
    """Raise InvalidArgumentException if the fault cannot happen in this place."""
    by_byte = place.part in {"to upstream", "to client"}
    require(place == CONNECT or by_byte == raw, f"a proxy with raw={raw} does not know the {place.part}")
    require(not by_byte or place.lag == 0, "the bytes of a connection are counted from its beginning")
    if isinstance(fault, Refuse):
        require(place == CONNECT, "a connection is refused at CONNECT")
    if isinstance(fault, Duplicate):
        require(place != CONNECT, "there is nothing to send twice at CONNECT")
    if isinstance(fault, Answer):
        fits = place.part.startswith("request") or place == response_header()
        require(fits, "an answer is given in a request or at response_header()")
