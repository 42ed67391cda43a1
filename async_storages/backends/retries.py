"""How failures that may pass are tried again."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count

from async_storages._deadlines import check_deadline
from async_storages.errors import InvalidArgumentException, StorageUnavailableException

__all__ = ["Retries"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How failures that may pass are tried again: full jitter over an exponentially growing span.

    Attributes:
        attempts: How often a request is sent at the most, at least 1.
        base: Seconds that the first pause lasts at the most.
        cap: Seconds that any pause lasts at the most.

    Raises:
        InvalidArgumentException: No attempts, or negative seconds.
    """

    attempts: int = 4
    base: float = 0.2
    cap: float = 5.0

    def __post_init__(self) -> None:
        if not (self.attempts >= 1 and self.base >= 0 and self.cap >= 0):
            raise InvalidArgumentException(f"{self} are no retries")

    async def run[Result](self, attempt: Callable[[], Awaitable[Result]], attempts: int | None = None) -> Result:
        """Await `attempt()` again after each StorageUnavailableException, so many times at the most."""
        for failures in count(1):
            check_deadline()
            try:
                return await attempt()
            except StorageUnavailableException:
                if failures >= (attempts or self.attempts):
                    raise
            await self.pause(failures)
        raise AssertionError("count() does not end")

    async def pause(self, failures: int) -> None:
        """Wait after so many failures, 1 or more."""
        longest = min(self.cap, self.base * 2.0 ** min(failures - 1, 99))
        await asyncio.sleep(random.uniform(0, longest))  # noqa: S311 - no secret
