"""Open connections, which are kept for the next request. Each server has a limit, and their state is always known."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from math import isnan
from types import TracebackType
from typing import Self

from async_storages.backends.fastdfs.connection import Connection
from async_storages.backends.fastdfs.protocol import Server, active_test
from async_storages.backends.fastdfs.silence import Silence
from async_storages.backends.fastdfs.slots import Slots
from async_storages.backends.fastdfs.statuses import Refusal
from async_storages.backends.transport.retries import Retries
from async_storages.errors import InvalidArgumentException, StorageException, StorageUnavailableException

__all__ = ["FastDFSOptions", "Pools"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FastDFSOptions:
    """Limits of one client's connections: time-outs, pool size and retries.

    Attributes:
        connect_timeout: The longest time in seconds to connect, or to answer an idle check.
        network_timeout: Seconds without a byte in either direction after which a transfer fails.
        pool_timeout: The longest time in seconds to wait for a free connection.
        cleanup_timeout: The longest time in seconds that a failed or cancelled write may take to clean up.
        idle_check: Seconds without use after which a connection is checked before its next use. Below 0 it is always
            checked.
        passed_over_for: Seconds for which the client avoids a server that twice did not answer in time. Then one
            request checks the server, within `connect_timeout`. With 0 each request waits for the server.
        answers_kept_for: Seconds for which the client remembers the server that a tracker has named. It uses this
            server for at most ten more files. With 0 it asks the tracker each time.
        max_connections: The largest number of open connections to one server, per event loop.
        retries: The rule for retries: see `Retries`.

    Raises:
        InvalidArgumentException: `idle_check` is not a number, `passed_over_for` or `answers_kept_for` is below 0, or
            another number is not above 0.
    """

    connect_timeout: float = 2.0
    network_timeout: float = 30.0
    pool_timeout: float = 30.0
    cleanup_timeout: float = 10.0
    idle_check: float = 10.0
    passed_over_for: float = 10.0
    answers_kept_for: float = 1.0
    max_connections: int = 64
    retries: Retries = field(default_factory=Retries)

    def __post_init__(self) -> None:
        for name in ("connect_timeout", "network_timeout", "pool_timeout", "cleanup_timeout", "max_connections"):
            if not getattr(self, name) > 0:
                raise InvalidArgumentException(f"{name} must be above 0, not {getattr(self, name)!r}")
        for name in ("passed_over_for", "answers_kept_for"):
            if not getattr(self, name) >= 0:
                raise InvalidArgumentException(f"{name} must be 0 or more, not {getattr(self, name)!r}")
        if isnan(self.idle_check):
            raise InvalidArgumentException("idle_check must be a number, not nan")


class Pools:
    """The connections of one event loop to all servers. It is an async context manager that closes them.

    Args:
        options: The limits of the connections.
        dialled: Returns the address at which to connect to a server that trackers name.
    """

    def __init__(self, options: FastDFSOptions, dialled: Callable[[Server], Server] = lambda server: server) -> None:
        self._options = options
        self._dialled = dialled
        self._pools: dict[Server, _Pool] = {}
        self._is_closed = False

    def connection(self, server: Server) -> "Use":
        """Open or reuse a connection to a server, for one request after the other.

        The connection returns to the pool if its last reply was read whole. Otherwise it is closed.

        Raises:
            StorageUnavailableException: The server cannot be reached, or no connection was free in time. Raised on
                entering.
        """
        pool = self._pools.get(server)
        if pool is None:
            pool = _Pool(self._dialled(server), self._options, is_closed=self._is_closed)
            self._pools[server] = pool
        return Use(pool)

    def idle_connections(self) -> int:
        """The number of idle connections."""
        return sum(len(pool.idle) for pool in self._pools.values())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close every connection, also connections in use."""
        self._is_closed = True
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            pool.is_closed = True  # connections that are being opened are not kept
        connections = [connection for pool in pools.values() for connection in pool.open]
        await asyncio.gather(*(connection.aclose() for connection in connections), return_exceptions=True)


class Use:
    """The use of one connection. It is not a generator, as a loop that ends would close that before its user."""

    __slots__ = ("_began_at", "_connection", "_pool")

    _connection: Connection
    _began_at: float

    def __init__(self, pool: "_Pool") -> None:
        self._pool = pool

    async def begin(self) -> Connection:
        """Return the connection. Raises as `Pools.connection`."""
        pool = self._pool
        self._began_at = pool.loop.time()
        connection = pool.take_ready(self._began_at)
        if connection is None:
            try:
                connection = await pool.take()
            except StorageUnavailableException as error:
                pool.note(error, self._began_at)
                raise
        self._connection = connection
        return connection

    def end(self, error: BaseException | None = None) -> None:
        """Give the connection back after use, which ended with this error."""
        if isinstance(error, StorageUnavailableException):
            self._pool.note(error, self._began_at)
        self._pool.give_back(self._connection, has_answered=error is None or isinstance(error, Refusal))

    def __aenter__(self) -> Awaitable[Connection]:
        return self.begin()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end(error)


class _Pool:
    """The connections to one server."""

    def __init__(self, server: Server, options: FastDFSOptions, *, is_closed: bool) -> None:
        self._server = server
        self._options = options
        self._slots = Slots(options.max_connections)
        self.loop = asyncio.get_running_loop()
        self.idle: list[Connection] = []
        self.open: set[Connection] = set()
        self.is_closed = is_closed
        self._silence = Silence(options.passed_over_for)

    def note(self, error: StorageUnavailableException, began_at: float) -> None:
        """Note that a request has failed, and the time at which it began."""
        self._silence.note(error, began_at, self.loop.time())

    def take_ready(self, now: float) -> Connection | None:
        """Return the last used connection if it needs no check. Else return None: `take` finds another."""
        if self._silence.is_suspected or not self.idle:
            return None
        connection = self.idle[-1]
        is_ready = connection.is_reusable and now - connection.used_at <= self._options.idle_check
        return self.idle.pop() if is_ready and self._slots.take_free() else None

    async def take(self) -> Connection:
        """Return the last used connection if it is alive, or else a new one. The caller must give it back."""
        if self._silence.is_suspected:
            self._refuse_if_silent()
        if not self._slots.take_free():
            await self._wait_for_slot()
        try:
            if self._silence.is_suspected:
                self._refuse_if_silent()
                await self._ask_whether_alive()
            return await self._idle_one() or await self._opened()
        except BaseException:
            self._slots.release()
            raise

    def _refuse_if_silent(self) -> None:
        if left := self._silence.seconds_left(self.loop.time()):
            raise StorageUnavailableException(
                f"{self._server} did not answer in time; it is passed over for the next {left:.1f} s"
            )

    async def _ask_whether_alive(self) -> None:
        """Check a server that did not answer the last time, on a new connection. Keep it if the server answers."""
        is_alive: bool | None = None
        self._silence.begin_asking()
        try:
            self.idle.append(await self._answering())
            is_alive = True
        except (StorageException, Refusal):
            is_alive = False
            raise
        finally:
            self._silence.end_asking(self.loop.time(), is_alive=is_alive)

    async def _answering(self) -> Connection:
        """Return a new connection on which the server has answered."""
        connection = await self._opened()
        waited = self._options.connect_timeout
        try:
            async with asyncio.timeout(waited):
                await connection.ask(active_test())
        except TimeoutError as error:
            self._drop(connection)
            raise StorageUnavailableException(f"{self._server}: still silent, {waited} s after it was asked") from error
        except BaseException:
            self._drop(connection)
            raise
        return connection

    async def _wait_for_slot(self) -> None:
        try:
            async with asyncio.timeout(self._options.pool_timeout):
                await self._slots.wait()
        except TimeoutError as error:
            waited = self._options.pool_timeout
            raise StorageUnavailableException(f"{self._server}: no connection became free in {waited} s") from error

    async def _idle_one(self) -> Connection | None:
        while self.idle:
            connection = self.idle.pop()
            if await self._is_alive(connection):
                return connection
        return None

    async def _opened(self) -> Connection:
        opened = await Connection.open(
            self._server, connect_timeout=self._options.connect_timeout, network_timeout=self._options.network_timeout
        )
        self.open.add(opened)
        return opened

    async def _is_alive(self, connection: Connection) -> bool:
        """Return True if the connection can be used, else close it. One check covers all idle connections."""
        try:
            if connection.is_reusable and self._is_stale(connection):
                async with asyncio.timeout(self._options.connect_timeout):
                    await connection.ask(active_test())
        except (StorageException, Refusal, TimeoutError):
            connection.abort()
            self._drop_stale()
        except BaseException:
            self._drop(connection)
            raise
        if not connection.is_reusable:
            self._drop(connection)
        return connection.is_reusable

    def _is_stale(self, connection: Connection) -> bool:
        return self.loop.time() - connection.used_at > self._options.idle_check

    def _drop_stale(self) -> None:
        stale = [connection for connection in self.idle if self._is_stale(connection)]
        self.idle = [connection for connection in self.idle if connection not in stale]
        for connection in stale:
            self._drop(connection)

    def give_back(self, connection: Connection, *, has_answered: bool) -> None:
        """Take a connection back after use."""
        if has_answered:
            self._silence.heard(connection.used_at)
        if connection.is_reusable and not self.is_closed:
            self.idle.append(connection)
        else:
            self._drop(connection)
        self._slots.release()

    def _drop(self, connection: Connection) -> None:
        self.open.discard(connection)
        connection.abort()
