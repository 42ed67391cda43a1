"""Interpreters that find what this one finds, but not this package, or another copy of it."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.patience import HANGS


def without_package(folder):
    """Fill a folder with links to all that is installed but async_storages."""
    folder.mkdir()
    for place in filter(os.path.isdir, (path for path in sys.path if "site-packages" in path)):
        for item in Path(place).iterdir():
            link = folder / item.name
            if "async_storages" not in item.name and not link.exists():
                link.symlink_to(item)
    return folder


def python(*arguments, cwd, paths):
    """Run Python where only these folders are searched for packages."""
    return subprocess.run(
        [sys.executable, "-S", "-W", "error", *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))},
        capture_output=True,
        encoding="utf-8",
        timeout=HANGS,
        check=False,
    )
