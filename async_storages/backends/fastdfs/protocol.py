"""FastDFS's requests, without I/O: the bytes to send, and the parser of the reply.

A packet is a header of 10 bytes (length of the body, command, status) and the body. Numbers are big-endian. Each
function makes one `Request`. The replies are in `replies`. Checked against FastDFS 6.16.
"""

import re
import struct
from collections.abc import Callable, Collection, Mapping
from enum import IntEnum
from typing import Literal, NamedTuple

from async_storages.backends.fastdfs.replies import (
    ADDRESS_SIZES,
    GROUP,
    GROUP_SIZE,
    HEADER,
    INFO,
    FileInfo,
    GroupInfo,
    Name,
    ReplyParser,
    Server,
    StorageInfo,
    StoreTarget,
    parse_groups,
    parse_info,
    parse_metadata,
    parse_name,
    parse_nothing,
    parse_server,
    parse_servers,
    parse_storages,
    parse_store,
    parse_stores,
)
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

ANY_PATH = 0xFF
"""The store path index with which the storage server chooses."""

FREE_EXTENSION = re.compile(r"[A-Za-z0-9._-]{1,6}")
"""The extensions that FastDFS keeps."""

_LONGEST_REPLY = 1 << 20  # bytes of a reply that is not a file
_LONGEST_METADATA = 256 * 1024 - 171  # bytes: less than the server's buff_size, with all that comes before it
_LARGEST_NUMBER = (1 << 63) - 1
_NOT_IN_METADATA = re.compile(
    r"[\0-\2\ud800-\udfff]"
)  # FastDFS ends texts at the first, and separates by the other two
_UPLOAD = struct.Struct(HEADER.format + "BQ6s")
_NAME_LENGTHS = range(GROUP_SIZE + 22, GROUP_SIZE + 128)
_NO_LENGTH = frozenset({0})
_STORE_LENGTHS = frozenset(GROUP_SIZE + size + 9 for size in ADDRESS_SIZES)
_SERVER_LENGTHS = frozenset(GROUP_SIZE + size + 8 for size in ADDRESS_SIZES)
_INFO_LENGTHS = frozenset(INFO.size + size + 1 for size in ADDRESS_SIZES)
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


class Request[Reply](NamedTuple):
    """One request.

    Attributes:
        command: The command.
        head: The header, and the body without the file's content.
        parse: Returns the result of the reply's body. Raises ProtocolError.
        lengths: The allowed lengths of the reply's body, in bytes. None for a file's content.
        content_length: The number of bytes of content that follow `head`.
    """

    command: Command
    head: bytes
    parse: Callable[[bytes], Reply]
    lengths: Collection[int] | None
    content_length: int = 0


# ---- to a tracker


def query_store(group: str | None = None) -> Request[StoreTarget]:
    """Request a server for an upload, in any group or in one."""
    if group is None:
        return _request(Command.QUERY_STORE, b"", parse_store, _STORE_LENGTHS)
    return _request(Command.QUERY_STORE_IN_GROUP, _group(group), parse_store, _STORE_LENGTHS)


def query_store_all(group: str | None = None) -> Request[list[StoreTarget]]:
    """Request all servers of a group for uploads."""
    if group is None:
        return _request(Command.QUERY_STORE_ALL, b"", parse_stores)
    return _request(Command.QUERY_STORE_IN_GROUP_ALL, _group(group), parse_stores)


def query_fetch(name: Name) -> Request[Server]:
    """Request a server that has the file, if it exists."""
    return _query(Command.QUERY_FETCH, name)


def query_update(name: Name) -> Request[Server]:
    """Request the server that may change the file: its source, while that is up."""
    return _query(Command.QUERY_UPDATE, name)


def query_fetch_all(name: Name) -> Request[list[Server]]:
    """Request all servers that have the file, if it exists."""
    return _request(Command.QUERY_FETCH_ALL, _full_name(name), parse_servers)


def list_groups() -> Request[list[GroupInfo]]:
    """Request all groups."""
    return _request(Command.LIST_GROUPS, b"", parse_groups)


def list_storages(group: str, server_id: str = "") -> Request[list[StorageInfo]]:
    """Request the storage servers of a group, or one of them by its id or address."""
    return _request(Command.LIST_STORAGES, _group(group) + _ascii(server_id, 15), parse_storages)


# ---- to either


def active_test() -> Request[None]:
    """Request an answer, to check that the server is alive."""
    return _request(Command.ACTIVE_TEST, b"", parse_nothing, _NO_LENGTH)


def quit_connection() -> bytes:
    """End a connection. This packet has no reply."""
    return HEADER.pack(0, Command.QUIT, 0)


# ---- to a storage server


def upload(size: int, extension: str = "", *, path_index: int = ANY_PATH, appender: bool = False) -> Request[Name]:
    """Upload a new file of `size` bytes, which follow. With `appender` the file can be changed later."""
    command = Command.UPLOAD_APPENDER if appender else Command.UPLOAD
    _check_number(size)
    head = _UPLOAD.pack(_UPLOAD.size - HEADER.size + size, command, 0, path_index, size, _extension(extension))
    return Request(command, head, parse_name, _NAME_LENGTHS, size)


def upload_slave(master: Name, size: int, prefix: str, extension: str = "") -> Request[Name]:
    """Upload a file that belongs to another one. Its name is master + prefix + extension."""
    if not _PREFIX.fullmatch(prefix):
        raise InvalidArgumentException(
            f"the prefix of a slave is 1 to 16 of A-Z, a-z, 0-9, '.', '_', '-', not {prefix!r}"
        )
    path = master.path.encode("ascii")
    fields = _fields(">QQ16s6s", len(path), size, prefix.encode("ascii"), _extension(extension))
    return _with_content(Command.UPLOAD_SLAVE, fields + path, size, parse_name, _NAME_LENGTHS)


def append(name: Name, size: int) -> Request[None]:
    """Append the `size` bytes that follow to an appender."""
    path = name.path.encode("ascii")
    fields = _fields(">QQ", len(path), size) + path
    return _with_content(Command.APPEND, fields, size, parse_nothing, _nothing_to_do(fields, size))


def modify(name: Name, offset: int, size: int) -> Request[None]:
    """Replace bytes of an appender by the `size` bytes that follow."""
    path = name.path.encode("ascii")
    fields = _fields(">QQQ", len(path), offset, size) + path
    return _with_content(Command.MODIFY, fields, size, parse_nothing, _nothing_to_do(fields, size))


def truncate(name: Name, size: int) -> Request[None]:
    """Truncate an appender to `size` bytes, or extend it with zeros."""
    path = name.path.encode("ascii")
    fields = _fields(">QQ", len(path), size) + path
    return _request(Command.TRUNCATE, fields, parse_nothing, _nothing_to_do(fields))


def regenerate(name: Name) -> Request[Name]:
    """Make an appender a normal file, with a new id."""
    return _request(Command.REGENERATE, name.path.encode("ascii"), parse_name, _NAME_LENGTHS)


def delete(name: Name) -> Request[None]:
    """Delete a file and its metadata."""
    return _request(Command.DELETE, _full_name(name), parse_nothing, _NO_LENGTH)


def download(name: Name, offset: int = 0, count: int = 0) -> Request[bytes]:
    """Request the bytes from `offset` on: at most `count`, 0 for all."""
    fields = _fields(">QQ", min(offset, _LARGEST_NUMBER), min(count, _LARGEST_NUMBER))
    return Request(Command.DOWNLOAD, _packet(Command.DOWNLOAD, fields + _full_name(name)), bytes, None)


def query_file_info(name: Name) -> Request[FileInfo]:
    """Request size, time and checksum."""
    return _request(Command.QUERY_FILE_INFO, _full_name(name), parse_info, _INFO_LENGTHS)


def get_metadata(name: Name) -> Request[dict[str, str]]:
    """Request the metadata. Servers refuse a file without metadata as if it were missing."""
    return _request(Command.GET_METADATA, _full_name(name), parse_metadata)


def get_raw_metadata(name: Name) -> Request[bytes]:
    """Request the metadata without parsing it: see `get_metadata`."""
    return _request(Command.GET_METADATA, _full_name(name), bytes)


def set_metadata(name: Name, metadata: Mapping[str, str], *, mode: Literal["replace", "merge"]) -> Request[None]:
    """Replace the metadata, or merge pairs into it. With ``"replace"`` an empty mapping removes all of it.

    Raises:
        InvalidArgumentException: FastDFS would truncate or misread it: keys of more than 64 bytes, values of more than
            256 bytes, control characters that separate records, or more than 256 KB in all.
    """
    path = name.path.encode("ascii")
    encoded = encode_metadata(metadata)
    flag = b"O" if mode == "replace" else b"M"
    fields = _fields(">QQc", len(path), len(encoded), flag) + _group(name.group)
    return _request(Command.SET_METADATA, fields + path + encoded, parse_nothing, _NO_LENGTH)


# ---- packets


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


def _nothing_to_do(fields: bytes, size: int = 0) -> Collection[int]:
    """Return the lengths of the answer. If nothing changes, real servers send a body as long as the request's."""
    return _NO_LENGTH if size else {0, len(fields)}


def _query(command: Command, name: Name) -> Request[Server]:
    return _request(command, _full_name(name), parse_server, _SERVER_LENGTHS)


def _fields(layout: str, *values: bytes | int) -> bytes:
    for value in values:
        if isinstance(value, int):
            _check_number(value)
    return struct.pack(layout, *values)


def _check_number(number: int) -> None:
    if not 0 <= number <= _LARGEST_NUMBER:
        raise InvalidArgumentException("sizes and offsets in FastDFS are 0 to 2^63 - 1")


def _group(group: str) -> bytes:
    if not GROUP.fullmatch(group):
        raise InvalidArgumentException(f"a group is named by 1 to 16 letters and digits, not {group!r:.40}")
    return group.encode("ascii").ljust(GROUP_SIZE, b"\0")


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
    """Return metadata in the form of the protocol: byte 1 separates records, byte 2 keys from values.

    Raises:
        InvalidArgumentException: FastDFS would truncate or misread it.
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
