"""Forks of this process, and the files and sockets that it has open."""

import asyncio
import os
import signal
import traceback
import warnings
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["in_child", "no_more_open_files_than", "open_files"]

_CHILD_SECONDS = 60
_NOTICE_SECONDS = 30


def in_child(main: Callable[[], Coroutine[Any, Any, object]]) -> str:
    """Run a coroutine in a fork of this process. Call this function in a thread.

    Returns:
        The traceback of the child's error. Empty if there is none.
    """
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # for forking with threads, which are idle here
        child = os.fork()
    if child == 0:
        _be_child(main, writing)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        report = pipe.read()
    _, status = os.waitpid(child, 0)
    return report or ("" if status == 0 else f"the child died of {status}")


def _be_child(main: Callable[[], Coroutine[Any, Any, object]], writing: int) -> None:
    signal.alarm(_CHILD_SECONDS)  # a child that hangs is ended by the system
    try:
        asyncio.run(main())
    except BaseException:  # noqa: BLE001 - the parent shows it
        os.write(writing, traceback.format_exc().encode()[-60_000:])
    os._exit(0)


async def open_files() -> int:
    """Return the number of open files and sockets of this process. 0 on systems that do not report it."""
    return await asyncio.to_thread(_count_open_files)


def _count_open_files() -> int:
    with suppress(FileNotFoundError):
        return len(list(Path("/dev/fd").iterdir()))
    return 0


async def no_more_open_files_than(before: int) -> bool:
    """True once at most `before` files are open. It gives a server in this process time to notice closed clients."""
    for _ in range(100 * _NOTICE_SECONDS):
        if await open_files() <= before:
            return True
        await asyncio.sleep(0.01)
    return False
