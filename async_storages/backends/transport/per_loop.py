"""Resources of one event loop, such as open connections. They are made on first use and closed with the loop."""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple

__all__ = ["PerLoop"]


class _Kept[Resource](NamedTuple):
    """A resource and the generator that closes it. An event loop that ends closes the generators begun in it."""

    resource: Resource
    keeper: AsyncGenerator[Resource]


_parents: list[object] = []
"""Resources of the parent process, in a child after fork: kept so that nothing closes them."""


class PerLoop[Resource]:
    """One resource for each event loop, closed by `aclose` or with its loop. A child after fork has its own.

    Args:
        make: Makes the context manager that opens and closes a resource. Opening must not wait. The context manager
            must not be a generator, as a loop that ends closes all generators at once.
    """

    def __init__(self, make: Callable[[], AbstractAsyncContextManager[Resource]]) -> None:
        self._make = make
        self._kept: dict[asyncio.AbstractEventLoop, _Kept[Resource]] = {}
        self._pid = os.getpid()

    async def get(self) -> Resource:
        """Return the resource of the running loop."""
        if self._pid != os.getpid():
            _parents.append(self._kept)
            self._kept, self._pid = {}, os.getpid()
        loop = asyncio.get_running_loop()
        kept = self._kept.get(loop)
        if kept is None:
            self._forget_closed_loops()
            keeper = self._keep()
            kept = self._kept[loop] = _Kept(await anext(keeper), keeper)
        return kept.resource

    def _forget_closed_loops(self) -> None:
        for loop in list(self._kept):
            if loop.is_closed():
                self._kept.pop(loop, None)

    async def _keep(self) -> AsyncGenerator[Resource]:
        async with self._make() as resource:
            yield resource

    async def aclose(self) -> None:
        """Close the resource of the running loop. The others are closed with their loops."""
        kept = self._kept.pop(asyncio.get_running_loop(), None) if self._pid == os.getpid() else None
        if kept is not None:
            await kept.keeper.aclose()
