"""The background event loop: it runs coroutines for synchronous code, in a thread of its own, one per process.

The thread starts at its first use and ends with the process. A forked child starts its own thread. While the caller
waits, it makes the calls that the coroutine passes back to it. So only the thread that opened a database connection
uses it.
"""

import asyncio
import atexit
import os
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import aclosing, suppress
from contextvars import ContextVar, copy_context
from queue import SimpleQueue
from typing import Any

from async_storages.errors import InvalidArgumentException, StorageClosedException

__all__ = ["allow_in_event_loop", "call_back", "can_block", "has_caller", "iterate", "run_sync", "stop_background_loop"]

_ENDS = "the process ends, and the background event loop with it"
_ENDS_WITHIN = 10.0
"""Seconds that the loop has to close its connections when the process ends."""

type _Calls = SimpleQueue[Callable[[], object] | None]

_caller: ContextVar[_Calls | None] = ContextVar("async_storages_caller", default=None)


_is_allowed_in_event_loop = False


def allow_in_event_loop(is_allowed: bool = True) -> None:
    """Allow synchronous calls in a thread with a running event loop, for example in a notebook.

    Such a call blocks the event loop, and all other tasks wait. So by default it raises InvalidArgumentException.

    Args:
        is_allowed: True allows such calls in this process, False forbids them again.
    """
    global _is_allowed_in_event_loop  # noqa: PLW0603 - one answer for the process
    _is_allowed_in_event_loop = is_allowed


def can_block() -> bool:
    """Return True if `run_sync` may block this thread.

    It may if no event loop runs in the thread, or if `allow_in_event_loop` was called.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return True
    return _is_allowed_in_event_loop


def run_sync[Result](work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine on the background event loop, and wait for its result.

    The coroutine has the context variables of the caller. An interrupt (Ctrl-C) cancels the coroutine, and is raised
    when the coroutine has ended.

    Args:
        work: The coroutine. It cannot use objects of another event loop, such as an aiohttp response.

    Returns:
        The result of the coroutine.

    Raises:
        InvalidArgumentException: An event loop runs in this thread, and the call would block it.
        StorageClosedException: The process is ending.

    Example:
        >>> run_sync(manager.upload_service.upload_bytes("hello.txt", b"hello")).file_name
        'hello.txt'
    """
    try:
        _require_thread()
        result: Result = _Run(work).result()
        return result
    finally:
        work.close()  # has no effect once it has ended


def iterate[Item](source: AsyncGenerator[Item]) -> Iterator[Item]:
    """Iterate over an asynchronous generator in synchronous code. The generator is closed with the iterator.

    Raises:
        InvalidArgumentException: An event loop runs in this thread. The first step raises this.
    """
    _require_thread()
    steps = _Steps()
    run = _Run(steps.take(source))
    try:
        run.begin()
        while (item := steps.next_of(run)) is not _END:
            yield item
    finally:
        run.end()


def has_caller() -> bool:
    """Return True within a coroutine that `run_sync` runs. It can use `call_back`."""
    return _caller.get() is not None


async def call_back[Result](func: Callable[..., Result], *args: object) -> Result:
    """Call a function in the thread that waits in `run_sync`, and return its result."""
    loop, calls = asyncio.get_running_loop(), _caller.get()
    if calls is None:
        raise InvalidArgumentException("nobody waits in run_sync for this coroutine")
    answer: asyncio.Future[Result] = loop.create_future()

    def call() -> None:
        try:
            result = func(*args)
        except Exception as error:  # noqa: BLE001 - goes to the coroutine that asked for the call
            loop.call_soon_threadsafe(_set, answer.set_exception, answer, error)
        except BaseException:  # an interrupt, which belongs to this thread
            loop.call_soon_threadsafe(answer.cancel)
            raise
        else:
            loop.call_soon_threadsafe(_set, answer.set_result, answer, result)

    calls.put(call)
    return await _whole(answer)


async def _whole[Result](answer: "asyncio.Future[Result]") -> Result:
    """Wait for a call that cannot be stopped. If this task is cancelled, raise that after the call."""
    cancelled: asyncio.CancelledError | None = None
    while not answer.done():
        try:
            await asyncio.wait([answer])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        return answer.result()
    answer.exception()
    raise cancelled


def _set(set_it: Callable[[Any], None], answer: "asyncio.Future[Any]", value: object) -> None:
    if not answer.done():
        set_it(value)


def _require_thread() -> None:
    if not can_block():
        raise InvalidArgumentException(
            "an event loop runs in this thread, and a synchronous call would block it: await the asynchronous "
            "method, or make the call in a thread (asyncio.to_thread); in a notebook, call allow_in_event_loop()"
        )


# ---- one coroutine


class _Run:
    """A coroutine in the background loop, and the calls that it passes back.

    An interrupt can come between any two steps of the caller, so each step can be repeated safely.
    """

    def __init__(self, work: Coroutine[Any, Any, Any]) -> None:
        self.loop = _background.loop()
        self._work = work
        self._calls: _Calls = SimpleQueue()
        self._task: asyncio.Task[Any] | None = None
        self._has_ended = False
        self._context = copy_context()
        self._context.run(_caller.set, self._calls)

    def begin(self) -> None:
        """Start the coroutine with the context variables of this thread."""
        try:
            self.loop.call_soon_threadsafe(self._begun, context=self._context)
        except RuntimeError:
            raise StorageClosedException(_ENDS) from None

    def _begun(self) -> asyncio.Task[Any]:
        if self._task is None:
            self._task = self.loop.create_task(self._work)
            self._task.add_done_callback(lambda _task: self._calls.put(None))
        return self._task

    def result(self) -> Any:
        """Run the coroutine, make its calls until it has ended, and return its result or raise its error."""
        interrupt: BaseException | None = None
        while not self._has_ended:
            try:
                self.begin()
                self.make_calls()
            except StorageClosedException:
                raise
            except BaseException as error:  # noqa: BLE001 - raised when the coroutine has ended
                interrupt = error
                self._cancel()
        if interrupt is not None:
            raise interrupt
        return self.outcome()

    def make_calls(self) -> None:
        """Make the calls that the coroutine passes back, until it has ended."""
        while self.next_call():
            continue

    def next_call(self) -> bool:
        """Make the next call. Return False if the coroutine has ended instead."""
        call = self._calls.get()
        if call is None:
            self._has_ended = True
        else:
            call()
        return not self._has_ended

    def outcome(self) -> Any:
        """Return the result of the ended coroutine."""
        try:
            return None if self._task is None else self._task.result()
        except asyncio.CancelledError:
            raise StorageClosedException(_ENDS) from None

    def end(self) -> None:
        """Cancel the coroutine, and wait until it has ended."""
        self._cancel()
        if threading.get_ident() != _background.thread_id and not self._has_ended:
            self.make_calls()

    def _cancel(self) -> None:
        with suppress(RuntimeError):  # the loop is closed
            self.loop.call_soon_threadsafe(lambda: self._begun().cancel(), context=self._context)


# ---- an iteration

_END: Any = object()


class _Steps:
    """The steps of one iteration. One task produces each item when the caller requests it."""

    def __init__(self) -> None:
        self._item: Any = _END
        self._wanted = asyncio.Semaphore(0)

    async def take(self, source: AsyncGenerator[Any]) -> None:
        """Pass each item to the caller when it requests one."""
        async with aclosing(source):
            await self._wanted.acquire()
            async for item in source:
                await call_back(self._put, item)
                await self._wanted.acquire()

    def _put(self, item: object) -> None:
        self._item = item

    def next_of(self, run: _Run) -> Any:
        """Return the next item, or `_END`."""
        self._item = _END
        run.loop.call_soon_threadsafe(self._wanted.release)
        if not run.next_call():
            run.outcome()
        return self._item


# ---- the loop


class _Background:
    """The background thread of this process."""

    _lock: threading.Lock
    _loop: asyncio.AbstractEventLoop | None
    _thread: threading.Thread | None

    def __init__(self) -> None:
        self.forget()

    @property
    def thread_id(self) -> int | None:
        """The thread's identifier."""
        return None if self._thread is None else self._thread.ident

    def loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop. Start its thread if necessary."""
        with self._lock:
            loop = self._loop
            if loop is None:
                loop = self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=_serve, args=(loop,), name="async_storages", daemon=True)
                self._thread.start()
            return loop

    def stop(self) -> None:
        """End the thread, and close the connections of its loop."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(_ENDS_WITHIN)

    def forget(self) -> None:
        """Reset after a fork: the thread belongs to the parent, and the lock may never be released."""
        self._lock = threading.Lock()
        self._loop = self._thread = None


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    """Run the loop until it is stopped. `asyncio.run` cannot be used: at its end it starts a thread."""
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def stop_background_loop() -> None:
    """End the background thread, and close the connections of its loop. The next call of `run_sync` starts a new one.

    Python calls this when the process ends. Call it in tests to leave nothing open.
    """
    _background.stop()


_background = _Background()
atexit.register(_background.stop)  # before that, Python waits for threads that are no daemons
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_background.forget)
