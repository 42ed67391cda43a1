"""The storage servers of each group, as a tracker told lately; and what they say about files that one has not got."""

import asyncio
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from async_storages.backends.fastdfs.protocol import Name, Server, StorageInfo, list_storages
from async_storages.backends.fastdfs.statuses import ENOENT, Refusal
from async_storages.backends.fastdfs.trackers import Trackers
from async_storages.errors import StorageException, StorageOperationException, StorageUnavailableException
from async_storages.fastdfs_ids import FastDFSDetails, FileKind

__all__ = ["Directory"]

_MEGABYTE = 1 << 20
_FRESH = 10.0  # seconds; trackers themselves hear of space once a minute


@dataclass(slots=True)
class _Listing:
    """What a tracker told of a group.

    Attributes:
        storages: Its servers.
        asked_at: When, by the loop's clock.
        loop: The loop.
        sent: Bytes that were sent to each server since then.
    """

    storages: list[StorageInfo]
    asked_at: float
    loop: asyncio.AbstractEventLoop
    sent: dict[Server, int] = field(default_factory=dict)


class Directory:
    """Knows the servers of a cluster.

    Args:
        trackers: They are asked.
    """

    def __init__(self, trackers: Trackers) -> None:
        self._trackers = trackers
        self._listings: dict[str, _Listing] = {}
        self._unknown_until: dict[str, float] = {}

    async def others(self, name: Name, asked: Server) -> list[Server]:
        """The servers that are to be asked, too, after one has said that it has no such file.

        A replica may not have its copy yet: only the server that a file was uploaded to knows that there is none. A
        slave may be on any, if its master's server was down; so may be a file whose server has left the cluster.

        Raises:
            StorageUnavailableException: The server that the file was uploaded to is down.
        """
        details = FastDFSDetails.parse(str(name))
        source = details.source if details is not None else None
        is_slave = details is not None and details.kind is FileKind.SLAVE
        if isinstance(source, IPv4Address) and str(source) == asked.host and not is_slave:
            return []
        storages = [storage for storage in (await self._listing(name.group)).storages if storage.is_member]
        others = [storage.server for storage in storages if storage.is_active and storage.server != asked]
        origin = next((one for one in storages if str(source) in {one.id, one.server.host}), None)
        if origin is None:
            _require_all(storages)
            return others
        if not origin.is_active:
            raise StorageUnavailableException(
                f"{asked} has no such file, and the server it was uploaded to, {origin.server}, is down: it may have it"
            )
        if is_slave:
            return others
        return [] if origin.server == asked else [origin.server]

    async def require_space(self, group: str, server: Server, size: int) -> None:
        """Refuse an upload that does not fit, before it is sent: see the documentation on full disks.

        Raises:
            StorageOperationException: By what a tracker said in the last seconds there is not so much space.
        """
        now = asyncio.get_running_loop().time()
        if now < self._unknown_until.get(group, 0.0) <= now + _FRESH:
            return
        try:
            listing = await self._listing(group)
        except StorageException:  # nobody knows: the upload itself will show
            self._unknown_until[group] = now + _FRESH
            return
        storage = next((one for one in listing.storages if one.server == server), None)
        if storage is None:
            return
        sent = listing.sent.get(server, 0)
        free = (storage.free_mb - storage.reserved_mb) * _MEGABYTE - sent
        if size > free:
            raise StorageOperationException(
                f"no space is left on the storage server {server}: {size} bytes, and {max(free, 0)} are free"
            )
        listing.sent[server] = sent + size

    async def _listing(self, group: str) -> _Listing:
        loop = asyncio.get_running_loop()
        known = self._listings.get(group)
        if known is None or known.loop is not loop or loop.time() - known.asked_at > _FRESH:
            try:
                storages = await self._trackers.ask(list_storages(group))
            except Refusal as refusal:
                if refusal.status == ENOENT:
                    raise StorageUnavailableException(f"the trackers know no servers of {group}") from None
                raise refusal.error() from None
            known = self._listings[group] = _Listing(storages, loop.time(), loop)
        return known


def _require_all(storages: list[StorageInfo]) -> None:
    down = [str(storage.server) for storage in storages if not storage.is_active]
    if down:
        raise StorageUnavailableException(
            f"the server that the file was uploaded to is none of those that are up, and {', '.join(down)} is down"
        )
