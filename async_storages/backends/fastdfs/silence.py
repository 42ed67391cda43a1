"""Servers that do not answer in time: remembered, so that not each operation waits for them."""

from async_storages.backends.fastdfs.statuses import TimedOutException

__all__ = ["Silence"]

_STRIKES = 2  # the first one has the server asked whether it is alive, before more is risked


class Silence:
    """Whether a server is passed over for now. No I/O; times are those of the loop's clock.

    Args:
        passed_over_for: Seconds that it is passed over for.
    """

    def __init__(self, passed_over_for: float) -> None:
        self._passed_over_for = passed_over_for
        self._heard_at = 0.0
        self._silent_at: float | None = None
        self._strikes = 0
        self._until = 0.0
        self._is_being_asked = False

    @property
    def is_suspected(self) -> bool:
        """Whether it did not answer the last time, so that it must be asked whether it is alive."""
        return self._silent_at is not None

    def seconds_left(self, now: float) -> float:
        """How much longer it is passed over; 0 if it may be used, or asked."""
        if self._is_being_asked:
            return self._passed_over_for
        return max(0.0, self._until - now) if self.is_suspected else 0.0

    def begin_asking(self) -> None:
        """One asks it whether it is alive: the others pass it over meanwhile."""
        self._is_being_asked = True

    def end_asking(self, now: float, *, is_alive: bool | None) -> None:
        """The answer has come, or not in time; None if whoever asked was cancelled."""
        self._is_being_asked = False
        if is_alive:
            self._silent_at = None
        elif is_alive is not None:
            self._until = now + self._passed_over_for

    def heard(self, now: float) -> None:
        """It has answered a request."""
        self._heard_at = now
        self._strikes = 0
        self._silent_at = None

    def note(self, error: BaseException, began_at: float, now: float) -> None:
        """A request that began then has failed; that counts if it was for silence, and nobody heard from it since."""
        has_answered_since = max(self._heard_at, self._silent_at or 0.0) > began_at
        if not isinstance(error, TimedOutException) or has_answered_since or not self._passed_over_for:
            return
        self._strikes += 1
        self._silent_at = now
        if self._strikes >= _STRIKES:
            self._until = now + self._passed_over_for
