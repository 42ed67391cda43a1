"""HTTP for storages: pooled connections, time-outs, and retries with jittered back-off.

One `HttpClient` belongs to one storage. It has one pool per event loop, made on first use. Closing the client closes
the pool. If the client is not closed, the pool is closed with its event loop. A child process may use the client after
fork.
"""

import asyncio
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientHttpProxyError,
    ClientOSError,
    ClientProxyConnectionError,
    ClientResponseError,
    InvalidURL,
    ServerDisconnectedError,
)
from aiohttp.http import HttpProcessingError

from async_storages._deadlines import check_deadline
from async_storages._secrets import Hidden, hidden, without_frames
from async_storages.backends.transport.body import Body, Sent
from async_storages.backends.transport.connections import ConnectionPool
from async_storages.backends.transport.download_slots import DownloadSlots
from async_storages.backends.transport.exchange import Exchange, request_head
from async_storages.backends.transport.network import Network, proxy_failure
from async_storages.backends.transport.per_loop import PerLoop
from async_storages.backends.transport.response import Response
from async_storages.backends.transport.retries import Retries
from async_storages.backends.transport.tls import certificate_failure
from async_storages.errors import (
    InvalidArgumentException,
    StorageClosedException,
    StorageException,
    StorageOperationException,
    StorageUnavailableException,
)

__all__ = ["Body", "HttpClient", "HttpOptions", "Response", "Sent", "override_options", "transfer_errors"]

_URL = re.compile(r"(https?://[^/?#@]+)([^#]*)")
_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE"})
_TIMEOUTS = ("connect_timeout", "read_timeout", "pool_timeout", "answer_timeout", "cleanup_timeout")
_LARGEST_ANSWER = 16 << 20
_LARGEST_ERROR = 64 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOptions:
    """Limits of one storage's connections: time-outs, pool size, retries, proxy and certificates.

    Attributes:
        connect_timeout: The longest time to connect in seconds, including the TLS handshake.
        read_timeout: Seconds without a byte in either direction after which a transfer fails.
        pool_timeout: The longest time to wait for a free connection in seconds, including the time to connect.
        answer_timeout: The longest time for an answer in seconds, once the request is sent. It covers the header, and
            the body unless that is the content of a file.
        cleanup_timeout: The longest time in seconds that a failed or cancelled write may take to clean up.
        max_connections: The largest number of open connections, per event loop.
        reserved_connections: The number of connections that downloads leave free for uploads, deletes and other
            requests, so that slow readers cannot block them. The default is a quarter. If the reader of a download
            stops while others wait, the download gives its connection back, and resumes when the reader continues.
        retries: The rule for temporary failures. The default is 10 attempts within 30 seconds, which is long enough for
            the restart of a server.
        proxy: The proxy for every request. For example ``"http://user:password@proxy.example.com:3128"``. ``""`` uses
            no proxy. None reads ``HTTPS_PROXY``, ``HTTP_PROXY`` and ``NO_PROXY`` when the storage is created.
        ca_bundle: A file or folder of PEM certificates to trust *instead of* the system's. None takes the file named by
            ``AWS_CA_BUNDLE`` (S3 only), or else by ``SSL_CERT_FILE``.
        verify: True checks certificates. False is for tests only, and warns.

    Raises:
        InvalidArgumentException: A number is not above 0, or an option has a wrong type.
    """

    connect_timeout: float = 5.0
    read_timeout: float = 60.0
    pool_timeout: float = 60.0
    answer_timeout: float = 300.0
    cleanup_timeout: float = 10.0
    max_connections: int = 64
    reserved_connections: int | None = None
    retries: Retries = field(default_factory=lambda: Retries(attempts=10))
    proxy: str | None = field(default=None, repr=False)
    ca_bundle: str | os.PathLike[str] | None = None
    verify: bool = True

    def __post_init__(self) -> None:
        for name in (*_TIMEOUTS, "max_connections"):
            if not getattr(self, name) > 0:
                raise InvalidArgumentException(f"{name} is {getattr(self, name)!r}: give a number above 0")
        if self.reserved_connections is not None and not 0 <= self.reserved_connections < self.max_connections:
            raise InvalidArgumentException(
                f"reserved_connections is {self.reserved_connections!r}: give 0 to {self.max_connections - 1}"
            )
        if not isinstance(self.proxy, str | None):
            raise InvalidArgumentException('proxy is of a wrong type: give the URL of a proxy, "" for none, or None')
        if not isinstance(self.ca_bundle, str | os.PathLike | None):
            raise InvalidArgumentException("ca_bundle is of a wrong type: give the path of a file or folder")
        if not isinstance(self.verify, bool):
            raise InvalidArgumentException(
                "verify is of a wrong type: give True or False; ca_bundle= names the certificates to trust"
            )


def download_slots(options: HttpOptions) -> int:
    """The number of downloads that may have a connection at once."""
    reserved = options.reserved_connections
    return options.max_connections - (options.max_connections // 4 if reserved is None else reserved)


class _Connections:
    """The connections of one event loop, and the slots of its downloads."""

    def __init__(self, options: HttpOptions) -> None:
        self.pool = ConnectionPool(
            limit=options.max_connections, pool_timeout=options.pool_timeout, connect_timeout=options.connect_timeout
        )
        self.downloads = DownloadSlots(download_slots(options), options.pool_timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.downloads.close()
        await self.pool.aclose()


def override_options(options: HttpOptions | None, **said: Any) -> HttpOptions:
    """Return the options with the given values. None keeps the value of an option."""
    said = hidden(said)
    given = {name: value for name, value in said.items() if value is not None}
    return replace(options or HttpOptions(), **given)


class HttpClient:
    """Sends HTTP requests. It knows no protocol above HTTP.

    Args:
        options: Time-outs, pool, retries.
        network: Proxy and certificates. None takes them from the options.

    Attributes:
        options: The given options.
    """

    def __init__(self, options: HttpOptions, network: Network | None = None) -> None:
        self.options = options
        self._network = network or Network(options)
        self._connections = PerLoop(lambda: _Connections(options))

    async def download_slots(self) -> DownloadSlots:
        """The slots of the running loop's downloads: see `download_slots.DownloadSlots`."""
        return (await self._connections.get()).downloads

    async def aclose(self) -> None:
        """Close the connections of the running event loop. Others are closed with their loops."""
        await self._connections.aclose()

    def body(self, data: bytes | Sequence[bytes]) -> Body:
        """Return the body of one request. The bytes are in one piece or in many."""
        return Body(data)

    async def send(self, method: str, url: str, headers: Mapping[str, str], body: Body | None = None) -> Response:
        """Send a request once, without following redirects.

        Args:
            method: The HTTP method.
            url: The percent-encoded URL. It is sent unchanged.
            headers: The headers. They are sent unchanged.
            body: The body. It is sent with its Content-Length.

        Returns:
            The answer, an async context manager. Its connection returns to the pool if the answer was read to its end,
            and is closed otherwise. Read the answer inside `transfer_errors`.

        Raises:
            StorageUnavailableException: There was no connection or no answer in time.
            StorageOperationException: The server's certificate is not trusted, or the server does not speak TLS.
            AccessDeniedException: The proxy demands another password.
        """
        pool = (await self._connections.get()).pool
        check_deadline()
        url = Hidden(url)  # the URL of an upload session lets its holder write
        with transfer_errors():
            response = await self._exchange(pool, method, url, headers, body)
        if response.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            response.close()
            raise proxy_failure(response.status)
        return response

    async def _exchange(
        self, pool: ConnectionPool, method: str, url: str, headers: Mapping[str, str], body: Body | None
    ) -> Response:
        """Send a request over a free connection. Repeat it once if the server closed the connection meanwhile."""
        found = _URL.match(url)
        if found is None:
            raise InvalidURL(url)
        origin, path = found[1], found[2] if found[2].startswith("/") else f"/{found[2]}"
        place = pool.place(origin, **await self._network.towards(url))
        can_repeat = method in _IDEMPOTENT
        while True:
            connection = await pool.take(place)
            try:
                asked = {**headers, **place.headers()}
                head = request_head(method, place.target(path), place.host, asked, body)
            except BaseException:
                connection.release()
                raise
            exchange = Exchange(
                connection, read_timeout=self.options.read_timeout, answer_timeout=self.options.answer_timeout
            )
            try:
                return await exchange.run(head, body, is_head=method == "HEAD")
            except (ClientOSError, ServerDisconnectedError):
                if not can_repeat:
                    raise
                can_repeat = False

    async def read(self, response: Response, *, is_error: bool = False) -> bytes:
        """Read the body of an answer that holds no file. If reading fails, the response is closed.

        Args:
            response: The answer, with an unread body.
            is_error: True for an error answer. Bytes beyond 64 KiB are left out then.

        Raises:
            StorageUnavailableException: The connection broke, or the answer exceeded `HttpOptions.answer_timeout`.
            StorageOperationException: The body is larger than 16 MiB. No valid answer is that large.
        """
        body = bytearray()
        most = _LARGEST_ERROR if is_error else _LARGEST_ANSWER
        if response.content.is_eof():  # the body came with the header
            return response.content.read_nowait()[:most]
        try:
            with transfer_errors():
                async with asyncio.timeout(self.options.answer_timeout):
                    async for chunk in response.content.iter_any():
                        body += chunk
                        if len(body) > most:
                            break
        except BaseException:
            response.close()
            raise
        if len(body) > most:
            response.close()
            if not is_error:
                raise StorageOperationException(f"the server's answer is too large: more than {most} bytes came")
        return bytes(body[:most])


class transfer_errors:  # noqa: N801 - it reads like a function
    """Raises errors of aiohttp as storage errors, without their messages, which may hold a signed URL.

    It removes aiohttp's frames from every exception, also from a cancellation, as they hold the request's headers.

    Raises:
        StorageUnavailableException: The connection failed or timed out, or the answer is not HTTP.
        StorageOperationException: The certificate is not trusted, so a retry cannot help.
        AccessDeniedException: The proxy demands another password.
        StorageClosedException: The pool was closed while an answer was read.
    """

    __slots__ = ()

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None or (ours := _ours(without_frames(error))) is None:
            return
        # neither is shown as a cause: their reprs hold the request's headers, and the proxy's password
        cause = None if isinstance(error, ClientResponseError | HttpProcessingError | ClientConnectorError) else error
        del error
        raise ours from cause


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer in time ({type(error).__name__})"
    detail = getattr(error, "strerror", None) or type(error).__name__
    whose = "the connection to the proxy" if isinstance(error, ClientProxyConnectionError) else "the connection"
    return f"{whose} failed ({detail})"


def _ours(error: BaseException) -> StorageException | None:
    """Return the storage error for an error of aiohttp. None for other errors."""
    if isinstance(error, ClientHttpProxyError):
        return proxy_failure(error.status)
    if isinstance(error, HttpProcessingError):
        return StorageUnavailableException(f"the answer is no HTTP ({type(error).__name__})")
    if (failure := certificate_failure(error)) is not None:
        return failure
    if isinstance(error, ClientError | OSError):
        return StorageUnavailableException(_reason(error))
    if isinstance(error, RuntimeError) and str(error) == "Connection closed.":  # closed here, not by the server
        return StorageClosedException("the storage was closed meanwhile")
    return None
