"""How long the longest step of an event loop takes, beside everything else that a machine does meanwhile."""

import asyncio
import gc
import time
from contextlib import asynccontextmanager
from statistics import median

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


async def has_short_steps(work, attempts=4):
    """Whether no step takes too long, in one of some attempts: what else runs on a processor makes a step longer."""
    for _ in range(attempts):
        async with heartbeat() as heart:
            await work()
        if heart.longest < most():
            return True
    return False


def most():
    """Seconds that a step may take here and now: a slow or busy processor takes longer for everything."""
    return MOST * NOISE * max(1.0, median(_measured() for _ in range(9)) / REFERENCE)


def _measured():
    begun, made = time.thread_time(), {}
    for number in range(20_000):
        made[f"mem:{number:016x}"] = (number,)
    return time.thread_time() - begun


MOST = 0.01
"""Seconds that a step may take where `_measured` takes REFERENCE."""

NOISE = 2.5
"""Processors that others work on too count some of their time as ours."""

REFERENCE = 0.007
"""Seconds on the processor for which MOST is meant, when nothing else runs there."""
