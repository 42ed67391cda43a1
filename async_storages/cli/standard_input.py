"""Read standard input without a thread, so that a stopped command does not wait for input."""

import asyncio
import os
import stat
import sys
from collections.abc import AsyncGenerator

from async_storages._tasks import offload
from async_storages.cli.printing import note
from async_storages.errors import InvalidArgumentException
from async_storages.sources import CHUNK_SIZE

__all__ = ["ask", "read_chunks", "require_answer"]


async def read_chunks() -> AsyncGenerator[bytes]:
    """Yield all of standard input."""
    while chunk := await _read():
        yield chunk


def require_answer(*, yes: bool) -> None:
    """Require that the user can answer a question.

    Args:
        yes: True if no question is needed.

    Raises:
        InvalidArgumentException: Standard input is not a terminal.
    """
    if not (yes or sys.stdin.isatty()):
        raise InvalidArgumentException("nobody can be asked, as standard input is no terminal: say --yes")


async def ask(question: str, *, yes: bool) -> None:
    """Ask the user for a confirmation.

    Args:
        question: The question.
        yes: True asks nothing, and takes yes as the answer.

    Raises:
        InvalidArgumentException: The answer is not yes.
    """
    if yes:
        return
    note(f"{question} [y/N]")
    answer = (await _read()).decode(errors="replace").strip().lower()
    if answer not in {"y", "yes"}:
        raise InvalidArgumentException("nothing was changed, as the answer was not y")


async def _read() -> bytes:
    number = sys.stdin.fileno()
    if os.name == "nt" or stat.S_ISREG(os.fstat(number).st_mode):  # which cannot be waited for
        return await offload(os.read, number, CHUNK_SIZE)
    await _readable(number)
    return os.read(number, CHUNK_SIZE)


async def _readable(number: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(number, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(number)
