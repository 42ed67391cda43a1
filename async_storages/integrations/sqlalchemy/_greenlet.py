"""Waiting for coroutines inside SQLAlchemy's events: the one place that uses its semi-private greenlet functions."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from sqlalchemy.exc import MissingGreenlet
from sqlalchemy.util import await_only, greenlet_spawn
from sqlalchemy.util.concurrency import in_greenlet

from async_storages._tasks import wait_out
from async_storages.errors import InvalidArgumentException

__all__ = ["NEEDS_ASYNC_SESSION", "is_inside", "spawn", "wait_for", "wait_to_the_end"]

NEEDS_ASYNC_SESSION = "use AsyncSession, or assign ids of files that are stored already"


def is_inside() -> bool:
    """Whether this runs below an AsyncSession or AsyncConnection, so that `wait_for` works."""
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


async def wait_to_the_end(work: Coroutine[Any, Any, object]) -> None:
    """Run `work` in a task of its own; a cancellation meanwhile is raised after it has ended."""
    task = asyncio.ensure_future(work)
    cancelled = await wait_out(task)
    if cancelled is not None:
        raise cancelled
    task.result()


async def spawn[Result](func: Callable[..., Result], *args: object) -> Result:
    """Call synchronous code that uses the sync side of an AsyncEngine."""
    return await greenlet_spawn(func, *args)
