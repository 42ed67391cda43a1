"""The arriving bytes of one download, from the servers that have the file. It is resumed when a connection breaks."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from async_storages.backends.fastdfs.calls import Calls, Failed
from async_storages.backends.fastdfs.directory import Directory
from async_storages.backends.fastdfs.download import FastDFSDownload
from async_storages.backends.fastdfs.pool import Use
from async_storages.backends.fastdfs.protocol import Name, Server
from async_storages.backends.fastdfs.statuses import EFAULT, EINVAL, ENOENT, Refusal
from async_storages.errors import StorageUnavailableException

if TYPE_CHECKING:
    from async_storages.backends.fastdfs.connection import Connection

__all__ = ["Transfer"]


class Transfer:
    """Receives a download. It is no generator: a file would pass through one for each of its jobs.

    Args:
        download: The download.
        calls: The connections and retries.
        directory: The servers.
        server_for: Returns the server to read a file from, if possible none of those that failed.
        size_of: Returns the size of a file, from a server.
    """

    _server: Server
    _use: Use

    def __init__(
        self,
        download: FastDFSDownload,
        calls: Calls,
        directory: Directory,
        server_for: Callable[[Name, Failed], Awaitable[Server]],
        size_of: Callable[[str], Awaitable[int]],
    ) -> None:
        self._download = download
        self._calls = calls
        self._directory = directory
        self._server_for = server_for
        self._size_of = size_of
        self._connection: Connection | None = None
        self._failures = 0

    async def receive(self) -> bytes:
        """Return the next bytes. Empty at the end. Resume as often as `Retries` allows."""
        while True:
            try:
                chunk = await (self._begin() if self._connection is None else self._connection.receive())
            except StorageUnavailableException as error:
                self.end(error)
                retries = self._calls.options.retries
                self._failures += 1
                if self._failures >= retries.attempts or not self._download.can_resume:
                    raise
            except BaseException as error:
                self.end(error)
                raise
            else:
                if chunk:
                    self._download.add(chunk)
                else:
                    self.end()
                return chunk
            await retries.pause(self._failures)

    def end(self, error: BaseException | None = None) -> None:
        """Give the connection back after the end, or after this error."""
        if self._connection is not None:
            self._connection = None
            self._use.end(error)
            if isinstance(error, StorageUnavailableException):
                self._note_failed()

    def _note_failed(self) -> None:
        self._calls.lookup.forget()
        self._download.failed.add(self._server)

    async def _begin(self) -> bytes:
        """Request the missing bytes from a server that has the file. Return the first of them."""
        download = self._download
        servers = [await self._server_for(download.name, download.failed)]
        has_asked_others = False
        while True:
            server = servers.pop(0)
            try:
                return await self._request(server)
            except Refusal as refusal:
                self.end(refusal)
                self._calls.lookup.forget()
                if refusal.status != ENOENT:
                    if not await self._is_shorter(refusal):
                        return b""
                    servers.insert(0, server)
                elif not has_asked_others:
                    servers = await self._directory.others(download.name, server)
                    has_asked_others = True
                if not servers:
                    raise refusal.error() from None

    async def _request(self, server: Server) -> bytes:
        self._server = server
        self._use = (await self._calls.pools.get()).connection(server)
        try:
            connection = self._connection = await self._use.begin()
        except StorageUnavailableException:
            self._note_failed()
            raise
        parser = connection.begin(self._download.request())
        chunk = await connection.receive()
        if (refusal := parser.refusal) is not None:
            raise refusal
        self._download.begin(parser.length or 0)
        return chunk

    async def _is_shorter(self, refusal: Refusal) -> bool:
        """Return True if a refused range reached beyond the end and is requested again. False if no bytes are left.

        Raises:
            StorageException: The server refused for another reason.
        """
        download = self._download
        if refusal.status not in {EINVAL, EFAULT}:
            raise refusal.error() from None
        size = await self._size_of(str(download.name))
        if size > download.position and not download.shorten(size):
            raise refusal.error() from None
        return size > download.position
