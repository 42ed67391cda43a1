"""HTTP for storages: pooled aiohttp sessions, time-outs, and retries with jittered back-off.

One `HttpClient` belongs to one storage. It has one session per event loop, made on first use. Closing the client closes
the session. If the client is not closed, the session is closed with its event loop. A child process may use the client
after fork.
"""

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from types import TracebackType
from typing import Any, NamedTuple, Self

from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientHttpProxyError,
    ClientProxyConnectionError,
    ClientResponse,
    ClientResponseError,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
)
from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import Payload
from yarl import URL

from async_storages._deadlines import check_deadline
from async_storages._secrets import Hidden, hidden, without_frames
from async_storages.backends.transport.clean_connector import CleanConnector
from async_storages.backends.transport.download_slots import DownloadSlots
from async_storages.backends.transport.network import Network, proxy_failure
from async_storages.backends.transport.per_loop import PerLoop
from async_storages.backends.transport.retries import Retries
from async_storages.backends.transport.tls import certificate_failure
from async_storages.errors import (
    InvalidArgumentException,
    StorageClosedException,
    StorageException,
    StorageOperationException,
    StorageUnavailableException,
)
from async_storages.sources import CHUNK_SIZE

__all__ = ["Body", "HttpClient", "HttpOptions", "override_options", "transfer_errors"]

_PIECE = 65_536  # what a socket takes at once
_TIMEOUTS = ("connect_timeout", "read_timeout", "pool_timeout", "answer_timeout", "cleanup_timeout")
_LARGEST_ANSWER = 16 << 20
_LARGEST_ERROR = 64 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOptions:
    """Limits of one storage's connections: time-outs, pool size, retries, proxy and certificates.

    Attributes:
        connect_timeout: The longest time to connect in seconds, with TLS.
        read_timeout: Seconds without a byte in either direction after which a transfer fails.
        pool_timeout: The longest time to wait for a free connection in seconds, with the time to connect.
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
    """The session of one event loop, and the slots of its downloads."""

    def __init__(self, session: ClientSession, options: HttpOptions) -> None:
        self.session = session
        self.downloads = DownloadSlots(download_slots(options), options.pool_timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.downloads.close()
        await self.session.close()


def override_options(options: HttpOptions | None, **said: Any) -> HttpOptions:
    """Return the options with the given values. None keeps the value of an option."""
    said = hidden(said)
    given = {name: value for name, value in said.items() if value is not None}
    return replace(options or HttpOptions(), **given)


class Sent(NamedTuple):
    """The progress of sending a body: how many times it was sent, and True if all bytes ever left."""

    times: int
    is_whole: bool


class Body(Payload):
    """The body of a request. It can be sent many times, in pieces, without copying.

    Args:
        data: The bytes.
        timeout: The longest time in seconds to send a piece. aiohttp itself has no such limit.

    Attributes:
        data: The bytes.
        times_sent: The number of times that sending has begun. It can be more than one per request: aiohttp repeats a
            request if a kept connection turns out to be closed.
        was_sent: True once all bytes have left. The server may have carried out the request then.
        on_sent: Called each time that all bytes have left.
    """

    def __init__(self, data: bytes, timeout: float) -> None:
        super().__init__(data)
        self.data = data
        self._size = len(data)
        self._timeout = timeout
        self.times_sent = 0
        self.was_sent = False
        self.on_sent: Callable[[], None] | None = None

    @property
    def sent(self) -> Sent:
        """Return how often the body was sent."""
        return Sent(self.times_sent, self.was_sent)

    @sent.setter
    def sent(self, value: Sent) -> None:
        self.times_sent, self.was_sent = value

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the bytes as text. aiohttp demands this method of every payload."""
        return self.data.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send all bytes."""
        self.times_sent += 1
        view = memoryview(self.data)
        for start in range(0, len(view), _PIECE):
            async with asyncio.timeout(self._timeout):
                await writer.write(view[start : start + _PIECE])
                await writer.drain()
        self.was_sent = True
        if self.on_sent is not None:
            self.on_sent()


class _Response(ClientResponse):
    """An answer whose repr hides its URL and headers, which may be secret."""

    def __repr__(self) -> str:
        return f"<answer {self.status}>"


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
        self._connections = PerLoop(self._new_connections)

    def _new_connections(self) -> _Connections:
        options = self.options
        session = ClientSession(
            connector=CleanConnector(limit=options.max_connections, ttl_dns_cache=60),
            timeout=ClientTimeout(
                total=None,
                connect=options.pool_timeout,
                sock_connect=options.connect_timeout,
                sock_read=options.read_timeout,
            ),
            headers={"Accept-Encoding": "identity"},  # files are fetched as they are stored
            skip_auto_headers=("Content-Type", "User-Agent"),
            cookie_jar=DummyCookieJar(),
            response_class=_Response,
            auto_decompress=False,
            read_bufsize=CHUNK_SIZE,
        )
        return _Connections(session, options)

    async def download_slots(self) -> DownloadSlots:
        """The slots of the running loop's downloads: see `download_slots.DownloadSlots`."""
        return (await self._connections.get()).downloads

    async def aclose(self) -> None:
        """Close the session of the running event loop. Other sessions are closed with their loops."""
        await self._connections.aclose()

    def body(self, data: bytes) -> Body:
        """Return the body of one request."""
        return Body(data, self.options.read_timeout)

    async def send(self, method: str, url: str, headers: Mapping[str, str], body: Body | None = None) -> ClientResponse:
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
        session = (await self._connections.get()).session
        check_deadline()
        url = Hidden(url)  # the URL of an upload session lets its holder write
        with transfer_errors():
            async with self._limit(body):
                response = await session.request(
                    method,
                    URL(url, encoded=True),
                    headers=headers,
                    data=body,
                    allow_redirects=False,
                    **await self._network.towards(url),
                )
        if response.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            response.close()
            raise proxy_failure(response.status)
        return response

    def _limit(self, body: Body | None) -> asyncio.Timeout:
        """Limit the time from a request's last byte to the end of the answer's header, across interim answers."""
        seconds = self.options.answer_timeout
        if body is None or not body.data:
            return asyncio.timeout(self.options.pool_timeout + seconds)
        limit, loop = asyncio.timeout(None), asyncio.get_running_loop()

        def begin() -> None:
            with suppress(RuntimeError):  # the answer came earlier, or the limit is over
                limit.reschedule(loop.time() + seconds)

        body.on_sent = begin
        return limit

    async def read(self, response: ClientResponse, *, is_error: bool = False) -> bytes:
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
        StorageClosedException: The session was closed while an answer was read.
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
        cause = None if isinstance(error, ClientResponseError | ClientConnectorError) else error
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
    if isinstance(error, ClientResponseError):
        if isinstance(error, ClientHttpProxyError):
            return proxy_failure(error.status)
        return StorageUnavailableException(f"the answer is no HTTP ({type(error).__name__})")
    if (failure := certificate_failure(error)) is not None:
        return failure
    if isinstance(error, ClientError | OSError):
        return StorageUnavailableException(_reason(error))
    if isinstance(error, RuntimeError) and str(error) == "Connection closed.":  # closed here, not by the server
        return StorageClosedException("the storage was closed meanwhile")
    return None
