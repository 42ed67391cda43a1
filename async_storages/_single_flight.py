"""Work that several tasks want at the same time, and one of them does for all."""

import asyncio
from collections.abc import Awaitable, Callable
from copy import copy

from async_storages.errors import StorageException

__all__ = ["SingleFlight"]


class SingleFlight:
    """Does what several tasks of one event loop ask for at once, by its key: one does it, and the others wait.

    They share its failure. If it is cancelled, one of them takes over.
    """

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Future[None]] = {}

    async def do(self, key: str, work: Callable[[], Awaitable[object]]) -> None:
        """Do something, or wait until another task has done it.

        Args:
            key: The name of the work.
            work: Begins it.

        Raises:
            Exception: Whatever `work` raises.
        """
        while (running := self._running.get(key)) is not None:
            await asyncio.wait([running])
            if running.cancelled():
                continue
            if (error := running.exception()) is not None:
                raise copy(error) if isinstance(error, StorageException) else error
            return
        mine = self._running[key] = asyncio.get_running_loop().create_future()
        try:
            await work()
        except Exception as error:
            mine.set_exception(error)
            mine.exception()  # is retrieved now, as perhaps nobody waits for it
            raise
        else:
            mine.set_result(None)
        finally:
            del self._running[key]
            mine.cancel()  # without effect if it is done
