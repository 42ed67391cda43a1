"""Storages that are down, or slow, when a scenario wants it."""

import asyncio
from collections import Counter


class StorageDownError(Exception):
    """The storage did not do it."""


class Trouble:
    """What a storage meets; each library's storage asks before it writes or deletes.

    Attributes:
        reached: Set when a held operation has begun.
        was_met: Whether an operation was refused.
    """

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.was_met = False
        self._go_on = asyncio.Event()
        self._held: set[str] = set()
        self._seconds = 0.0
        self._refused: set[tuple[str, int]] = set()
        self._counts: Counter[str] = Counter()

    def refuse(self, operation: str, number: int = 1) -> None:
        """From now on, the first operation of a kind (or the second …) fails."""
        self._counts.clear()
        self._refused.add((operation, number))

    def hold(self, operation: str) -> None:
        """Operations of a kind wait."""
        self._held.add(operation)

    def slow_down(self, seconds: float) -> None:
        """Every operation takes so long, at least; one that is synchronous is waited for anyway."""
        self._seconds = seconds

    def end(self) -> None:
        """All is well again."""
        self._go_on.set()
        self._held.clear()
        self._refused.clear()
        self._seconds = 0.0

    async def wait(self, operation: str) -> None:
        """What an asynchronous storage does first."""
        if operation in self._held:
            self.reached.set()
            await self._go_on.wait()
        await asyncio.sleep(self._seconds)
        self.meet(operation)

    def meet(self, operation: str) -> None:
        """What a synchronous storage does first."""
        self._counts[operation] += 1
        if (operation, self._counts[operation]) in self._refused:
            self.was_met = True
            raise StorageDownError(operation)
