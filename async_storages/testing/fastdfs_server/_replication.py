"""Replicas: copy the changes of one storage server of a group to the others, later and in order."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from enum import Enum

from async_storages.testing.fastdfs_server._disk import Disk
from async_storages.testing.fastdfs_server._names import LogicName

__all__ = ["Change", "Replication"]


class Change(Enum):
    """A change of a file. Its copies get the same change."""

    CONTENT = "content"
    METADATA = "metadata"
    REMOVAL = "removal"


class Replication:
    """Copies changes of the storage servers of one group.

    Args:
        disks: The disk of each server.
        delay: Seconds from a change to its copies.
        is_up: Returns True if the server with this number runs. Only running servers copy.
    """

    def __init__(self, disks: Sequence[Disk], delay: float, is_up: Callable[[int], bool]) -> None:
        self._disks = disks
        self._delay = delay
        self._is_up = is_up
        self._waiting = {
            (source, target): deque[tuple[float, Change, LogicName]]()
            for source in range(len(disks))
            for target in range(len(disks))
            if source != target
        }
        self._changed = asyncio.Event()
        self._copying = asyncio.Lock()

    def note(self, source: int, change: Change, name: LogicName) -> None:
        """Note that a server has changed a file."""
        due = asyncio.get_running_loop().time() + self._delay
        for (changed, _), waiting in self._waiting.items():
            if changed == source:
                waiting.append((due, change, name))
        self._changed.set()

    def wake(self) -> None:
        """Look for changes again, because a server has come back."""
        self._changed.set()

    async def copy_all(self) -> None:
        """Copy all waiting changes between running servers, due or not."""
        await self._copy(until=float("inf"))

    async def _copy(self, *, until: float) -> None:
        async with self._copying:
            for (source, target), waiting in self._waiting.items():
                while waiting and waiting[0][0] <= until and self._is_up(source) and self._is_up(target):
                    _, change, name = waiting[0]
                    await self._apply(self._disks[source], self._disks[target], change, name)
                    waiting.popleft()

    async def _apply(self, source: Disk, target: Disk, change: Change, name: LogicName) -> None:
        if change is Change.REMOVAL:
            await target.run(target.forget, name)
        elif change is Change.CONTENT:
            await target.run(target.copy_content, source, name)
        else:
            await target.run(target.copy_metadata, source, name)

    async def start(self, opened: AsyncExitStack) -> None:
        """Copy changes until the stack is closed."""
        task = asyncio.get_running_loop().create_task(self._run())

        @opened.push_async_callback
        async def _end() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._changed.clear()
            await self._copy(until=loop.time())
            dues = [waiting[0][0] for pair, waiting in self._waiting.items() if waiting and all(map(self._is_up, pair))]
            try:
                async with asyncio.timeout_at(min(dues, default=None)):
                    await self._changed.wait()
            except TimeoutError:
                continue
