"""A pool of connections that gives no connection on which the server has sent something unasked."""

from typing import Any

from aiohttp import TCPConnector
from aiohttp.connector import Connection

__all__ = ["CleanConnector"]


class CleanConnector(TCPConnector):
    """aiohttp's pool, without kept connections whose server has sent something after its answer.

    A request would take that for its own answer. If it has no length, aiohttp never notices its end.
    """

    async def connect(self, *args: Any, **kwargs: Any) -> Connection:
        """Return a kept connection without unread bytes, or a new one."""
        while True:
            connection = await super().connect(*args, **kwargs)
            if connection.protocol is None or not connection.protocol.should_close:
                return connection
            connection.close()
