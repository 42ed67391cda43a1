"""Undoing unfinished work, even during a cancellation, within a time limit."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from async_storages._tasks import wait_out
from async_storages.errors import StorageException

__all__ = ["UNDO_WITHIN", "begun", "clean_up", "settled_if_cancelled"]

UNDO_WITHIN = 30.0
"""Seconds in which files that must not stay are deleted, if the backend has no option for this time."""


async def clean_up(
    work: Coroutine[Any, Any, object], error: BaseException, *, within: float, what: str = "what it began"
) -> None:
    """Run clean-up work to its end, even if the task is cancelled. A failure of it becomes a note on the first error.

    Args:
        work: The clean-up work.
        error: The first error. The caller raises it again afterwards.
        within: Seconds after which the work is cancelled.
        what: The subject of the note, if the work fails.
    """
    task = asyncio.ensure_future(asyncio.wait_for(work, within))
    await wait_out(task)
    if task.cancelled():  # by the loop, which ends
        error.add_note(f"{what} was not cleaned up")
    elif (failure := task.exception()) is not None:
        error.add_note(f"{what} could not be cleaned up either: {failure!s} ({type(failure).__name__})")


async def settled_if_cancelled[Result](
    work: Coroutine[Any, Any, Result],
    *,
    is_without_effect: Callable[[], bool],
    undo: Callable[[Result], Coroutine[Any, Any, object]] | None,
    within: float,
) -> Result:
    """Await `work`. If the task is cancelled, wait for the outcome of the work, and undo its effect.

    The server may carry out a request although the caller is cancelled.

    Args:
        work: Work that either raises a StorageException or has an effect.
        is_without_effect: Returns True while the server cannot have understood the request. The work is then cancelled.
        undo: Makes a coroutine that removes the effect. None keeps the effect.
        within: Seconds for waiting and undoing.
    """
    # begun at once, which saves a turn of the loop
    task = asyncio.Task(work, loop=asyncio.get_running_loop(), eager_start=True)

    async def settle() -> None:
        if is_without_effect():
            task.cancel()
        try:
            result = await task
        except (StorageException, asyncio.CancelledError):  # nothing happened, or it takes too long
            return
        if undo is not None:
            await undo(result)

    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError as error:
        await clean_up(settle(), error, within=within)
        raise


@asynccontextmanager
async def begun[Begun](
    begin: Coroutine[Any, Any, Begun], undo: Callable[[Begun], Coroutine[Any, Any, object]], *, within: float
) -> AsyncIterator[Begun]:
    """Yield the result of `begin`. If the block raises, or `begin` is cancelled, undo it.

    Args:
        begin: Begins work on a server.
        undo: Makes a coroutine that undoes it.
        within: Seconds for undoing.
    """
    made = await settled_if_cancelled(begin, is_without_effect=lambda: False, undo=undo, within=within)
    try:
        yield made
    except BaseException as error:
        await clean_up(undo(made), error, within=within)
        raise
