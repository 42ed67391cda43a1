"""A primary storage and its mirrors, with the same ids, that work as one storage."""

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
    """Combines a primary storage and its mirrors, which hold copies of its files.

    All storages must have the same scheme and bucket, so that their ids are the same. A write stores the file in the
    primary, then copies it into the mirrors: in the same call, or by a ledger's worker. Deletes work in the same way.
    The worker, or `resync`, copies files that a mirror missed while it was down. The combined storage has the
    capabilities of its primary, and opens and closes all storages.

    Args:
        primary: The storage that reads and decides: a file it lacks does not exist.
        *mirrors: The storages for the copies, at least one.
        read_mirrors: True reads from a mirror if the primary is unreachable. The mirror may lack recent changes.
        strict: True raises the failure of a mirror. False emits an event ``"mirror"`` and logs a warning.
        queue: True lets the worker of a `FileLedger` copy the files that its sessions store. Other files are copied in
            the same call. A delete raises the failure of a mirror, so that the worker repeats it.
        name: The registered name of the combined storage. Its storages must have no name.
        read_only: True refuses every write and delete.

    Raises:
        InvalidArgumentException: There is no mirror. The storages have different ids, choose the ids themselves, are
            the same place, or have a registered name. Or both `strict` and `queue` are given.

    Example:
        >>> storage = MirroredStorage(LocalStorage("disk"), LocalStorage("other-disk"))
        >>> await storage.upload(b"hello", "notes/hello.txt")
        'notes/hello.txt'
        >>> await storage.resync()
        Resynced(unchanged=1, copied=0, deleted=0, extra=0, failed=0)
    """

    def __new__(cls, *members: Storage, **_options: Any) -> Self:
        """Create an object with the powers of its storages. `copy` gives no storages: then the class stays the same."""
        if members and all(isinstance(member, Storage) for member in members):
            return super().__new__(class_for(cls, members[0], _powers(*members)))
        return super().__new__(cls)


def _powers(primary: Storage, *mirrors: Storage) -> list[type[Any]]:
    powers = [power for supports, power in _OF_PRIMARY.items() if isinstance(primary, supports)]
    if all(isinstance(storage, SupportsFolders) for storage in (primary, *mirrors)):
        powers.append(InFolders)
    return powers
