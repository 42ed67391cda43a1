"""How long the longest step of an event loop takes, beside everything else that a machine does meanwhile."""

import asyncio
import gc
import time
from contextlib import asynccontextmanager

from async_storages._tasks import beside


class Heartbeat:
    """Beats while a block runs.

    Attributes:
        longest: Seconds of CPU time of the loop's thread between two beats, at the most.
        total: Seconds of CPU time of the loop's thread, in all.
    """

    longest = 0.0
    total = 0.0

    async def beat(self):
        last = time.thread_time()
        while True:
            await asyncio.sleep(0.001)
            now = time.thread_time()
            self.longest = max(self.longest, now - last)
            last = time.thread_time()


@asynccontextmanager
async def heartbeat():
    """A Heartbeat beside the block.

    CPU time, as a loaded machine lets everybody wait; and without the garbage collector, whose passes take as long as
    everything that the process holds makes them.
    """
    gc.collect()
    gc.disable()
    try:
        heart, begun = Heartbeat(), time.thread_time()
        async with beside(heart.beat(), "heartbeat"):
            await asyncio.sleep(0)
            yield heart
            heart.total = time.thread_time() - begun
            await asyncio.sleep(0.002)
    finally:
        gc.enable()


async def longest_step(work, attempts=3):
    """Of the best of some attempts: what else runs on a processor makes a step longer, and nothing makes it shorter."""
    best = float("inf")
    while attempts and best > MOST:
        async with heartbeat() as heart:
            await work()
        best, attempts = min(best, heart.longest), attempts - 1
    return best


MOST = 0.01
"""Seconds that a step may take."""
