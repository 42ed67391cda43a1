"""Injected faults. Each waits in its place until a connection reaches the place."""

import asyncio
from collections.abc import Callable

from async_storages.testing._http1 import Request
from async_storages.testing.faults._faults import Fault
from async_storages.testing.faults._places import MessagePart, Place

__all__ = ["Injection"]


class Injection:
    """A fault and its place. `FaultProxy.inject` returns it.

    Attributes:
        fault: The fault.
        place: The place.
        fired: How often the fault has happened.
    """

    def __init__(self, fault: Fault, place: Place, times: int | None, when: Callable[[str, str], bool] | None) -> None:
        self.fault = fault
        self.place = place
        self.fired = 0
        self._times = times
        self._when = when
        self._released = asyncio.Event()
        self._has_fired = asyncio.Event()

    def release(self) -> None:
        """Let the bytes go on that this `Stall` holds back, and end the fault."""
        self._released.set()

    async def wait_released(self) -> None:
        """Wait for `release`."""
        await self._released.wait()

    async def wait_fired(self, times: int = 1) -> None:
        """Wait until the fault has happened this often. With a `Stall`, wait until the bytes are held back."""
        while self.fired < times:
            self._has_fired.clear()
            await self._has_fired.wait()

    def concerns(self, part: MessagePart, request: Request | None) -> bool:
        """True if the fault may happen in this part of this request or its response."""
        return self.place.part == part and (self._when is None or (request is not None and self._when(*request)))

    def take(self) -> bool:
        """Count this time. True if the fault happens."""
        if self._released.is_set() or self.fired == self._times:
            return False
        self.fired += 1
        self._has_fired.set()
        return True
