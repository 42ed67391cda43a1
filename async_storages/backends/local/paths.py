"""Paths of files. A long-running process does not keep the names of all files in memory."""

import os
import sys
from pathlib import Path

__all__ = ["own_path"]

if sys.version_info >= (3, 13):

    def own_path(path: Path) -> Path:
        """A path whose children may be any number; on Python 3.12 it needs a class of its own."""
        return path

else:

    class _OwnPath(type(Path())):  # type: ignore[misc] # PosixPath or WindowsPath
        """A path that does not intern its parts: Python 3.12 never frees an interned text."""

        __slots__ = ()

        @classmethod
        def _parse_path(cls, path: str) -> tuple[str, str, list[str]]:
            drive, root, rest = os.path.splitroot(path)
            return drive, root, [part for part in rest.split("/") if part and part != "."]

    def own_path(path: Path) -> Path:
        """A path whose children may be any number; on Python 3.12 it needs a class of its own."""
        return path if os.name == "nt" else _OwnPath(path)
