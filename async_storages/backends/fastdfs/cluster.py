"""A client of FastDFS: uploads, downloads, appenders, slaves and metadata, by the ids that FastDFS gives."""

from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing, suppress
from typing import Literal, Self

from async_storages.backends.fastdfs import protocol
from async_storages.backends.fastdfs.calls import Calls
from async_storages.backends.fastdfs.checksums import OldChecksums
from async_storages.backends.fastdfs.directory import Directory
from async_storages.backends.fastdfs.pool import FastDFSOptions
from async_storages.backends.fastdfs.protocol import (
    FileInfo,
    GroupInfo,
    Name,
    Request,
    Server,
    StorageInfo,
)
from async_storages.backends.fastdfs.reading import Reading
from async_storages.backends.fastdfs.replies import parse_metadata
from async_storages.backends.fastdfs.statuses import ENOENT, Refusal
from async_storages.backends.fastdfs.trackers import address_mapping, parse_servers
from async_storages.backends.fastdfs.writing import Writing
from async_storages.content import Content
from async_storages.errors import (
    FileNotFoundException,
    InvalidArgumentException,
    RouteNotSupportedException,
    StorageException,
)
from async_storages.sources import CHUNK_SIZE, Source

__all__ = ["FastDFSCluster"]


class FastDFSCluster:
    """A client of one cluster's trackers and storage servers.

    Safe to use from many tasks, from several event loops one after the other, and after fork. It opens connections as
    they are needed and keeps them; `aclose` closes those of the running loop.

    Args:
        tracker_servers: ``host:port`` of each tracker; the port is 22122 by default.
        group: The group to upload to; None leaves the choice to the trackers.
        store_path_index: The disk to upload to, 0 to 254; -1 leaves the choice to them.
        options: Time-outs, pools and retries.
        address_map: The addresses at which this machine reaches servers, by the addresses that trackers name, as behind
            NAT or in Docker: both ``host:port``, or both ``host`` for all its ports.

    Raises:
        InvalidArgumentException: An option is wrong.

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
        address_map: Mapping[str, str] | None = None,
    ) -> None:
        if not -1 <= store_path_index < protocol.ANY_PATH:
            raise InvalidArgumentException(f"store_path_index is -1 to 254, not {store_path_index!r}")
        if group is not None:
            protocol.query_store(group)  # refuses a wrong group now
        self.servers = parse_servers(tracker_servers)
        self.options = options or FastDFSOptions()
        self._group = group
        self._path_index = store_path_index
        self._calls = Calls(self.servers, self.options, address_mapping(address_map or {}))
        self._directory = Directory(self._calls.trackers)
        self._checksums = OldChecksums()
        self._reading = Reading(self._calls, self._directory, self._checksums)
        self._writing = Writing(self._calls, self._directory, self._checksums, self._reading)

    async def aclose(self) -> None:
        """Close the connections of the running loop; it can be used again."""
        await self._calls.pools.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.aclose()

    # ---- new files

    async def upload(
        self,
        content: Source | Content,
        extension: str = "",
        *,
        appender: bool = False,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        """Store a new file.

        Content that can be read again is sent to another server as long as the first one cannot have stored it, that is
        until all of it was sent. A file whose id is lost on its way back stays: only FastDFS knows it.

        Args:
            content: See `async_storages.sources`. Content of unknown size is kept in a temporary file first.
            extension: Up to 6 of A-Z, a-z, 0-9, ``.``, ``_``, ``-``, without the dot before it.
            appender: Make a file that can be changed later: see `append`, `modify`, `truncate`.
            metadata: As for `set_metadata`; a file that cannot get it is removed again.

        Returns:
            The id.

        Raises:
            InvalidArgumentException: The content or the extension is wrong.
            StorageOperationException: FastDFS failed or cannot be reached.
        """

        async def place(size: int, avoiding: set[Server]) -> tuple[Server, Request[Name]]:
            target = await self._calls.lookup.store_target(self._group, avoiding=avoiding)
            await self._directory.require_space(target.group, target.server, size)
            path_index = target.path_index if self._path_index < 0 else self._path_index
            return target.server, protocol.upload(size, extension, path_index=path_index, appender=appender)

        return await self._writing.store(content, place, metadata or {})

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
            prefix: 1 to 16 of A-Z, a-z, 0-9, ``.``, ``_``, ``-`` that distinguish it from others, such as ``_150x150``.
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
            server = await self._calls.trackers.writer_of(name)
            await self._directory.require_space(name.group, server, size)
            return server, protocol.upload_slave(name, size, prefix, extension)

        return await self._writing.store(content, place, metadata or {}, master=name)

    # ---- changes

    async def append(self, file_id: str, content: Source | Content) -> None:
        """Append to an appender; it is not repeated once all was sent.

        Raises:
            InvalidArgumentException: The file is no appender.
            FileNotFoundException: There is no such file.
            StorageUnavailableException: The server that the file was uploaded to is down, and no other can tell.
        """
        name = Name.parse(file_id)
        await self._writing.change(name, content, lambda size: protocol.append(name, size))

    async def modify(self, file_id: str, offset: int, content: Source | Content) -> None:
        """Replace bytes of an appender from `offset` on, which is at most its end; raises as `append` does."""
        name = Name.parse(file_id)
        await self._writing.change(name, content, lambda size: protocol.modify(name, offset, size))

    async def truncate(self, file_id: str, size: int) -> None:
        """Truncate an appender to `size` bytes, or extend it with zeros; raises as `append` does."""
        name = Name.parse(file_id)
        await self._writing.write(name, protocol.truncate(name, size))

    async def regenerate(self, file_id: str) -> str:
        """Make an appender a normal file, with the same metadata; FastDFS 5.x cannot.

        Returns:
            Its new id; the old one is no longer valid.

        Raises:
            StorageOperationException: FastDFS failed; if the metadata could not be kept, a note tells the new id.
        """
        name = Name.parse(file_id)
        new = await self._writing.write(name, protocol.regenerate(name), is_repeatable=False)
        try:
            await self._keep_metadata(name, new)
        except BaseException as error:
            error.add_note(f"{name} is now {new}; its metadata may still be at {name}-m")
            raise
        return str(new)

    async def _keep_metadata(self, old: Name, new: Name) -> None:
        """Copy the metadata, which FastDFS leaves under the old name, to the new one."""
        left = Name(old.group, f"{old.path}-m")
        try:
            async with aclosing(self._reading.download(str(left), 0, None, CHUNK_SIZE)) as chunks:
                raw = b"".join([chunk async for chunk in chunks])
        except FileNotFoundException:  # the file has no metadata
            return
        if metadata := parse_metadata(raw):
            await self._writing.write(new, protocol.set_metadata(new, metadata, mode="replace"))
        with suppress(StorageException):  # the file is complete; only old metadata may be left
            await self._writing.write(left, protocol.delete(left), is_done_by_missing=True)

    async def delete(self, file_id: str) -> None:
        """Remove a file and its metadata.

        Raises:
            FileNotFoundException: There is no such file.
            StorageUnavailableException: The server that the file was uploaded to is down, and no other can tell.
        """
        name = Name.parse(file_id)
        await self._writing.write(name, protocol.delete(name), is_done_by_missing=True)

    async def set_metadata(
        self, file_id: str, metadata: Mapping[str, str], *, mode: Literal["replace", "merge"] = "replace"
    ) -> None:
        """Replace the metadata of a file, also by nothing, or merge some into it.

        Raises:
            InvalidArgumentException: A key has more than 64 bytes, a value more than 256, or one has U+0001 or U+0002.
            FileNotFoundException: There is no such file.
        """
        name = Name.parse(file_id)
        await self._writing.write(name, protocol.set_metadata(name, metadata, mode=mode))

    # ---- queries

    def download(
        self, file_id: str, offset: int = 0, length: int | None = None, *, chunk_size: int = CHUNK_SIZE
    ) -> AsyncGenerator[bytes]:
        """The bytes of a file, or of a range of it.

        A broken download is resumed, on another server if there is one; a whole file is compared with the checksum in
        its id.

        Args:
            file_id: The id.
            offset: The first byte, from 0.
            length: How many bytes at the most, at least 1; None for all.
            chunk_size: Bytes of a chunk at the most.

        Raises:
            FileNotFoundException: There is no such file.
            InvalidArgumentException: The id or the range is malformed.
            ChecksumMismatchException: The bytes differ from the stored file.
            StorageUnavailableException: FastDFS cannot be reached, or the download broke off too often.
        """
        return self._reading.download(file_id, offset, length, chunk_size)

    async def info(self, file_id: str) -> FileInfo:
        """Size, time and checksum, from a server that has the file.

        Raises:
            FileNotFoundException: There is no such file.
        """
        return await self._reading.info(file_id)

    async def get_metadata(self, file_id: str) -> dict[str, str]:
        """The metadata, from the server that changes it; empty for a file without any, and for a missing file.

        Raises:
            StorageUnavailableException: That server is down, and no other can tell.
        """
        return await self._reading.get_metadata(file_id)

    async def describe(self, file_id: str) -> tuple[FileInfo, dict[str, str]]:
        """`info` and `get_metadata` at once."""
        return await self._reading.describe(file_id)

    # ---- the cluster

    async def ping(self) -> None:
        """Check that a tracker answers, and knows a storage server for uploads.

        Raises:
            StorageUnavailableException: No tracker answers, or none knows such a server.
        """

        async def attempt(avoiding: set[Server]) -> None:
            target = await self._calls.trackers.store_target(self._group, avoiding=avoiding)
            await self._calls.ask(target.server, protocol.active_test(), avoiding)

        await self._calls.retrying(attempt)

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
            return await self._calls.retrying(lambda _avoiding: self._calls.trackers.ask(request))
        except Refusal as refusal:
            if refusal.status == ENOENT:
                raise RouteNotSupportedException("the trackers know no such group or server") from None
            raise refusal.error() from None
