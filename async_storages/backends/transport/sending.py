"""Sending a large body over a connection."""

import asyncio
from collections.abc import Iterable

from aiohttp import ClientConnectionResetError
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import StreamWriter

__all__ = ["Sender"]

_LOOKS = 8
"""The number of looks at the progress within the time-out."""


class Sender:
    """Sends bytes as fast as the connection takes them, and fails if it takes none for too long.

    If it takes none for too long, whoever waits for the answer gets a TimeoutError. aiohttp itself has no such limit.

    Args:
        protocol: The connection.
        timeout: The longest time in seconds without a byte leaving.
    """

    def __init__(self, protocol: ResponseHandler, timeout: float) -> None:
        self._protocol = protocol
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()
        self._given = 0
        self._left = 0
        self._since = self._loop.time()
        self._timer = self._loop.call_later(timeout / _LOOKS, self._look)

    async def send(self, pieces: Iterable[memoryview]) -> None:
        """Send all pieces, and wait until the system has taken them.

        Raises:
            ClientConnectionResetError: The connection was closed.
        """
        protocol, writer = self._protocol, StreamWriter(self._protocol, self._loop)
        for piece in pieces:
            transport = protocol.transport
            if transport is None or transport.is_closing():
                raise ClientConnectionResetError("the connection was closed")
            transport.write(piece)
            self._given += len(piece)
            if protocol.writing_paused:
                await writer.drain()

    def stop(self) -> None:
        """Watch the progress no longer."""
        self._timer.cancel()

    def _look(self) -> None:
        transport, now = self._protocol.transport, self._loop.time()
        left = self._given - (0 if transport is None else transport.get_write_buffer_size())
        if left > self._left:
            self._left, self._since = left, now
        if now - self._since < self._timeout:
            self._timer = self._loop.call_later(self._timeout / _LOOKS, self._look)
        else:
            self._protocol.set_exception(TimeoutError())
