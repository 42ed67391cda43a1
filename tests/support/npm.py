"""Scripts for browsers, made of npm's packages once and kept in the environment."""

import shutil
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

__all__ = ["run", "script_of"]


def script_of(pinned: Path, name: str, make: Callable[[Path], Path]) -> str:
    """The text of a script; the test is skipped where npm cannot bring it, which fails in CI.

    Args:
        pinned: A folder with `package.json` and `package-lock.json`.
        name: The name to keep the script under.
        make: Called with a copy of the folder, in which the packages are installed; returns the path of the script.
    """
    lock = zlib.crc32((pinned / "package-lock.json").read_bytes())
    script = Path(sys.prefix, "npm", f"{name}-{lock:08x}.js")
    if not script.exists():
        if shutil.which("npm") is None:
            pytest.skip("npm is not installed")
        script.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=script.parent) as temporary:
            folder = shutil.copytree(pinned, Path(temporary, name))
            run("npm", "ci", "--no-audit", "--no-fund", cwd=folder)
            make(folder).replace(script)
    return script.read_text()


def run(*command: str, cwd: Path) -> None:
    """Run a command of npm; the test is skipped where it fails."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{' '.join(command)} failed: {done.stderr[-500:]}")
