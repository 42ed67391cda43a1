"""Servers for new and for stored files, from recent or new answers of trackers."""

import math

from async_storages.backends.fastdfs.answer_cache import AnswerCache
from async_storages.backends.fastdfs.protocol import Name, Server, StoreTarget
from async_storages.backends.fastdfs.trackers import Trackers
from async_storages.fastdfs_ids import FastDFSDetails, FileKind

__all__ = ["ServerLookup"]


class ServerLookup:
    """Finds servers for requests. An outdated answer costs one more attempt, or a request to another server.

    Trackers notice a dead server only after a minute or two, so a cached answer adds little delay.

    Args:
        trackers: The trackers.
        seconds: See `FastDFSOptions.answers_kept_for`.
    """

    def __init__(self, trackers: Trackers, seconds: float) -> None:
        self._trackers = trackers
        self._targets = AnswerCache[StoreTarget](seconds)
        self._readers = AnswerCache[Server](seconds)

    async def store_target(self, group: str | None, *, avoiding: set[Server]) -> StoreTarget:
        """See `Trackers.store_target`."""
        if avoiding:
            return await self._trackers.store_target(group, avoiding=avoiding)
        target = self._targets.recall(group)
        if target is None:
            target = await self._trackers.store_target(group, avoiding=avoiding)
            self._targets.keep(group, target)
        return target

    async def reader_of(self, name: Name, *, avoiding: set[Server]) -> Server:
        """See `Trackers.reader_of`.

        If a server has one file, it has all earlier files of the same source server, as copies are made in that order.
        Trackers use this rule too.
        """
        details = None if avoiding else FastDFSDetails.parse(str(name))
        if details is None or details.kind is FileKind.SLAVE:  # whose time is its master's
            return await self._trackers.reader_of(name, avoiding=avoiding)
        subject, made_at = (name.group, details.source), details.created_at.timestamp()
        server = self._readers.recall(subject, made_at)
        if server is None:
            server = await self._trackers.reader_of(name, avoiding=avoiding)
            self._readers.keep(subject, server, math.inf if str(details.source) == server.host else made_at)
        return server

    def forget(self) -> None:
        """Forget the answers, and ask the trackers again."""
        self._targets.forget()
        self._readers.forget()
