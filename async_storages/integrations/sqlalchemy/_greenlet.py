"""Waiting for coroutines inside of SQLAlchemy's events; no other module uses its semi-private greenlet functions."""

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
    "can_wait",
    "give_way",
    "pace",
    "run_uninterrupted",
    "spawn",
    "wait_anywhere",
    "wait_for",
    "wait_uninterrupted",
]

_AT_A_TIME = 40
"""Items between which other tasks get their turn."""

NEEDS_ASYNC_SESSION = "use AsyncSession, or assign ids of files that are stored already"


def can_wait() -> bool:
    """True below an AsyncSession or AsyncConnection, where `wait_for` works."""
    return in_greenlet()


def wait_for[Result](work: Coroutine[Any, Any, Result]) -> Result:
    """Wait for a coroutine in the middle of synchronous code, and return its result.

    Raises:
        InvalidArgumentException: Nothing below is asynchronous: this is a plain Session.
    """
    try:
        return await_only(work)
    except MissingGreenlet as error:
        work.close()
        raise InvalidArgumentException(f"nothing can be awaited in a plain Session: {NEEDS_ASYNC_SESSION}") from error


def pace[Item](items: Iterable[Item]) -> Iterator[Item]:
    """Yield the items, and give way now and then: thousands take longer than another request should wait."""
    for number, item in enumerate(items, 1):
        if number % _AT_A_TIME == 0:
            give_way()
        yield item


def give_way() -> None:
    """Let the other tasks of the event loop have their turn, if this runs in one."""
    if can_wait():
        wait_for(asyncio.sleep(0))


def wait_anywhere[Result](work: Awaitable[Result]) -> Result:
    """Wait for an awaitable in synchronous code, and return its result; without an AsyncSession a thread runs it."""

    async def wait() -> Result:
        return await work

    if can_wait():
        return wait_for(wait())
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, wait()).result()


async def wait_uninterrupted[Result](work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine to its end, in a task of its own; a cancellation meanwhile is raised afterwards."""
    task = asyncio.ensure_future(work)
    cancelled = await wait_out(task)
    if cancelled is None:
        return task.result()
    if not task.cancelled():
        task.exception()  # retrieved, so that asyncio does not log it as forgotten
    raise cancelled


def run_uninterrupted[Result](func: Callable[..., Result], *args: object) -> Result:
    """Call synchronous code to its end, even if the task is cancelled: SQLite keeps the lock of half a query."""
    return wait_for(wait_uninterrupted(greenlet_spawn(func, *args))) if can_wait() else func(*args)


async def spawn[Result](func: Callable[..., Result], *args: object) -> Result:
    """Call synchronous code that uses the sync side of an AsyncEngine."""
    return await greenlet_spawn(func, *args)
