"""The number of files that a mover takes at once: many small ones, few large ones."""

from collections.abc import Callable
from time import monotonic

__all__ = ["BatchSize"]

_SHORT, _LONG = 0.5, 2.0
"""Seconds. Batches grow if one takes less than the first, and shrink if one takes more than the second."""


class BatchSize:
    """The size of batches, by the time that one takes. A mover that dies or stops leaves about two batches behind.

    Args:
        least: The smallest size, and the first one.
        most: The largest size.
        clock: Returns the time in seconds.

    Attributes:
        now: The size of the present batch.
    """

    def __init__(self, least: int, most: int, clock: Callable[[], float] = monotonic) -> None:
        self._least, self._most, self._clock = least, most, clock
        self.now = least
        self._began: float | None = None

    def next(self) -> int:
        """Return the size of the next batch. Call it when that batch begins."""
        before, self._began = self._began, self._clock()
        if before is None:
            return self.now
        seconds = self._began - before
        if seconds < _SHORT:
            self.now = min(2 * self.now, self._most)
        elif seconds > _LONG:
            self.now = max(self.now // 2, self._least)
        return self.now
