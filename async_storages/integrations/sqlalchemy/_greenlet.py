"""Waiting for coroutines inside SQLAlchemy's events, below an AsyncSession or in a plain Session.

No other module imports SQLAlchemy's semi-private greenlet functions. The coroutines of a plain Session run on the
background event loop. Only the session's own thread uses its database.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlalchemy.util import await_only, greenlet_spawn
from sqlalchemy.util.concurrency import in_greenlet

from async_storages._tasks import wait_out
from async_storages.synchronous.background_loop import call_back, can_block, has_caller, run_sync

__all__ = [
    "IN_EVENT_LOOP",
    "can_wait",
    "give_way",
    "greenlet_spawn",
    "is_in_async_session",
    "pace",
    "run_uninterrupted",
    "spawn",
    "wait_anywhere",
    "wait_for",
    "wait_uninterrupted",
]

_AT_A_TIME = 40
"""Number of items after which other tasks get a turn."""

IN_EVENT_LOOP = "it is used within a running event loop: use AsyncSession, or the plain Session in a thread"


def is_in_async_session() -> bool:
    """Return True below an AsyncSession or AsyncConnection."""
    return in_greenlet()


def can_wait() -> bool:
    """Return False in a plain Session within a running event loop, where `wait_for` cannot work."""
    return in_greenlet() or can_block()


def wait_for[Result](work: Coroutine[Any, Any, Result]) -> Result:
    """Wait for a coroutine in the middle of synchronous code, and return its result.

    Raises:
        InvalidArgumentException: A plain Session is used within a running event loop.
    """
    result: Result = await_only(work) if in_greenlet() else run_sync(work)
    return result


def pace[Item](items: Iterable[Item]) -> Iterator[Item]:
    """Yield the items, and give way now and then: thousands of them would block other requests for too long."""
    for number, item in enumerate(items, 1):
        if number % _AT_A_TIME == 0:
            give_way()
        yield item


def give_way() -> None:
    """Give the other tasks of the event loop a turn, if this code runs in an event loop."""
    if in_greenlet():
        wait_for(asyncio.sleep(0))


def wait_anywhere[Result](work: Awaitable[Result]) -> Result:
    """Wait for an awaitable in synchronous code, and return its result. It works within a running event loop, too."""

    async def wait() -> Result:
        return await work

    if can_wait():
        return wait_for(wait())
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(run_sync, wait()).result()


async def wait_uninterrupted[Result](work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine to its end, in its own task. If the caller is cancelled meanwhile, raise that afterwards."""
    task = asyncio.ensure_future(work)
    cancelled = await wait_out(task)
    if cancelled is None:
        return task.result()
    if not task.cancelled():
        task.exception()  # retrieved, so that asyncio does not log it as forgotten
    raise cancelled


def run_uninterrupted[Result](func: Callable[..., Result], *args: object) -> Result:
    """Run synchronous code to its end, even if the task is cancelled: half a query would leave SQLite's lock."""
    return wait_for(wait_uninterrupted(greenlet_spawn(func, *args))) if in_greenlet() else func(*args)


async def spawn[Result](func: Callable[..., Result], *args: object) -> Result:
    """Call synchronous code below an AsyncEngine, or in the thread of a plain Session."""
    return await (call_back(func, *args) if has_caller() else greenlet_spawn(func, *args))
