"""Files that open transactions of this process name: none of them is removed on account of another transaction.

A database does not show one transaction the rows that another one has not committed. Within a process this is where
they are known; beyond it, only a ledger knows.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from threading import RLock
from weakref import WeakSet

from async_storages.integrations.sqlalchemy import _greenlet
from async_storages.integrations.sqlalchemy.columns.tracked_file import TrackedFile

__all__ = [
    "Inquiry",
    "hold",
    "hold_everything",
    "is_leaving",
    "may_be_gone",
    "note_removed",
    "release",
    "release_everything",
    "take",
]

_REMEMBERED = 10_000

_lock = RLock()  # a dropped transaction may let go while another one does
_held: Counter[TrackedFile] = Counter()
_unknown: "WeakSet[object]" = WeakSet()
_wanted: set[TrackedFile] = set()
_leaving: Counter[TrackedFile] = Counter()
_removed: dict[TrackedFile, None] = {}


class Inquiry:
    """A question about files, from before it is asked until its answer has been acted on.

    Attributes:
        files: The files.
        doubtful: Those that a transaction of this process has begun to name meanwhile.
    """

    def __init__(self, files: Iterable[TrackedFile]) -> None:
        self.files = set(_greenlet.paced(files))
        self.doubtful: set[TrackedFile] = set()
        with _lock:
            _inquiries.add(self)


_inquiries: "WeakSet[Inquiry]" = WeakSet()


def hold(file: TrackedFile) -> None:
    """An open transaction names a file."""
    with _lock:
        _held[file] += 1
        for inquiry in _inquiries:
            if file in inquiry.files:
                inquiry.doubtful.add(file)


def hold_everything(owner: object) -> None:
    """An open transaction names files that nobody knows: until it ends, or is dropped, none is removed."""
    with _lock:
        _unknown.add(owner)
        for inquiry in _inquiries:
            inquiry.doubtful |= inquiry.files


def release_everything(owner: object) -> list[TrackedFile]:
    """Such a transaction has ended; returns the files that others wanted to remove meanwhile, if it was the last."""
    with _lock:
        _unknown.discard(owner)
        inherited = [] if _unknown else [file for file in _wanted if file not in _held]
        _wanted.difference_update(inherited)
    return inherited


def release(files: Iterable[TrackedFile]) -> list[TrackedFile]:
    """A transaction that named files has ended; returns those that another one wanted to remove meanwhile."""
    inherited = []
    with _lock:
        for file in files:
            _held[file] -= 1
            if _held[file] <= 0:
                del _held[file]
                if file in _wanted and not _unknown:
                    _wanted.discard(file)
                    inherited.append(file)
    return inherited


def take(files: Iterable[TrackedFile]) -> list[TrackedFile]:
    """The files that may be removed now; the others are left to the open transactions that name them."""
    taken = []
    with _lock:
        for file in files:
            if file in _held or _unknown:
                _wanted.add(file)
            else:
                _leaving[file] += 1
                taken.append(file)
    return taken


def note_removed(files: Collection[TrackedFile]) -> None:
    """Files that were taken are gone, or could not be removed."""
    with _lock:
        for file in files:
            _leaving[file] -= 1
            if _leaving[file] <= 0:
                del _leaving[file]
            _removed[file] = None
        while len(_removed) > _REMEMBERED:
            del _removed[next(iter(_removed))]


def is_leaving(file: TrackedFile) -> bool:
    """True while a file is being removed."""
    return file in _leaving


def may_be_gone(file: TrackedFile) -> bool:
    """True if this process removed a file of this id; another one may have been stored there since."""
    return file in _removed
