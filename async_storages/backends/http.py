"""HTTP for the storages that speak it: pooled aiohttp sessions, time-outs, retries with jittered back-off.

One `HttpClient` belongs to one storage. It has a session per event loop, made on first use and closed with the client,
or with its loop where nobody closes the client, and is safe to use in a child after fork.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType

from aiohttp import (
    ClientError,
    ClientResponse,
    ClientResponseError,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
)
from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import Payload
from yarl import URL

from async_storages._deadlines import check_deadline
from async_storages._secrets import Hidden, without_frames
from async_storages.backends.per_loop import PerLoop
from async_storages.backends.retries import Retries
from async_storages.errors import (
    InvalidArgumentException,
    StorageClosedException,
    StorageException,
    StorageOperationException,
    StorageUnavailableException,
)
from async_storages.sources import CHUNK_SIZE

__all__ = ["Body", "HttpClient", "HttpOptions", "transfer_errors"]

_PIECE = 65_536  # what a socket takes at once
_TIMEOUTS = ("connect_timeout", "read_timeout", "pool_timeout", "answer_timeout", "cleanup_timeout")
_LARGEST_ANSWER = 16 << 20
_LARGEST_ERROR = 64 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOptions:
    """Limits of one storage's connections.

    Attributes:
        connect_timeout: Seconds to connect, TLS included.
        read_timeout: Seconds without a byte, in either direction, after which a transfer counts as broken.
        pool_timeout: Seconds to wait for a free connection, connecting included.
        answer_timeout: Seconds that an answer may take once the request is sent: its header, and all of a body that
            is not the content of a file.
        cleanup_timeout: Seconds that a write which fails or is cancelled may take to remove what it began.
        max_connections: Connections open at once, per event loop.
        retries: See `Retries`; by default 10 attempts within 30 seconds, which outlast the restart of a server.

    Raises:
        InvalidArgumentException: One of the numbers is not above 0.
    """

    connect_timeout: float = 5.0
    read_timeout: float = 60.0
    pool_timeout: float = 60.0
    answer_timeout: float = 300.0
    cleanup_timeout: float = 10.0
    max_connections: int = 64
    retries: Retries = field(default_factory=lambda: Retries(attempts=10))

    def __post_init__(self) -> None:
        for name in (*_TIMEOUTS, "max_connections"):
            if not getattr(self, name) > 0:
                raise InvalidArgumentException(f"{name} must be above 0, not {getattr(self, name)!r}")


class Body(Payload):
    """The body of a request: bytes, sent in pieces without copying them, as often as need be.

    Args:
        data: The bytes.
        timeout: Seconds that a piece may take to leave; aiohttp itself would wait forever.

    Attributes:
        data: The bytes.
        times_sent: How often sending it has begun. It may be more than once per request: aiohttp sends requests again
            whose connection was kept open, and turns out to have been closed.
        was_sent: Whether all of it ever left, so that the server may have done what it was asked for.
        on_sent: Called whenever all of it has left.
    """

    def __init__(self, data: bytes, timeout: float) -> None:
        super().__init__(data)
        self.data = data
        self._size = len(data)
        self._timeout = timeout
        self.times_sent = 0
        self.was_sent = False
        self.on_sent: Callable[[], None] | None = None

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """The bytes as text, as aiohttp asks of every payload."""
        return self.data.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send all of it."""
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
    """An answer whose repr holds neither its URL nor its headers, which may be secret."""

    def __repr__(self) -> str:
        return f"<answer {self.status}>"


class HttpClient:
    """Sends requests; knows nothing of any protocol above HTTP."""

    def __init__(self, options: HttpOptions) -> None:
        self.options = options
        self._sessions = PerLoop(self._new_session)

    def _new_session(self) -> ClientSession:
        options = self.options
        return ClientSession(
            connector=TCPConnector(limit=options.max_connections, ttl_dns_cache=60),
            timeout=ClientTimeout(
                total=None,
                connect=options.pool_timeout,
                sock_connect=options.connect_timeout,
                sock_read=options.read_timeout,
            ),
            headers={"Accept-Encoding": "identity"},  # files are wanted as they are stored
            skip_auto_headers=("Content-Type", "User-Agent"),
            cookie_jar=DummyCookieJar(),
            response_class=_Response,
            auto_decompress=False,
            read_bufsize=CHUNK_SIZE,
        )

    async def aclose(self) -> None:
        """Close the session of the running loop; the others are closed with their loops."""
        await self._sessions.aclose()

    def body(self, data: bytes) -> Body:
        """The body of one request."""
        return Body(data, self.options.read_timeout)

    async def send(self, method: str, url: str, headers: Mapping[str, str], body: Body | None = None) -> ClientResponse:
        """One request, once; redirects are not followed.

        Args:
            method: Of the request.
            url: Percent-encoded; sent exactly so.
            headers: Sent as they are.
            body: Sent with its Content-Length.

        Returns:
            The answer, to be used as an async context manager: its connection goes back to the pool if it was read
            to its end, else it is closed. Read it inside `transfer_errors`.

        Raises:
            StorageUnavailableException: No connection, or no answer in time.
        """
        session = await self._sessions.get()
        check_deadline()
        url = Hidden(url)  # that of an upload's session lets whoever has it write
        with transfer_errors():
            async with self._limit(body):
                return await session.request(
                    method, URL(url, encoded=True), headers=headers, data=body, allow_redirects=False
                )

    def _limit(self, body: Body | None) -> asyncio.Timeout:
        """A limit from a request's last byte to the end of the answer's header, whatever interim answers come."""
        seconds = self.options.answer_timeout
        if body is None or not body.data:
            return asyncio.timeout(self.options.pool_timeout + seconds)
        limit, loop = asyncio.timeout(None), asyncio.get_running_loop()

        def begin() -> None:
            with suppress(RuntimeError):  # the answer came before, or the limit is over
                limit.reschedule(loop.time() + seconds)

        body.on_sent = begin
        return limit

    async def read(self, response: ClientResponse, *, is_error: bool = False) -> bytes:
        """The body of an answer that holds no file; the response is closed where that fails.

        Args:
            response: Whose body is unread.
            is_error: Whether it tells of an error: then what is beyond 64 KiB is left out.

        Raises:
            StorageUnavailableException: The connection broke, or it took longer than `HttpOptions.answer_timeout`.
            StorageOperationException: It is larger than 16 MiB, which no answer is.
        """
        body = bytearray()
        most = _LARGEST_ERROR if is_error else _LARGEST_ANSWER
        if response.content.is_eof():  # it came with the header
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
                raise StorageOperationException(f"the server's answer has no end: more than {most} bytes came")
        return bytes(body[:most])


class transfer_errors:  # noqa: N801 - it reads like a function
    """Errors of aiohttp as ours, without their messages, as some hold the URL, and that may be signed.

    Whatever leaves the block, a cancellation as well, leaves aiohttp's frames behind: they hold the request's headers.

    Raises:
        StorageUnavailableException: The connection failed or timed out, or what came is not HTTP.
        StorageClosedException: The session was closed while an answer was read.
    """

    __slots__ = ()

    def __enter__(self) -> None:
        """Nothing is to be done before."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None or (ours := _ours(without_frames(error))) is None:
            return
        # the repr of one holds the request's headers, so it is no cause to be shown
        cause = None if isinstance(error, ClientResponseError) else error
        del error
        raise ours from cause


def _ours(error: BaseException) -> StorageException | None:
    """The error of ours that an error of aiohttp becomes."""
    if isinstance(error, ClientResponseError):
        return StorageUnavailableException(f"the answer is no HTTP ({type(error).__name__})")
    if isinstance(error, TimeoutError):
        return StorageUnavailableException(f"no answer in time ({type(error).__name__})")
    if isinstance(error, ClientError | OSError):
        detail = getattr(error, "strerror", None) or type(error).__name__
        return StorageUnavailableException(f"the connection failed ({detail})")
    if isinstance(error, RuntimeError) and str(error) == "Connection closed.":  # here, not by the server
        return StorageClosedException("the storage was closed meanwhile")
    return None
