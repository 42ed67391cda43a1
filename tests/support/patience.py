"""How long tests wait: as long as a machine takes that is many times slower than yours, and no longer on yours.

Every time-out of a test is `TIME_OUT`, which nothing reaches that goes on. Where a test wants it to be reached, as a
peer stands still for good, `time_flies`.
"""

import asyncio
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from async_storages.testing import faults
from tests.support.clock import FlyingClock

TIME_OUT = 30.0
"""Seconds for what is not to time out, and for what is to do so while `time_flies`."""

HANGS = 4 * TIME_OUT
"""Seconds after which something has hung that would stay behind if pytest ended the test."""

ONE_TIME_OUT = 1.5 * TIME_OUT
"""Seconds in which one elapses, though it began late, and no second one that begins after it."""


@contextmanager
def time_flies(seconds: float = math.inf) -> Iterator[None]:
    """Whenever nothing happens in the running loop, its clock jumps to the next timer; so many seconds at the most.

    The loop's own threads are waited for, other processes are not seen: use it where nothing is waited for but what
    never comes.
    """
    with FlyingClock.of(asyncio.get_running_loop()).flying(seconds):
        yield


async def never(*_: object) -> None:
    """Wait for what does not come, for as long as whoever waits for this has patience; that costs no time."""
    with time_flies(ONE_TIME_OUT):
        await asyncio.Event().wait()


@dataclass(frozen=True, slots=True)
class Stall(faults.Stall):
    """A `Stall` for which nobody waits in vain: the time-out of the client elapses at once."""

    async def happen(self, flow: object, injection: faults.Injection) -> None:
        """See `Fault.happen`."""
        with time_flies(ONE_TIME_OUT):
            await injection.wait_released()
