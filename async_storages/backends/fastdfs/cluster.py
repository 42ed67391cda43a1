"""A client of FastDFS: uploads, downloads, appenders, slaves and metadata, by the ids that FastDFS gives."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from itertools import count
from typing import Literal, Self

from async_storages.backends.cleanup import clean_up, settled_if_cancelled
from async_storages.backends.fastdfs import protocol
from async_storages.backends.fastdfs.connection import Connection
from async_storages.backends.fastdfs.download import Download
from async_storages.backends.fastdfs.pool import FastDFSOptions, Pools
from async_storages.backends.fastdfs.protocol import (
    FileInfo,
    GroupInfo,
    Name,
    Request,
    Server,
    StorageInfo,
)
from async_storages.backends.fastdfs.spool import Measured, measured
from async_storages.backends.fastdfs.statuses import EINVAL, ENOENT, Refusal
from async_storages.backends.fastdfs.trackers import Trackers, parse_servers
from async_storages.backends.per_loop import PerLoop
from async_storages.content import Content
from async_storages.errors import (
    ChecksumMismatchException,
    FileNotFoundException,
    InvalidArgumentException,
    RouteNotSupportedException,
    StorageUnavailableException,
)
from async_storages.fastdfs_ids import FastDFSDetails
from async_storages.sources import CHUNK_SIZE, Source

__all__ = ["FastDFSCluster"]


class FastDFSCluster:
    """Speaks to the trackers and storage servers of one cluster.

    Safe to use from many tasks, from several event loops one after the other, and after fork. It opens connections as
    they are needed and keeps them; `aclose` closes those of the running loop.

    Args:
        tracker_servers: ``host:port`` of each tracker; the port is 22122 by default.
        group: The group to upload to; None leaves the choice to the trackers.
        store_path_index: The disk to upload to, 0 to 254; -1 leaves the choice to them.
        options: Time-outs, pools and retries.

    Raises:
        InvalidArgumentException: An option that cannot be right.

    Example:
        >>> async with FastDFSCluster(["10.0.0.1:22122"]) as client:
        ...     await client.upload(b"hello", "txt")
        'group1/M00/00/1E/fwAAAWsCFuqAVke2AAAABQ_qaWk654.txt'
    """

    def __init__(
        self,
        tracker_servers: Iterable[str],
        *,
        group: str | None = None,
        store_path_index: int = -1,
        options: FastDFSOptions | None = None,
    ) -> None:
        if not -1 <= store_path_index < protocol.ANY_PATH:
            raise InvalidArgumentException(f"store_path_index is -1 to 254, not {store_path_index!r}")
        if group is not None:
            protocol.query_store(group)  # refuses a wrong one now
        self.servers = parse_servers(tracker_servers)
        self.options = options or FastDFSOptions()
        self._group = group
        self._path_index = store_path_index
        self._pools = PerLoop(lambda: Pools(self.options))
        self._trackers = Trackers(self.servers, self._pools)

    async def aclose(self) -> None:
        """Close the connections of the running loop; it can be used again."""
        await self._pools.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.aclose()

    # ---- making files

    async def upload(
        self,
        content: Source | Content,
        extension: str = "",
        *,
        appender: bool = False,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        """Store a new file.

        It is tried again on another server as long as the server cannot have stored it, that is until all of it was
        sent, if the content can be read again. A file whose id gets lost on its way back stays: FastDFS alone knows it.

        Args:
            content: See `async_storages.sources`. Content of unknown size is kept in a temporary file first.
            extension: Up to 6 of A-Z, a-z, 0-9, ``.``, ``_``, ``-``, without the dot before it.
            appender: Whether it is to be changed later: see `append`, `modify`, `truncate`.
            metadata: As for `set_metadata`; a file that cannot get it is removed again.

        Returns:
            The id.

        Raises:
            InvalidArgumentException: The content or the extension.
            StorageOperationException: FastDFS failed or cannot be reached.
        """

        async def place(size: int, avoiding: set[Server]) -> tuple[Server, Request[Name]]:
            target = await self._trackers.store_target(self._group, avoiding=avoiding)
            path_index = target.path_index if self._path_index < 0 else self._path_index
            return target.server, protocol.upload(size, extension, path_index=path_index, appender=appender)

        return await self._store(content, place, metadata or {})

    async def upload_slave(
        self,
        content: Source | Content,
        master: str,
        prefix: str,
        extension: str = "",
        *,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        """Store a file that belongs to another one, such as a thumbnail, beside it; see `upload`.

        Args:
            content: As for `upload`.
            master: The id of the other file.
            prefix: 1 to 16 of A-Z, a-z, 0-9, ``.``, ``_``, ``-`` that tell it from others, such as ``_150x150``.
            extension: As for `upload`.
            metadata: As for `upload`.

        Returns:
            The id: the master's, the prefix, the extension.

        Raises:
            FileNotFoundException: There is no such master.
            FileExistsException: There is such a slave already.
        """
        name = Name.parse(master)

        async def place(size: int, _avoiding: set[Server]) -> tuple[Server, Request[Name]]:
            return await self._trackers.writer_of(name), protocol.upload_slave(name, size, prefix, extension)

        return await self._store(content, place, metadata or {})

    async def _store(
        self,
        content: Source | Content,
        place: Callable[[int, set[Server]], Awaitable[tuple[Server, Request[Name]]]],
        metadata: Mapping[str, str],
    ) -> str:
        protocol.encode_metadata(metadata)  # what FastDFS would cut is refused before anything is sent
        sending = _Sending()

        async def store() -> str:
            async with _owned(content) as owned, measured(owned) as body:

                async def attempt(avoiding: set[Server]) -> tuple[Server, Name]:
                    server, request = await place(body.size, avoiding)
                    return server, await self._send(server, request, body, sending, avoiding)

                server, name = await self._retrying(attempt, lambda: sending.may_begin_again(body))
                await self._verify(str(name), owned)
                if metadata:
                    await self._describe(server, name, metadata)
                return str(name)

        return await settled_if_cancelled(
            store(),
            is_without_effect=lambda: not sending.is_done,
            undo=self.delete,
            within=self.options.cleanup_timeout,
        )

    async def _describe(self, server: Server, name: Name, metadata: Mapping[str, str]) -> None:
        """Give a new file its metadata, on the server that has just stored it; remove it if that cannot be done."""
        request = protocol.set_metadata(name, metadata, mode="replace")
        try:
            try:
                await self._use(server, lambda connection: connection.ask(request), set())
            except StorageUnavailableException:
                await self._write(name, request)
        except BaseException as error:
            await clean_up(self.delete(str(name)), error, within=self.options.cleanup_timeout)
            raise

    async def _verify(self, file_id: str, content: Content) -> None:
        """Hold the checksum in a new id, if it is in there, against what was sent; remove the file if it differs."""
        details, sent = FastDFSDetails.parse(file_id), int.from_bytes(content.digest("crc32"))
        if details is None or details.crc32 in {None, sent}:
            return
        error = ChecksumMismatchException(f"crc32 is {sent:08x}, but FastDFS has stored {details.crc32:08x}")
        await clean_up(self.delete(file_id), error, within=self.options.cleanup_timeout)
        raise error

    async def _send[Reply](
        self, server: Server, request: Request[Reply], body: Measured, sending: "_Sending", avoiding: set[Server]
    ) -> Reply:
        """Send a request with its content, once."""
        pools = await self._pools.get()
        try:
            # the connection is let go first: it must not go on sending while the chunks are being closed
            async with aclosing(body.chunks()) as chunks, pools.connection(server) as connection:
                with sending.on(connection):
                    return await connection.ask(request, chunks)
        except Refusal as refusal:
            raise refusal.error() from None
        except StorageUnavailableException:
            avoiding.add(server)
            raise

    # ---- changing files

    async def append(self, file_id: str, content: Source | Content) -> None:
        """Add to the end of an appender; it is not tried again once all was sent.

        Raises:
            InvalidArgumentException: It is no appender.
            FileNotFoundException: There is no such file.
        """
        name = Name.parse(file_id)
        await self._change(name, content, lambda size: protocol.append(name, size))

    async def modify(self, file_id: str, offset: int, content: Source | Content) -> None:
        """Replace bytes of an appender, from `offset` on, no further than its end; raises as `append` does."""
        name = Name.parse(file_id)
        await self._change(name, content, lambda size: protocol.modify(name, offset, size))

    async def _change(self, name: Name, content: Source | Content, request: Callable[[int], Request[None]]) -> None:
        sending = _Sending()
        async with _owned(content) as owned, measured(owned) as body:

            async def attempt(avoiding: set[Server]) -> None:
                server = await self._trackers.writer_of(name)
                await self._send(server, request(body.size), body, sending, avoiding)

            await self._retrying(attempt, lambda: sending.may_begin_again(body))

    async def truncate(self, file_id: str, size: int) -> None:
        """Cut an appender down to `size` bytes; raises as `append` does."""
        name = Name.parse(file_id)
        await self._write(name, protocol.truncate(name, size))

    async def regenerate(self, file_id: str) -> str:
        """Make an appender a normal file.

        Returns:
            Its new id; the old one is no longer valid.
        """
        name = Name.parse(file_id)
        return str(await self._write(name, protocol.regenerate(name), is_repeatable=False))

    async def delete(self, file_id: str) -> None:
        """Remove a file and its metadata.

        Raises:
            FileNotFoundException: There is no such file.
        """
        name = Name.parse(file_id)
        await self._write(name, protocol.delete(name), is_done_by_missing=True)

    async def set_metadata(
        self, file_id: str, metadata: Mapping[str, str], *, mode: Literal["replace", "merge"] = "replace"
    ) -> None:
        """Replace the metadata of a file, by nothing too, or merge some into it.

        Raises:
            InvalidArgumentException: A key of more than 64 bytes, a value of more than 256, or one with U+0001, U+0002.
            FileNotFoundException: There is no such file.
        """
        name = Name.parse(file_id)
        await self._write(name, protocol.set_metadata(name, metadata, mode=mode))

    async def _write[Reply](
        self, name: Name, request: Request[Reply], *, is_repeatable: bool = True, is_done_by_missing: bool = False
    ) -> Reply:
        """Ask the server that may change the file; what was done already by an attempt whose reply was lost is fine."""
        asked: list[Connection] = []

        async def ask(connection: Connection) -> Reply:
            asked.append(connection)
            return await connection.ask(request)

        async def attempt(avoiding: set[Server]) -> Reply:
            server = await self._trackers.writer_of(name)
            try:
                return await self._use(server, ask, avoiding)
            except FileNotFoundException:
                if is_done_by_missing and len(asked) > 1:
                    return request.parse(b"")
                raise

        return await self._retrying(attempt, lambda: is_repeatable or not asked)

    # ---- asking

    async def download(
        self, file_id: str, offset: int = 0, length: int | None = None, *, chunk_size: int = CHUNK_SIZE
    ) -> AsyncGenerator[bytes]:
        """The bytes of a file, or of a range of it.

        A download that breaks off is resumed, on another server if there is one; a whole one is held against the
        checksum in its id.

        Args:
            file_id: The id.
            offset: The first byte, from 0.
            length: How many bytes at the most, at least 1; None for all.
            chunk_size: Bytes of a chunk at the most.

        Raises:
            FileNotFoundException: There is no such file.
            InvalidArgumentException: The id is malformed, or the range.
            ChecksumMismatchException: What came is not what was stored.
            StorageUnavailableException: FastDFS cannot be reached, or the download broke off too often.
        """
        if offset < 0 or (length is not None and length < 1) or chunk_size < 1:
            raise InvalidArgumentException(f"offset {offset}, length {length}, chunk size {chunk_size} is no range")
        download = Download(file_id, offset, length)
        for failures in count(1):
            try:
                async with aclosing(self._rest_of(download)) as chunks:
                    async for chunk in chunks:
                        for start in range(0, len(chunk), chunk_size):
                            yield chunk[start : start + chunk_size]
                break
            except StorageUnavailableException:
                if failures >= self.options.retries.attempts or not download.can_resume:
                    raise
            await self.options.retries.pause(failures)
        download.verify()

    async def _rest_of(self, download: Download) -> AsyncGenerator[bytes]:
        server = await self._trackers.reader_of(download.name, avoiding=download.failed)
        source: Server | None = None
        while True:
            try:
                async with aclosing(self._receive(source or server, download)) as chunks:
                    async for chunk in chunks:
                        yield chunk
            except StorageUnavailableException:
                download.failed.add(source or server)
                raise
            except Refusal as refusal:
                if refusal.status == EINVAL and (await self.info(str(download.name))).size <= download.position:
                    return  # an empty file, or nothing from there on
                if refusal.status != ENOENT or source is not None:
                    raise refusal.error() from None
                source = await self._trackers.writer_of(download.name)  # the copy may not have got there yet
                if source == server:
                    raise refusal.error() from None
            else:
                return

    async def _receive(self, server: Server, download: Download) -> AsyncGenerator[bytes]:
        pools = await self._pools.get()
        async with pools.connection(server) as connection:
            parser = connection.begin(download.request())
            chunk = await connection.receive()
            if (refusal := parser.refusal) is not None:
                raise refusal
            download.begin(parser.length or 0)
            while chunk:
                download.add(chunk)
                yield chunk
                chunk = await connection.receive()

    async def info(self, file_id: str) -> FileInfo:
        """Size, time and checksum, from a server that has the file.

        Raises:
            FileNotFoundException: There is no such file.
        """
        name = Name.parse(file_id)
        return await self._read(name, lambda connection: connection.ask(protocol.query_file_info(name)))

    async def get_metadata(self, file_id: str) -> dict[str, str]:
        """The metadata; nothing for a file without any, or without a file."""
        name = Name.parse(file_id)
        return await self._read(name, lambda connection: _metadata(connection, name))

    async def describe(self, file_id: str) -> tuple[FileInfo, dict[str, str]]:
        """`info` and `get_metadata` at once."""
        name = Name.parse(file_id)

        async def ask(connection: Connection) -> tuple[FileInfo, dict[str, str]]:
            return await connection.ask(protocol.query_file_info(name)), await _metadata(connection, name)

        return await self._read(name, ask)

    async def _read[Reply](self, name: Name, use: Callable[[Connection], Awaitable[Reply]]) -> Reply:
        """Ask a server that has the file; if it has not, the one that the file came from has the last word."""

        async def attempt(avoiding: set[Server]) -> Reply:
            server = await self._trackers.reader_of(name, avoiding=avoiding)
            try:
                return await self._use(server, use, avoiding)
            except FileNotFoundException:
                source = await self._trackers.writer_of(name)
                if source == server:
                    raise
            return await self._use(source, use, avoiding)

        return await self._retrying(attempt)

    # ---- the cluster

    async def ping(self) -> None:
        """Whether a tracker answers, and knows a storage server that takes files.

        Raises:
            StorageUnavailableException: No.
        """

        async def attempt(avoiding: set[Server]) -> None:
            target = await self._trackers.store_target(self._group, avoiding=avoiding)
            await self._ask(target.server, protocol.active_test(), avoiding)

        await self._retrying(attempt)

    async def list_groups(self) -> list[GroupInfo]:
        """The groups of the cluster."""
        return await self._ask_trackers(protocol.list_groups())

    async def list_storages(self, group: str, server_id: str = "") -> list[StorageInfo]:
        """The storage servers of a group, or one of them.

        Raises:
            RouteNotSupportedException: There is no such group or server.
        """
        return await self._ask_trackers(protocol.list_storages(group, server_id))

    async def _ask_trackers[Reply](self, request: Request[Reply]) -> Reply:
        try:
            return await self._retrying(lambda _avoiding: self._trackers.ask(request))
        except Refusal as refusal:
            if refusal.status == ENOENT:
                raise RouteNotSupportedException("the trackers know no such group or server") from None
            raise refusal.error() from None

    # ---- how it is done

    async def _ask[Reply](self, server: Server, request: Request[Reply], avoiding: set[Server]) -> Reply:
        return await self._use(server, lambda connection: connection.ask(request), avoiding)

    async def _use[Reply](
        self, server: Server, use: Callable[[Connection], Awaitable[Reply]], avoiding: set[Server]
    ) -> Reply:
        """Use a connection to a server; whoever fails is noted in `avoiding`."""
        pools = await self._pools.get()
        try:
            async with pools.connection(server) as connection:
                return await use(connection)
        except Refusal as refusal:
            raise refusal.error() from None
        except StorageUnavailableException:
            avoiding.add(server)
            raise

    async def _retrying[Reply](
        self,
        attempt: Callable[[set[Server]], Awaitable[Reply]],
        may_try_again: Callable[[], bool] = lambda: True,
    ) -> Reply:
        """Call `attempt` until it succeeds or it is no use; it is told who failed before."""
        avoiding: set[Server] = set()
        failures = 0
        while True:
            try:
                return await attempt(avoiding)
            except StorageUnavailableException:
                failures += 1
                if failures >= self.options.retries.attempts or not may_try_again():
                    raise
            await self.options.retries.pause(failures)


class _Sending:
    """How far content has got."""

    def __init__(self) -> None:
        self._connection: Connection | None = None
        self._has_begun = False
        self._was_done = False

    @contextmanager
    def on(self, connection: Connection) -> Iterator[None]:
        """While it is being sent there; then others may use the connection."""
        self._connection = connection
        self._has_begun = True
        try:
            yield
        finally:
            self._was_done = connection.has_sent_all
            self._connection = None

    @property
    def is_done(self) -> bool:
        """Whether all of it has left."""
        return self._was_done if self._connection is None else self._connection.has_sent_all

    def may_begin_again(self, body: Measured) -> bool:
        """Whether another attempt can send all of it, and cannot be the second that does."""
        return not self._has_begun or (body.is_replayable and not self.is_done)


@asynccontextmanager
async def _owned(content: Source | Content) -> AsyncIterator[Content]:
    """The content, closed if it was made here."""
    if isinstance(content, Content):
        yield content
        return
    async with Content(content) as made:
        yield made


async def _metadata(connection: Connection, name: Name) -> dict[str, str]:
    try:
        return await connection.ask(protocol.get_metadata(name))
    except Refusal as refusal:
        if refusal.status != ENOENT:
            raise
        return {}
