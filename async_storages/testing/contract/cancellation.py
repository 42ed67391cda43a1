"""Cancel work at each of its awaits."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from functools import partial
from itertools import count
from types import coroutine
from typing import Any

__all__ = ["cancelled_at", "every_cancellation"]


async def cancelled_at(suspension: int, work: Coroutine[Any, Any, object]) -> bool:
    """Run `work` as a task that is cancelled at its n-th await, counted from 0.

    It counts awaits instead of using a clock, so it misses none.

    Returns:
        False if the work ended before that await.

    Raises:
        AssertionError: The work swallowed the cancellation.
        Exception: The exception of `work`.
    """
    reached: list[int] = []
    task = asyncio.ensure_future(_cancelling(work, suspension, reached))
    await asyncio.wait([task])
    if task.cancelled():
        return True
    task.result()
    assert not reached, "the cancellation was swallowed"
    return False


async def every_cancellation(work: Callable[[], Coroutine[Any, Any, object]]) -> AsyncIterator[int]:
    """Run the work repeatedly, cancelled at its first await, at its second, and so on until it completes.

    Yields:
        The number of the await, after each cancellation.
    """
    for suspension in count():
        if not await cancelled_at(suspension, work()):
            return
        yield suspension


@coroutine
def _cancelling(work: Coroutine[Any, Any, object], suspension: int, reached: list[int]) -> Generator[Any]:
    step: Callable[[], Any] = partial(work.send, None)
    for waits in count():
        try:
            awaited = step()
        except StopIteration:
            return
        if waits == suspension:
            reached.append(waits)
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
        try:
            yield awaited
        except BaseException as error:  # noqa: BLE001 - it is raised inside the work
            step = partial(work.throw, error)
        else:
            step = partial(work.send, None)
