"""A throttle: it limits the files and the bytes per second."""

import asyncio

from async_storages.errors import InvalidArgumentException

__all__ = ["Throttle"]


class Throttle:
    """The limit of the speed that all movers of one process share.

    Args:
        files: Files per second, above 0. None is no limit.
        bytes_: Bytes per second, above 0. None is no limit.

    Raises:
        InvalidArgumentException: A limit is not above 0.
    """

    def __init__(self, files: float | None = None, bytes_: float | None = None) -> None:
        if min(files or 1, bytes_ or 1) <= 0 or 0 in {files, bytes_}:
            raise InvalidArgumentException("files and bytes per second are above 0, or None", operation="migrate")
        self._speeds = {"files": files, "bytes": bytes_}
        self._free_at = dict.fromkeys(self._speeds, 0.0)

    async def take_file(self) -> None:
        """Wait until a mover may begin another file."""
        await self._take("files", 1)

    async def take_bytes(self, count: int) -> None:
        """Wait until a mover may pass on so many bytes."""
        await self._take("bytes", count)

    async def _take(self, what: str, count: int) -> None:
        speed = self._speeds[what]
        if speed is None:
            return
        now = asyncio.get_running_loop().time()
        begins = max(now, self._free_at[what])
        self._free_at[what] = begins + count / speed
        if begins > now:
            await asyncio.sleep(begins - now)
