"""A tracker: which storage server to go to (tracker/tracker_service.c)."""

import errno
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from async_storages.testing.fastdfs_server._port import COMMON, Handler
from async_storages.testing.fastdfs_server._wire import EINVAL, Refusal, Request, padded, text

__all__ = ["Group", "TrackerCommands"]

_MEGABYTES = 1 << 20  # of every disk, all free
_PORT = 23000
_ACTIVE = 7
_COUNTERS = bytes(3 * 4 + 42 * 8)


@dataclass(frozen=True, slots=True)
class Group:
    """A group as its trackers know it.

    Attributes:
        name: At most 16 characters.
        storages: The addresses of its storage servers, ``host:port``.
        paths: How many store paths each has.
    """

    name: str
    storages: Sequence[str]
    paths: int
    turn: "count[int]" = field(default_factory=count)


class TrackerCommands:
    """The commands of a tracker.

    Args:
        groups: All groups, by name.
        advertised: The address to name instead of another.
        address_size: Bytes of an address in an answer, without the NUL that ends it.
    """

    def __init__(self, groups: Mapping[str, Group], advertised: Mapping[str, str], address_size: int) -> None:
        self._groups = groups
        self._advertised = advertised
        self._address_size = address_size
        self._turn = count()

    @property
    def handlers(self) -> dict[int, Handler]:
        """What answers each command."""
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
        answer_all = request.command in {106, 107}
        addresses = group.storages if answer_all else [group.storages[turn % len(group.storages)]]
        return padded(group.name, 16) + self._places(addresses) + bytes([turn % group.paths])

    async def _query_file(self, request: Request) -> bytes:
        body = await request.rest()
        if not 22 <= len(body) - 16 < 128:
            raise Refusal(EINVAL)
        group = self._group(body[:16])
        turn = next(group.turn)
        addresses = group.storages if request.command == 105 else [group.storages[turn % len(group.storages)]]
        return padded(group.name, 16) + self._places(addresses)

    async def _list_groups(self, request: Request) -> bytes:
        one = request.command == 90
        body = await _body(request, 16 if one else 0)
        groups = [self._group(body)] if one else self._groups.values()
        return b"".join(map(_group_stat, groups))

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
        numbers = (0, 0, _MEGABYTES, _MEGABYTES, 0, 10, group.paths, 256, 0, port)
        fields = (padded(host, 16)[:16], padded(host, self._address_size + 1), b"", b"6.16.1", *numbers)
        return struct.pack(f">BB16s{self._address_size + 1}s16s8s10Q", _ACTIVE, 0, *fields) + _COUNTERS + b"\0"

    def _group(self, raw: bytes) -> Group:
        try:
            return self._groups[text(raw)]
        except KeyError:
            raise Refusal(errno.ENOENT) from None

    def _places(self, addresses: Sequence[str]) -> bytes:
        named = (_split(self._advertised.get(address, address)) for address in addresses)
        return b"".join(padded(host, self._address_size) + struct.pack(">Q", port) for host, port in named)


def _group_stat(group: Group) -> bytes:
    servers = len(group.storages)
    port = _split(group.storages[0])[1]
    numbers = (_MEGABYTES, _MEGABYTES, 0, 0, servers, port, servers, servers, 0, group.paths, 256, 0)
    return padded(group.name, 17) + struct.pack(">12Q", *numbers)


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


async def _body(request: Request, length: int) -> bytes:
    if request.length != length:
        raise Refusal(EINVAL)
    return await request.rest()
