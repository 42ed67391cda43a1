"""Time-outs elapse at once where a peer stands still for good, and never where something goes on, however slowly."""

import asyncio
import time

import pytest

from tests.support.clock import FlyingClock
from tests.support.patience import ONE_TIME_OUT, TIME_OUT, never, time_flies


async def test_a_time_out_elapses_at_once():
    begun, by_the_loop = time.monotonic(), asyncio.get_running_loop().time()
    with time_flies(), pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.Event().wait(), TIME_OUT)
    assert asyncio.get_running_loop().time() - by_the_loop >= TIME_OUT
    assert time.monotonic() - begun < TIME_OUT


async def test_for_one_who_stands_still_one_time_out_elapses_and_no_second_one():
    silent = asyncio.create_task(never())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.Event().wait(), TIME_OUT)
    await asyncio.wait_for(asyncio.to_thread(time.sleep, 0.1), TIME_OUT)
    silent.cancel()


async def test_time_stands_while_a_thread_of_the_loop_works():
    with time_flies():
        await asyncio.wait_for(asyncio.to_thread(time.sleep, 0.1), TIME_OUT)


async def test_time_stands_when_nobody_waits_any_more():
    with time_flies(), time_flies(ONE_TIME_OUT):
        await asyncio.sleep(1)
    await asyncio.wait_for(asyncio.to_thread(time.sleep, 0.1), TIME_OUT)


def test_a_moment_counts_only_with_a_processor():
    """Under load, what is on its way may come later than a moment that was slept through."""
    loop, late = asyncio.new_event_loop(), iter([[], [], ["an event"]])
    clock = FlyingClock(loop)
    loop.close()

    def select(timeout):
        time.sleep(0.02)  # as the system wakes one late
        return next(late)

    clock._select = select
    with clock.flying(60):
        assert clock.select(10) == ["an event"]
        assert clock._skipped == 0
