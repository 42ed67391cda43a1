"""Temporary folders for making variants. Folders that killed processes left are removed. Blocks."""

import os
import shutil
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

__all__ = ["temporary_folder"]

_PREFIX = "async-storages-variants-"
_DEAD_FOLDER = 24 * 3600
"""Seconds since the last change after which the folder of an ended process is removed."""


def temporary_folder() -> "TemporaryDirectory[str]":
    """Make an empty folder. The first call in a process removes the folders that killed processes left."""
    _sweep(gettempdir())
    return TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-")


@cache
def _sweep(parent: str) -> None:
    with suppress(OSError):
        for folder in Path(parent).glob(f"{_PREFIX}*-*"):
            pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
            with suppress(OSError):  # another process was faster, or it is another user's
                is_old = folder.lstat().st_mtime < time.time() - _DEAD_FOLDER
                if pid.isdecimal() and is_old and not _is_running(int(pid)):
                    shutil.rmtree(folder)


def _is_running(pid: int) -> bool:
    """Return True for the number of another running process. A folder with our number is from an earlier process."""
    if pid == os.getpid() or os.name == "nt":  # where signals end processes, age alone decides
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        return True
    return True
