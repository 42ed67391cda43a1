"""A limit to what is used at once. Who must wait is served in the order of arrival."""

import asyncio
from collections import deque

__all__ = ["Slots"]


class Slots:
    """A number of slots, of which each user holds one.

    It differs from `asyncio.Semaphore` in that a free slot costs one call, and no coroutine.

    Args:
        count: The number of slots.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: deque[asyncio.Future[None]] = deque()

    def take_free(self) -> bool:
        """Take a slot if one is free. Return False if none is."""
        if not self._free:
            return False
        self._free -= 1
        return True

    async def wait(self) -> None:
        """Take the next slot that becomes free."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled():  # the slot came together with the cancellation
                self.release()
            raise

    def release(self) -> None:
        """Give a slot back: to the first who waits for one."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._free += 1
