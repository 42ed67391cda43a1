"""A clock for the event loop that does not make anyone wait."""

import asyncio

_QUIET = 0.002  # real seconds without an event after which nothing more is on its way within this machine


class JumpingClock:
    """The loop's time: it stands still while anything happens, and jumps to the next timer once nothing does.

    So `await asyncio.sleep(1)` waits until all that was set off has come to rest, and `asyncio.sleep(3600)` takes
    no longer. What happens in threads is not seen.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._select = loop._selector.select  # of the loops that asyncio brings for Unix
        self.now = loop.time()

    def time(self) -> float:
        return self.now

    def select(self, timeout: float | None = None) -> list:
        if timeout is None or timeout <= 0:
            return self._select(timeout)
        events = self._select(min(timeout, _QUIET))
        if not events:
            self.now += timeout
        return events
