"""A port of the server: one request after the other is answered, or what a fault makes of it."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from async_storages.testing.fastdfs_server._faults import Faults, Injection
from async_storages.testing.fastdfs_server._wire import BUFFER, EINVAL, Answer, Hangup, Peer, Reader, Refusal, Request

__all__ = ["COMMON", "Handler", "Port"]

_HOST = "127.0.0.1"
_BACKLOG = 512

type Handler = Callable[[Request], Awaitable[bytes | Answer]]


class Port:
    """What listens on a port, and the connections there.

    Args:
        handlers: What answers a command; others are answered with 22 and the end of the connection.
        faults: What goes wrong.
        idle_timeout: Seconds until a client that has asked for nothing is turned out.
        pipelining: Whether requests that come before the answer to an earlier one are answered too.

    Attributes:
        address: ``host:port`` once it listens; the same when it does so again.
    """

    def __init__(
        self, handlers: Mapping[int, Handler], faults: Faults, *, idle_timeout: float, pipelining: bool
    ) -> None:
        self.address = f"{_HOST}:0"
        self._handlers = handlers
        self._faults = faults
        self._idle_timeout = idle_timeout
        self._pipelining = pipelining
        self._listener: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures: list[BaseException] = []

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._tasks)

    def start(self) -> None:
        """Listen; nothing happens if it does already."""
        if self._listener is None:
            host, _, port = self.address.rpartition(":")
            self._listener = socket.create_server((host, int(port)), backlog=_BACKLOG)
            self._listener.setblocking(False)
            self.address = f"{host}:{self._listener.getsockname()[1]}"
            asyncio.get_running_loop().add_reader(self._listener, self._accept, self._listener)

    async def stop(self) -> None:
        """Close all connections and refuse new ones, until started again; nothing happens the second time.

        Raises:
            BaseExceptionGroup: The server has a defect.
        """
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        failures, self._failures = self._failures, []
        if failures:
            raise BaseExceptionGroup("connections to the FastDFS server failed", failures)

    def _accept(self, listener: socket.socket) -> None:
        """Take the next client in one step, as `asyncio.start_server` does not: none is lost if that is the last."""
        try:
            client, _ = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):  # gone again
            return
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = asyncio.Task(self._serve(client), loop=asyncio.get_running_loop(), eager_start=True)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.remove(task)
        if not task.cancelled() and (failure := task.exception()):
            self._failures.append(failure)

    async def _serve(self, client: socket.socket) -> None:
        peer = await _peer(client)
        try:
            with suppress(Hangup, OSError, EOFError):  # EOFError: the client ended within a request
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
        status, last = 0, False
        try:
            answer = await self._handled(request, injection)
        except Refusal as refusal:
            status = refusal.status
            last = not await request.drain() or request.command not in self._handlers
        try:
            await self._reply(peer, status, answer, injection, last=last)
        finally:
            if isinstance(answer, Answer):
                await answer.close()

    async def _reply(
        self, peer: Peer, status: int, answer: bytes | Answer, injection: Injection | None, *, last: bool
    ) -> None:
        if not self._pipelining and not last:
            await peer.discard()
        if injection is not None:
            await injection.before_answer()
            peer.room = injection.fault.cut
        await peer.send(status, answer)
        peer.room = None
        if last:
            raise Hangup

    async def _handled(self, request: Request, injection: Injection | None) -> bytes | Answer:
        if injection is not None and injection.fault.status is not None:
            raise Refusal(injection.fault.status)
        handler = self._handlers.get(request.command)
        if handler is None:
            raise Refusal(EINVAL)
        return await handler(request)


async def _peer(client: socket.socket) -> Peer:
    loop = asyncio.get_running_loop()
    reader = Reader(limit=BUFFER)
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
"""What every server answers."""
