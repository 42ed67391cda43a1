"""A tracker: tells clients which storage server to use (tracker/tracker_service.c)."""

import errno
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from async_storages.testing.fastdfs_server._names import LogicName
from async_storages.testing.fastdfs_server._port import COMMON, Handler
from async_storages.testing.fastdfs_server._versions import Version
from async_storages.testing.fastdfs_server._wire import EINVAL, Refusal, Request, padded, text

__all__ = ["Group", "TrackerCommands"]

_MEGABYTES = 1 << 20  # the disk of every server, all free
_ACTIVE, _OFFLINE = 7, 6
_IPV4 = 15
_WITH_RESERVED = 113
_RECORDS = {
    487: (16, 8, False, True),
    517: (46, 8, False, True),
    644: (46, 8, True, False),
    612: (16, 6, True, False),
}
"""By the size of a storage server's record: bytes of the address and of the version, the presence of a domain name, and
the reserved bytes.
"""


@dataclass(frozen=True, slots=True)
class Group:
    """A group as its trackers know it.

    Attributes:
        name: The name, at most 16 characters.
        storages: The addresses of its storage servers, ``host:port``.
        paths: The number of store paths of each.
        sources: The addresses of its storage servers by their sources in ids.
        is_up: Returns True if the server at an address counts as active.
        free_mb: Returns the free megabytes of each.
        counted: Returns how many files were uploaded to the server at an address, and how many were deleted from it.
    """

    name: str
    storages: Sequence[str]
    paths: int
    sources: Mapping[bytes, str]
    is_up: Callable[[str], bool]
    free_mb: Callable[[], int]
    counted: Callable[[str], tuple[int, int]]
    turn: "count[int]" = field(default_factory=count)


class TrackerCommands:
    """The commands of a tracker.

    Args:
        groups: All groups, by name.
        advertised: The address to return in place of a storage server's own.
        address_size: Bytes of an address in an answer, without the final NUL.
        version: The FastDFS version to imitate.
    """

    def __init__(
        self, groups: Mapping[str, Group], advertised: Mapping[str, str], address_size: int, version: Version
    ) -> None:
        self._version = version
        self._groups = groups
        self._advertised = advertised
        self._address_size = address_size
        self._turn = count()

    @property
    def handlers(self) -> dict[int, Handler]:
        """The handler of each command."""
        return {
            **COMMON,
            90: self._list_groups,
            91: self._list_groups,
            92: self._list_storages,
            101: self._query_store,
            102: self._query_file,
            103: self._query_file,
            104: self._query_store,
            105: self._query_file,
            106: self._query_store,
            107: self._query_store,
        }

    async def _query_store(self, request: Request) -> bytes:
        in_group = request.command in {104, 107}
        body = await _body(request, 16 if in_group else 0)
        groups = list(self._groups.values())
        group = self._group(body) if in_group else groups[next(self._turn) % len(groups)]
        turn = next(group.turn)
        active = _active(group)
        addresses = active if request.command in {106, 107} else [active[turn % len(active)]]
        return padded(group.name, 16) + self._places(addresses) + bytes([turn % group.paths])

    async def _query_file(self, request: Request) -> bytes:
        body = await request.rest()
        if not 22 <= len(body) - 16 < 128:
            raise Refusal(EINVAL)
        group = self._group(body[:16])
        active = _active(group)
        if request.command == 105:
            return padded(group.name, 16) + self._all_places(active)
        chosen = active[next(group.turn) % len(active)]
        source = _source(group, body[16:]) if request.command == 103 else None
        return padded(group.name, 16) + self._places([source if source in active else chosen])

    async def _list_groups(self, request: Request) -> bytes:
        one = request.command == 90
        body = await _body(request, 16 if one else 0)
        groups = [self._group(body)] if one else self._groups.values()
        return b"".join(_group_stat(group, self._version.group_record) for group in groups)

    async def _list_storages(self, request: Request) -> bytes:
        body = await request.rest()
        if not 16 <= len(body) < 32:
            raise Refusal(EINVAL)
        wanted = text(body[16:])
        group = self._group(body[:16])
        found = [stat for address in group.storages if (stat := self._storage_stat(group, address, wanted))]
        if wanted and not found:
            raise Refusal(errno.ENOENT)
        return b"".join(found)

    def _storage_stat(self, group: Group, address: str, wanted: str) -> bytes:
        host, port = _split(self._advertised.get(address, address))
        if wanted not in {"", host}:
            return b""
        status = _ACTIVE if group.is_up(address) else _OFFLINE
        size = self._version.storage_record[self._address_size > _IPV4]
        record = _storage_record(size, status, (host, port), self._version.name, group)
        return (record + _counters(*group.counted(address))).ljust(size, b"\0")

    def _group(self, raw: bytes) -> Group:
        try:
            return self._groups[text(raw)]
        except KeyError:
            raise Refusal(errno.ENOENT) from None

    def _places(self, addresses: Sequence[str]) -> bytes:
        named = (_split(self._advertised.get(address, address)) for address in addresses)
        return b"".join(padded(host, self._address_size) + struct.pack(">Q", port) for host, port in named)

    def _all_places(self, addresses: Sequence[str]) -> bytes:
        """Return the answer to command 105. Older versions give the port of the first server for all."""
        if not self._version.has_one_port:
            return self._places(addresses)
        others = (_split(self._advertised.get(address, address))[0] for address in addresses[1:])
        return self._places(addresses[:1]) + b"".join(padded(host, self._address_size) for host in others)


def _active(group: Group) -> list[str]:
    active = [address for address in group.storages if group.is_up(address)]
    if not active:
        raise Refusal(errno.ENOENT)
    return active


def _source(group: Group, name: bytes) -> str | None:
    """Return the server that received a file first, if the name tells it."""
    try:
        return group.sources.get(LogicName.parse(name).origin.source)
    except (Refusal, ValueError, struct.error):
        return None


def _group_stat(group: Group, size: int) -> bytes:
    servers = len(group.storages)
    active = sum(map(group.is_up, group.storages))
    port = _split(group.storages[0])[1]
    reserved = (0,) if size == _WITH_RESERVED else ()
    numbers = (_MEGABYTES, group.free_mb(), *reserved, 0, servers, port, servers, active, 0, group.paths, 256, 0)
    return padded(group.name, 17) + struct.pack(f">{len(numbers)}Q", *numbers)


def _counters(uploads: int, deletes: int) -> bytes:
    """Return three counts of connections, then pairs of all and successful operations: uploads first, deletes sixth."""
    pairs = (uploads, uploads, *(0,) * 8, deletes, deletes)
    return bytes(12) + struct.pack(">12Q", *pairs)


def _storage_record(size: int, status: int, server: tuple[str, int], version: str, group: Group) -> bytes:
    """Return the beginning of a storage server's record, in the layout of that size."""
    host, port = server
    ip_size, version_size, has_domain, has_reserved = _RECORDS[size]
    head = bytes([status]) if has_domain else bytes([status, 0])
    domain = bytes(128) if has_domain else b""
    numbers = (0, 0, _MEGABYTES, group.free_mb(), *((0,) if has_reserved else ()), 10, group.paths, 256, 0, port)
    numbers += (8888,) if has_domain else ()
    texts = (padded(host, 16)[:16], padded(host, ip_size), domain, bytes(16), padded(version, version_size))
    return head + b"".join(texts) + struct.pack(f">{len(numbers)}Q", *numbers)


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


async def _body(request: Request, length: int) -> bytes:
    if request.length != length:
        raise Refusal(EINVAL)
    return await request.rest()
