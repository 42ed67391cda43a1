"""Requests to a cluster, on pooled connections. They are repeated, or sent to another server, if that is safe."""

from collections.abc import Awaitable, Callable

from async_storages.backends.fastdfs.connection import Connection
from async_storages.backends.fastdfs.pool import FastDFSOptions, Pools
from async_storages.backends.fastdfs.protocol import Request, Server
from async_storages.backends.fastdfs.server_lookup import ServerLookup
from async_storages.backends.fastdfs.statuses import Refusal
from async_storages.backends.fastdfs.trackers import Trackers
from async_storages.backends.transport.per_loop import PerLoop
from async_storages.errors import StorageUnavailableException

__all__ = ["Calls", "Failed"]

type Failed = set[Server]
"""The servers that failed before. A nested function evaluates its annotations at each call: this is a cheap one."""


class Calls:
    """Sends requests to the servers of a cluster.

    Args:
        trackers: The addresses of the trackers.
        options: Time-outs, pools and retries.
        dialled: See `Pools`.
    """

    def __init__(
        self, trackers: tuple[Server, ...], options: FastDFSOptions, dialled: Callable[[Server], Server]
    ) -> None:
        self.options = options
        self.pools = PerLoop(lambda: Pools(options, dialled))
        self.trackers = Trackers(trackers, self.pools)
        self.lookup = ServerLookup(self.trackers, options.answers_kept_for)

    async def ask[Reply](self, server: Server, request: Request[Reply], avoiding: Failed) -> Reply:
        """Send one request. Raises as `use` does."""
        return await self.use(server, lambda connection: connection.ask(request), avoiding)

    async def use[Reply](
        self, server: Server, use: Callable[[Connection], Awaitable[Reply]], avoiding: Failed
    ) -> Reply:
        """Use a connection to a server. Add a server that fails to `avoiding`.

        Raises:
            StorageException: The server answered with an error status for the file.
            StorageUnavailableException: The server cannot be reached, or the connection broke.
        """
        pools = await self.pools.get()
        try:
            async with pools.connection(server) as connection:
                return await use(connection)
        except Refusal as refusal:
            self.lookup.forget()
            raise refusal.error() from None
        except StorageUnavailableException:
            self.lookup.forget()
            avoiding.add(server)
            raise

    async def retrying[Reply](
        self,
        attempt: Callable[[Failed], Awaitable[Reply]],
        may_try_again: Callable[[], bool] = lambda: True,
    ) -> Reply:
        """Call `attempt` until it succeeds or a retry is useless. Its argument is the set of failed servers."""
        avoiding: Failed = set()
        failures = 0
        while True:
            try:
                return await attempt(avoiding)
            except StorageUnavailableException:
                failures += 1
                if failures >= self.options.retries.attempts or not may_try_again():
                    raise
            await self.options.retries.pause(failures)
