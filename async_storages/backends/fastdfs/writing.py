"""Storing, changing and deleting files: each once, whole or not at all, on the responsible server."""

from asyncio import CancelledError
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from time import monotonic

from async_storages._cleanup import clean_up
from async_storages.backends.fastdfs import protocol
from async_storages.backends.fastdfs.calls import Calls, Failed
from async_storages.backends.fastdfs.checksums import OldChecksums
from async_storages.backends.fastdfs.connection import Connection
from async_storages.backends.fastdfs.directory import Directory
from async_storages.backends.fastdfs.old_crc32 import OldCrc32
from async_storages.backends.fastdfs.protocol import Name, Request, Server
from async_storages.backends.fastdfs.reading import Reading
from async_storages.backends.fastdfs.spool import Measured, measured
from async_storages.backends.fastdfs.statuses import Refusal
from async_storages.content import Content
from async_storages.errors import (
    ChecksumMismatchException,
    FileNotFoundException,
    StorageException,
    StorageUnavailableException,
)
from async_storages.fastdfs_ids import crc32_of
from async_storages.sources import Source

__all__ = ["Placed", "Writing"]

type Placed = tuple[Server, Request[Name]]
"""The server for a new file, and the request that uploads it."""

type _Stored = tuple[Server, Name]


class Writing:
    """Changes the files of a cluster.

    Args:
        calls: Sends the requests.
        directory: The servers.
        checksums: The groups with old checksums in their ids.
        reading: Reads a new file again if its id may hold the old checksum.
    """

    def __init__(self, calls: Calls, directory: Directory, checksums: OldChecksums, reading: Reading) -> None:
        self._calls = calls
        self._directory = directory
        self._checksums = checksums
        self._reading = reading

    # ---- new files

    async def store(
        self,
        content: Source | Content,
        place: Callable[[int, Failed], Awaitable[Placed]],
        metadata: Mapping[str, str],
        *,
        master: Name | None = None,
    ) -> str:
        """Store a new file and return its id.

        Args:
            content: See `FastDFSCluster.upload`.
            place: Returns server and request for a number of bytes. Its argument is the set of failed servers.
            metadata: See `FastDFSCluster.upload`.
            master: The file that must exist.
        """
        if metadata:
            protocol.encode_metadata(metadata)  # refuses what FastDFS would truncate, before anything is sent
        sending: _Sending[Name] = _Sending(waits_if_cancelled=True)
        try:
            if isinstance(content, Content):
                return await self._store(content, place, metadata, master, sending)
            async with Content(content) as owned:
                return await self._store(owned, place, metadata, master, sending)
        except BaseException as error:
            if sending.reply is not None:
                await self._remove(str(sending.reply), error, sending.seconds_late)
            raise

    async def _store(
        self,
        content: Content,
        place: Callable[[int, Failed], Awaitable[Placed]],
        metadata: Mapping[str, str],
        master: Name | None,
        sending: "_Sending[Name]",
    ) -> str:
        async with measured(content) as body:

            async def attempt(avoiding: Failed) -> _Stored:
                server, request = await place(body.size, avoiding)
                try:
                    return server, await self._send(server, request, body, sending, avoiding)
                except FileNotFoundException:
                    if master is not None:
                        await self._require_missing(master, server)
                    raise

            server, name = await self._calls.retrying(attempt, lambda: sending.may_begin_again(body))
            file_id = str(name)
            await self._verify(file_id, content, sending)
            if metadata:
                await self._describe(server, name, metadata)
        return file_id

    async def _describe(self, server: Server, name: Name, metadata: Mapping[str, str]) -> None:
        """Set a new file's metadata on the server that has just stored it. Delete the file if that fails."""
        request = protocol.set_metadata(name, metadata, mode="replace")
        try:
            await self._calls.ask(server, request, set())
        except StorageUnavailableException:
            await self.write(name, request)

    async def _verify(self, file_id: str, content: Content, sending: "_Sending[Name]") -> None:
        """Compare the checksum in a new id, if it has one, with the checksum of the sent bytes.

        If the id may hold the checksum of old servers, this reads the file again first.

        Raises:
            ChecksumMismatchException: The checksums differ.
        """
        stored, sent = crc32_of(file_id), int.from_bytes(content.digest("crc32"))
        if stored is None or stored == sent:
            return
        if sending.old_crc32 is not None and sending.old_crc32.value() == stored:
            return
        with suppress(ChecksumMismatchException):
            if await self._reading.holds(file_id, sent):
                return
        raise ChecksumMismatchException(f"crc32 is {sent:08x}, but FastDFS has stored {stored:08x}")

    async def _remove(self, file_id: str, error: BaseException, seconds_spent: float) -> None:
        """Delete a new file after a failure. If that fails too, the error names the remaining file."""
        within = self._calls.options.cleanup_timeout - seconds_spent
        await clean_up(self.delete(file_id), error, within=within, what=f"{file_id}, which may be left,")

    # ---- changes

    async def change(self, name: Name, content: Source | Content, request: Callable[[int], Request[None]]) -> None:
        """Send content that changes a file. It is not repeated once all bytes were sent.

        Args:
            name: The file.
            content: See `FastDFSCluster.upload`.
            request: Returns the request for a number of bytes.
        """
        if not isinstance(content, Content):
            async with Content(content) as owned:
                await self.change(name, owned, request)
            return
        sending: _Sending[None] = _Sending()
        async with measured(content) as body:

            async def attempt(avoiding: Failed) -> None:
                server = await self._calls.trackers.writer_of(name)
                try:
                    await self._send(server, request(body.size), body, sending, avoiding)
                except FileNotFoundException:
                    await self._require_missing(name, server)
                    raise

            await self._calls.retrying(attempt, lambda: sending.may_begin_again(body))

    async def delete(self, file_id: str) -> None:
        """See `FastDFSCluster.delete`."""
        name = Name.parse(file_id)
        await self.write(name, protocol.delete(name), is_done_by_missing=True)

    async def write[Reply](
        self, name: Name, request: Request[Reply], *, is_repeatable: bool = True, is_done_by_missing: bool = False
    ) -> Reply:
        """Send a change to the responsible server. It is not an error if an earlier attempt made the change already."""
        asked: list[Connection] = []

        async def ask(connection: Connection) -> Reply:
            asked.append(connection)
            return await connection.ask(request)

        async def attempt(avoiding: Failed) -> Reply:
            may_be_done = bool(asked)
            server = await self._calls.trackers.writer_of(name)
            try:
                return await self._calls.use(server, ask, avoiding)
            except FileNotFoundException:
                for other in await self._directory.others(name, server):
                    try:
                        return await self._calls.use(other, ask, avoiding)
                    except FileNotFoundException:
                        continue
                if is_done_by_missing and may_be_done:
                    return request.parse(b"")
                raise

        return await self._calls.retrying(attempt, lambda: is_repeatable or not asked)

    async def _require_missing(self, name: Name, server: Server) -> None:
        """Return if a file that this server lacks is missing everywhere. Raise StorageUnavailableException if not."""
        for other in await self._directory.others(name, server):
            with suppress(FileNotFoundException):
                await self._calls.ask(other, protocol.query_file_info(name), set())
                raise StorageUnavailableException(f"{server} has no copy yet of what {other} has") from None

    async def _send[Reply](
        self,
        server: Server,
        request: Request[Reply],
        body: Measured,
        sending: "_Sending[Reply]",
        avoiding: Failed,
    ) -> Reply:
        """Send a request with its content once. Note the reply in `sending`, for some requests also when cancelled."""
        sending.old_crc32 = OldCrc32() if self._checksums.were_found else None

        async def send(connection: Connection) -> Reply:
            sending.begin(connection)
            try:
                reply = await connection.ask(request, chunks)
                sending.reply = reply
            except CancelledError as error:
                if sending.waits_if_cancelled and connection.has_sent_all:
                    await sending.wait_for_reply(connection, request, error, self._calls.options.cleanup_timeout)
                raise
            finally:
                sending.end(connection)
            return reply

        sent = body.chunks()
        chunks = sent if sending.old_crc32 is None else _observed(sent, sending.old_crc32)
        try:
            return await self._calls.use(server, send, avoiding)
        finally:  # the connection is given back first: it must not send while the chunks are being closed
            await chunks.aclose()


async def _observed(chunks: AsyncGenerator[bytes], crc32: OldCrc32) -> AsyncGenerator[bytes]:
    async with aclosing(chunks):
        async for chunk in chunks:
            crc32.update(chunk)
            yield chunk


class _Sending[Reply]:
    """The progress of sending content.

    Args:
        waits_if_cancelled: True makes a cancelled caller wait for the reply to a request that was sent whole.

    Attributes:
        waits_if_cancelled: The given value.
        old_crc32: The old servers' checksum of the sent bytes. None if it is not computed.
        reply: The server's reply.
        seconds_late: Seconds that a cancelled caller waited for the reply.
    """

    def __init__(self, *, waits_if_cancelled: bool = False) -> None:
        self.waits_if_cancelled = waits_if_cancelled
        self.old_crc32: OldCrc32 | None = None
        self.reply: Reply | None = None
        self.seconds_late = 0.0
        self._connection: Connection | None = None
        self._has_begun = False
        self._was_done = False

    async def wait_for_reply(
        self, connection: Connection, request: Request[Reply], error: BaseException, within: float
    ) -> None:
        """Note the reply that comes after a cancellation."""
        began_at = monotonic()

        async def wait() -> None:
            with suppress(Refusal, StorageException):  # then nothing was done, or nobody knows
                self.reply = await connection.answer(request)

        await clean_up(wait(), error, within=within)
        self.seconds_late = monotonic() - began_at

    def begin(self, connection: Connection) -> None:
        """Note the connection that sends."""
        self._connection = connection
        self._has_begun = True

    def end(self, connection: Connection) -> None:
        """Note that the connection sends no longer, so that others may use it."""
        self._was_done = connection.has_sent_all
        self._connection = None

    @property
    def is_done(self) -> bool:
        """True if all bytes have left."""
        return self._was_done if self._connection is None else self._connection.has_sent_all

    def may_begin_again(self, body: Measured) -> bool:
        """True if another attempt can send all bytes, and no earlier attempt has done so."""
        return not self._has_begun or (body.is_replayable and not self.is_done)
