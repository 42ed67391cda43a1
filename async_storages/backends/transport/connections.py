"""Kept connections to servers: aiohttp's pool, with its names, proxies and TLS."""

import asyncio
from ssl import SSLContext
from typing import Any

from aiohttp import ClientRequest, ClientTimeout, ConnectionTimeoutError, TCPConnector
from aiohttp.connector import Connection
from yarl import URL

from async_storages._secrets import Hidden

__all__ = ["ConnectionPool", "Place"]


class Place:
    """A server, and the way to it.

    Args:
        origin: Scheme, host and port of the server.
        proxy: The URL of the proxy. None without one.
        ssl: The TLS context. True is aiohttp's own.

    Attributes:
        request: The form in which aiohttp's pool takes it. One serves all requests, as the pool only reads it.
        host: The Host header of requests.
    """

    __slots__ = ("_origin", "_sees", "host", "request")

    def __init__(self, origin: str, proxy: str | None = None, ssl: SSLContext | bool = True) -> None:
        self.request = ClientRequest(
            "GET",
            URL(origin, encoded=True),
            loop=asyncio.get_running_loop(),
            proxy=None if proxy is None else URL(proxy),
            ssl=ssl,
        )
        self.host = self.request.headers["Host"]
        self._origin = origin
        self._sees = proxy is not None and not self.request.is_ssl()

    def target(self, path: str) -> str:
        """Return a path in the form of the request line. A proxy that sees the requests needs the whole URL."""
        return f"{self._origin}{path}" if self._sees else path

    def headers(self) -> dict[str, str]:
        """Return the headers for the proxy. They are known once there is a connection."""
        password = self.request.headers.get("Proxy-Authorization") if self._sees else None
        return {} if password is None else {"Proxy-Authorization": Hidden(password)}


class ConnectionPool:
    """The connections of one event loop.

    Args:
        limit: The largest number of open connections.
        pool_timeout: The longest time to wait for a free connection in seconds, with the time to connect.
        connect_timeout: The longest time to connect in seconds, with TLS.
    """

    def __init__(self, *, limit: int, pool_timeout: float, connect_timeout: float) -> None:
        self._connector = TCPConnector(limit=limit, ttl_dns_cache=60)
        self._timeout = ClientTimeout(total=None, connect=pool_timeout, sock_connect=connect_timeout)
        self._places: dict[tuple[object, ...], Place] = {}

    def place(self, origin: str, **way: Any) -> Place:
        """Return a server. The arguments are those of `Place`."""
        asked = (origin, *way.values())
        if asked not in self._places:
            self._places[asked] = Place(origin, **way)
        return self._places[asked]

    async def take(self, place: Place) -> Connection:
        """Return a connection: a kept one, or a new one.

        It closes a kept connection on which the server has sent something unasked: a request would get that as its
        answer.

        Raises:
            aiohttp.ClientError: There was no connection.
        """
        try:
            while True:
                connection = await self._connector.connect(place.request, [], self._timeout)
                if connection.protocol is None or not connection.protocol.should_close:
                    return connection
                connection.close()
        except TimeoutError as error:
            raise ConnectionTimeoutError from error

    @property
    def is_closed(self) -> bool:
        """True once the pool was closed."""
        return self._connector.closed

    async def aclose(self) -> None:
        """Close all connections."""
        await self._connector.close()
