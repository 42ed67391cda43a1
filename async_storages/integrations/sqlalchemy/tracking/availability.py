"""Checks that files are there, before rows name them."""

from collections.abc import Iterable, Sequence

from async_storages._tasks import map_bounded
from async_storages.errors import FileGoneException
from async_storages.files import StoredFile, new_file_state_of
from async_storages.integrations.sqlalchemy import _greenlet
from async_storages.integrations.sqlalchemy.columns.tracked_file import TrackedFile
from async_storages.integrations.sqlalchemy.tracking import files_in_use

__all__ = ["require_available", "require_existing"]

_AT_ONCE = 8
"""Storages asked at the same time."""


def require_available(files: Iterable[StoredFile]) -> None:
    """Refuse files that this process has removed, or is removing; storages are asked only about doubtful ones.

    Raises:
        FileGoneException: A file was removed when its transaction was rolled back, or is being removed now.
    """
    doubtful = []
    for stored in _greenlet.pace(files):
        state = new_file_state_of(stored)
        if state is not None and state.is_gone:
            raise _gone(stored, "the file was removed when the transaction that was to name it was rolled back")
        file = TrackedFile.of(stored)
        if files_in_use.is_being_removed(file):
            raise _gone(stored, "the file is being removed")
        if files_in_use.has_been_removed(file):
            doubtful.append(stored)
    require_existing(doubtful)


def require_existing(files: Sequence[StoredFile]) -> None:
    """Ask storages for files.

    Raises:
        FileGoneException: One of them is not there.
    """
    if files:
        _greenlet.wait_anywhere(map_bounded(_require, files, limit=_AT_ONCE))


async def _require(stored: StoredFile) -> None:
    if not await stored.exists():
        raise _gone(stored, "there is no such file")


def _gone(stored: StoredFile, reason: str) -> FileGoneException:
    return FileGoneException(reason, operation="flush", file_id=stored.file_id)
