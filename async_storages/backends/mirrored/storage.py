"""A primary storage and its mirrors, with the same ids, as one storage."""

from typing import TYPE_CHECKING, Any, Self

from async_storages.backends.combined.members import class_for
from async_storages.backends.combined.powers import InFolders, TakesFormsByFirst
from async_storages.backends.mirrored.core import MirroredCore
from async_storages.backends.mirrored.powers import Copies, Lists, Pings, Presigns, SetsMetadata, TakesParts
from async_storages.storage.base import Storage
from async_storages.storage.capabilities import (
    SupportsCopy,
    SupportsDirectUpload,
    SupportsFolders,
    SupportsList,
    SupportsMetadata,
    SupportsPing,
    SupportsPresign,
)
from async_storages.storage.part_uploads import SupportsPartUploads

__all__ = ["MirroredStorage"]

_OF_PRIMARY: dict[Any, Any] = {
    SupportsList: Lists,
    SupportsCopy: Copies,
    SupportsDirectUpload: TakesFormsByFirst,
    SupportsMetadata: SetsMetadata,
    SupportsPartUploads: TakesParts,
    SupportsPing: Pings,
    SupportsPresign: Presigns,
}

if TYPE_CHECKING:

    class _Powers(Lists, Copies, SetsMetadata, Pings, TakesParts, Presigns, InFolders, TakesFormsByFirst):
        """All powers, as type checkers cannot know which an object has."""

else:
    _Powers = MirroredCore


class MirroredStorage(_Powers):
    """A primary storage and mirrors of one scheme and bucket, so of the same ids, as one storage.

    Files are written to the primary, then copied from it into the mirrors, in the same call or by a ledger's worker;
    deletes follow. What a mirror misses while it is away, the worker or `resync` brings. It has the powers of its
    primary, and opens and closes all.

    Args:
        primary: The storage whose word counts: what it does not have is not there.
        *mirrors: Storages that hold what it holds, at least one.
        read_mirrors: Read from a mirror what the primary does not give as it cannot be reached. It may be behind.
        strict: Raise the failure of a mirror. Without it the failure is an event ``"mirror"`` and a warning in the log.
        queue: Leave the copies of what sessions with a `FileLedger` store to its worker. What is stored by others is
            copied in the same call. A delete raises the failure of a mirror, so that the worker repeats it.
        name: Registers the storage under this name; its storages have none.
        read_only: Refuse every write and delete.

    Raises:
        InvalidArgumentException: There is no mirror; the ids of the storages are not the same, or are chosen by the
            storage; two are the same place, or one has a registered name; `strict` and `queue` are both given.

    Example:
        >>> storage = MirroredStorage(LocalStorage("disk"), LocalStorage("other-disk"))
        >>> await storage.upload(b"hello", "notes/hello.txt")
        'notes/hello.txt'
        >>> await storage.resync()
        Resynced(unchanged=1, copied=0, deleted=0, extra=0, failed=0)
    """

    def __new__(cls, *members: Storage, **_options: Any) -> Self:
        """An object with the powers of its storages; without them, as `copy` makes one, of the same class."""
        if members and all(isinstance(member, Storage) for member in members):
            return super().__new__(class_for(cls, members[0], _powers(*members)))
        return super().__new__(cls)


def _powers(primary: Storage, *mirrors: Storage) -> list[type[Any]]:
    powers = [power for supports, power in _OF_PRIMARY.items() if isinstance(primary, supports)]
    if all(isinstance(storage, SupportsFolders) for storage in (primary, *mirrors)):
        powers.append(InFolders)
    return powers
