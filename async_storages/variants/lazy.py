"""Variants that are made at their first request. Several requests at the same time make a variant once."""

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
"""The largest number of failed variants to remember."""

_FOR = 60.0
"""Seconds for which a failure is remembered."""


class LazyVariants:
    """Makes missing variants. One process makes each variant once. If several processes make one, the first is stored.

    If a variant cannot be made, for example from a damaged image, the failure is remembered for a minute.

    Args:
        pool: The pool that makes the images. None uses the shared pool.
        concurrency: The largest number of variants to make at the same time in one event loop, at least 1.
    """

    def __init__(self, pool: ImagePool | None = None, *, concurrency: int = AT_ONCE) -> None:
        self._pool = pool
        self._work = PerLoop(lambda: nullcontext((SingleFlight(), asyncio.Semaphore(concurrency))))
        self._failed: OrderedDict[str, tuple[float, StorageException]] = OrderedDict()

    async def make(self, variant: LinkedVariant) -> None:
        """Make a variant and store it, unless it exists.

        Raises:
            FileNotFoundException: The original is missing, or was deleted during the call.
            InvalidFileTypeException: The original is not an image of an allowed format, or is damaged.
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
