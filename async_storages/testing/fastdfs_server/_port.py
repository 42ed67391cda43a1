"""A port of the server: one request after the other is answered, or what a fault makes of it."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress

from async_storages.testing.fastdfs_server._faults import Faults, Injection
from async_storages.testing.fastdfs_server._wire import BUFFER, EINVAL, Answer, Hangup, Peer, Refusal, Request

__all__ = ["COMMON", "Handler", "Port"]

_BACKLOG = 512

_UPLOADS = {11, 21, 23}

type Handler = Callable[[Request], Awaitable[bytes | Answer]]


class Port:
    """What listens on a port, and the connections there.

    Args:
        handlers: What answers a command; others are answered with 22.
        faults: What goes wrong.
        idle_timeout: Seconds until a client that has asked for nothing is turned out.
        ends_after: Statuses after which a connection is not used any more.
        is_silent: Whether it is kept open then, with nothing more said, instead of being closed.
        runs_on_after: Statuses after which what is left of a request is taken for further ones.

    Attributes:
        address: ``host:port`` once it listens; the same when it does so again.
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
        self.address = f"{host}:{port}"
        self._handlers = handlers
        self._faults = faults
        self._idle_timeout = idle_timeout
        self._ends_after = ends_after
        self._is_silent = is_silent
        self._runs_on_after = runs_on_after
        self._listener: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures: list[BaseException] = []

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._tasks)

    @property
    def is_listening(self) -> bool:
        """Whether it takes clients."""
        return self._listener is not None

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
"""What every server answers."""
