"""Reading files, their properties and metadata from any server that has them. The source server decides.

A file is first on the server that received the upload, and a while later on the other servers of its group. Normal
files never change, so any copy is valid. Appenders and metadata change, so they are read from the server that changes
them.
"""

import asyncio
import sys
import time
from collections.abc import AsyncGenerator

from async_storages.backends.fastdfs import protocol
from async_storages.backends.fastdfs.calls import Calls, Failed
from async_storages.backends.fastdfs.checksums import OldChecksums
from async_storages.backends.fastdfs.directory import Directory
from async_storages.backends.fastdfs.download import FastDFSDownload
from async_storages.backends.fastdfs.metadata import may_be_torn
from async_storages.backends.fastdfs.protocol import FileInfo, Name, Request, Server
from async_storages.backends.fastdfs.replies import parse_metadata
from async_storages.backends.fastdfs.statuses import EIO, ENOENT, Refusal
from async_storages.backends.fastdfs.transfer import Transfer
from async_storages.errors import (
    ChecksumMismatchException,
    FileNotFoundException,
    InvalidArgumentException,
    StorageUnavailableException,
)
from async_storages.fastdfs_ids import is_appender

__all__ = ["Reading"]

_READS_OF_METADATA = 6
_PAUSE = 0.01  # seconds before the second read, growing with each further one
_COPIED_WITHIN = 86_400  # seconds, after which trackers hold every file to be on every server, too


class Reading:
    """Reads from the servers of a cluster.

    Args:
        calls: Sends the requests.
        directory: The servers.
        checksums: The groups with old checksums in their ids.
    """

    def __init__(self, calls: Calls, directory: Directory, checksums: OldChecksums) -> None:
        self._calls = calls
        self._directory = directory
        self._checksums = checksums

    # ---- content

    async def download(self, file_id: str, offset: int, length: int | None, chunk_size: int) -> AsyncGenerator[bytes]:
        """See `FastDFSCluster.download`."""
        if offset < 0 or (length is not None and length < 1) or chunk_size < 1:
            raise InvalidArgumentException(f"offset {offset}, length {length}, chunk size {chunk_size} is no range")
        download = await self._prepared(file_id, offset, length)
        if download.is_beyond_end:
            return
        transfer = self._transfer(download)
        try:
            while chunk := await transfer.receive():
                for start in range(0, len(chunk), chunk_size):
                    yield chunk[start : start + chunk_size]
        finally:
            transfer.end(sys.exception())
        await self._judge(file_id, download)

    async def read(self, file_id: str) -> bytes:
        """See `FastDFSCluster.read`."""
        download = await self._prepared(file_id, 0, None)
        if download.is_beyond_end:
            return b""
        transfer = self._transfer(download)
        chunks = []
        while chunk := await transfer.receive():
            chunks.append(chunk)
        await self._judge(file_id, download)
        return b"".join(chunks)

    async def _prepared(self, file_id: str, offset: int, length: int | None) -> FastDFSDownload:
        """Return a download, with the size of the file if it needs that."""
        computes_old = offset == 0 and self._checksums.may_be_in(file_id)
        download = FastDFSDownload(file_id, offset, length, computes_old=computes_old)
        if download.needs_size:
            download.limit(await self._size_of(file_id))
        elif download.is_beyond_end:
            await self._check_size(file_id, download.known_size)
        return download

    def _transfer(self, download: FastDFSDownload) -> Transfer:
        return Transfer(download, self._calls, self._directory, self._server_for, self._size_of)

    async def _judge(self, file_id: str, download: FastDFSDownload) -> None:
        """Compare a complete download with its id. For an id of an old server, read the file once more.

        Raises:
            ChecksumMismatchException: The bytes differ from the stored file.
        """
        if download.needs_second_look:
            download.take_over(await self._second_look(file_id))
        download.verify()
        if download.has_old_checksum:
            self._checksums.note(download.name.group)

    async def holds(self, file_id: str, crc32: int) -> bool:
        """Return True if a file has this zlib CRC-32 and its id the old checksum. Note the old one for its group."""
        found = await self._second_look(file_id)
        is_held = found.crc32 == crc32 and found.has_old_checksum
        if is_held:
            self._checksums.note(found.name.group)
        return is_held

    async def _second_look(self, file_id: str) -> FastDFSDownload:
        """Read a file to its end, for its checksums."""
        download = FastDFSDownload(file_id, 0, None, computes_old=True)
        transfer = self._transfer(download)
        while await transfer.receive():
            continue
        return download

    async def _check_size(self, file_id: str, expected: int | None) -> None:
        size = await self._size_of(file_id)
        if size != expected:
            raise ChecksumMismatchException(f"it has {size} bytes, but was stored with {expected}")

    # ---- properties

    async def _size_of(self, file_id: str) -> int:
        return (await self.info(file_id)).size

    async def info(self, file_id: str) -> FileInfo:
        """See `FastDFSCluster.info`."""
        name = Name.parse(file_id)

        async def attempt(avoiding: Failed) -> FileInfo:
            server = await self._server_for(name, avoiding)
            return (await self._info_on(server, name, avoiding))[1]

        return await self._calls.retrying(attempt)

    async def describe(self, file_id: str) -> tuple[FileInfo, dict[str, str]]:
        """See `FastDFSCluster.describe`."""
        name = Name.parse(file_id)

        async def attempt(avoiding: Failed) -> tuple[FileInfo, dict[str, str]]:
            server = await self._changer_of(name, avoiding)
            server, info = await self._info_on(server, name, avoiding)
            return info, await self._metadata_on(server, name, avoiding)

        return await self._calls.retrying(attempt)

    async def get_metadata(self, file_id: str) -> dict[str, str]:
        """See `FastDFSCluster.get_metadata`."""
        name = Name.parse(file_id)

        async def attempt(avoiding: Failed) -> dict[str, str]:
            return await self._metadata_on(await self._changer_of(name, avoiding), name, avoiding)

        return await self._calls.retrying(attempt)

    async def _info_on(self, server: Server, name: Name, avoiding: Failed) -> tuple[Server, FileInfo]:
        """Return the properties and the server that gave them: this one, or another if it lacks the file."""
        request = protocol.query_file_info(name)
        try:
            return server, await self._calls.ask(server, request, avoiding)
        except FileNotFoundException:
            for other in await self._directory.others(name, server):
                try:
                    return other, await self._calls.ask(other, request, avoiding)
                except FileNotFoundException:
                    continue
            raise

    async def _metadata_on(self, server: Server, name: Name, avoiding: Failed) -> dict[str, str]:
        """Return the metadata. A server answers the same if it lacks metadata, the file, or its copy of the file."""
        found = await self._metadata_at(server, name, avoiding)
        if found is not None:
            return found
        try:
            for other in await self._directory.others(name, server):
                if (found := await self._metadata_at(other, name, avoiding)) is not None:
                    return found
        except StorageUnavailableException:
            if not await self._is_old(server, name, avoiding):
                raise
        return {}

    async def _is_old(self, server: Server, name: Name, avoiding: Failed) -> bool:
        """Return True if a replica must have a file's metadata by now, if there is any."""
        try:
            info = await self._calls.ask(server, protocol.query_file_info(name), avoiding)
        except FileNotFoundException:
            return False
        return time.time() - info.created_at > _COPIED_WITHIN

    async def _metadata_at(self, server: Server, name: Name, avoiding: Failed) -> dict[str, str] | None:
        """Return the metadata on one server. Read it again while another client may be writing it."""
        request = protocol.get_raw_metadata(name)
        before: bytes | None = None
        for turn in range(_READS_OF_METADATA):
            await asyncio.sleep(turn * _PAUSE)
            found = await self._raw_metadata(server, request, avoiding)
            if found is None:
                return None
            if found == before or not may_be_torn(found):
                return parse_metadata(found)
            before = found
        raise StorageUnavailableException(f"{server}: the metadata is being written, again and again")

    async def _raw_metadata(self, server: Server, request: Request[bytes], avoiding: Failed) -> bytes | None:
        """Return the unparsed metadata: b"" while it is being written, None if there is none."""
        pools = await self._calls.pools.get()
        try:
            async with pools.connection(server) as connection:
                return await connection.ask(request)
        except Refusal as refusal:
            if refusal.status == ENOENT:
                return None
            if refusal.status == EIO:  # the file was truncated while the server read it
                return b""
            raise refusal.error() from None
        except StorageUnavailableException:
            avoiding.add(server)
            raise

    # ---- servers

    async def _server_for(self, name: Name, avoiding: Failed) -> Server:
        """Return the server to read content from."""
        if is_appender(str(name)):
            return await self._changer_of(name, avoiding)
        return await self._calls.lookup.reader_of(name, avoiding=avoiding)

    async def _changer_of(self, name: Name, avoiding: Failed) -> Server:
        """Return the server that changes a file, as its copy is current. Return another only if it does not answer."""
        server = await self._calls.trackers.writer_of(name)
        return await self._calls.trackers.reader_of(name, avoiding=avoiding) if server in avoiding else server
