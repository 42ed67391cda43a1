"""Requests that must not be sent too late: after a pause of the process they could meet what others have done since."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from async_storages.errors import StorageUnavailableException

__all__ = ["Deadline", "check_deadline"]


class Deadline:
    """A moment some seconds from now, by two clocks: one stands still while the machine sleeps, one may be set.

    Args:
        seconds: From now.
    """

    def __init__(self, seconds: float) -> None:
        self.renew(seconds)

    def renew(self, seconds: float) -> None:
        """Let it be so many seconds from now."""
        self._monotonic = time.monotonic() + seconds
        self._wall = time.time() + seconds

    @property
    def left(self) -> float:
        """Seconds, by the clock that is ahead; 0 or less when it is over."""
        return min(self._monotonic - time.monotonic(), self._wall - time.time())

    @contextmanager
    def bounding(self) -> Iterator[None]:
        """Let no request of the block be sent after it, by storages that look at it: see `check_deadline`."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)


_current: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


def check_deadline() -> None:
    """Look at the clocks, immediately before a request is sent.

    Raises:
        StorageUnavailableException: The time of the caller is over.
    """
    deadline = _current.get()
    if deadline is not None and deadline.left <= 0:
        raise StorageUnavailableException("the request was not sent, as its time is over")
