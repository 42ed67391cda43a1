"""File systems that are mounted below a folder's root. No file can be moved to them in one step.

The folder first copies a draft into the folder of its target, under a name that no key may have. From there the draft
moves in one step.
"""

import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BufferedWriter
from pathlib import Path

__all__ = ["RESERVED_NAME", "copy_beside", "name_beside", "sweep_beside"]

RESERVED_NAME = re.compile(r"\.async_storages-[0-9a-f]{32}", re.IGNORECASE)
"""The name of a draft. No file of a user has such a name."""


def name_beside(target: Path) -> Path:
    """Return a name for a draft in the folder of its target."""
    return target.with_name(f".async_storages-{secrets.token_hex(16)}")


def copy_beside(draft: Path, beside: BufferedWriter, flush: Callable[[BufferedWriter], None]) -> None:
    """Copy a draft's bytes to an open file beside its target, and flush them."""
    with draft.open("rb") as file:
        shutil.copyfileobj(file, beside, 1 << 20)
    flush(beside)


def sweep_beside(folder: Path, older_than: float) -> None:
    """Delete the drafts that killed processes left in a folder.

    Args:
        folder: The folder of the targets.
        older_than: The least number of seconds since the last write.
    """
    for path in _drafts_in(folder):
        with suppress(FileNotFoundError):
            if path.lstat().st_mtime < time.time() - older_than:
                path.unlink()


def _drafts_in(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if RESERVED_NAME.fullmatch(path.name))
