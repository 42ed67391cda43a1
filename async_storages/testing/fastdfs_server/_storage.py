"""A storage server: its answer to each command (storage/storage_service.c)."""

import errno
import socket
import struct
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager

from async_storages.testing.fastdfs_server._disk import Disk, Spool
from async_storages.testing.fastdfs_server._names import LogicName, checked_suffix
from async_storages.testing.fastdfs_server._port import COMMON, Handler
from async_storages.testing.fastdfs_server._replication import Change
from async_storages.testing.fastdfs_server._wire import (
    BUFFER,
    EINVAL,
    HEADER_SIZE,
    Answer,
    Refusal,
    Request,
    padded,
    text,
)

__all__ = ["StorageCommands"]

_ANY_PATH = 0xFF
_WITHOUT_CRC = 1
_HALF = 1 << 31
_LONGEST_ID = (1 << 24) - 1


class StorageCommands:
    """The commands of one storage server of a group.

    Args:
        group: The name of the group.
        disk: The disk of its files. The other servers of the group may share it.
        source: The source to put into the names of its files.
        addresses: The address of each storage server by its id.
        address_size: Bytes of an address in the answer to a query for a file.
        free: Returns the free bytes.
        note: Notes changes for the replicas.

    Attributes:
        uploads: The number of uploaded files.
        deletes: The number of deleted files.
    """

    def __init__(
        self,
        group: str,
        disk: Disk,
        source: bytes,
        addresses: Mapping[int, str],
        address_size: int,
        *,
        free: Callable[[], int],
        note: Callable[[Change, LogicName], None],
    ) -> None:
        self.group = group
        self._disk = disk
        self._source = source
        self._addresses = addresses
        self._address_size = address_size
        self._next_path = 0
        self.uploads = 0
        self.deletes = 0
        self._free = free
        self._note = note

    @property
    def handlers(self) -> dict[int, Handler]:
        """The handler of each command."""
        handlers: dict[int, Handler] = {
            **COMMON,
            11: self._upload,
            12: self._delete,
            13: self._set_metadata,
            14: self._download,
            15: self._get_metadata,
            21: self._upload_slave,
            22: self._info,
            23: self._upload,
            24: self._append,
            34: self._modify,
            36: self._truncate,
        }
        return handlers | ({38: self._regenerate} if self._disk.version.can_regenerate else {})

    async def _upload(self, request: Request) -> bytes:
        path, size, field = struct.unpack(">BQ6s", await request.read(15))
        extension = checked_suffix(field)
        path = self._path(path)
        _require(size == request.unread)
        self._require_space(size)
        async with self._received(request) as spool:
            appender = request.command == 23
            name = await self._on_disk(
                lambda: self._disk.store(spool, self._source, extension, path, appender=appender)
            )
        self._note(Change.CONTENT, name)
        self.uploads += 1
        return self._named(name)

    async def _upload_slave(self, request: Request) -> bytes:
        length, size, prefix_field, extension_field = struct.unpack(">QQ16s6s", await request.read(38))
        _require(10 < length < 128 and size == request.unread - length)
        prefix, extension = checked_suffix(prefix_field), checked_suffix(extension_field)
        _require(prefix != "")
        master = self._logic(await request.read(length))
        slave = self._logic(str(master.slave(prefix, extension)).encode())
        self._require_space(size)
        await self._on_disk(lambda: self._disk.check_slave(master, slave))
        async with self._received(request) as spool:
            await self._on_disk(lambda: self._disk.store_slave(spool, slave))
        self._note(Change.CONTENT, slave)
        self.uploads += 1
        return self._named(slave)

    async def _delete(self, request: Request) -> bytes:
        name = self._full(await request.rest())
        await self._on_disk(lambda: self._disk.remove(name))
        self._note(Change.REMOVAL, name)
        self.deletes += 1
        return b""

    async def _set_metadata(self, request: Request) -> bytes:
        length, size, flag, group = struct.unpack(">QQc16s", await request.read(33))
        _require(flag in {b"O", b"M"} and length + size == request.unread)
        _require(request.length + HEADER_SIZE < BUFFER)
        name = self._full(group + await request.read(length))
        metadata = await request.rest()
        await self._on_disk(lambda: self._disk.set_metadata(name, metadata, merge=flag == b"M"))
        self._note(Change.METADATA, name)
        return b""

    async def _get_metadata(self, request: Request) -> bytes:
        name = self._full(await request.rest())
        return await self._on_disk(lambda: self._disk.read_metadata(name))

    async def _download(self, request: Request) -> Answer:
        offset, length = struct.unpack(">qq", await request.read(16))
        name = self._full(await request.rest())
        _require(offset >= 0 and length >= 0)
        with ExitStack() as opened:
            answer = await self._on_disk(lambda: self._disk.open(opened, name, offset, length))
            opened.pop_all()
        return answer

    async def _info(self, request: Request) -> bytes:
        name = self._full(await request.rest())
        compute = not request.flags & _WITHOUT_CRC
        size, mtime, crc = await self._on_disk(lambda: self._disk.info(name, compute=compute))
        signed = (crc ^ _HALF) - _HALF  # as the server sends it: sign-extended
        return struct.pack(">QQq", size, mtime, signed) + padded(self._source_address(name), self._address_size)

    async def _append(self, request: Request) -> bytes:
        length, size = struct.unpack(">QQ", await request.read(16))
        return await self._write(request, length, size, None)

    async def _modify(self, request: Request) -> bytes:
        length, offset, size = struct.unpack(">QQQ", await request.read(24))
        return await self._write(request, length, size, offset)

    async def _write(self, request: Request, length: int, size: int, offset: int | None) -> bytes:
        _require(44 <= length < 128 and size == request.unread - length)
        name = self._logic(await request.read(length))
        await self._on_disk(lambda: self._disk.check_appender(name, offset or 0))
        if not size:
            return self._unchanged(request)
        async with self._received(request) as spool:
            await self._on_disk(lambda: self._disk.modify(name, offset, spool))
        self._note(Change.CONTENT, name)
        return b""

    async def _truncate(self, request: Request) -> bytes:
        length, size = struct.unpack(">QQ", await request.read(16))
        _require(44 <= length < 128 and length == request.unread)
        name = self._logic(await request.rest())
        await self._on_disk(lambda: self._disk.check_appender(name))
        if size == await self._on_disk(lambda: self._disk.size(name)):
            return self._unchanged(request)
        await self._on_disk(lambda: self._disk.truncate(name, size))
        self._note(Change.CONTENT, name)
        return b""

    async def _regenerate(self, request: Request) -> bytes:
        name = self._logic(await request.rest())
        new = await self._on_disk(lambda: self._disk.regenerate(name, self._source))
        self._note(Change.CONTENT, new)
        self._note(Change.REMOVAL, name)
        return self._named(new)

    def _unchanged(self, request: Request) -> bytes:
        """Return the answer's body if there was nothing to do: any bytes, as many as the request has."""
        return bytes(request.length)

    def _require_space(self, size: int) -> None:
        if size > self._free():
            raise Refusal(errno.ENOSPC)

    @asynccontextmanager
    async def _received(self, request: Request) -> AsyncGenerator[Spool]:
        """Yield the rest of a request, until the block ends."""
        spool = Spool(self._disk.incoming, self._disk.run, has_old_crc=self._disk.version.has_old_crc)
        try:
            while request.unread:
                await spool.add(await request.piece())
            yield spool
        finally:
            if spool.on_disk:
                await self._disk.run(spool.close)

    async def _on_disk[Result](self, func: Callable[[], Result]) -> Result:
        """Call a function of the disk. An OSError becomes the status of the answer, as on the real server."""
        try:
            result: Result = await self._disk.run(func)
        except OSError as error:
            raise Refusal(error.errno or errno.EIO) from error
        return result

    def _path(self, index: int) -> int:
        if index == _ANY_PATH:
            index = self._next_path
            self._next_path = (index + 1) % self._disk.paths
        _require(index < self._disk.paths)
        return index

    def _full(self, raw: bytes) -> LogicName:
        """Return the name after its group. The group must be this server's."""
        _require(text(raw[:16]) == self.group)
        return self._logic(raw[16:])

    def _logic(self, raw: bytes) -> LogicName:
        name = LogicName.parse(raw)
        _require(name.path < self._disk.paths)
        return name

    def _named(self, name: LogicName) -> bytes:
        return padded(self.group, 16) + str(name).encode()

    def _source_address(self, name: LogicName) -> str:
        source = name.origin.source
        server = int.from_bytes(source, "little")
        return (
            self._addresses.get(server, "").rpartition(":")[0]
            if 0 < server <= _LONGEST_ID
            else socket.inet_ntoa(source)
        )


def _require(condition: bool) -> None:
    if not condition:
        raise Refusal(EINVAL)
