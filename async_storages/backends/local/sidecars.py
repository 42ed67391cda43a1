"""Descriptions beside files: the type and metadata that the file's name does not tell.

Each key that needs a description has a small JSON file with a list of entries. Each entry belongs to one version of the
file, which its size and time stamp identify. While a file is replaced there are two entries. So the description changes
together with the file, and a killed process never leaves a file with the description of another version.
"""

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from io import BufferedWriter
from pathlib import Path
from typing import Any

__all__ = ["Description", "Descriptions", "describe"]

type Description = Mapping[str, Any]


class Descriptions:
    """The descriptions of a folder's files. The caller locks them against concurrent changes.

    Args:
        folder: The folder of the descriptions.
        drafts: The folder of unfinished descriptions.
        flush: Flushes a new description to the disk.
    """

    def __init__(self, folder: Path, drafts: Path, flush: Callable[[BufferedWriter], None]) -> None:
        self._folder = folder
        self._drafts = drafts
        self._flush = flush

    def find(self, key: str, found: os.stat_result) -> Description:
        """Return the description of the current version of a file. Empty if there is none."""
        entries = self.read(key)
        exact = [entry for entry in entries if _stamp(entry) == _stamp(describe(found, {}))]
        if exact:
            return exact[-1]
        # a copy of the folder elsewhere may have other times
        return entries[0] if len(entries) == 1 and entries[0].get("size") == found.st_size else {}

    def read(self, key: str) -> list[Description]:
        """Return the entries of a key: usually none or one."""
        try:
            entries = json.loads(self._path(key).read_bytes())
        except (FileNotFoundError, ValueError):  # missing, or truncated by a power cut
            return []
        return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []

    def write(self, key: str, entries: Sequence[Description]) -> None:
        """Replace the entries of a key, in one step."""
        path = self._path(key)
        if not entries:
            path.unlink(missing_ok=True)
            return
        draft = self._drafts / secrets.token_hex(16)
        try:
            with draft.open("xb") as file:
                file.write(json.dumps([{"key": key, **entry} for entry in entries]).encode())
                self._flush(file)
            draft.replace(path)
        except OSError:
            with suppress(OSError):  # a rest is swept later: the first error counts
                draft.unlink()
            raise

    def _path(self, key: str) -> Path:
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()}.json"


def describe(found: os.stat_result, description: Description) -> Description:
    """Return an entry for this version of a file."""
    return {**description, "size": found.st_size, "mtime_ns": found.st_mtime_ns}


def _stamp(entry: Description) -> tuple[Any, Any]:
    return entry.get("size"), entry.get("mtime_ns")
