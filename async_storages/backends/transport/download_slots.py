"""Slots: the connections that downloads may use. Slow readers cannot block other requests.

A download holds its connection until its reader is done. So downloads may use most of a pool's connections, but not
all: the rest is for uploads, deletes and other requests.

If more downloads want to run than there are slots, some give their connection back and request the rest of the file
later. These are downloads whose reader has stopped, or that have received their share of bytes. New downloads run
before resumed ones, as most files are small. Only a few slow readers get slots at the same time: when a network
recovers, hundreds of them return at once, and other readers would have to wait.
"""

import asyncio
import math
from collections import deque
from types import TracebackType
from typing import Protocol, Self

from async_storages.errors import StorageClosedException, StorageUnavailableException

__all__ = ["STALLED_AFTER", "DownloadSlots", "Slot"]

STALLED_AFTER = 0.2
"""Seconds after which a download loses its connection to others, if its reader takes nothing."""

_SHARE = 4 << 20
"""Bytes after which a download gives its connection back, if other downloads want to resume."""

_SHARE_BESIDE_NEW = 256 << 10
"""Bytes after which a download gives its connection back, if others want to begin. Most files are smaller."""

_SLOW_ONES = 8
"""One in this number of slots is for readers that have stopped before. There is at least one such slot."""

_BEFORE_OTHERS = 3
"""The number of new downloads that run before one resumed download gets its turn."""


class Closable(Protocol):
    """An answer. Closing it closes the connection."""

    def close(self) -> None:
        """Close the connection."""
        ...


class Slot:
    """The right of one download to a connection, until it releases the slot or another download takes it.

    Attributes:
        is_slow: True if the reader has stopped before.
        was_taken: True if another download got the slot while the reader had stopped.
    """

    def __init__(self, slots: "DownloadSlots", *, is_slow: bool) -> None:
        self._slots = slots
        self.is_slow = is_slow
        self._answer: Closable | None = None
        self._is_left = False
        self.was_taken = False

    def hold(self, answer: Closable) -> None:
        """Note the answer that is being read."""
        self._answer = answer

    def wait_for_reader(self, *, can_go_on: bool) -> None:
        """Note that the download waits for its reader before it reads more of the answer.

        Args:
            can_go_on: True if the rest can be requested again.
        """
        if can_go_on and not self._is_left:
            self._slots.note_waiting(self)

    def reader_is_back(self) -> bool:
        """Return True if the download can read on. Return False if the slot was taken meanwhile."""
        self._slots.forget(self)
        return not self.was_taken

    @property
    def share(self) -> float:
        """The bytes of an answer after which others should get the slot. Infinite while no download waits."""
        return self._slots.share

    def take_away(self) -> None:
        """Close the answer, so that another download can get the slot."""
        self.was_taken = self._is_left = True
        if self._answer is not None:
            self._answer.close()

    def release(self) -> None:
        """Give the slot to another download. A second call does nothing."""
        self._slots.forget(self)
        if not self._is_left:
            self._is_left = True
            self._slots.give_back(is_slow=self.is_slow)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()


class DownloadSlots:
    """The download slots of one event loop.

    Args:
        count: The number of downloads that may have a connection at once.
        timeout: The longest time that a download waits for a slot, in seconds.
    """

    def __init__(self, count: int, timeout: float) -> None:
        self._free = count
        self._free_for_slow = max(1, count // _SLOW_ONES)
        self._timeout = timeout
        self._beginning: deque[asyncio.Future[None]] = deque()
        self._going_on: deque[asyncio.Future[None]] = deque()
        self._slow: deque[asyncio.Future[None]] = deque()
        self._began = 0  # since one went on
        self._waiting: dict[Slot, float] = {}  # since when; in that order
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False

    @property
    def are_wanted(self) -> bool:
        """True if a download waits for a slot that it may have."""
        return bool(self._beginning or self._going_on or (self._slow and self._free_for_slow))

    @property
    def share(self) -> float:
        """Return the bytes that a download gets before others get its slot."""
        if self._beginning:
            return _SHARE_BESIDE_NEW
        return _SHARE if self.are_wanted else math.inf

    def free_one(self, *, is_slow: bool = False) -> Slot | None:
        """Return a slot if one is free. Return None if `take` must wait or raise."""
        if self._is_closed or not self._free or (is_slow and not self._free_for_slow):
            return None
        self._take_one(is_slow=is_slow)
        return Slot(self, is_slow=is_slow)

    def _take_one(self, *, is_slow: bool) -> None:
        self._free -= 1
        self._free_for_slow -= is_slow

    async def take(self, *, is_new: bool = True, is_slow: bool = False) -> Slot:
        """Wait for a slot and return it. Waiting downloads get slots in turn.

        Args:
            is_new: True if the download begins.
            is_slow: True if the reader has stopped before.

        Raises:
            StorageUnavailableException: No slot became free in time.
            StorageClosedException: The storage was closed.
        """
        if self._is_closed:
            raise StorageClosedException("the storage was closed meanwhile")
        if (slot := self.free_one(is_slow=is_slow)) is not None:
            return slot
        turn = asyncio.get_running_loop().create_future()
        queue = self._slow if is_slow else self._beginning if is_new else self._going_on
        queue.append(turn)
        self._look_for_stalled()
        try:
            async with asyncio.timeout(self._timeout):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.give_back(is_slow=is_slow)  # it came at the same moment
            elif turn in queue:
                queue.remove(turn)
            if isinstance(error, TimeoutError):
                raise StorageUnavailableException(
                    "no connection was free in time: all are busy with downloads"
                ) from None
            raise
        return Slot(self, is_slow=is_slow)

    def give_back(self, *, is_slow: bool = False) -> None:
        """Give the slot to the next download."""
        self._free += 1
        self._free_for_slow += is_slow
        while self._free and self.are_wanted:
            queue = self._next_queue()
            turn = queue.popleft()
            if not turn.done():
                self._take_one(is_slow=queue is self._slow)
                turn.set_result(None)

    def _next_queue(self) -> deque[asyncio.Future[None]]:
        go_on = self._going_on or (self._slow if self._free_for_slow else None)
        begins = bool(self._beginning) and (self._began < _BEFORE_OTHERS or not go_on)
        self._began = self._began + 1 if begins else 0
        return self._beginning if begins or not go_on else go_on

    def note_waiting(self, slot: Slot) -> None:
        """Note a download that waits for its reader."""
        self._waiting[slot] = asyncio.get_running_loop().time()
        if self.are_wanted and self._timer is None:
            self._look_for_stalled()

    def forget(self, slot: Slot) -> None:
        """Forget a download whose reader is back, or that has ended."""
        self._waiting.pop(slot, None)

    def _look_for_stalled(self) -> None:
        """Take slots from stopped readers, as many as are wanted. Check again when the next reader has stopped."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop = asyncio.get_running_loop()
        while self.are_wanted and self._waiting:
            slot, since = next(iter(self._waiting.items()))
            if (left := since + STALLED_AFTER - loop.time()) > 0:
                self._timer = loop.call_later(left, self._look_for_stalled)
                return
            del self._waiting[slot]
            slot.take_away()
            self.give_back(is_slow=slot.is_slow)

    def close(self) -> None:
        """End all waiting."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        for queue in (self._beginning, self._going_on, self._slow):
            for turn in queue:
                if not turn.done():
                    turn.set_exception(StorageClosedException("the storage was closed meanwhile"))
            queue.clear()
