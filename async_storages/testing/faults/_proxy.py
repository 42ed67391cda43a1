"""The proxy: a listening socket, its connections, and the faults injected into them."""

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from async_storages.testing._listener import Listener
from async_storages.testing.faults._connections import Link
from async_storages.testing.faults._faults import Fault, check_place, require
from async_storages.testing.faults._injections import Injection
from async_storages.testing.faults._places import CONNECT, Place

if TYPE_CHECKING:
    from async_storages.testing._http1 import Request

__all__ = ["FaultProxy"]

_HOST = "127.0.0.1"


class FaultProxy:
    """A TCP proxy on this machine that makes connections fail as a test chooses.

    Without faults it is transparent: it passes on bytes, ends and resets. It slows a sender down to the receiver's
    pace, so it needs about 256 KiB per connection. It waits until a header is complete, and then passes
    it on.

    Args:
        upstream_host: The server to connect to for each client. If the connection fails, the proxy resets the client.
        upstream_port: The server's port, 1 to 65535.
        raw: True counts the bytes of any protocol. False looks for HTTP requests and responses.

    Attributes:
        connections: The number of clients that have connected.
        requests: The requests in the order of arrival. Empty with ``raw=True``.

    Raises:
        ExceptionGroup: Closing the proxy raises it if a `when` function of `inject` raised. The proxy has closed the
            connections concerned.

    Example:
        ```python
        from async_storages.testing.faults import Answer, Stall, request_body, request_header

        async with FaultProxy("127.0.0.1", 8333) as proxy:
            proxy.inject(Answer.s3_error("SlowDown"), request_header(), times=2)
            stall = proxy.inject(Stall(), request_body(-1), when=lambda method, path: method == "PUT")
            assert stall.fired == 0
        ```
    """

    def __init__(self, upstream_host: str, upstream_port: int, *, raw: bool = False) -> None:
        self.connections = 0
        self.requests: list[Request] = []
        self._upstream = (upstream_host, upstream_port)
        self._raw = raw
        self._injections: list[Injection] = []
        self._listener = Listener(self._serve, host=_HOST, name="through the fault proxy")

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, once the proxy is started. They stay the same when it is started again."""
        return self._listener.address

    @property
    def url(self) -> str:
        """The address as the root of ``http://`` URLs, for example ``http://127.0.0.1:40123``."""
        return f"http://{self.address[0]}:{self.address[1]}"

    @property
    def fired(self) -> int:
        """The number of faults that have happened."""
        return sum(injection.fired for injection in self._injections)

    def inject(
        self,
        fault: Fault,
        place: Place = CONNECT,
        *,
        times: int | None = 1,
        when: Callable[[str, str], bool] | None = None,
    ) -> Injection:
        """Inject a fault into headers and bodies that begin from now on, or with ``raw=True`` into connections.

        Faults in one place happen in the order of their injection.

        Args:
            fault: The fault.
            place: The place. The fault never happens if there is no such byte, for example in an empty body.
            times: The number of times, 1 or more. None for always.
            when: Returns True for the requests that fail, given method and path (with the query, as sent). None for all
                requests.

        Raises:
            InvalidArgumentException: The fault cannot happen in this place.
        """
        check_place(fault, place, raw=self._raw)
        require(times is None or times >= 1, f"times is {times!r}: give 1 or more, or None")
        require(
            when is None or not (self._raw or place == CONNECT),
            "when= needs a request: leave it out at CONNECT and with raw=True",
        )
        injection = Injection(fault, place, times, when)
        self._injections.append(injection)
        return injection

    def release(self) -> None:
        """End all faults, as `Injection.release` does. The proxy is transparent from now on."""
        for injection in self._injections:
            injection.release()

    async def start(self) -> None:
        """Listen. No effect if it listens already."""
        self._listener.start()

    async def aclose(self) -> None:
        """Close all connections and refuse new ones until `start`. No effect the second time."""
        await self._listener.aclose()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _serve(self, client: socket.socket) -> None:
        self.connections += 1
        await Link(self._upstream, self._injections, None if self._raw else self.requests).serve(client)
