"""Places of a fault: a byte of a header or a body, or the moment of connecting."""

from dataclasses import dataclass
from typing import Literal

from async_storages.testing._http1 import PIECE

__all__ = [
    "CONNECT",
    "MessagePart",
    "Place",
    "request_body",
    "request_header",
    "response_body",
    "response_header",
    "to_client",
    "to_upstream",
]

type MessagePart = Literal[
    "connect", "request header", "request body", "response header", "response body", "to upstream", "to client"
]

_FAR = PIECE  # the middle of a longer part of unknown length is taken to be in the middle of this


@dataclass(frozen=True, slots=True)
class Place:
    """A place for a fault: just before a certain byte, when the proxy has passed on all bytes before it.

    The functions `request_header`, `request_body`, `response_header`, `response_body`, `to_upstream` and `to_client`
    make places. `CONNECT` is the moment after a client has connected, before the proxy connects to the upstream.
    """

    part: MessagePart
    offset: int | Literal["middle"] = 0

    def resolve(self, length: int | None) -> int | None:
        """Return the byte, from 0, in a part of this length. None while it is not known."""
        if self.offset == "middle":
            return (_FAR if length is None else length) // 2
        if self.offset < 0:
            return None if length is None else length + self.offset
        return self.offset

    @property
    def lag(self) -> int:
        """While the length is unknown: the number of bytes that must follow a byte to show that it is the place."""
        return _FAR if self.offset == "middle" else max(0, -self.offset)


CONNECT = Place("connect")


def request_header(offset: int | Literal["middle"] = 0) -> Place:
    """A byte of a request's header: from 0, or negative from the end (-1 is the last), or ``"middle"``."""
    return Place("request header", offset)


def request_body(offset: int | Literal["middle"] = 0) -> Place:
    """A byte of a request's body on the wire, chunk sizes included. Counted as in `request_header`.

    A body in chunks shows its length only at its end. So the proxy holds back the bytes behind a place counted from the
    end. For ``"middle"`` it holds back 64 KiB, and takes byte 32768 of a longer body. An empty body has no byte.
    """
    return Place("request body", offset)


def response_header(offset: int | Literal["middle"] = 0) -> Place:
    """A byte of a response's header, counted as in `request_header`. Interim responses (100 Continue) do not count."""
    return Place("response header", offset)


def response_body(offset: int | Literal["middle"] = 0) -> Place:
    """A byte of a response's body, counted as in `request_body`."""
    return Place("response body", offset)


def to_upstream(offset: int = 0) -> Place:
    """A byte that a client sends on one connection, counted from 0. For a proxy with ``raw=True``."""
    return Place("to upstream", offset)


def to_client(offset: int = 0) -> Place:
    """A byte that the upstream sends on one connection, counted from 0. For a proxy with ``raw=True``."""
    return Place("to client", offset)
