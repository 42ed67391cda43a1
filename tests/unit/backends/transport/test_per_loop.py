"""One resource for each event loop, closed with it."""

import asyncio
import gc
import os
from contextlib import asynccontextmanager

import pytest

from async_storages.backends.transport.per_loop import PerLoop


class Kept:
    """What was opened and closed, in order."""

    def __init__(self):
        self.log = []
        self.fails = False
        self.per_loop = PerLoop(self.open)

    @asynccontextmanager
    async def open(self):
        if self.fails:
            raise OSError("no")
        number = len([line for line in self.log if line.startswith("open")])
        self.log.append(f"open {number}")
        try:
            yield number
        finally:
            await asyncio.sleep(0)
            self.log.append(f"close {number}")

    async def use(self):
        return await self.per_loop.get()


@pytest.fixture
def kept():
    return Kept()


async def test_it_is_opened_once_by_many_at_once(kept):
    assert await asyncio.gather(*(kept.use() for _ in range(9))) == [0] * 9
    await kept.per_loop.aclose()
    assert kept.log == ["open 0", "close 0"]


async def test_closed_it_can_be_used_again(kept):
    await kept.use()
    for _ in range(2):
        await kept.per_loop.aclose()
    assert await kept.use() == 1
    await kept.per_loop.aclose()
    assert kept.log == ["open 0", "close 0", "open 1", "close 1"]


async def test_what_cannot_be_opened_is_tried_again(kept):
    kept.fails = True
    with pytest.raises(OSError, match="no"):
        await kept.use()
    kept.fails = False
    assert await kept.use() == 0
    await kept.per_loop.aclose()


def test_a_loop_that_ends_closes_its_own(kept):
    assert [asyncio.run(kept.use()), asyncio.run(kept.use())] == [0, 1]
    assert kept.log == ["open 0", "close 0", "open 1", "close 1"]


def test_loops_that_ended_are_forgotten(kept):
    for _ in range(3):
        asyncio.run(kept.use())
    assert len(kept.per_loop._kept) == 1


def test_two_loops_at_once_have_one_each(kept):
    with asyncio.Runner() as one, asyncio.Runner() as other:
        assert [one.run(kept.use()), other.run(kept.use()), one.run(kept.use())] == [0, 1, 0]
        one.run(kept.per_loop.aclose())
        assert kept.log[2:] == ["close 0"]
        assert [other.run(kept.use()), one.run(kept.use())] == [1, 2]
    assert sorted(kept.log[3:]) == ["close 1", "close 2", "open 2"]


def test_a_loop_closed_without_its_generators_does_no_harm(kept):
    loop = asyncio.new_event_loop()
    assert loop.run_until_complete(kept.use()) == 0
    loop.close()
    assert asyncio.run(kept.use()) == 1
    gc.collect()
    assert kept.log == ["open 0", "open 1", "close 1"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_leaves_its_parents_alone(kept):
    """Neither using nor closing touches what the parent opened."""
    with asyncio.Runner() as runner:
        runner.run(kept.use())
        child = os.fork()
        if not child:
            asyncio.events._set_running_loop(None)
            asyncio.run(kept.per_loop.aclose())
            used = asyncio.run(kept.use())
            gc.collect()
            os._exit(used if kept.log == ["open 0", "open 1", "close 1"] else 9)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
        assert runner.run(kept.use()) == 0
    assert kept.log == ["open 0", "close 0"]
