"""One connection to a tracker or storage server. It sends one request at a time, and every wait has a limit."""

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterable
from contextlib import suppress
from typing import Any, Self, cast

from async_storages.backends.fastdfs.protocol import ReplyParser, Request, Server, quit_connection
from async_storages.backends.fastdfs.statuses import ENOENT, ProtocolError, Refusal, TimedOutException
from async_storages.errors import StorageClosedException, StorageException, StorageUnavailableException

__all__ = ["Connection"]

_READ_AT_ONCE = 65_536  # bytes; asyncio's own buffer for each read is larger, and costs a third of a small request
_MOST_BUFFERED = 524_288  # bytes of a reply that wait to be read
_MOST_JOINED = 65_536  # bytes of content that are copied, so that they leave together with the head


class Connection(asyncio.BufferedProtocol):
    """An open connection.

    Args:
        server: The server.
        timeout: Seconds without a byte in either direction after which the connection fails.

    Attributes:
        is_reusable: True if another request may be sent: the last reply was read whole, and the server still listens.
        used_at: The time of the last reply's end, by the event loop's clock.
    """

    _transport: asyncio.Transport

    def __init__(self, server: Server, timeout: float) -> None:
        self._server = server
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()
        self._error: StorageException | None = None
        self._parser: ReplyParser | None = None
        self._buffer = memoryview(bytearray(_READ_AT_ONCE))
        self._chunks: deque[bytes] = deque()
        self._buffered = 0
        self._is_taken_whole = False
        self._may_write = True
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = 0.0
        self._lost = self._loop.create_future()
        self._unsent = 0
        self._has_content = False
        self.is_reusable = True
        self.used_at = self._loop.time()

    @classmethod
    async def open(cls, server: Server, *, connect_timeout: float, network_timeout: float) -> Self:
        """Connect within `connect_timeout` seconds. `network_timeout` is the class's `timeout`.

        Raises:
            StorageUnavailableException: The server cannot be reached in time.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(connect_timeout):
                _, connection = await loop.create_connection(
                    lambda: cls(server, network_timeout), server.host, server.port
                )
        except TimeoutError as error:
            raise TimedOutException(f"{server}: no connection within {connect_timeout} s") from error
        except (OSError, UnicodeError) as error:  # UnicodeError: the host's name is impossible
            raise StorageUnavailableException(f"{server}: {_reason_of(error)}") from error
        return connection

    @property
    def has_sent_all(self) -> bool:
        """True if all bytes of the last request have left. The server may have carried it out then."""
        return not self._unsent and self._may_write

    # ---- one request

    async def ask[Reply](self, request: Request[Reply], content: AsyncIterable[bytes] | None = None) -> Reply:
        """Send a request with its content, and wait for the whole reply.

        Raises:
            Refusal: The server refused. After an early refusal the rest of the content is not sent.
            ProtocolError: The answer is not a reply to this request.
            StorageUnavailableException: The connection broke, or no byte was sent or received in time.
        """
        if content is None:
            self.begin(request)
        else:
            await self._send(request.head, content, self._start(request))
        return await self.answer(request)

    async def answer[Reply](self, request: Request[Reply]) -> Reply:
        """Return the whole reply to the sent request. It can be called again after a cancellation. Raises as `ask`."""
        parser = self._parser
        self._is_taken_whole = True
        if self._buffered > _MOST_BUFFERED:
            self._transport.resume_reading()
        while parser is not None and not parser.is_complete:
            await self._wait()
        body = b"".join(self._chunks)
        if (refusal := self._end_reply()) is not None:
            raise refusal
        if self._unsent:
            raise ProtocolError(f"{self._server}: the reply came before all was sent")
        return request.parse(body)

    def begin(self, request: Request[Any]) -> ReplyParser:
        """Send a request without content. Read the reply with `receive`."""
        parser = self._start(request)
        self._unsent = request.content_length
        self._transport.write(request.head)
        return parser

    def _start(self, request: Request[Any]) -> ReplyParser:
        is_free, self.is_reusable = self.is_reusable, False
        self._has_content = request.content_length > 0
        self._unsent = len(request.head) + request.content_length
        if not is_free:
            raise self._error or ProtocolError(f"{self._server}: the last reply was not read to its end")
        self._is_taken_whole = False
        self._parser = ReplyParser(request.lengths)
        return self._parser

    def _write(self, data: bytes | memoryview) -> None:
        self._unsent -= len(data)
        self._transport.write(data)

    async def _send(self, head: bytes, content: AsyncIterable[bytes], parser: ReplyParser) -> None:
        """Send the head with the first bytes, then the rest. If the content fails first, nothing is sent.

        A server that refuses a request answers early and closes. The event loop gets a turn to notice it.
        """
        async for chunk in content:
            if self._error is not None or parser.length is not None:
                return  # `receive` raises the reason
            self._write(head + chunk[:_MOST_JOINED] if head else chunk)
            if head and len(chunk) > _MOST_JOINED:
                self._write(memoryview(chunk)[_MOST_JOINED:])
            head = b""
            if self._unsent:
                await asyncio.sleep(0)
            while not self._may_write and self._error is None and parser.length is None:
                await self._wait()
        if head:
            self._write(head)

    async def receive(self) -> bytes:
        """Return the next bytes of the reply's body. Empty at its end, when the connection is free again."""
        parser = self._parser
        while not self._chunks and parser is not None and not parser.is_complete:
            await self._wait()
        if not self._chunks:
            self._end_reply()
            return b""
        chunk = self._chunks.popleft()
        was_full = self._buffered > _MOST_BUFFERED
        self._buffered -= len(chunk)
        if was_full and self._buffered <= _MOST_BUFFERED:
            self._transport.resume_reading()
        return chunk

    def _end_reply(self) -> Refusal | None:
        """Note that the reply was read whole, and return its refusal.

        After most refusals the server closes the connection, or reads the rest of the request as new requests.
        """
        if self._parser is None:
            return None
        refusal = self._parser.refusal
        is_kept = refusal is None or (refusal.status == ENOENT and not self._has_content)
        self.is_reusable = is_kept and not self._unsent and self._error is None
        self._chunks.clear()
        self._buffered = 0
        self._parser = None
        self.used_at = self._loop.time()
        return refusal

    async def _wait(self) -> None:
        """Wait until something happens. Raise the connection's error if it has ended, or if the time is up."""
        if self._error is not None:
            raise self._error
        self._deadline = self._loop.time() + self._timeout
        if self._timer is None:
            self._timer = self._loop.call_at(self._deadline, self._check_time)
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _check_time(self) -> None:
        """Check the time limit. One timer serves many waits, as a timer for each would cost a tenth of all the time."""
        self._timer = None
        if self._waiter is None:
            return
        if self._loop.time() < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._check_time)
        else:
            self._fail(TimedOutException(f"{self._server}: nothing moved for {self._timeout} s"))

    # ---- the end

    async def aclose(self) -> None:
        """Tell the server that the connection ends, and close it. A running request fails."""
        if self.is_reusable:
            self._transport.write(quit_connection())
            self._transport.close()
        else:
            self._fail(StorageClosedException(f"{self._server}: the connection was closed while in use"))
        try:
            async with asyncio.timeout(self._timeout):
                await asyncio.shield(self._lost)
        finally:
            self.abort()

    def abort(self) -> None:
        """Close at once, in any state."""
        self._fail(StorageUnavailableException(f"{self._server}: the connection was closed"))

    # ---- callbacks of asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note that the connection was opened."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=0)  # so that asyncio reports every waiting byte

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the memory for bytes that arrive."""
        del sizehint
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take bytes of the reply, or unexpected ones. Wake who waits for them, or for the end of the reply."""
        parser = self._parser
        if parser is None:
            self._fail(ProtocolError(f"{self._server}: {nbytes} bytes came unasked"))
            return
        try:
            body = parser.feed(self._buffer[:nbytes])
        except ProtocolError as error:
            self._fail(error)
            return
        if body:
            self._chunks.append(bytes(body))
            self._buffered += len(body)
        if parser.is_complete or not self._is_taken_whole:
            self._wake()
            if self._buffered > _MOST_BUFFERED:
                self._transport.pause_reading()
        else:
            self._deadline = self._loop.time() + self._timeout

    def eof_received(self) -> None:
        """Note that the server has closed. Waiting bytes need not be sent."""
        self._fail(StorageUnavailableException(f"{self._server}: the connection was closed"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection ended, for any reason. Earlier bytes may still wait in the socket."""
        if exc is not None and self._error is None and self._parser is not None:
            self._take_the_rest(self._parser)
        reason = "the connection was closed" if exc is None else _reason_of(exc)
        self._fail(StorageUnavailableException(f"{self._server}: {reason}"))
        if not self._lost.done():
            self._lost.set_result(None)

    def _take_the_rest(self, parser: ReplyParser) -> None:
        """Read the reply that arrived before a write failed. asyncio does not read it any more."""
        descriptor = self._transport.get_extra_info("socket").fileno()
        with suppress(OSError):
            while descriptor >= 0 and not parser.is_complete and (data := os.read(descriptor, _READ_AT_ONCE)):
                self._buffer[: len(data)] = data
                self.buffer_updated(len(data))

    def pause_writing(self) -> None:
        """Note that bytes wait to be sent."""
        self._may_write = False

    def resume_writing(self) -> None:
        """Note that no bytes wait any more."""
        self._may_write = True
        self._wake()

    def _fail(self, error: StorageException) -> None:
        self._error = self._error or error
        self.is_reusable = False
        if self._timer is not None:
            self._timer.cancel()
        self._transport.abort()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _reason_of(error: BaseException) -> str:
    number = error.errno if isinstance(error, OSError) else None
    # those below 0 are of the name look-up
    return os.strerror(number) if number and number > 0 else f"{error} ({type(error).__name__})"
