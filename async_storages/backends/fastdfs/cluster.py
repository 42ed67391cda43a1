"""A client of FastDFS: uploads, downloads, appenders, slaves and metadata, by FastDFS ids."""

from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing, suppress
from typing import Literal, Self

from async_storages.backends.fastdfs import protocol
from async_storages.backends.fastdfs.calls import Calls, Failed
from async_storages.backends.fastdfs.checksums import OldChecksums
from async_storages.backends.fastdfs.directory import Directory
from async_storages.backends.fastdfs.pool import FastDFSOptions
from async_storages.backends.fastdfs.protocol import (
    FileInfo,
    GroupInfo,
    Name,
    Request,
    StorageInfo,
)
from async_storages.backends.fastdfs.reading import Reading
from async_storages.backends.fastdfs.replies import parse_metadata
from async_storages.backends.fastdfs.statuses import ENOENT, Refusal
from async_storages.backends.fastdfs.trackers import address_mapping, parse_servers
from async_storages.backends.fastdfs.writing import Placed, Writing
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

    Many tasks can use it at once. It works in several event loops one after the other, and after fork. It opens
    connections when it needs them, and keeps them. `aclose` closes the connections of the running event loop.

    Args:
        tracker_servers: ``host:port`` of each tracker. The default port is 22122.
        group: The group to upload to. With None the trackers choose.
        store_path_index: The disk to upload to, 0 to 254. With -1 FastDFS chooses.
        options: Time-outs, pools and retries.
        address_map: Maps an address that trackers name to the address that this machine must use, for clusters behind
            NAT or in Docker. Both are ``host:port``, or both are ``host`` for all ports.

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
        """Close the connections of the running event loop. The client can be used again."""
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

        If a server fails before all bytes were sent, the client sends the content to another server. The content must
        be readable again for this. If the connection breaks after all bytes were sent, a file may stay in FastDFS under
        an id that the client never received.

        Args:
            content: The content: see `async_storages.sources`. Content of unknown size is kept in a temporary file
                first.
            extension: Up to 6 of the characters A-Z, a-z, 0-9, ``.``, ``_``, ``-``, without the dot before it.
            appender: True makes a file that can be changed later: see `append`, `modify`, `truncate`.
            metadata: As for `set_metadata`. If it cannot be stored, the client deletes the file again.

        Returns:
            The id.

        Raises:
            InvalidArgumentException: The content or the extension is wrong.
            StorageOperationException: FastDFS failed or cannot be reached.
        """

        async def place(size: int, avoiding: Failed) -> Placed:
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
        """Store a slave: a file that belongs to another one, its master. For example a thumbnail. See `upload`.

        Args:
            content: As for `upload`.
            master: The id of the file to which the slave belongs.
            prefix: 1 to 16 of the characters A-Z, a-z, 0-9, ``.``, ``_``, ``-``. It distinguishes the slaves of a
                master. For example ``_150x150``.
            extension: As for `upload`.
            metadata: As for `upload`.

        Returns:
            The id: the master's id without its extension, then the prefix and the extension.

        Raises:
            FileNotFoundException: The master does not exist.
            FileExistsException: The slave exists already.
        """
        name = Name.parse(master)

        async def place(size: int, _avoiding: Failed) -> Placed:
            server = await self._calls.trackers.writer_of(name)
            await self._directory.require_space(name.group, server, size)
            return server, protocol.upload_slave(name, size, prefix, extension)

        return await self._writing.store(content, place, metadata or {}, master=name)

    # ---- changes

    async def append(self, file_id: str, content: Source | Content) -> None:
        """Append content to an appender. The client does not retry once all bytes were sent.

        Raises:
            InvalidArgumentException: The file is not an appender.
            FileNotFoundException: The file does not exist.
            StorageUnavailableException: The server that received the upload is down, and no other server can answer.
        """
        name = Name.parse(file_id)
        await self._writing.change(name, content, lambda size: protocol.append(name, size))

    async def modify(self, file_id: str, offset: int, content: Source | Content) -> None:
        """Replace bytes of an appender from `offset` on. `offset` is at most its size. Raises as `append` does."""
        name = Name.parse(file_id)
        await self._writing.change(name, content, lambda size: protocol.modify(name, offset, size))

    async def truncate(self, file_id: str, size: int) -> None:
        """Truncate an appender to `size` bytes, or extend it with zeros. Raises as `append` does."""
        name = Name.parse(file_id)
        await self._writing.write(name, protocol.truncate(name, size))

    async def regenerate(self, file_id: str) -> str:
        """Make an appender a normal file with the same metadata. FastDFS 5.x does not support this.

        Returns:
            The new id. The old one is no longer valid.

        Raises:
            StorageOperationException: FastDFS failed. If the metadata was not kept, a note on the error names the new
                id.
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
        """Copy the metadata from the old name, where FastDFS leaves it, to the new name."""
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
        """Delete a file and its metadata.

        Raises:
            FileNotFoundException: The file does not exist.
            StorageUnavailableException: The server that received the upload is down, and no other server can answer.
        """
        name = Name.parse(file_id)
        await self._writing.write(name, protocol.delete(name), is_done_by_missing=True)

    async def set_metadata(
        self, file_id: str, metadata: Mapping[str, str], *, mode: Literal["replace", "merge"] = "replace"
    ) -> None:
        """Replace the metadata of a file, or merge pairs into it.

        Args:
            file_id: The id.
            metadata: The key-value pairs.
            mode: ``"replace"`` replaces all pairs, and an empty mapping removes them. ``"merge"`` keeps other pairs.

        Raises:
            InvalidArgumentException: A key has more than 64 bytes, a value has more than 256, or a text holds U+0001 or
                U+0002.
            FileNotFoundException: The file does not exist.
        """
        name = Name.parse(file_id)
        await self._writing.write(name, protocol.set_metadata(name, metadata, mode=mode))

    # ---- queries

    def download(
        self, file_id: str, offset: int = 0, length: int | None = None, *, chunk_size: int = CHUNK_SIZE
    ) -> AsyncGenerator[bytes]:
        """Yield the bytes of a file, or of a range of it.

        If a download breaks, the client resumes it, on another server if there is one. It compares a whole file with
        the checksum in its id.

        Args:
            file_id: The id.
            offset: The first byte, from 0.
            length: The largest number of bytes, at least 1. None reads to the end.
            chunk_size: The largest size of a chunk in bytes.

        Raises:
            FileNotFoundException: The file does not exist.
            InvalidArgumentException: The id or the range is malformed.
            ChecksumMismatchException: The bytes differ from the stored file.
            StorageUnavailableException: FastDFS cannot be reached, or the download broke off too often.
        """
        return self._reading.download(file_id, offset, length, chunk_size)

    async def read(self, file_id: str) -> bytes:
        """Return the whole content in memory. Resumes, compares and raises as `download` does."""
        return await self._reading.read(file_id)

    async def info(self, file_id: str) -> FileInfo:
        """Return size, time and checksum, from a server that has the file.

        Raises:
            FileNotFoundException: The file does not exist.
        """
        return await self._reading.info(file_id)

    async def get_metadata(self, file_id: str) -> dict[str, str]:
        """Return the metadata. It is empty if the file has none, or does not exist.

        The answer is from the server that received the upload, because that server also stores changes.

        Raises:
            StorageUnavailableException: That server is down, and no other server can answer.
        """
        return await self._reading.get_metadata(file_id)

    async def describe(self, file_id: str) -> tuple[FileInfo, dict[str, str]]:
        """Return the results of `info` and `get_metadata`."""
        return await self._reading.describe(file_id)

    # ---- the cluster

    async def ping(self) -> None:
        """Check that a tracker answers and knows a storage server for uploads.

        Raises:
            StorageUnavailableException: No tracker answers, or no tracker knows a server for uploads.
        """

        async def attempt(avoiding: Failed) -> None:
            target = await self._calls.trackers.store_target(self._group, avoiding=avoiding)
            await self._calls.ask(target.server, protocol.active_test(), avoiding)

        await self._calls.retrying(attempt)

    async def list_groups(self) -> list[GroupInfo]:
        """Return the groups of the cluster."""
        return await self._ask_trackers(protocol.list_groups())

    async def list_storages(self, group: str, server_id: str = "") -> list[StorageInfo]:
        """Return the storage servers of a group, or one of them.

        Raises:
            RouteNotSupportedException: The group or server does not exist.
        """
        return await self._ask_trackers(protocol.list_storages(group, server_id))

    async def _ask_trackers[Reply](self, request: Request[Reply]) -> Reply:
        try:
            return await self._calls.retrying(lambda _avoiding: self._calls.trackers.ask(request))
        except Refusal as refusal:
            if refusal.status == ENOENT:
                raise RouteNotSupportedException("the trackers know no such group or server") from None
            raise refusal.error() from None
