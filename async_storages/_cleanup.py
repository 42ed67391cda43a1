"""Undoing what was begun, also while being cancelled, within a time."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from async_storages._tasks import wait_out
from async_storages.errors import StorageException

__all__ = ["UNDO_WITHIN", "begun", "clean_up", "settled_if_cancelled"]

UNDO_WITHIN = 30.0
"""Seconds in which files that must not stay are removed, where no option of a backend says another time."""


async def clean_up(
    work: Coroutine[Any, Any, object], error: BaseException, *, within: float, what: str = "what it began"
) -> None:
    """Run `work` to its end, whoever cancels meanwhile; its own failure is only noted on the error that led to it.

    Args:
        work: What is to be done.
        error: The first error; raise it again afterwards.
        within: Seconds after which the work is given up.
        what: What is removed, as the note names it if that fails.
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
    """Await `work`; if cancelled meanwhile, find out what became of it, as a server may do what it was asked.

    Args:
        work: What either raises a StorageException or has an effect.
        is_without_effect: Whether it may as well be broken off, as the server cannot have understood it yet.
        undo: Makes the coroutine that removes the effect; None where that is to stay.
        within: Seconds that all this may take.
    """
    task = asyncio.ensure_future(work)

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
    """Yield the result of `begin`; undo it when the block raises, or when `begin` is cancelled on the way.

    Args:
        begin: Begins something on a server.
        undo: Makes the coroutine that gives it up.
        within: Seconds that giving it up may take.
    """
    made = await settled_if_cancelled(begin, is_without_effect=lambda: False, undo=undo, within=within)
    try:
        yield made
    except BaseException as error:
        await clean_up(undo(made), error, within=within)
        raise
