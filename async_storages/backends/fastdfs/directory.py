"""The storage servers of each group, from a tracker's recent listing, and the servers that may have a file."""

import asyncio
from ipaddress import IPv4Address

from async_storages.backends.fastdfs.protocol import Name, Server, StorageInfo, list_storages
from async_storages.backends.fastdfs.statuses import ENOENT, Refusal
from async_storages.backends.fastdfs.trackers import Trackers
from async_storages.errors import StorageException, StorageOperationException, StorageUnavailableException
from async_storages.fastdfs_ids import FastDFSDetails, FileKind

__all__ = ["Directory"]

_MEGABYTE = 1 << 20
_FRESH = 10.0  # seconds; trackers learn of space once a minute


class _Listing:
    """A tracker's listing of a group.

    Args:
        storages: Its servers.
        asked_at: The time of the listing, by the event loop's clock.
        loop: The loop.

    Attributes:
        free: The free bytes of each server for uploads, less the bytes sent to it since the listing.
    """

    def __init__(self, storages: list[StorageInfo], asked_at: float, loop: asyncio.AbstractEventLoop) -> None:
        self.storages = storages
        self.free = {one.server: (one.free_mb - one.reserved_mb) * _MEGABYTE for one in storages}
        self._asked_at = asked_at
        self._loop = loop

    def is_fresh(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Return True if the listing is recent and was made in this event loop."""
        return self._loop is loop and loop.time() - self._asked_at <= _FRESH


class Directory:
    """The storage servers of a cluster.

    Args:
        trackers: The trackers that list them.
    """

    def __init__(self, trackers: Trackers) -> None:
        self._trackers = trackers
        self._listings: dict[str, _Listing] = {}
        self._unknown: dict[str, _Listing] = {}

    async def others(self, name: Name, asked: Server) -> list[Server]:
        """Return the further servers to ask, after one has reported a file as missing.

        A replica may not have its copy yet. Only the server that received the upload knows if the file is missing. A
        slave may be on any server if the server of its master was down. A file may also be on any server if its own
        server has left the cluster.

        Raises:
            StorageUnavailableException: The server that received the upload is down.
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
            StorageOperationException: The last listing has less free space.
        """
        listing = self._fresh(group)
        if listing is None:
            listing = await self._listing_for_space(group)
        free = listing.free.get(server)
        if free is None:
            return
        if size > free:
            raise StorageOperationException(
                f"no space is left on the storage server {server}: {size} bytes, and {max(free, 0)} are free"
            )
        listing.free[server] = free - size

    async def _listing_for_space(self, group: str) -> _Listing:
        """Return the same as `_listing`. Empty for a while if no tracker answers, as the upload itself fails then."""
        loop = asyncio.get_running_loop()
        unknown = self._unknown.get(group)
        if unknown is not None and unknown.is_fresh(loop):
            return unknown
        try:
            return await self._listing(group)
        except StorageException:
            unknown = self._unknown[group] = _Listing([], loop.time(), loop)
            return unknown

    def _fresh(self, group: str) -> _Listing | None:
        """Return the last listing, if it is fresh."""
        known = self._listings.get(group)
        return known if known is not None and known.is_fresh(asyncio.get_running_loop()) else None

    async def _listing(self, group: str) -> _Listing:
        known = self._fresh(group)
        if known is None:
            try:
                storages = await self._trackers.ask(list_storages(group))
            except Refusal as refusal:
                if refusal.status == ENOENT:
                    raise StorageUnavailableException(f"the trackers know no servers of {group}") from None
                raise refusal.error() from None
            loop = asyncio.get_running_loop()
            known = self._listings[group] = _Listing(storages, loop.time(), loop)
        return known


def _require_all(storages: list[StorageInfo]) -> None:
    down = [str(storage.server) for storage in storages if not storage.is_active]
    if down:
        raise StorageUnavailableException(
            f"the server that the file was uploaded to is none of those that are up, and {', '.join(down)} is down"
        )
