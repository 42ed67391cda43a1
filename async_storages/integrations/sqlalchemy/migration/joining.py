"""Joining: the requests of several tasks are combined into one transaction."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from async_storages._tasks import map_bounded

__all__ = ["Joined"]


class Joined[Item, Result]:
    """A function of many items that tasks call with one item. Items that arrive while it runs form its next call.

    If a call with several items fails, each item is tried again alone, so that no item fails because of another.

    Args:
        work: The function. It returns a result for each item, in their order.
        pause: Seconds that the first item waits for others.

    Example:
        >>> async def double_all(numbers):
        ...     return [2 * number for number in numbers]
        >>> double = Joined(double_all)
        >>> await double(21)
        42
    """

    def __init__(self, work: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]], pause: float = 0.0) -> None:
        self._work = work
        self._pause = pause
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._lock = asyncio.Lock()

    async def __call__(self, item: Item) -> Result:
        """Do the work for an item.

        Raises:
            Exception: The error that the function raises for this item alone.
            asyncio.CancelledError: The caller was cancelled, or the task that worked for it.
        """
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        try:
            async with self._lock:
                if not future.done():
                    if self._pause:
                        await asyncio.sleep(self._pause)
                    joined, self._waiting = self._waiting, []
                    await self._do_for(joined)
            return await future
        finally:
            future.cancel()  # which does nothing to one that is done

    async def _do_for(self, joined: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        """Do the work for the tasks that still wait for it. If this is cancelled, all of them are cancelled."""
        try:
            await self._do([each for each in joined if not each[1].done()])
        finally:
            for _, future in joined:
                future.cancel()

    async def _do(self, joined: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            results = await self._work([item for item, _ in joined])
        except Exception as error:  # noqa: BLE001 - it is raised where it belongs
            if len(joined) > 1:
                await map_bounded(self._do, [[each] for each in joined], limit=len(joined))
            elif not joined[0][1].done():
                joined[0][1].set_exception(error)
            return
        for (_, future), result in zip(joined, results, strict=True):
            if not future.done():  # else its caller was cancelled
                future.set_result(result)
