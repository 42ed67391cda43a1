"""File systems mounted below a folder's root, to which no file moves in one step.

A draft is first copied into the folder of its target, under a name that no key may have; there it moves in one step
as everywhere.
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
"""The name of a draft, which no user's file has."""


def name_beside(target: Path) -> Path:
    """A name for a draft in the folder of its target."""
    return target.with_name(f".async_storages-{secrets.token_hex(16)}")


def copy_beside(draft: Path, beside: BufferedWriter, flush: Callable[[BufferedWriter], None]) -> None:
    """Copy a draft's bytes to a file that is open beside its target, and flush them."""
    with draft.open("rb") as file:
        shutil.copyfileobj(file, beside, 1 << 20)
    flush(beside)


def sweep_beside(folder: Path, older_than: float) -> None:
    """Remove the drafts that killed processes left in a folder.

    Args:
        folder: The folder of the targets.
        older_than: Seconds since the last write.
    """
    for path in _drafts_in(folder):
        with suppress(FileNotFoundError):
            if path.lstat().st_mtime < time.time() - older_than:
                path.unlink()


def _drafts_in(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if RESERVED_NAME.fullmatch(path.name))
