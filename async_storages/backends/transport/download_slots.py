"""A share of the connections for downloads, so that readers who are slow starve nobody.

A download holds a connection for as long as its reader takes. So downloads have most of a pool's connections, and never
all: uploads, deletes and questions find the rest free. Where more downloads want to go on than there are slots, one
whose reader stands still, or that has had its share, gives its connection back, and asks for the rest of the file
later. Those that begin go before those that go on, as most files are small. Few of those whose readers are slow are
served at once: they come back by the hundred when a network recovers, and everybody else would wait behind them.
"""

import asyncio
import math
from collections import deque
from types import TracebackType
from typing import Protocol, Self

from async_storages.errors import StorageClosedException, StorageUnavailableException

__all__ = ["STALLED_AFTER", "DownloadSlots", "Slot"]

STALLED_AFTER = 0.2
"""Seconds for which a reader takes nothing, after which others may have its connection."""

_SHARE = 4 << 20
"""Bytes after which a download gives its connection back, if others want to go on."""

_SHARE_BESIDE_NEW = 256 << 10
"""Bytes after which it does so if others want to begin: most files are smaller."""

_SLOW_ONES = 8
"""One in so many slots is for readers who have stood still; at least one is."""

_BEFORE_OTHERS = 3
"""Waiting downloads that begin before one that goes on gets its turn."""


class Closable(Protocol):
    """An answer, whose connection goes when it is closed."""

    def close(self) -> None:
        """Close the connection."""
        ...


class Slot:
    """The right of one download to a connection, until it is released, or others need it more.

    Attributes:
        is_slow: Whether its reader has stood still before.
        was_taken: Whether it was given to another download, while the reader stood still.
    """

    def __init__(self, slots: "DownloadSlots", *, is_slow: bool) -> None:
        self._slots = slots
        self.is_slow = is_slow
        self._answer: Closable | None = None
        self._is_left = False
        self.was_taken = False

    def hold(self, answer: Closable) -> None:
        """Say which answer is being read."""
        self._answer = answer

    def wait_for_reader(self, *, can_go_on: bool) -> None:
        """Say that the reader has to come back, before anything more of the answer is read.

        Args:
            can_go_on: Whether the rest can be asked for again.
        """
        if can_go_on and not self._is_left:
            self._slots.note_waiting(self)

    def reader_is_back(self) -> bool:
        """True if the answer can be read on; False if the slot was taken meanwhile."""
        self._slots.forget(self)
        return not self.was_taken

    @property
    def share(self) -> float:
        """Bytes of an answer after which others should have the slot; infinite while nobody waits for one."""
        return self._slots.share

    def take_away(self) -> None:
        """Close the answer, for the slot to be given to another download."""
        self.was_taken = self._is_left = True
        if self._answer is not None:
            self._answer.close()

    def release(self) -> None:
        """Let another download have it; calling it twice does no harm."""
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
        count: Downloads that may have a connection at once.
        timeout: Seconds that a download waits for one at the most.
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
        """True if a download waits for a slot that it could have."""
        return bool(self._beginning or self._going_on or (self._slow and self._free_for_slow))

    @property
    def share(self) -> float:
        """Bytes of an answer that a download gets before others have its slot."""
        if self._beginning:
            return _SHARE_BESIDE_NEW
        return _SHARE if self.are_wanted else math.inf

    def free_one(self, *, is_slow: bool = False) -> Slot | None:
        """A slot, if there is one at once; None where `take` has to wait, or to refuse."""
        if self._is_closed or not self._free or (is_slow and not self._free_for_slow):
            return None
        self._take_one(is_slow=is_slow)
        return Slot(self, is_slow=is_slow)

    def _take_one(self, *, is_slow: bool) -> None:
        self._free -= 1
        self._free_for_slow -= is_slow

    async def take(self, *, is_new: bool = True, is_slow: bool = False) -> Slot:
        """A slot, once there is one; those who wait get them in turn.

        Args:
            is_new: Whether the download begins.
            is_slow: Whether its reader has stood still.

        Raises:
            StorageUnavailableException: There was none in time.
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
        """Let the next download have a slot."""
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
        """Remember whose reader has to come back."""
        self._waiting[slot] = asyncio.get_running_loop().time()
        if self.are_wanted and self._timer is None:
            self._look_for_stalled()

    def forget(self, slot: Slot) -> None:
        """Its reader has come back, or the download has ended."""
        self._waiting.pop(slot, None)

    def _look_for_stalled(self) -> None:
        """Take slots away from readers who stand still, for as many as wait; look again when the next one does."""
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
        """Let nobody wait any longer."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        for queue in (self._beginning, self._going_on, self._slow):
            for turn in queue:
                if not turn.done():
                    turn.set_exception(StorageClosedException("the storage was closed meanwhile"))
            queue.clear()
