"""Servers that do not answer in time, remembered so that not each operation waits for them."""

from async_storages.backends.fastdfs.statuses import TimedOutException

__all__ = ["Silence"]

_STRIKES = 2  # after the first one the server is checked, before more is risked


class Silence:
    """The silence of a server, which decides if it is passed over. No I/O; times are of the loop's clock.

    Args:
        passed_over_for: Seconds for which a silent server is passed over.
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
        """True if it did not answer the last time, so that it must be checked."""
        return self._silent_at is not None

    def seconds_left(self, now: float) -> float:
        """Seconds for which it is still passed over; 0 if it may be used, or checked."""
        if self._is_being_asked:
            return self._passed_over_for
        return max(0.0, self._until - now) if self.is_suspected else 0.0

    def begin_asking(self) -> None:
        """Note that one request checks it; the others pass it over meanwhile."""
        self._is_being_asked = True

    def end_asking(self, now: float, *, is_alive: bool | None) -> None:
        """Note the answer to a check: in time or not; None if the check was cancelled."""
        self._is_being_asked = False
        if is_alive:
            self._silent_at = None
        elif is_alive is not None:
            self._until = now + self._passed_over_for

    def heard(self, now: float) -> None:
        """Note that it has answered a request."""
        self._heard_at = now
        self._strikes = 0
        self._silent_at = None

    def note(self, error: BaseException, began_at: float, now: float) -> None:
        """Note that a request that began then has failed; counts for a silent server that has not answered since."""
        has_answered_since = max(self._heard_at, self._silent_at or 0.0) > began_at
        if not isinstance(error, TimedOutException) or has_answered_since or not self._passed_over_for:
            return
        self._strikes += 1
        self._silent_at = now
        if self._strikes >= _STRIKES:
            self._until = now + self._passed_over_for
