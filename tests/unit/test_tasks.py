import asyncio
import contextvars
import gc
import threading
import time

import pytest

from async_storages._tasks import map_bounded, offload, pause
from async_storages.errors import InvalidArgumentException, StorageOperationException
from tests.support.patience import HANGS


class Thread:
    """A function for a worker thread that waits for its permission to end."""

    def __init__(self, outcome=None):
        self.outcome = outcome
        self.started, self.may_end = threading.Event(), threading.Event()
        self.ended = False

    def __call__(self):
        self.started.set()
        self.may_end.wait(30)
        self.ended = True
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


async def begun(thread, coroutine):
    """The task of a coroutine that has started the thread."""
    task = asyncio.create_task(coroutine)
    await asyncio.to_thread(thread.started.wait, 30)
    return task


async def test_offload_gives_the_result_from_another_thread():
    assert await offload(divmod, 7, 2) == (3, 1)
    assert await offload(threading.get_ident) != threading.get_ident()


async def test_offload_raises_what_the_function_raises():
    with pytest.raises(ZeroDivisionError):
        await offload(divmod, 1, 0)


async def test_a_stop_iteration_does_not_wait_forever():
    with pytest.raises(RuntimeError, match="StopIteration"):
        await offload(next, iter(()))


async def test_offload_carries_the_context_there_and_not_back():
    variable = contextvars.ContextVar("variable", default="unset")
    variable.set("set")
    assert await offload(variable.get) == "set"
    await offload(variable.set, "changed")
    assert variable.get() == "set"


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("outcome", ["result", LookupError("dropped")], ids=["result", "error"])
async def test_a_cancelled_offload_waits_for_its_thread(times, outcome):
    thread = Thread(outcome)
    task = await begun(thread, offload(thread))
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
    thread.may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert thread.ended


def test_asyncio_does_not_complain_of_the_error_that_a_cancelled_call_dropped(caplog):
    thread = Thread(LookupError("dropped"))

    async def cancel():
        task = await begun(thread, offload(thread))
        task.cancel()
        thread.may_end.set()
        await asyncio.wait([task])

    asyncio.run(cancel())
    gc.collect()
    assert caplog.records == []


async def test_a_timeout_is_still_a_timeout():
    thread = Thread()

    async def limited():
        async with asyncio.timeout(0):
            await offload(thread)

    task = await begun(thread, limited())
    thread.may_end.set()
    with pytest.raises(TimeoutError):
        await task


async def double(item):
    await asyncio.sleep(0)
    return item * 2


@pytest.mark.parametrize("limit", [1, 3, 7, 1000])
@pytest.mark.parametrize("kind", [list, tuple, iter, lambda items: (item for item in items)])
async def test_map_bounded_keeps_the_order(limit, kind):
    assert await map_bounded(double, kind(range(7)), limit=limit) == [0, 2, 4, 6, 8, 10, 12]


async def test_the_slowest_first_item_comes_first():
    late = asyncio.Event()

    async def work(item):
        await late.wait() if item == 0 else late.set()
        return item

    assert await map_bounded(work, [0, 1], limit=2) == [0, 1]


@pytest.mark.parametrize("limit", [1, 2, 5])
async def test_no_more_than_the_limit_run_and_the_limit_is_used(limit):
    running, most = 0, 0

    async def work(_item):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    await map_bounded(work, range(20), limit=limit)
    assert most == limit


async def test_nothing_to_do_gives_nothing():
    assert await map_bounded(double, [], limit=5) == []


@pytest.mark.parametrize("limit", [0, -1])
async def test_a_limit_that_would_do_nothing_is_refused(limit):
    with pytest.raises(InvalidArgumentException, match="at least 1"):
        await map_bounded(double, [1], limit=limit)


async def test_the_first_failure_surfaces_as_it_was_and_stops_the_rest():
    cancelled, started = [], []

    async def work(item):
        started.append(item)
        if item == 1:
            raise StorageOperationException("why") from OSError("the cause")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(item)
            raise

    with pytest.raises(StorageOperationException, match="why") as raised:
        await map_bounded(work, range(10), limit=3)
    assert isinstance(raised.value.__cause__, OSError)
    assert sorted(cancelled) == [item for item in sorted(started) if item != 1]
    assert len(started) <= 3


async def test_a_cancelled_map_cancels_and_awaits_its_calls():
    ended = []
    running = asyncio.Event()

    async def work(item):
        try:
            running.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(item)

    task = asyncio.create_task(map_bounded(work, range(5), limit=5))
    await running.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(ended) == [0, 1, 2, 3, 4]


async def test_a_call_that_cancels_itself_is_not_taken_for_done():
    async def work(item):
        if item == 1:
            raise asyncio.CancelledError
        return item

    with pytest.raises(asyncio.CancelledError):
        await map_bounded(work, range(3), limit=1)


async def test_a_failing_generator_of_items_starts_nothing():
    def items():
        yield 1
        raise LookupError

    started = []
    with pytest.raises(LookupError):
        await map_bounded(started.append, items(), limit=2)
    assert started == []


async def test_calls_that_never_wait_let_others_run():
    turns = 0

    async def others():
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async def work(_item):
        begun = time.thread_time()
        while time.thread_time() - begun < 0.001:
            pass

    running = asyncio.create_task(others())
    await map_bounded(work, range(100), limit=10)
    running.cancel()
    assert turns >= 10


@pytest.mark.parametrize("limit", [1, 10])
async def test_a_cancellation_reaches_those_whose_turn_is_over(limit):
    async def work(_item):
        begun = time.thread_time()
        while time.thread_time() - begun < 0.002:
            pass

    running = asyncio.create_task(map_bounded(work, range(10_000), limit=limit))
    for _ in range(3):
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_pause_hears_of_a_cancellation_that_was_lost():
    async def lose_it():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await pause(60)

    task = asyncio.create_task(lose_it())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, HANGS)
