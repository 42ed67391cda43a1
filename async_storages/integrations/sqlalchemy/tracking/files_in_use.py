"""Files that open transactions of this process name. No other transaction's end removes them.

A database does not show one transaction the rows that another one has not committed. This module knows the open
transactions of its own process. Only a ledger knows those of other processes.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from threading import RLock
from weakref import WeakSet

from async_storages.integrations.sqlalchemy import _greenlet
from async_storages.integrations.sqlalchemy.columns.tracked_file import TrackedFile

__all__ = [
    "PendingLookup",
    "begin_removal",
    "end_removal",
    "files_in_use",
    "forget_all_files",
    "has_been_removed",
    "hold",
    "hold_all_files",
    "is_being_removed",
    "release",
    "release_all_files",
]

_REMEMBERED = 10_000
"""Number of removed files that are remembered."""

_lock = RLock()  # the garbage collector may end a transaction, which takes the lock, while another one has it
_held: Counter[TrackedFile] = Counter()
_holders_of_all: "WeakSet[object]" = WeakSet()
_postponed: set[TrackedFile] = set()
_being_removed: Counter[TrackedFile] = Counter()
_removed: dict[TrackedFile, None] = {}


class PendingLookup:
    """A lookup of files in a database, from before it begins until the session has acted on its result.

    Attributes:
        files: The files.
        named_meanwhile: Those that a transaction of this process has begun to name since.
    """

    def __init__(self, files: Iterable[TrackedFile]) -> None:
        self.files = set(_greenlet.pace(files))
        self.named_meanwhile: set[TrackedFile] = set()
        with _lock:
            _pending_lookups.add(self)


_pending_lookups: "WeakSet[PendingLookup]" = WeakSet()


def hold(file: TrackedFile) -> None:
    """Protect a file from removal, because an open transaction names it."""
    with _lock:
        _held[file] += 1
        for lookup in _pending_lookups:
            if file in lookup.files:
                lookup.named_meanwhile.add(file)


def hold_all_files(owner: object) -> None:
    """Protect every file from removal, because an open transaction names unknown files.

    The protection ends when the owner no longer exists.
    """
    with _lock:
        _holders_of_all.add(owner)
        for lookup in _pending_lookups:
            lookup.named_meanwhile |= lookup.files


def release(files: Iterable[TrackedFile]) -> list[TrackedFile]:
    """Undo `hold` at the end of a transaction.

    Returns:
        The files that are free now, and that another transaction wanted to remove meanwhile.
    """
    free = []
    with _lock:
        for file in files:
            _held[file] -= 1
            if _held[file] <= 0:
                del _held[file]
                if file in _postponed and not _holders_of_all:
                    _postponed.discard(file)
                    free.append(file)
    return free


def release_all_files(owner: object) -> list[TrackedFile]:
    """Undo `hold_all_files` at the end of a transaction.

    Returns:
        The files that are free now, and that another transaction wanted to remove meanwhile.
    """
    with _lock:
        _holders_of_all.discard(owner)
        free = [] if _holders_of_all else [file for file in _postponed if file not in _held]
        _postponed.difference_update(free)
    return free


def begin_removal(files: Iterable[TrackedFile]) -> list[TrackedFile]:
    """Return the files that may be removed now. The others stay until the transactions that name them end."""
    removable = []
    with _lock:
        for file in files:
            if file in _held or _holders_of_all:
                _postponed.add(file)
            else:
                _being_removed[file] += 1
                removable.append(file)
    return removable


def end_removal(files: Collection[TrackedFile]) -> None:
    """Record that the files of `begin_removal` are gone, or could not be removed."""
    with _lock:
        for file in files:
            _being_removed[file] -= 1
            if _being_removed[file] <= 0:
                del _being_removed[file]
            _removed[file] = None
        while len(_removed) > _REMEMBERED:
            del _removed[next(iter(_removed))]


def is_being_removed(file: TrackedFile) -> bool:
    """Return True between `begin_removal` and `end_removal`."""
    return file in _being_removed


def has_been_removed(file: TrackedFile) -> bool:
    """Return True if this process removed a file with this id. Another file may have been stored there since."""
    return file in _removed


def files_in_use() -> set[TrackedFile]:
    """Return the files that are held, wait for their removal, or are being removed."""
    with _lock:
        return {*_held, *_postponed, *_being_removed}


def forget_all_files() -> None:
    """Forget the files of all open transactions. For tests whose sessions do not end their transactions."""
    with _lock:
        for each in (_held, _holders_of_all, _postponed, _being_removed):
            each.clear()
