"""Clocks for the event loop that do not make anyone wait."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_QUIET = 0.002  # real seconds without an event after which nothing more is on its way within this machine
_TRIES = 50


def _events_soon(select) -> list:
    """The events that come; none when all is quiet.

    Who is woken late had no processor, and so may have had the kernel's own threads, which carry what is on its way.
    """
    for _ in range(_TRIES):
        begun = time.monotonic()
        if (events := select(_QUIET)) or time.monotonic() - begun < 2 * _QUIET:
            return events
    return []


def _threads_of(loop: asyncio.AbstractEventLoop) -> Callable[[], int]:
    """Count the threads that work for this loop from now on, as they do for a server within this process."""
    running, run = set(), loop.run_in_executor

    def run_and_count(executor, func, *args):
        future = run(executor, func, *args)
        running.add(future)
        future.add_done_callback(running.discard)
        return future

    loop.run_in_executor = run_and_count
    return lambda: len(running)


class JumpingClock:
    """The loop's time: it stands still while anything happens, and jumps to the next timer once nothing does.

    So `await asyncio.sleep(1)` waits until all that was set off has come to rest, and `asyncio.sleep(3600)` takes
    no longer. What happens in threads of others is not seen.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._select = loop._selector.select  # of the loops that asyncio brings for Unix
        self._threads = _threads_of(loop)
        self.now = loop.time()

    def time(self) -> float:
        return self.now

    def select(self, timeout: float | None = None) -> list:
        if timeout is None or timeout <= 0:
            return self._select(timeout)
        if self._threads():
            return self._select(None)
        events = _events_soon(self._select)
        if not events:
            self.now += timeout
        return events


class FlyingClock:
    """The loop's time: the real one, and what has been skipped of it, while nothing happened and it was to fly.

    Where several let it fly at once, the last to begin says how far.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._time = loop.time
        self._select = loop._selector.select
        self._threads = _threads_of(loop)
        self._skipped = 0.0
        self._left = 0.0
        self._passengers = 0

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> "FlyingClock":
        """That of the loop, which keeps it for good, as time does not go back."""
        if not isinstance(owner := getattr(loop.time, "__self__", None), cls):
            owner = cls(loop)
            loop.time, loop._selector.select = owner.time, owner.select
        return owner

    @contextmanager
    def flying(self, seconds: float) -> Iterator[None]:
        """Let it skip so many seconds at the most."""
        self._left = seconds
        self._passengers += 1
        try:
            yield
        finally:
            self._passengers -= 1
            if not self._passengers:
                self._left = 0.0

    def time(self) -> float:
        return self._time() + self._skipped

    def select(self, timeout: float | None = None) -> list:
        if timeout is None or timeout <= _QUIET or not self._left or self._threads():
            return self._select(timeout)
        events = _events_soon(self._select)
        if not events:
            jump = min(timeout, self._left)
            self._skipped += jump
            self._left -= jump
        return events
