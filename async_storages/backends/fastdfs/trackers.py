"""The trackers of a cluster. They name the servers of files. The client asks one after the other."""

import re
from collections.abc import Callable, Iterable, Mapping

from async_storages.backends.fastdfs.pool import Pools
from async_storages.backends.fastdfs.protocol import (
    Name,
    Request,
    Server,
    StoreTarget,
    list_groups,
    query_fetch,
    query_fetch_all,
    query_store,
    query_store_all,
    query_update,
)
from async_storages.backends.fastdfs.statuses import ENOENT, ProtocolError, Refusal
from async_storages.backends.transport.per_loop import PerLoop
from async_storages.errors import (
    InvalidArgumentException,
    RouteNotSupportedException,
    StorageException,
    StorageUnavailableException,
)

__all__ = ["Trackers", "address_mapping", "parse_servers"]

_DEFAULT_PORT = 22122
_HOST = r"\[(?P<ipv6>[0-9A-Fa-f]*:[0-9A-Fa-f:.]+)\]|(?P<host>[\w.-]+)"
_ADDRESS = re.compile(rf"(?:{_HOST})(?::(?P<port>[0-9]{{1,5}}))?", re.ASCII)


def parse_servers(addresses: Iterable[str]) -> tuple[Server, ...]:
    """Parse addresses of trackers: ``host``, ``host:port``, ``[IPv6]:port``. The default port is 22122.

    Raises:
        InvalidArgumentException: There is no address, or one is malformed.
    """
    if isinstance(addresses, str | bytes) or not isinstance(addresses, Iterable):
        raise InvalidArgumentException("the trackers are given as a list, such as ['10.0.0.1:22122']")
    found = [_address(address, "a tracker") for address in addresses]
    if not found:
        raise InvalidArgumentException("there must be a tracker")
    return tuple(dict.fromkeys(Server(host, port or _DEFAULT_PORT) for host, port in found))


def address_mapping(addresses: Mapping[str, str]) -> Callable[[Server], Server]:
    """Return a function that maps a server's address from the trackers to the address to connect to.

    Args:
        addresses: A mapping from ``host:port``, or from ``host`` for all other ports, to addresses of the same forms.
            Without a port, the port stays the same.

    Raises:
        InvalidArgumentException: An address is malformed.
    """
    if not isinstance(addresses, Mapping):
        raise InvalidArgumentException("address_map is a mapping, such as {'172.17.0.2': 'fastdfs.example.com'}")
    known = {_address(named, "a server"): _address(mapped, "a server") for named, mapped in addresses.items()}

    def mapped(server: Server) -> Server:
        host, port = known.get((server.host, server.port)) or known.get((server.host, None)) or server
        return Server(host, port or server.port)

    return mapped


def _address(address: object, of_what: str) -> tuple[str, int | None]:
    match = _ADDRESS.fullmatch(address) if isinstance(address, str) else None
    port = int(match["port"]) if match and match["port"] else None
    if match is None or (port is not None and not 0 < port < 65536):
        raise InvalidArgumentException(f"{address!a:.100} is no address of {of_what}, such as '10.0.0.1:22122'")
    return match["ipv6"] or match["host"], port


class Trackers:
    """Asks the trackers. It begins with the one that answered last.

    Args:
        servers: The addresses of the trackers.
        pools: The connections.
    """

    def __init__(self, servers: tuple[Server, ...], pools: PerLoop[Pools]) -> None:
        self._servers = servers
        self._pools = pools
        self._good = 0

    async def ask[Reply](self, request: Request[Reply]) -> Reply:
        """Return the answer of the first reachable tracker that knows it.

        Raises:
            Refusal: No tracker knows the answer.
            StorageUnavailableException: No tracker can be reached.
        """
        pools = await self._pools.get()
        refusal: Refusal | None = None
        failures: list[StorageException] = []
        for turn in range(len(self._servers)):
            number = (self._good + turn) % len(self._servers)
            try:
                async with pools.connection(self._servers[number]) as connection:
                    reply = await connection.ask(request)
            except (StorageUnavailableException, ProtocolError) as error:
                failures.append(error)
            except Refusal as error:  # a tracker that has just started knows no storage server
                refusal = refusal or error
            else:
                self._good = number
                return reply
        if refusal is not None:
            raise refusal
        raise StorageUnavailableException(f"no tracker answers: {'; '.join(error.reason for error in failures)}")

    async def store_target(self, group: str | None, *, avoiding: set[Server]) -> StoreTarget:
        """Return the server for an upload. If possible, one that did not fail before."""
        try:
            if not avoiding:
                return await self.ask(query_store(group))
            targets = await self.ask(query_store_all(group))
        except Refusal as refusal:
            raise await self._explained(refusal, group) from None
        return next((target for target in targets if target.server not in avoiding), targets[0])

    async def reader_of(self, name: Name, *, avoiding: set[Server]) -> Server:
        """Return a server that has the file, if it exists. If possible, one that did not fail before."""
        try:
            if not avoiding:
                return await self.ask(query_fetch(name))
            servers = await self.ask(query_fetch_all(name))
        except Refusal as refusal:
            raise await self._explained(refusal, name.group) from None
        return next((server for server in servers if server not in avoiding), servers[0])

    async def writer_of(self, name: Name) -> Server:
        """Return the server that may change the file."""
        try:
            return await self.ask(query_update(name))
        except Refusal as refusal:
            raise await self._explained(refusal, name.group) from None

    async def _explained(self, refusal: Refusal, group: str | None) -> StorageException:
        """Return the error of a tracker without a server. The group may be unknown, or it may be down."""
        if refusal.status != ENOENT:
            return refusal.error()
        if group is not None:
            known = await self._known_groups()
            if known and group not in known:
                return RouteNotSupportedException(f"the cluster has no group {group!r}; it has {', '.join(known)}")
        return StorageUnavailableException(f"no storage server of {group or 'any group'} is up (status {ENOENT})")

    async def _known_groups(self) -> list[str]:
        try:
            return [info.name for info in await self.ask(list_groups())]
        except Refusal:
            return []
