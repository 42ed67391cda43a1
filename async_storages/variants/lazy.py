"""Variants that are made when they are first asked for: once, however many ask at the same time."""

import asyncio
import time
from collections import OrderedDict
from contextlib import nullcontext
from copy import copy

from async_storages._single_flight import SingleFlight
from async_storages.backends.transport.per_loop import PerLoop
from async_storages.errors import ImageProcessingException, InvalidFileTypeException, StorageException
from async_storages.imaging.pool import ImagePool
from async_storages.variants.links import LinkedVariant
from async_storages.variants.making import AT_ONCE, shared_pool
from async_storages.variants.missing import make_missing

__all__ = ["LazyVariants"]

REMEMBERED = 1000
"""Variants of which it is remembered that they cannot be made."""

_FOR = 60.0
"""Seconds for which that is remembered."""


class LazyVariants:
    """Makes variants that are missing. In one process each is made once; between processes the first one is stored.

    An image of which a variant cannot be made, such as a damaged one, is not looked at again for a minute.

    Args:
        pool: Makes the images; None for the shared one.
        concurrency: Variants that are made at once for each event loop, at least 1; the others wait.
    """

    def __init__(self, pool: ImagePool | None = None, *, concurrency: int = AT_ONCE) -> None:
        self._pool = pool
        self._work = PerLoop(lambda: nullcontext((SingleFlight(), asyncio.Semaphore(concurrency))))
        self._failed: OrderedDict[str, tuple[float, StorageException]] = OrderedDict()

    async def make(self, variant: LinkedVariant) -> None:
        """Make a variant and store it, unless it is there.

        Raises:
            FileNotFoundException: There is no such image, or it was removed meanwhile.
            InvalidFileTypeException: It is none that is let in, or damaged.
            ImageProcessingException: It took too much time or memory.
            StorageException: The storage failed.
        """
        storage, recipes = variant.storage, {variant.name: variant.recipe}
        key = f"{storage.location} {variant.file.file_id}"
        flight, turns = await self._work.get()

        async def work() -> None:
            self._raise_known_failure(key)
            async with turns:
                try:
                    pool = self._pool or shared_pool()
                    await make_missing(storage, variant.original, recipes, pool, options=variant.options)
                except (InvalidFileTypeException, ImageProcessingException) as error:
                    self._remember_failure(key, error)
                    raise

        await flight.do(key, work)

    def _raise_known_failure(self, key: str) -> None:
        ends, error = self._failed.get(key, (0.0, None))
        if error is not None and ends > time.monotonic():
            raise copy(error)

    def _remember_failure(self, key: str, error: StorageException) -> None:
        self._failed.pop(key, None)
        self._failed[key] = time.monotonic() + _FOR, copy(error)  # a copy holds no frames
        if len(self._failed) > REMEMBERED:
            self._failed.popitem(last=False)
