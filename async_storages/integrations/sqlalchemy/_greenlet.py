"""Waiting for coroutines inside SQLAlchemy's events: the one place that uses its semi-private greenlet functions."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlalchemy.exc import MissingGreenlet
from sqlalchemy.util import await_only, greenlet_spawn
from sqlalchemy.util.concurrency import in_greenlet

from async_storages._tasks import wait_out
from async_storages.errors import InvalidArgumentException

__all__ = [
    "NEEDS_ASYNC_SESSION",
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

NEEDS_ASYNC_SESSION = "use AsyncSession, or assign ids of files that are stored already"


def is_inside() -> bool:
    """True below an AsyncSession or AsyncConnection, where `wait_for` works."""
    return in_greenlet()


def wait_for[Result](work: Coroutine[Any, Any, Result]) -> Result:
    """The result of a coroutine, in the middle of synchronous code.

    Raises:
        InvalidArgumentException: Nothing below is asynchronous: this is a plain Session.
    """
    try:
        return await_only(work)
    except MissingGreenlet as error:
        work.close()
        raise InvalidArgumentException(f"nothing can be awaited in a plain Session: {NEEDS_ASYNC_SESSION}") from error


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
    """The result of an awaitable, in synchronous code: of an AsyncSession, else in a loop of a thread of its own."""

    async def wait() -> Result:
        return await work

    if is_inside():
        return wait_for(wait())
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, wait()).result()


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
    """Call synchronous code that uses the sync side of an AsyncEngine."""
    return await greenlet_spawn(func, *args)
