"""Retries after temporary failures."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from async_storages._deadlines import check_deadline
from async_storages.errors import InvalidArgumentException, StorageUnavailableException

__all__ = ["Retries", "Tries", "retry_after"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """The rule for retries after temporary failures: pauses that grow exponentially, with jitter.

    The longest pause is `base` at first. It doubles with each failure, up to `cap`. Each pause has a random length
    between half of the longest and the longest. It is at least as long as the server's ``Retry-After``.

    Attributes:
        attempts: The largest number of attempts of a request, at least 1.
        base: The longest first pause in seconds.
        cap: The longest pause in seconds, unless the server demands more.
        within: The time for retries in seconds, counted from the first failure. No attempt begins after it.

    Raises:
        InvalidArgumentException: `attempts` is below 1, or a number of seconds is negative.
    """

    attempts: int = 4
    base: float = 0.2
    cap: float = 5.0
    within: float = 30.0

    def __post_init__(self) -> None:
        if not (self.attempts >= 1 and self.base >= 0 and self.cap >= 0 and self.within >= 0):
            raise InvalidArgumentException(f"{self} cannot be: give 1 or more attempts, and no negative seconds")

    async def run[Result](self, attempt: Callable[[], Awaitable[Result]], attempts: int | None = None) -> Result:
        """Await `attempt()`. Repeat it after each StorageUnavailableException, up to `attempts` times."""
        tries = self.begin(attempts)
        while True:
            check_deadline()
            try:
                return await attempt()
            except StorageUnavailableException as error:
                if not await tries.wait(error.retry_after):
                    raise

    def begin(self, attempts: int | None = None) -> "Tries":
        """Return the tries of one request, `attempts` at the most."""
        return Tries(self, attempts or self.attempts)

    async def pause(self, failures: int) -> None:
        """Wait after this number of failures, at least 1."""
        await asyncio.sleep(self.pause_after(failures))

    def pause_after(self, failures: int) -> float:
        """Return the seconds to wait after this number of failures, at least 1."""
        longest = min(self.cap, self.base * 2.0 ** min(failures - 1, 99))
        return random.uniform(longest / 2, longest)  # noqa: S311 - no secret


class Tries:
    """The tries of one request: the number of failures, and the time of the first.

    Args:
        retries: The rule.
        attempts: The largest number of attempts.
    """

    __slots__ = ("_attempts", "_failures", "_retries", "_since")

    def __init__(self, retries: Retries, attempts: int) -> None:
        self._retries = retries
        self._attempts = attempts
        self._failures = 0
        self._since = 0.0

    def succeed(self) -> None:
        """Note a success, and count failures from 0 again."""
        self._failures = 0

    async def wait(self, at_least: float | None = None) -> bool:
        """Note a failure and wait for the next attempt. Return False at once if there must be none.

        Args:
            at_least: The seconds that the server demands. None if it demands none.
        """
        now = time.monotonic()
        self._failures += 1
        if self._failures == 1:
            self._since = now
        if self._failures >= self._attempts:
            return False
        pause = max(at_least or 0.0, self._retries.pause_after(self._failures))
        if now + pause - self._since > self._retries.within:
            return False
        await asyncio.sleep(pause)
        return True


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a server demands to wait (RFC 9110 section 10.2.3). None for none, and for a date."""
    said = headers.get("Retry-After", "")
    return float(said) if said.isascii() and said.isdigit() else None
