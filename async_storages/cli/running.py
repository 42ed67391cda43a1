"""Run a command: print an error in one line, stop cleanly at Ctrl-C, and end silently if the output pipe closes."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, NoReturn

import typer

from async_storages.errors import StorageException

__all__ = ["REFUSED", "SOMETHING_WRONG", "fail", "run", "run_app"]

SOMETHING_WRONG = 1
"""Exit code: the command has done its work, and found or met something that is wrong."""

REFUSED = 2
"""Exit code: the command was refused, and has changed nothing."""

_STOPPED = 130
_TERMINATED = 143
_NOBODY_READS = 141
"""Exit codes that shells give to SIGINT, SIGTERM and SIGPIPE."""

_USAGE_ERRORS: type[Exception] = typer.BadParameter.__mro__[2]
"""Click's root of errors in the use of a command, which Typer does not export."""


class _Stopped(Exception):
    """The user has stopped the command.

    Args:
        code: The exit code.
        how_to_go_on: A sentence that says how to continue.
    """

    def __init__(self, code: int, how_to_go_on: str) -> None:
        super().__init__(how_to_go_on)
        self.code = code


class _NobodyReads(Exception):
    """The pipe of standard output is closed. Typer would end with 1."""


def run_app(app: typer.Typer) -> NoReturn:
    """Run the command of ``sys.argv``, and end the process with its exit code."""
    try:
        code = _run(app)
        sys.stdout.flush()
    except (BrokenPipeError, _NobodyReads):
        # Python would complain when it flushes the pipe at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = _NOBODY_READS
    sys.exit(code)


def _run(app: typer.Typer) -> int:
    try:
        returned = app(sys.argv[1:] or ["--help"], prog_name="async-storages", standalone_mode=False)
    except _Stopped as stop:
        typer.echo(f"stopped: {stop}", err=True)
        return stop.code
    except (typer.Abort, KeyboardInterrupt):
        typer.echo("stopped", err=True)
        return _STOPPED
    except StorageException as error:
        typer.echo(_one_line(str(error)), err=True)
        return REFUSED
    except _USAGE_ERRORS as error:
        typer.echo(_one_line(_text_of(error)), err=True)
        return REFUSED
    except Exception as error:
        if not _is_from_outside(error):
            raise
        reason = next(iter(str(getattr(error, "orig", None) or error).splitlines()), "no answer in time")
        typer.echo(f"{type(error).__name__}: {reason}", err=True)
        return REFUSED
    return returned if isinstance(returned, int) else 0


def _is_from_outside(error: Exception) -> bool:
    """True for errors of databases and of the operating system. They are not errors of the program."""
    databases = sys.modules.get("sqlalchemy.exc")  # who has not imported it has no such errors
    return isinstance(error, OSError) or (databases is not None and isinstance(error, databases.SQLAlchemyError))


def _text_of(error: Any) -> str:
    message: str = error.format_message()
    context = getattr(error, "ctx", None)
    return f"{message} (see {context.command_path} --help)" if context is not None else message


def _one_line(text: str) -> str:
    return " ".join(line.strip() for line in text.splitlines())


def fail(reason: str, code: int = REFUSED) -> NoReturn:
    """End the command with one line on stderr.

    Args:
        reason: A sentence with the problem, the wrong value, and the remedy.
        code: The exit code.
    """
    typer.echo(_one_line(reason), err=True)
    raise typer.Exit(code)


def run[Result](
    work: Coroutine[Any, Any, Result], how_to_go_on: Callable[[], str] | str = "nothing was changed"
) -> Result:
    """Run a coroutine to its end. Ctrl-C and SIGTERM cancel it, so that it cleans up.

    Args:
        work: The work of a command.
        how_to_go_on: A sentence for a user who has stopped the command, or a function that returns it.
    """
    try:
        return asyncio.run(_terminable(work))
    except KeyboardInterrupt:
        code = _STOPPED
    except asyncio.CancelledError:  # by SIGTERM
        code = _TERMINATED
    except BrokenPipeError:
        raise _NobodyReads from None
    raise _Stopped(code, how_to_go_on if isinstance(how_to_go_on, str) else how_to_go_on())


async def _terminable[Result](work: Coroutine[Any, Any, Result]) -> Result:
    task = asyncio.current_task()
    if task is not None:
        with suppress(NotImplementedError):  # Windows has no such signals
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await work
