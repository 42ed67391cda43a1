"""Deadlines for requests. After a pause of the process, a late request could undo the work of another process."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from async_storages.errors import StorageUnavailableException

__all__ = ["Deadline", "check_deadline"]


class Deadline:
    """A moment some seconds from now, by two clocks: one stops while the machine sleeps, the other can be set.

    Args:
        seconds: Seconds from now.
    """

    def __init__(self, seconds: float) -> None:
        self.renew(seconds)

    def renew(self, seconds: float) -> None:
        """Move the deadline to this many seconds from now."""
        self._monotonic = time.monotonic() + seconds
        self._wall = time.time() + seconds

    @property
    def left(self) -> float:
        """The remaining seconds, by the clock that is ahead. 0 or less when the deadline has passed."""
        return min(self._monotonic - time.monotonic(), self._wall - time.time())

    @contextmanager
    def bounding(self) -> Iterator[None]:
        """Apply the deadline to the requests of a block. Storages that support it call `check_deadline`."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)


_current: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


def check_deadline() -> None:
    """Check the deadline. A storage calls this immediately before it sends a request.

    Raises:
        StorageUnavailableException: The caller's deadline has passed.
    """
    deadline = _current.get()
    if deadline is not None and deadline.left <= 0:
        raise StorageUnavailableException("the request was not sent, as its time is over")
