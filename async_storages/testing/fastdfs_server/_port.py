"""A port of the server. It answers requests one after the other, or as a fault requires."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress

from async_storages.testing._listener import Listener
from async_storages.testing.fastdfs_server._faults import Faults, Injection
from async_storages.testing.fastdfs_server._wire import BUFFER, EINVAL, Answer, Hangup, Peer, Refusal, Request

__all__ = ["COMMON", "Handler", "Port"]

_BACKLOG = 512

_UPLOADS = {11, 21, 23}

type Handler = Callable[[Request], Awaitable[bytes | Answer]]


class Port:
    """A listening port, and the connections to it.

    Args:
        handlers: The handler of each command. The port answers other commands with 22.
        faults: The injected faults.
        idle_timeout: Seconds after which the port disconnects an idle client.
        host: The address to listen on.
        port: The port. 0 for a free one.
        ends_after: Statuses after which a connection serves no more requests.
        is_silent: True keeps the connection open after `ends_after`, without further answers. False closes it.
        runs_on_after: Statuses after which the port reads the rest of a request as further requests.
    """

    def __init__(
        self,
        handlers: Mapping[int, Handler],
        faults: Faults,
        *,
        idle_timeout: float,
        host: str = "127.0.0.1",
        port: int = 0,
        ends_after: Collection[int] = (),
        is_silent: bool = False,
        runs_on_after: Collection[int] = (),
    ) -> None:
        self._handlers = handlers
        self._faults = faults
        self._idle_timeout = idle_timeout
        self._ends_after = ends_after
        self._is_silent = is_silent
        self._runs_on_after = runs_on_after
        self._listener = Listener(self._serve, host=host, port=port, name="to the FastDFS server", backlog=_BACKLOG)

    @property
    def address(self) -> str:
        """``host:port``, once it listens. It stays the same when it listens again."""
        host, port = self._listener.address
        return f"{host}:{port}"

    @property
    def connections(self) -> int:
        """The number of connected clients."""
        return self._listener.clients

    @property
    def is_listening(self) -> bool:
        """True while the port accepts clients."""
        return self._listener.is_listening

    def start(self) -> None:
        """Listen. No effect if it listens already."""
        self._listener.start()

    async def stop(self) -> None:
        """Close all connections and refuse new ones until `start`. No effect the second time.

        Raises:
            BaseExceptionGroup: The server has a defect.
        """
        await self._listener.aclose()

    async def _serve(self, client: socket.socket) -> None:
        peer = await _peer(client)
        try:
            with suppress(Hangup, OSError, EOFError):  # EOFError: the client closed within a request
                await self._converse(peer)
            await peer.close()
        finally:
            await peer.abort()

    async def _converse(self, peer: Peer) -> None:
        async with asyncio.timeout(self._idle_timeout):
            header = await peer.header()
        while header is not None:
            await self._deal(peer, Request(peer.reader, *header))
            header = await peer.header()

    async def _deal(self, peer: Peer, request: Request) -> None:
        injection = self._faults.take(request.command, self.address)
        answer: bytes | Answer = b""
        status, last, announced = 0, False, None
        try:
            answer = await self._handled(request, injection)
        except Refusal as refusal:
            status, announced = refusal.status, refusal.announced
            if status not in self._runs_on_after or request.command not in _UPLOADS:
                last = not await request.drain() or status in self._ends_after
        try:
            await self._reply(peer, status, answer, injection, last=last, announced=announced)
        finally:
            if isinstance(answer, Answer):
                await answer.close()

    async def _reply(
        self,
        peer: Peer,
        status: int,
        answer: bytes | Answer,
        injection: Injection | None,
        *,
        last: bool,
        announced: int | None,
    ) -> None:
        if injection is not None:
            await injection.before_answer()
            peer.room = injection.fault.cut
            announced = announced if injection.fault.announced is None else injection.fault.announced
        await peer.send(status, answer, announced)
        peer.room = None
        if last and self._is_silent and status in self._ends_after:
            await peer.ignore()
        if last:
            raise Hangup

    async def _handled(self, request: Request, injection: Injection | None) -> bytes | Answer:
        if injection is not None and injection.fault.status is not None:
            raise Refusal(injection.fault.status)
        if injection is not None and injection.fault.body is not None:
            await request.drain()
            return injection.fault.body
        handler = self._handlers.get(request.command)
        if handler is None:
            raise Refusal(EINVAL)
        return await handler(request)


async def _peer(client: socket.socket) -> Peer:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=BUFFER, loop=loop)
    transport, protocol = await loop.create_connection(
        lambda: asyncio.StreamReaderProtocol(reader, loop=loop), sock=client
    )
    return Peer(reader, asyncio.StreamWriter(transport, protocol, reader, loop))


async def _quit(_: Request) -> bytes:
    raise Hangup


async def _active_test(request: Request) -> bytes:
    if request.length:
        raise Refusal(EINVAL)
    return b""


COMMON: Mapping[int, Handler] = {82: _quit, 111: _active_test}
"""The handlers that every server has."""
