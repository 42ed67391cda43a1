"""Work that several tasks request at the same time, and that one of them does for all."""

import asyncio
from collections.abc import Awaitable, Callable
from copy import copy

from async_storages.errors import StorageException

__all__ = ["SingleFlight"]


class SingleFlight:
    """Runs work with one key only once, if several tasks of one event loop request it at the same time.

    One task does the work, and the others wait. If the work fails, all of them raise the error. If the task is
    cancelled, another one takes over.
    """

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Future[None]] = {}

    async def do(self, key: str, work: Callable[[], Awaitable[object]]) -> None:
        """Do the work, or wait until another task has done it.

        Args:
            key: The name of the work.
            work: Starts the work.

        Raises:
            Exception: The error of `work`.
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
