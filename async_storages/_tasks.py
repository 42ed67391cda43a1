"""Running blocking calls in threads, background work beside a block, and many coroutines with a limit."""

import asyncio
import contextvars
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

from async_storages.errors import InvalidArgumentException

__all__ = ["beside", "map_bounded", "offload", "pause", "wait_out"]

_TURN = 0.004
"""Seconds for which work may run before other tasks get their turn."""


async def offload[Result](func: Callable[..., Result], *args: object) -> Result:
    """Call `func(*args)` in a worker thread and wait for it, even if the caller is cancelled.

    Unlike `asyncio.to_thread`, it raises a cancellation only after the thread has ended. So no thread works on a file
    that its owner believes to be free. A call costs about 50 µs.

    Raises:
        asyncio.CancelledError: The caller was cancelled. The result or error of `func` is lost. So a function that
            opens a file must put it where the caller's clean-up finds it, for example into an ExitStack.
        RuntimeError: `func` raised StopIteration, which a coroutine cannot raise (PEP 479).
    """
    context = contextvars.copy_context()

    def call() -> Result:
        try:
            return context.run(func, *args)
        except StopIteration as stop:  # asyncio would wait for its result forever
            raise RuntimeError("a function in a worker thread raised StopIteration") from stop

    future = asyncio.get_running_loop().run_in_executor(None, call)
    cancelled = await wait_out(future)
    if cancelled is None:
        return future.result()
    future.exception()  # retrieved, so that asyncio does not log it as forgotten
    raise cancelled


async def wait_out(future: asyncio.Future[Any]) -> asyncio.CancelledError | None:
    """Wait until a future or task is done, even if the caller is cancelled. Return the cancellation, or None."""
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            cancelled = error
    return cancelled


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, object], name: str) -> AsyncGenerator[None]:
    """Run endless work in the background of a block. The end of the block cancels the work and waits for it."""
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        if (cancelled := await wait_out(task)) is not None:
            raise cancelled


async def pause(seconds: float) -> None:
    """Sleep between two passes of endless work.

    Raises:
        asyncio.CancelledError: The task is cancelled now, or was cancelled before. SQLAlchemy loses a cancellation that
            arrives while it handles another error.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
    await asyncio.sleep(seconds)


class _Turn:
    """The time for which several workers together have run without a pause."""

    def __init__(self) -> None:
        self._ends = monotonic() + _TURN
        self._next: asyncio.Future[None] | None = None

    async def pass_on(self) -> None:
        """If the turn is over, let other tasks run. The next turn begins for all workers at once."""
        while monotonic() > self._ends:
            if self._next is None:
                loop = asyncio.get_running_loop()
                self._next = loop.create_future()
                loop.call_soon(self._begin, self._next)
            await asyncio.shield(self._next)

    def _begin(self, waited_for: asyncio.Future[None]) -> None:
        self._ends, self._next = monotonic() + _TURN, None
        waited_for.set_result(None)


async def map_bounded[Item, Result](
    func: Callable[[Item], Awaitable[Result]], items: Iterable[Item], *, limit: int
) -> list[Result]:
    """Await `func(item)` for every item, at most `limit` at a time. Return the results in the order of the items.

    Even if `func` never waits, other tasks run every few milliseconds.

    Raises:
        InvalidArgumentException: `limit` is below 1.
        Exception: The first failure. The other calls are cancelled and awaited before it is raised.
        asyncio.CancelledError: The caller was cancelled, or a call raised this.
    """
    if limit < 1:
        raise InvalidArgumentException(f"the concurrency must be at least 1, not {limit!r}")
    waiting = list(items)
    if len(waiting) <= 1:
        return [await func(item) for item in waiting]
    results: dict[int, Result] = {}
    queue = enumerate(waiting)
    turn = _Turn()

    async def work() -> None:
        for index, item in queue:
            results[index] = await func(item)
            await turn.pass_on()

    failure = None
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(limit, len(waiting))):
                group.create_task(work())
    except BaseExceptionGroup as failures:
        failure = failures.exceptions[0]
    if failure is not None:  # raised out here it keeps its own cause and context
        raise failure
    if len(results) < len(waiting):  # a task that raises CancelledError ends without a failure
        raise asyncio.CancelledError
    return [results[index] for index in range(len(waiting))]
