"""The answer to a request."""

from asyncio import Task
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from aiohttp import ClientConnectionError, StreamReader
from aiohttp.connector import Connection

__all__ = ["Response"]


class Response:
    """An answer whose header has arrived. Its repr holds neither URL nor headers, which may be secret.

    If the content is read to its end, the connection returns to the pool. Otherwise it is closed.

    Args:
        status: See the attribute.
        headers: See the attribute.
        content: See the attribute.
        connection: The connection of the answer.
        sending: The task that sends the body of the request. None if the whole body has left.

    Attributes:
        status: The HTTP status.
        headers: The headers, case-insensitive.
        content: The content, as it arrives.
    """

    __slots__ = ("_connection", "_sending", "content", "headers", "status")

    def __init__(
        self,
        status: int,
        headers: Mapping[str, str],
        content: StreamReader,
        connection: Connection,
        sending: Task[None] | None,
    ) -> None:
        self.status = status
        self.headers = headers
        self.content = content
        self._connection: Connection | None = connection
        self._sending = sending
        content.on_eof(self._end)

    def __repr__(self) -> str:
        return f"<answer {self.status}>"

    def _end(self) -> None:
        """Give the connection back, unless the server has answered before it got the whole request."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._sending is None or self._sending.done():
            connection.release()
        else:
            self._sending.cancel()
            connection.close()

    def close(self) -> None:
        """Close the connection, unless the content was read to its end. A second call does nothing."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._sending is not None:
            self._sending.cancel()
        if self.content.exception() is None:
            self.content.set_exception(ClientConnectionError("Connection closed"))
        connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
