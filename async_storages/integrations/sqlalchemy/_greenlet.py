"""Waiting for coroutines inside SQLAlchemy's events, below an AsyncSession or in a plain Session.

This is the one place that uses SQLAlchemy's semi-private greenlet functions. A plain Session's coroutines run on the
background event loop, and its database is used by its own thread only.
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
    "is_inside",
    "paced",
    "result_of",
    "run_whole",
    "spawn",
    "wait_for",
    "wait_to_the_end",
]

_AT_A_TIME = 40
"""Items between which others get their turn."""

IN_EVENT_LOOP = "it is used within a running event loop: use AsyncSession, or the plain Session in a thread"


def is_inside() -> bool:
    """True below an AsyncSession or AsyncConnection, where `wait_for` works."""
    return in_greenlet()


def can_wait() -> bool:
    """True where `wait_for` works: everywhere but in a plain Session that is used within a running event loop."""
    return in_greenlet() or can_block()


def wait_for[Result](work: Coroutine[Any, Any, Result]) -> Result:
    """The result of a coroutine, in the middle of synchronous code: of an AsyncSession, or of a plain Session.

    Raises:
        InvalidArgumentException: A plain Session is used within a running event loop.
    """
    result: Result = await_only(work) if in_greenlet() else run_sync(work)
    return result


def paced[Item](items: Iterable[Item]) -> Iterator[Item]:
    """The items, letting other tasks have their turn now and then: thousands take longer than a request should wait."""
    for number, item in enumerate(items, 1):
        if number % _AT_A_TIME == 0:
            give_way()
        yield item


def give_way() -> None:
    """Let the other tasks of the event loop have their turn, if this runs in one."""
    if is_inside():
        wait_for(asyncio.sleep(0))


def result_of[Result](work: Awaitable[Result]) -> Result:
    """The result of an awaitable, in synchronous code; a plain Session may block a running event loop for it."""

    async def wait() -> Result:
        return await work

    if can_wait():
        return wait_for(wait())
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(run_sync, wait()).result()


async def wait_to_the_end[Result](work: Coroutine[Any, Any, Result]) -> Result:
    """Run `work` in a task of its own; a cancellation meanwhile is raised after it has ended."""
    task = asyncio.ensure_future(work)
    cancelled = await wait_out(task)
    if cancelled is None:
        return task.result()
    if not task.cancelled():
        task.exception()  # retrieved, so that asyncio does not log it as forgotten
    raise cancelled


def run_whole[Result](func: Callable[..., Result], *args: object) -> Result:
    """Call synchronous code to its end, also when the task is cancelled: SQLite keeps the lock of half a query."""
    return wait_for(wait_to_the_end(greenlet_spawn(func, *args))) if is_inside() else func(*args)


async def spawn[Result](func: Callable[..., Result], *args: object) -> Result:
    """Call synchronous code below an AsyncEngine, or in the thread of a plain Session."""
    return await (call_back(func, *args) if has_caller() else greenlet_spawn(func, *args))
