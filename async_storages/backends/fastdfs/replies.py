"""FastDFS's replies, without I/O: framing of the arriving bytes, and parsing of the bodies.

A reply is a header of 10 bytes (length of the body, command 100, status) and the body. Numbers are big-endian. Checked
against FastDFS 6.16 (tracker/tracker_proto.h, storage/storage_service.c, tracker/tracker_service.c).
"""

import re
import struct
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple

from async_storages.backends.fastdfs.statuses import ProtocolError, Refusal
from async_storages.errors import InvalidArgumentException

__all__ = ["FileInfo", "GroupInfo", "Name", "ReplyParser", "Server", "StorageInfo", "StoreTarget"]

HEADER = struct.Struct(">QBB")
"""The header of requests and replies: length of the body, command, status."""

INFO = struct.Struct(">QQq")
"""Size, time and checksum of a file. An address follows."""

GROUP = re.compile(r"[A-Za-z0-9]{1,16}")
GROUP_SIZE = 16
ADDRESS_SIZES = (15, 45)
"""The sizes of an address in bytes: IPv4 from servers without IPv6, and IPv6."""

_REPLY = 100
_NAME = re.compile(r"([A-Za-z0-9]{1,16})/(M[0-9A-F]{2}/[0-9A-F]{2}/[0-9A-F]{2}/[A-Za-z0-9._-]{12,117})")


class Name(NamedTuple):
    """A file's id in its two parts.

    Attributes:
        group: The storage group.
        path: The rest: ``M00/00/1E/…``.
    """

    group: str
    path: str

    @classmethod
    def parse(cls, file_id: str) -> "Name":
        """Parse an id into its parts.

        Raises:
            InvalidArgumentException: Every server would refuse it (storage/fdfs_global.c:33-63).
        """
        found = _NAME.fullmatch(file_id)
        if found is None:
            raise InvalidArgumentException("not of the form group1/M00/00/1E/…", file_id=file_id)
        return cls(found[1], found[2])

    def __str__(self) -> str:
        """The id."""
        return f"{self.group}/{self.path}"


class Server(NamedTuple):
    """The address of a tracker or a storage server."""

    host: str
    port: int

    def __str__(self) -> str:
        """``host:port``, with an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class StoreTarget(NamedTuple):
    """A server and a store path for a new file."""

    group: str
    server: Server
    path_index: int


@dataclass(frozen=True, slots=True)
class FileInfo:
    """A storage server's information on a file.

    Attributes:
        size: The size in bytes.
        created_at: Seconds since 1970.
        crc32: The server's checksum of the content. Before FastDFS 6.0 it is not zlib's CRC-32. Before 6.15 a slave has
            the checksum of its master.
        source: The address of the server that received the upload.
    """

    size: int
    created_at: int
    crc32: int
    source: str


@dataclass(frozen=True, slots=True)
class GroupInfo:
    """A tracker's information on a group: name, space in MB, servers."""

    name: str
    total_mb: int
    free_mb: int
    storage_count: int
    storage_port: int


@dataclass(frozen=True, slots=True)
class StorageInfo:
    """A tracker's information on a storage server.

    Attributes:
        id: The id of the server, or its address if it has no id.
        server: The address of the server.
        is_active: True while the server works.
        version: The version of FastDFS.
        total_mb: The whole space in MB.
        free_mb: The free space in MB.
        reserved_mb: The free space in MB that uploads must leave. 0 before FastDFS 6.13.1, which does not report it.
        is_member: True while the server belongs to the group, also if it is down.
        upload_count: The number of uploaded files in the last report, with slaves and appenders.
        delete_count: The number of deleted files in the last report.
    """

    id: str
    server: Server
    is_active: bool
    version: str
    total_mb: int
    free_mb: int
    reserved_mb: int = 0
    is_member: bool = True
    upload_count: int = 0
    delete_count: int = 0


class ReplyParser:
    """Parses one reply as its bytes arrive.

    Args:
        lengths: See `Request`.

    Attributes:
        length: The length of the body in bytes. None until the header has arrived.
        received: The number of bytes of the body so far.
        is_complete: True once the whole reply has arrived.
    """

    __slots__ = ("_header", "_lengths", "_status", "is_complete", "length", "received")

    def __init__(self, lengths: Collection[int] | None) -> None:
        self._lengths = lengths
        self._header = b""
        self._status = 0
        self.length: int | None = None
        self.received = 0
        self.is_complete = False

    @property
    def refusal(self) -> Refusal | None:
        """The status, if it is not 0."""
        return Refusal(self._status) if self._status else None

    def feed[Data: (bytes, memoryview)](self, data: Data) -> Data:
        """Take bytes that arrived. Return the part that belongs to the body.

        Raises:
            ProtocolError: The bytes are not a reply, or more than one reply.
        """
        body = self._take_header(data) if self.length is None else data
        if self._status:
            return body[:0]  # a refusal has no body, whatever length it tells
        if self.length is not None:
            self.received += len(body)
            if self.received > self.length:
                raise ProtocolError(f"{self.received - self.length} bytes came after the reply")
            self.is_complete = self.received == self.length
        return body

    def _take_header[Data: (bytes, memoryview)](self, data: Data) -> Data:
        missing = HEADER.size - len(self._header)
        self._header += data[:missing]
        if len(self._header) == HEADER.size:
            length, command, self._status = HEADER.unpack(self._header)
            if command != _REPLY:
                raise ProtocolError(f"what came is no reply of FastDFS (command {command})")
            if self._status:
                length = 0
                self.is_complete = True
            elif self._lengths is not None and length not in self._lengths:
                raise ProtocolError(f"a reply of {length} bytes is not the answer to this request")
            self.length = length
        return data[missing:]


# ---- bodies


def parse_nothing(_body: bytes) -> None:
    """Parse an empty body."""
    return


def parse_name(body: bytes) -> Name:
    """Parse the id of a new file."""
    path = _text(body[GROUP_SIZE:])
    try:
        return Name.parse(f"{_text(body[:GROUP_SIZE])}/{path}")
    except InvalidArgumentException as error:
        raise ProtocolError(f"the reply holds no file id ({error.file_id!a:.200})") from None


def parse_info(body: bytes) -> FileInfo:
    """Parse the answer to `query_file_info`."""
    size, created_at, crc32 = INFO.unpack_from(body)
    # the checksum is a C int that was widened: bytes above it are its sign
    return FileInfo(size, created_at, crc32 & 0xFFFF_FFFF, _text(body[INFO.size :]))


def parse_metadata(body: bytes) -> dict[str, str]:
    """Parse metadata: byte 1 separates records, byte 2 keys from values. Malformed records are skipped."""
    found: dict[str, str] = {}
    for record in body.split(b"\1"):
        key, separator, value = record.partition(b"\2")
        if separator:
            found[key.decode("utf-8", "replace")] = value.decode("utf-8", "replace")
    return found


def parse_store(body: bytes) -> StoreTarget:
    """Parse the server and store path for an upload."""
    return StoreTarget(_group_of(body), _server(body[GROUP_SIZE:-1]), body[-1])


def parse_server(body: bytes) -> Server:
    """Parse one server."""
    _group_of(body)
    return _server(body[GROUP_SIZE:])


def parse_stores(body: bytes) -> list[StoreTarget]:
    """Parse several servers of a group."""
    group = _group_of(body)
    path_index = body[-1]
    servers = _first_that_fits(body[GROUP_SIZE:-1], _pairs)
    return [StoreTarget(group, server, path_index) for server in servers]


def parse_servers(body: bytes) -> list[Server]:
    """Parse several servers that have a file."""
    _group_of(body)
    # 6.16 gives each server's port, earlier ones give that of the first for all
    return _first_that_fits(body[GROUP_SIZE:], _pairs, _one_port)


def _first_that_fits(fields: bytes, *layouts: Callable[[bytes, int], Iterator[Server]]) -> list[Server]:
    """Return the servers, by the first layout and size of addresses that fits all of them."""
    for layout in layouts:
        for size in ADDRESS_SIZES:
            try:
                if servers := list(layout(fields, size)):
                    return servers
            except (ProtocolError, struct.error):
                continue
    raise ProtocolError(f"the reply holds no list of servers ({len(fields)} bytes)")


def _pairs(fields: bytes, size: int) -> Iterator[Server]:
    for start in range(0, len(fields), size + 8):
        yield _server(fields[start : start + size + 8], size)


def _one_port(fields: bytes, size: int) -> Iterator[Server]:
    first = _server(fields[: size + 8], size)
    yield first
    for start in range(size + 8, len(fields), size):
        yield Server(_host(fields[start : start + size], size), first.port)


def _server(fields: bytes, size: int | None = None) -> Server:
    size = len(fields) - 8 if size is None else size
    (port,) = struct.unpack(">Q", fields[size:])
    if not 0 < port < 65536:
        raise ProtocolError(f"the reply names the port {port}")
    return Server(_host(fields[:size], size), port)


@lru_cache(256)  # replies name few servers
def _host(field: bytes, size: int) -> str:
    host = _text(field)
    try:
        ip_address(host)
    except ValueError:
        raise ProtocolError(f"the reply names the host {host!a:.60}") from None
    if len(field) != size:
        raise ProtocolError("the reply breaks off in an address")
    return host


def _group_of(body: bytes) -> str:
    group = _text(body[:GROUP_SIZE])
    if not GROUP.fullmatch(group) or len(body) <= GROUP_SIZE:
        raise ProtocolError(f"the reply names the group {group!a:.40}")
    return group


def _text(field: bytes) -> str:
    """Return a text of fixed size, up to its first NUL."""
    try:
        return field.partition(b"\0")[0].decode("ascii")
    except UnicodeDecodeError:
        raise ProtocolError(f"the reply holds {field[:40]!r} where a name should be") from None


# ---- parsing statistics

_GROUP_RECORD_SIZES = (113, 105)  # from 6.13.1 on, which added reserved_mb; before
_ACTIVE = 7  # FDFS_STORAGE_STATUS_ACTIVE
_UPLOADS, _DELETES = 1, 11  # success_upload_count, success_delete_count, among all that are counted
_GONE = {3, 4}  # …_IP_CHANGED, …_DELETED


class _StorageLayout(NamedTuple):
    """The layout of a storage server's record."""

    size: int
    id_at: int
    ip_size: int
    has_domain: bool
    version_size: int
    has_reserved: bool


_STORAGE_LAYOUTS = (
    _StorageLayout(487, 2, 16, has_domain=False, version_size=8, has_reserved=True),  # 6.15 with IPv4 addresses
    _StorageLayout(
        517, 2, 46, has_domain=False, version_size=8, has_reserved=True
    ),  # 6.13.1, and 6.15 with IPv6 addresses
    _StorageLayout(509, 2, 46, has_domain=False, version_size=8, has_reserved=False),  # 6.13
    _StorageLayout(644, 1, 46, has_domain=True, version_size=8, has_reserved=False),  # 6.11
    _StorageLayout(612, 1, 16, has_domain=True, version_size=6, has_reserved=False),  # before
)


def parse_groups(body: bytes) -> list[GroupInfo]:
    """Parse records of groups: 113 bytes each, 105 before FastDFS 6.13.1."""
    for size in _GROUP_RECORD_SIZES:
        if len(body) % size == 0:
            return [_group_info(record, has_reserved=size == 113) for record in _records(body, size)]
    raise ProtocolError(f"{len(body)} bytes are no list of groups")


def _group_info(record: bytes, *, has_reserved: bool) -> GroupInfo:
    numbers = struct.unpack(f">{(len(record) - 17) // 8}Q", record[17:])
    count_at = 4 if has_reserved else 3
    return GroupInfo(_text(record[:17]), numbers[0], numbers[1], numbers[count_at], numbers[count_at + 1])


def parse_storages(body: bytes) -> list[StorageInfo]:
    """Parse records of storage servers. Their size tells the version."""
    for layout in _STORAGE_LAYOUTS:
        if len(body) % layout.size == 0:
            return [_storage_info(record, layout) for record in _records(body, layout.size)]
    raise ProtocolError(f"{len(body)} bytes are no list of storage servers")


def _storage_info(record: bytes, layout: _StorageLayout) -> StorageInfo:
    ip_at = layout.id_at + 16
    version_at = ip_at + layout.ip_size + (128 if layout.has_domain else 0) + 16
    numbers_at = version_at + layout.version_size
    # join time, up time, total, free, [reserved,] priority, paths, folders, current path, port
    numbers = struct.unpack_from(">10Q", record, numbers_at)
    # the port follows, in old records also that of HTTP; then three counts of connections, of 4 bytes
    counters_at = numbers_at + 8 * (9 + layout.has_reserved + layout.has_domain) + 12
    counters = struct.unpack_from(">12Q", record, counters_at)
    return StorageInfo(
        id=_text(record[layout.id_at : ip_at]),
        server=Server(_text(record[ip_at : ip_at + layout.ip_size]), numbers[9 if layout.has_reserved else 8]),
        is_active=record[0] == _ACTIVE,
        version=_text(record[version_at:numbers_at]),
        total_mb=numbers[2],
        free_mb=numbers[3],
        reserved_mb=numbers[4] if layout.has_reserved else 0,
        is_member=record[0] not in _GONE,
        upload_count=counters[_UPLOADS],
        delete_count=counters[_DELETES],
    )


def _records(body: bytes, size: int) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]
