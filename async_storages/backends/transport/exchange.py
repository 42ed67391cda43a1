"""One request and the header of its answer, on one connection (RFC 9112).

aiohttp parses the answer. Its session is left out: it takes half as long again to build and send a small request.
"""

import asyncio
import re
from collections.abc import Mapping

from aiohttp import ServerDisconnectedError, StreamReader
from aiohttp.client_exceptions import ClientOSError
from aiohttp.connector import Connection
from aiohttp.http import RawResponseMessage

from async_storages.backends.transport.body import Body
from async_storages.backends.transport.response import Response
from async_storages.backends.transport.sending import Sender
from async_storages.errors import InvalidArgumentException
from async_storages.sources import CHUNK_SIZE

__all__ = ["Exchange", "request_head"]

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_WITHOUT_BODY = frozenset({"GET", "HEAD"})


def request_head(method: str, target: str, host: str, headers: Mapping[str, str], body: Body | None) -> bytes:
    """Return request line and headers as they are sent.

    Raises:
        InvalidArgumentException: A header holds control characters.
    """
    lines = [
        f"{method} {target} HTTP/1.1",
        f"Host: {host}",
        "Accept: */*",
        "Accept-Encoding: identity",  # files are fetched as they are stored
        *map(": ".join, headers.items()),
    ]
    if body is not None:
        lines.append(f"Content-Length: {body.size}")
    elif method not in _WITHOUT_BODY:
        lines.append("Content-Length: 0")
    if _CONTROL.search("".join(lines)):
        raise InvalidArgumentException("a header cannot be sent: it holds control characters")
    lines.append("\r\n")
    return "\r\n".join(lines).encode()


class Exchange:
    """Sends one request over a connection and waits for the header of the answer.

    Args:
        connection: The connection. It is closed if the exchange fails.
        read_timeout: Seconds without a byte in either direction after which the exchange fails, and later the content.
        answer_timeout: The longest time from the last byte of the request to the end of the header, in seconds.
    """

    __slots__ = (
        "_answer_timeout",
        "_connection",
        "_has_answer",
        "_loop",
        "_protocol",
        "_read_timeout",
        "_sending",
        "_timer",
    )

    def __init__(self, connection: Connection, *, read_timeout: float, answer_timeout: float) -> None:
        protocol = connection.protocol
        if protocol is None:
            raise ServerDisconnectedError
        self._connection = connection
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._read_timeout = read_timeout
        self._answer_timeout = answer_timeout
        self._timer: asyncio.TimerHandle | None = None
        self._sending: asyncio.Task[None] | None = None
        self._has_answer = False

    async def run(self, head: bytes, body: Body | None, *, is_head: bool) -> Response:
        """Send the request and return the answer. An answer may come before the whole body was sent.

        Args:
            head: The request line and headers.
            body: The body. None without one.
            is_head: True if the method is HEAD, whose answer has no content.

        Raises:
            aiohttp.ClientError: The connection failed.
            TimeoutError: The server was silent for too long.
        """
        try:
            self._protocol.set_response_params(
                skip_payload=is_head,
                read_until_eof=True,
                auto_decompress=False,
                read_timeout=self._read_timeout,
                read_bufsize=CHUNK_SIZE,
            )
            self._send(head, body)
            message, content = await self._answer()
        except BaseException:
            if self._sending is not None:
                self._sending.cancel()
            self._connection.close()
            raise
        finally:
            self._has_answer = True
            if self._timer is not None:
                self._timer.cancel()
        return Response(message.code, message.headers, content, self._connection, self._sending)

    def _send(self, head: bytes, body: Body | None) -> None:
        """Send a small request at once. Begin to send a larger one."""
        transport = self._protocol.transport
        if transport is None or transport.is_closing():
            raise ServerDisconnectedError
        if body is None:
            transport.write(head)
            self._wait()
            return
        body.times_sent += 1
        if body.is_small:
            transport.write(b"".join((head, *body.pieces)))
            body.was_sent = True
            self._wait()
        else:
            transport.write(head)
            self._sending = asyncio.Task(self._send_body(body), loop=self._loop, eager_start=True)

    async def _send_body(self, body: Body) -> None:
        """Send a large body. The answer is awaited meanwhile, and gets the error."""
        sender = Sender(self._protocol, self._read_timeout)
        try:
            await sender.send(body.views())
        except Exception as error:  # noqa: BLE001 - whoever waits for the answer raises it
            failure = ClientOSError(getattr(error, "errno", None), "the body could not be sent")
            failure.__cause__ = error
            self._protocol.set_exception(failure)
        else:
            body.was_sent = True
            self._wait()
        finally:
            sender.stop()

    def _wait(self) -> None:
        """Limit the time from now, when all is sent, to the answer, and to its next byte."""
        self._protocol.start_timeout()
        if not self._has_answer:
            self._timer = self._loop.call_later(self._answer_timeout, self._protocol.set_exception, TimeoutError())

    async def _answer(self) -> tuple[RawResponseMessage, StreamReader]:
        """Return the answer, without the interim ones before it."""
        while True:
            message, content = await self._protocol.read()
            if not 100 <= message.code <= 199 or message.code == 101:
                return message, content
            if self._timer is not None:  # aiohttp's own ends with an interim answer
                self._protocol.start_timeout()
