"""FastDFS's packets, without I/O: what to send, and what the reply means.

A packet is a header of 10 bytes (length of the body, command, status) and the body; numbers are big-endian. Each
function makes one `Request`; a `ReplyParser` takes the reply's bytes as they come. Checked against FastDFS 6.16
(tracker/tracker_proto.h, storage/storage_service.c, tracker/tracker_service.c).
"""

import re
import struct
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from ipaddress import ip_address
from typing import Literal, NamedTuple

from async_storages.backends.fastdfs.statuses import ProtocolError, Refusal
from async_storages.errors import InvalidArgumentException

__all__ = [
    "ANY_PATH",
    "FREE_EXTENSION",
    "Command",
    "FileInfo",
    "GroupInfo",
    "Name",
    "ReplyParser",
    "Request",
    "Server",
    "StorageInfo",
    "StoreTarget",
    "encode_metadata",
]

HEADER = struct.Struct(">QBB")
ANY_PATH = 0xFF
"""The store path index that leaves the choice to the storage server."""

FREE_EXTENSION = re.compile(r"[A-Za-z0-9._-]{1,6}")
"""The extensions that FastDFS keeps."""

_REPLY = 100
_LONGEST_REPLY = 1 << 20  # bytes of a reply that is not a file
_LONGEST_METADATA = 256 * 1024 - 170  # bytes: the server's buff_size, less all that comes before it
_LARGEST_NUMBER = (1 << 63) - 1
_NOT_IN_METADATA = re.compile(r"[\0-\2\ud800-\udfff]")  # FastDFS ends texts at the first, divides by the other two
_GROUP_SIZE = 16
_IPV4_SIZE, _IPV6_SIZE = 15, 45
_GROUP = re.compile(r"[A-Za-z0-9]{1,16}")
_PATH = re.compile(r"M[0-9A-F]{2}/[0-9A-F]{2}/[0-9A-F]{2}/[A-Za-z0-9._-]+")
_NAME_LENGTHS = range(_GROUP_SIZE + 22, _GROUP_SIZE + 128)
_PREFIX = re.compile(r"[A-Za-z0-9._-]{1,16}")


class Command(IntEnum):
    """The commands, by FastDFS's numbers."""

    UPLOAD = 11
    DELETE = 12
    SET_METADATA = 13
    DOWNLOAD = 14
    GET_METADATA = 15
    UPLOAD_SLAVE = 21
    QUERY_FILE_INFO = 22
    UPLOAD_APPENDER = 23
    APPEND = 24
    MODIFY = 34
    TRUNCATE = 36
    REGENERATE = 38
    QUIT = 82
    LIST_GROUPS = 91
    LIST_STORAGES = 92
    QUERY_STORE = 101
    QUERY_FETCH = 102
    QUERY_UPDATE = 103
    QUERY_STORE_IN_GROUP = 104
    QUERY_FETCH_ALL = 105
    QUERY_STORE_ALL = 106
    QUERY_STORE_IN_GROUP_ALL = 107
    ACTIVE_TEST = 111


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
        """Take an id apart.

        Raises:
            InvalidArgumentException: Every server would refuse it (storage/fdfs_global.c:33-63).
        """
        group, _, path = file_id.partition("/")
        if not (_GROUP.fullmatch(group) and _PATH.fullmatch(path) and 22 <= len(path) < 128):
            raise InvalidArgumentException("not of the form group1/M00/00/1E/…", file_id=file_id)
        return cls(group, path)

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
    """Where a new file may go."""

    group: str
    server: Server
    path_index: int


@dataclass(frozen=True, slots=True)
class FileInfo:
    """What a storage server tells of a file.

    Attributes:
        size: Bytes.
        created_at: Seconds since 1970.
        crc32: Of the content; 0 for appenders and slaves of which none was computed.
        source: The address of the server that it was uploaded to.
    """

    size: int
    created_at: int
    crc32: int
    source: str


@dataclass(frozen=True, slots=True)
class GroupInfo:
    """What a tracker tells of a group: its name, its space in MB, its servers."""

    name: str
    total_mb: int
    free_mb: int
    storage_count: int
    storage_port: int


@dataclass(frozen=True, slots=True)
class StorageInfo:
    """What a tracker tells of a storage server.

    Attributes:
        id: Its id, or its address where it has none.
        server: Its address.
        is_active: Whether it serves.
        version: Of FastDFS.
        total_mb: Space in all.
        free_mb: Space that is free.
    """

    id: str
    server: Server
    is_active: bool
    version: str
    total_mb: int
    free_mb: int


@dataclass(frozen=True, slots=True)
class Request[Reply]:
    """One request.

    Attributes:
        command: What is asked for.
        head: The header and all of the body but the file's content.
        parse: Makes the result of the reply's body; raises ProtocolError.
        lengths: What the reply's body may have, in bytes; None for a file's content.
        content_length: Bytes of content that follow `head`.
    """

    command: Command
    head: bytes
    parse: Callable[[bytes], Reply]
    lengths: Collection[int] | None
    content_length: int = 0


class ReplyParser:
    """One reply, out of its bytes as they come.

    Args:
        lengths: See `Request`.

    Attributes:
        length: Bytes of the body; None until the header has come.
        received: Bytes of the body so far.
    """

    def __init__(self, lengths: Collection[int] | None) -> None:
        self._lengths = lengths
        self._header = b""
        self._status = 0
        self.length: int | None = None
        self.received = 0

    @property
    def is_complete(self) -> bool:
        """Whether nothing more is to come."""
        return self.length == self.received

    @property
    def refusal(self) -> Refusal | None:
        """The status, if it is not 0."""
        return Refusal(self._status) if self._status else None

    def feed(self, data: bytes) -> bytes:
        """Take what came; returns what of it belongs to the body.

        Raises:
            ProtocolError: It is no reply, or more than one.
        """
        body = self._take_header(data) if self.length is None else data
        if self.length is not None:
            self.received += len(body)
            if self.received > self.length:
                raise ProtocolError(f"{self.received - self.length} bytes came after the reply")
        return body

    def _take_header(self, data: bytes) -> bytes:
        missing = HEADER.size - len(self._header)
        self._header += data[:missing]
        if len(self._header) == HEADER.size:
            length, command, self._status = HEADER.unpack(self._header)
            self._check(length, command)
            self.length = length
        return data[missing:]

    def _check(self, length: int, command: int) -> None:
        if command != _REPLY:
            raise ProtocolError(f"what came is no reply of FastDFS (command {command})")
        if self._status and length:
            raise ProtocolError(f"a refusal (status {self._status}) came with a body of {length} bytes")
        if not self._status and self._lengths is not None and length not in self._lengths:
            raise ProtocolError(f"a reply of {length} bytes is not the answer to this request")


# ---- to a tracker


def query_store(group: str | None = None) -> Request[StoreTarget]:
    """Where to upload to: anywhere, or in a group."""
    lengths = {_GROUP_SIZE + size + 9 for size in (_IPV4_SIZE, _IPV6_SIZE)}
    if group is None:
        return _request(Command.QUERY_STORE, b"", _parse_store, lengths)
    return _request(Command.QUERY_STORE_IN_GROUP, _group(group), _parse_store, lengths)


def query_store_all(group: str | None = None) -> Request[list[StoreTarget]]:
    """All the servers of a group that one may upload to."""
    if group is None:
        return _request(Command.QUERY_STORE_ALL, b"", _parse_stores)
    return _request(Command.QUERY_STORE_IN_GROUP_ALL, _group(group), _parse_stores)


def query_fetch(name: Name) -> Request[Server]:
    """A server that has the file, if it exists."""
    return _query(Command.QUERY_FETCH, name)


def query_update(name: Name) -> Request[Server]:
    """The server that may change the file: its source, while that is up."""
    return _query(Command.QUERY_UPDATE, name)


def query_fetch_all(name: Name) -> Request[list[Server]]:
    """All the servers that have the file, if it exists."""
    return _request(Command.QUERY_FETCH_ALL, _full_name(name), _parse_servers)


def list_groups() -> Request[list[GroupInfo]]:
    """All groups."""
    return _request(Command.LIST_GROUPS, b"", _parse_groups)


def list_storages(group: str, server_id: str = "") -> Request[list[StorageInfo]]:
    """The storage servers of a group, or one of them by its id or address."""
    return _request(Command.LIST_STORAGES, _group(group) + _ascii(server_id, 15), _parse_storages)


# ---- to either


def active_test() -> Request[None]:
    """Nothing but whether it answers."""
    return _request(Command.ACTIVE_TEST, b"", _parse_nothing, {0})


def quit_connection() -> bytes:
    """The packet that says good-bye; there is no reply to it."""
    return HEADER.pack(0, Command.QUIT, 0)


# ---- to a storage server


def upload(size: int, extension: str = "", *, path_index: int = ANY_PATH, appender: bool = False) -> Request[Name]:
    """A new file of `size` bytes, which follow; with `appender` one that can be changed."""
    command = Command.UPLOAD_APPENDER if appender else Command.UPLOAD
    return _with_content(
        command, _fields(">BQ6s", path_index, size, _extension(extension)), size, _parse_name, _NAME_LENGTHS
    )


def upload_slave(master: Name, size: int, prefix: str, extension: str = "") -> Request[Name]:
    """A file that belongs to another one, named after it: master + prefix + extension."""
    if not _PREFIX.fullmatch(prefix):
        raise InvalidArgumentException(
            f"the prefix of a slave is 1 to 16 of A-Z, a-z, 0-9, '.', '_', '-', not {prefix!r}"
        )
    path = master.path.encode("ascii")
    fields = _fields(">QQ16s6s", len(path), size, prefix.encode("ascii"), _extension(extension))
    return _with_content(Command.UPLOAD_SLAVE, fields + path, size, _parse_name, _NAME_LENGTHS)


def append(name: Name, size: int) -> Request[None]:
    """Add the `size` bytes that follow to an appender."""
    path = name.path.encode("ascii")
    return _with_content(Command.APPEND, _fields(">QQ", len(path), size) + path, size, _parse_nothing, {0})


def modify(name: Name, offset: int, size: int) -> Request[None]:
    """Replace bytes of an appender by the `size` bytes that follow."""
    path = name.path.encode("ascii")
    fields = _fields(">QQQ", len(path), offset, size)
    return _with_content(Command.MODIFY, fields + path, size, _parse_nothing, {0})


def truncate(name: Name, size: int) -> Request[None]:
    """Cut an appender down to `size` bytes."""
    path = name.path.encode("ascii")
    return _request(Command.TRUNCATE, _fields(">QQ", len(path), size) + path, _parse_nothing, {0})


def regenerate(name: Name) -> Request[Name]:
    """Make an appender a normal file, with a new id."""
    return _request(Command.REGENERATE, name.path.encode("ascii"), _parse_name, _NAME_LENGTHS)


def delete(name: Name) -> Request[None]:
    """Remove a file and its metadata."""
    return _request(Command.DELETE, _full_name(name), _parse_nothing, {0})


def download(name: Name, offset: int = 0, count: int = 0) -> Request[bytes]:
    """Bytes from `offset` on: `count` of them at the most, 0 for all."""
    fields = _fields(">QQ", *(min(number, _LARGEST_NUMBER) for number in (offset, count)))
    return Request(Command.DOWNLOAD, _packet(Command.DOWNLOAD, fields + _full_name(name)), bytes, None)


def query_file_info(name: Name) -> Request[FileInfo]:
    """Size, time and checksum."""
    lengths = {_INFO.size + size + 1 for size in (_IPV4_SIZE, _IPV6_SIZE)}
    return _request(Command.QUERY_FILE_INFO, _full_name(name), _parse_info, lengths)


def get_metadata(name: Name) -> Request[dict[str, str]]:
    """The metadata; a file without any is refused as if it were missing."""
    return _request(Command.GET_METADATA, _full_name(name), _parse_metadata)


def set_metadata(name: Name, metadata: Mapping[str, str], *, mode: Literal["replace", "merge"]) -> Request[None]:
    """Replace the metadata, by nothing too, or merge some into it.

    Raises:
        InvalidArgumentException: FastDFS would cut or mix it up: keys of more than 64 bytes, values of more than 256,
            control characters that it cuts them at, more than 256 KB in all.
    """
    path = name.path.encode("ascii")
    encoded = encode_metadata(metadata)
    flag = b"O" if mode == "replace" else b"M"
    fields = _fields(">QQc", len(path), len(encoded), flag) + _group(name.group)
    return _request(Command.SET_METADATA, fields + path + encoded, _parse_nothing, {0})


# ---- making packets


def _packet(command: Command, body: bytes, content_length: int = 0) -> bytes:
    return HEADER.pack(len(body) + content_length, command, 0) + body


def _request[Reply](
    command: Command,
    body: bytes,
    parse: Callable[[bytes], Reply],
    lengths: Collection[int] = range(_LONGEST_REPLY),
) -> Request[Reply]:
    return Request(command, _packet(command, body), parse, lengths)


def _with_content[Reply](
    command: Command,
    body: bytes,
    size: int,
    parse: Callable[[bytes], Reply],
    lengths: Collection[int],
) -> Request[Reply]:
    return Request(command, _packet(command, body, size), parse, lengths, size)


def _query(command: Command, name: Name) -> Request[Server]:
    lengths = {_GROUP_SIZE + size + 8 for size in (_IPV4_SIZE, _IPV6_SIZE)}
    return _request(command, _full_name(name), _parse_server, lengths)


def _fields(layout: str, *values: bytes | int) -> bytes:
    if not all(0 <= value <= _LARGEST_NUMBER for value in values if isinstance(value, int)):
        raise InvalidArgumentException("sizes and offsets in FastDFS are 0 to 2^63 - 1")
    return struct.pack(layout, *values)


def _group(group: str) -> bytes:
    if not _GROUP.fullmatch(group):
        raise InvalidArgumentException(f"a group is named by 1 to 16 letters and digits, not {group!r:.40}")
    return group.encode("ascii").ljust(_GROUP_SIZE, b"\0")


def _full_name(name: Name) -> bytes:
    return _group(name.group) + name.path.encode("ascii")


def _ascii(text: str, longest: int) -> bytes:
    if not text.isascii() or len(text) > longest:
        raise InvalidArgumentException(f"{text!a:.60} is more than {longest} ASCII characters")
    return text.encode("ascii")


def _extension(extension: str) -> bytes:
    if extension and not FREE_EXTENSION.fullmatch(extension):
        raise InvalidArgumentException(f"{extension!r:.40} is no extension that FastDFS keeps")
    return extension.encode("ascii")


def encode_metadata(metadata: Mapping[str, str]) -> bytes:
    """Metadata as it is sent: records divided by 1, keys from values by 2.

    Raises:
        InvalidArgumentException: FastDFS would cut or mix it up.
    """
    records = []
    for key, value in metadata.items():
        pair = [part.encode("utf-8", "surrogatepass") for part in (key, value)]
        is_kept = len(pair[0]) <= 64 and len(pair[1]) <= 256
        if not is_kept or _NOT_IN_METADATA.search(key) or _NOT_IN_METADATA.search(value):
            raise InvalidArgumentException(
                f"metadata of FastDFS: keys of up to 64, values of up to 256 bytes in UTF-8, unlike {key!a:.60}"
            )
        records.append(b"\2".join(pair))
    encoded = b"\1".join(records)
    if len(encoded) > _LONGEST_METADATA:
        raise InvalidArgumentException(f"metadata of {len(encoded)} bytes; FastDFS takes {_LONGEST_METADATA}")
    return encoded


# ---- parsing bodies

_INFO = struct.Struct(">QQq")


def _parse_nothing(_body: bytes) -> None:
    return None


def _parse_name(body: bytes) -> Name:
    path = _text(body[_GROUP_SIZE:])
    try:
        return Name.parse(f"{_text(body[:_GROUP_SIZE])}/{path}")
    except InvalidArgumentException as error:
        raise ProtocolError(f"the reply holds no file id ({error.file_id!a:.200})") from None


def _parse_info(body: bytes) -> FileInfo:
    size, created_at, crc32 = _INFO.unpack_from(body)
    # the checksum is a C int that was widened: bytes above it are its sign
    return FileInfo(size, created_at, crc32 & 0xFFFF_FFFF, _text(body[_INFO.size :]))


def _parse_metadata(body: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    for record in body.split(b"\1"):
        key, separator, value = record.partition(b"\2")
        if separator:
            found[key.decode("utf-8", "replace")] = value.decode("utf-8", "replace")
    return found


def _parse_store(body: bytes) -> StoreTarget:
    return StoreTarget(_group_of(body), _server(body[_GROUP_SIZE:-1]), body[-1])


def _parse_server(body: bytes) -> Server:
    _group_of(body)
    return _server(body[_GROUP_SIZE:])


def _parse_stores(body: bytes) -> list[StoreTarget]:
    group = _group_of(body)
    path_index = body[-1]
    servers = _first_that_fits(body[_GROUP_SIZE:-1], _pairs)
    return [StoreTarget(group, server, path_index) for server in servers]


def _parse_servers(body: bytes) -> list[Server]:
    _group_of(body)
    # 6.16 gives each server's port, earlier ones give that of the first for all
    return _first_that_fits(body[_GROUP_SIZE:], _pairs, _one_port)


def _first_that_fits(fields: bytes, *layouts: Callable[[bytes, int], Iterator[Server]]) -> list[Server]:
    """The servers, by the layout and size of addresses in which all of them make sense."""
    for layout in layouts:
        for size in (_IPV4_SIZE, _IPV6_SIZE):
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


@lru_cache(256)  # every reply names one of few servers
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
    group = _text(body[:_GROUP_SIZE])
    if not _GROUP.fullmatch(group) or len(body) <= _GROUP_SIZE:
        raise ProtocolError(f"the reply names the group {group!a:.40}")
    return group


def _text(field: bytes) -> str:
    """A text of fixed size: up to its first NUL."""
    try:
        return field.partition(b"\0")[0].decode("ascii")
    except UnicodeDecodeError:
        raise ProtocolError(f"the reply holds {field[:40]!r} where a name should be") from None


# ---- parsing statistics

_GROUP_RECORD_SIZES = (113, 105)  # from 6.13.1 on, which added reserved_mb; before
_ACTIVE = 7  # FDFS_STORAGE_STATUS_ACTIVE


class _StorageLayout(NamedTuple):
    """Where the fields of a storage server's record are."""

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


def _parse_groups(body: bytes) -> list[GroupInfo]:
    for size in _GROUP_RECORD_SIZES:
        if len(body) % size == 0:
            return [_group_info(record, has_reserved=size == 113) for record in _records(body, size)]
    raise ProtocolError(f"{len(body)} bytes are no list of groups")


def _group_info(record: bytes, *, has_reserved: bool) -> GroupInfo:
    numbers = struct.unpack(f">{(len(record) - 17) // 8}Q", record[17:])
    count_at = 4 if has_reserved else 3
    return GroupInfo(_text(record[:17]), numbers[0], numbers[1], numbers[count_at], numbers[count_at + 1])


def _parse_storages(body: bytes) -> list[StorageInfo]:
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
    return StorageInfo(
        id=_text(record[layout.id_at : ip_at]),
        server=Server(_text(record[ip_at : ip_at + layout.ip_size]), numbers[9 if layout.has_reserved else 8]),
        is_active=record[0] == _ACTIVE,
        version=_text(record[version_at:numbers_at]),
        total_mb=numbers[2],
        free_mb=numbers[3],
    )


def _records(body: bytes, size: int) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]
