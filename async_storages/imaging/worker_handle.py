"""The parent's side of a worker process: it starts, uses and kills the worker. All but `kill` blocks."""

import json
import logging
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict
from multiprocessing.spawn import get_executable
from threading import Timer
from typing import Any

from async_storages.errors import (
    FileNotFoundException,
    ImageProcessingException,
    InvalidArgumentException,
    InvalidFileTypeException,
    StorageException,
    StorageOperationException,
)
from async_storages.imaging.limits import ImageLimits

__all__ = ["WorkerHandle"]

logger = logging.getLogger("async_storages")

_STARTS_WITHIN = 60.0  # seconds
_LONGEST_ANSWER = 1 << 16  # bytes
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1])\nfrom async_storages.imaging.worker import main; main()"
)
_PASSED_ON = (
    *("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME", "SYSTEMROOT"),
    *("TMPDIR", "TEMP", "TMP", "LANG", "LC_ALL", "LC_CTYPE"),
)
"""The environment variables that a worker gets. A hostile image that takes over a worker must not find secrets."""

_OWN = {"MALLOC_ARENA_MAX": "2", "OMP_NUM_THREADS": "1", "VIPS_CONCURRENCY": "1"}
_ERRORS: dict[str, type[StorageException]] = {
    kind.__name__: kind for kind in (FileNotFoundException, InvalidArgumentException, InvalidFileTypeException)
}
"""Errors that workers may raise, besides ImageProcessingException."""

_SHORT_OF_MEMORY = -getattr(signal, "SIGKILL", 9)


class WorkerHandle:
    """One process that makes images.

    Args:
        engine: The specification of its engine.
        limits: The limits for its images.

    Raises:
        ImportError: The engine's library is missing.
        StorageOperationException: The process cannot be started.
    """

    def __init__(self, engine: list[Any], limits: ImageLimits) -> None:
        command = [get_executable() or sys.executable, "-I", "-c", _PROGRAM, json.dumps(sys.path)]
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        self._timeout = limits.timeout
        self._is_late = False
        self._is_given_up = False
        try:
            self._process = subprocess.Popen(  # noqa: S603 - this Python
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment | _OWN,
                start_new_session=True,
            )
        except OSError as error:
            raise StorageOperationException(f"no worker for images can be started: {error}") from error
        self._group: int | None = self._process.pid
        try:
            self._answer({"engine": engine, "limits": asdict(limits)}, _STARTS_WITHIN)
        except BaseException:
            self.end()
            raise

    def ask(self, job: dict[str, Any]) -> dict[str, Any]:
        """Let the worker do a job. After an error, check `has_ended` before you use the worker again.

        Raises:
            StorageException: The job failed or took too long, or the worker died.
        """
        return self._answer(job, self._timeout * len(job.get("wanted", [""])))

    def is_alive(self) -> bool:
        """Return True if the process still runs. The system may have ended it."""
        if self._process.poll() is None:
            return True
        self._group = None  # the number may be that of another process now
        self.end()
        return False

    @property
    def has_ended(self) -> bool:
        """True if the process has ended, for any reason."""
        return self._group is None

    def kill(self) -> None:
        """Kill the process and the processes that it started. Does not block.

        The thread that waits for the answer then calls `end`.
        """
        self._is_given_up = True
        group = self._group
        if group is None:
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL) if hasattr(os, "killpg") else self._process.kill()

    def end(self) -> int:
        """Kill the process, wait for its end, close its pipes, and return its exit status."""
        self.kill()
        self._group = None
        with suppress(OSError), self._process:  # what it was still to be told
            pass
        return self._process.wait()

    def _answer(self, told: dict[str, Any], within: float) -> dict[str, Any]:
        timer = Timer(within, self._kill_late)
        timer.start()
        try:
            line = self._exchanged(json.dumps(told).encode() + b"\n")
        finally:
            timer.cancel()
            timer.join()
        if not line.endswith(b"\n"):
            raise self._death(within)
        answer: dict[str, Any] = json.loads(line)
        if answer.get("is_last") or self._is_late:  # it answered while it was being killed
            self.end()
        if "error" in answer:
            raise _error(answer)
        return answer

    def _exchanged(self, line: bytes) -> bytes:
        assert self._process.stdin is not None  # noqa: S101 - both are pipes
        assert self._process.stdout is not None  # noqa: S101
        try:
            self._process.stdin.write(line)
            self._process.stdin.flush()
            return self._process.stdout.readline(_LONGEST_ANSWER)
        except OSError:  # it is dead
            return b""

    def _kill_late(self) -> None:
        self._is_late = True
        self.kill()

    def _death(self, within: float) -> ImageProcessingException:
        is_given_up = self._is_given_up
        status = self.end()
        if self._is_late:
            return ImageProcessingException(f"the image took longer than the {within:g} seconds allowed")
        if status >= 0:
            how = f"ended with status {status}"
        else:
            why = ", as the system does when memory is short" if status == _SHORT_OF_MEMORY else ""
            how = f"was killed by signal {-status}{why}"
        if not is_given_up:
            logger.warning("a worker for images %s", how)
        return ImageProcessingException(f"the worker that made the image {how}")


def _error(answer: dict[str, Any]) -> Exception:
    if answer["error"] == ImportError.__name__:
        return ImportError(answer["reason"])
    kind = _ERRORS.get(answer["error"], ImageProcessingException)
    error = kind(answer["reason"], file_id=answer.get("file_id"))
    if isinstance(error, InvalidFileTypeException):
        error.rule = answer["rule"]
    return error
