"""Servers that do not answer in time. The client remembers them, so that not every operation waits for them."""

from async_storages.backends.fastdfs.statuses import TimedOutException

__all__ = ["Silence"]

_STRIKES = 2  # after the first one the server is checked, before more is risked


class Silence:
    """The silence of a server, which decides if the client avoids it. No I/O. Times are by the event loop's clock.

    Args:
        passed_over_for: Seconds for which the client avoids a silent server.
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
        """True if the server did not answer the last time, so that it must be checked."""
        return self._silent_at is not None

    def seconds_left(self, now: float) -> float:
        """Return the seconds for which the server is still avoided. 0 if it may be used or checked."""
        if self._is_being_asked:
            return self._passed_over_for
        return max(0.0, self._until - now) if self.is_suspected else 0.0

    def begin_asking(self) -> None:
        """Note that one request checks the server. Other requests avoid it meanwhile."""
        self._is_being_asked = True

    def end_asking(self, now: float, *, is_alive: bool | None) -> None:
        """Note the result of a check: answered in time or not. None if the check was cancelled."""
        self._is_being_asked = False
        if is_alive:
            self._silent_at = None
        elif is_alive is not None:
            self._until = now + self._passed_over_for

    def heard(self, now: float) -> None:
        """Note that the server has answered a request."""
        self._heard_at = now
        self._strikes = 0
        self._silent_at = None

    def note(self, error: BaseException, began_at: float, now: float) -> None:
        """Note a failed request and its start. It counts if the server was silent and has not answered since."""
        has_answered_since = max(self._heard_at, self._silent_at or 0.0) > began_at
        if not isinstance(error, TimedOutException) or has_answered_since or not self._passed_over_for:
            return
        self._strikes += 1
        self._silent_at = now
        if self._strikes >= _STRIKES:
            self._until = now + self._passed_over_for
