"""Disks that refuse: real ones where this user may mount them, else system calls that fail."""

import errno
import io
import os
import subprocess
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

import pytest

CHANGING_CALLS = ("mkdir", "open", "replace", "unlink", "rmdir", "utime", "fsync")
NEED_NO_ROOM = {"unlink", "rmdir"}


@contextmanager
def before_changes(call):
    """Call `call(name)` ahead of every system call that changes a file system, as Python makes them."""
    with pytest.MonkeyPatch.context() as patch:
        for name in CHANGING_CALLS:
            module = io if name == "open" else os
            patch.setattr(module, name, _preceded(getattr(module, name), name, call))
        yield


def _preceded(real, name, call):
    def preceded(*args, **kwargs):
        if name != "open" or set("wxa+") & set(kwargs.get("mode", args[1] if len(args) > 1 else "r")):
            call(name)
        return real(*args, **kwargs)

    return preceded


@contextmanager
def failing_from(number, code, how_many=10**9):
    """From the n-th system call on that changes a file system, so many fail with this errno.

    On a full disk (ENOSPC), things can still be removed. Yields the names of the calls that failed.
    """
    calls, failed = count(), []

    def fail(name):
        if not (code == errno.ENOSPC and name in NEED_NO_ROOM) and number <= next(calls) < number + how_many:
            failed.append(name)
            raise OSError(code, os.strerror(code))

    with before_changes(fail):
        yield failed


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of 1 MiB, None where this user may not mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    is_mounted = _run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder)
    yield folder if is_mounted else None
    if is_mounted:
        _run("umount", "--lazy", folder)


@pytest.fixture(params=["by the system", "simulated"])
def make_read_only(request):
    """Makes a folder refuse changes: by a mount, else by permissions, which do not bind root; or by failing calls."""
    with ExitStack() as undo:

        def make(folder: Path) -> None:
            if request.param == "by the system" and (_mounted_read_only(folder, undo) or _forbidden(folder, undo)):
                return
            undo.enter_context(failing_from(0, errno.EROFS))

        yield make


def _mounted_read_only(folder: Path, undo: ExitStack) -> bool:
    if not _run("mount", "--bind", folder, folder):
        return False
    undo.callback(_run, "umount", "--lazy", folder)
    return _run("mount", "-o", "remount,ro,bind", folder)


def _forbidden(folder: Path, undo: ExitStack) -> bool:
    for path in (folder, *folder.rglob("*")) if os.geteuid() else ():
        undo.callback(path.chmod, path.stat().st_mode)
        path.chmod(path.stat().st_mode & ~0o222)
    return os.geteuid() != 0


def _run(*command) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
