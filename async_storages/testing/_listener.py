"""A listening socket, and the tasks that serve its clients."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

__all__ = ["Listener"]


class Listener:
    """Serves each client of a port in a task. It needs an event loop that has `add_reader`.

    Args:
        serve: Serves a client. `aclose` raises its errors.
        host: The address to listen on.
        port: The port. 0 for a free one.
        name: The name of the server, for errors.
        backlog: The number of clients that may wait to be accepted. None for the system's default.

    Attributes:
        address: Host and port. They stay the same when it listens again.
    """

    def __init__(
        self,
        serve: Callable[[socket.socket], Coroutine[Any, Any, None]],
        *,
        host: str,
        port: int = 0,
        name: str,
        backlog: int | None = None,
    ) -> None:
        self.address = (host, port)
        self._serve = serve
        self._name = name
        self._backlog = backlog
        self._socket: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures: list[BaseException] = []

    @property
    def clients(self) -> int:
        """The number of connected clients."""
        return len(self._tasks)

    @property
    def is_listening(self) -> bool:
        """True while the listener accepts clients."""
        return self._socket is not None

    def start(self) -> None:
        """Listen. No effect if it listens already."""
        if self._socket is None:
            self._socket = socket.create_server(self.address, backlog=self._backlog)
            self._socket.setblocking(False)
            self.address = self._socket.getsockname()[:2]
            asyncio.get_running_loop().add_reader(self._socket, self._accept, self._socket)

    async def aclose(self) -> None:
        """Close all connections and refuse new ones until `start`. No effect the second time.

        Raises:
            BaseExceptionGroup: The errors of `serve`.
        """
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        failures, self._failures = self._failures, []
        if failures:
            raise BaseExceptionGroup(f"connections {self._name} failed", failures)

    def _accept(self, listener: socket.socket) -> None:
        """Accept the next client in one step, so that closing loses none. `asyncio.start_server` takes several."""
        try:
            client, _ = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):  # the client is gone again
            return
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as asyncio does: pieces go out as they come
        task = asyncio.Task(self._serve(client), loop=asyncio.get_running_loop(), eager_start=True)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.remove(task)
        if not task.cancelled() and (failure := task.exception()):
            self._failures.append(failure)
