"""Two storages with the same ids that work as one, while files move from the old one to the new one."""

from typing import TYPE_CHECKING, Any, Self

from async_storages.backends.combined.members import class_for
from async_storages.backends.combined.powers import InFolders, TakesFormsByFirst
from async_storages.backends.fallback.core import FallbackCore, Presign
from async_storages.backends.fallback.powers import Copies, Lists, Pings, Presigns, SetsMetadata, TakesParts
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

__all__ = ["FallbackStorage"]

_OF_BOTH = {SupportsList: Lists, SupportsFolders: InFolders, SupportsPresign: Presigns}
"""Powers that both storages must have."""

_OF_NEW: dict[Any, Any] = {
    SupportsCopy: Copies,
    SupportsDirectUpload: TakesFormsByFirst,
    SupportsMetadata: SetsMetadata,
    SupportsPartUploads: TakesParts,
    SupportsPing: Pings,
}
"""Powers for which the new storage is enough."""

if TYPE_CHECKING:

    class _Powers(Lists, Copies, SetsMetadata, Pings, TakesParts, Presigns, InFolders, TakesFormsByFirst):
        """All powers, as type checkers cannot know which an object has."""

else:
    _Powers = FallbackCore


class FallbackStorage(_Powers):
    """Combines an old and a new storage, while files move from the old one to the new one.

    Both storages must have the same scheme and bucket, so that their ids are the same. Reads use the new storage first,
    then the old one. Writes go to the new storage, deletes to both. A listing is the union of both. The combined
    storage has the capabilities of its storages, and opens and closes them.

    Args:
        new: The storage for new files.
        old: The storage with the existing files. If it has ``read_only=True``, it never changes, and its files cannot
            be deleted.
        copy_on_read: True copies each file that is read whole from the old storage into the new one, by the end of the
            read. If the copy fails, it is logged and the read continues.
        presign: ``"found"`` gives URLs of the storage that has the file. It asks the new storage, and remembers the
            files found there. ``"new"`` gives URLs of the new storage without asking: use it once all files are there.
        name: The registered name of the combined storage. Its two storages must have no name.
        read_only: True refuses every write and delete.

    Raises:
        InvalidArgumentException: The two storages have different ids, choose the ids themselves, are the same place, or
            have a registered name. Or `presign` has another value.

    Example:
        >>> storage = FallbackStorage(
        ...     S3Storage("photos", endpoint_url="https://garage.example.com"),
        ...     S3Storage("photos", endpoint_url="https://minio.example.com"),
        ...     name="photos",
        ... )
    """

    def __new__(
        cls, new: Storage | None = None, old: Storage | None = None, *, presign: Presign = "found", **_options: Any
    ) -> Self:
        """Create an object with the powers of its storages. `copy` gives no storages: then the class stays the same."""
        if isinstance(new, Storage) and isinstance(old, Storage):
            return super().__new__(class_for(cls, new, _powers(new, old, presign)))
        return super().__new__(cls)


def _powers(new: Storage, old: Storage, presign: Presign) -> list[type[Any]]:
    both = [power for supports, power in _OF_BOTH.items() if isinstance(new, supports) and isinstance(old, supports)]
    if presign == "new" and Presigns not in both and isinstance(new, SupportsPresign):
        both.append(Presigns)
    return [*both, *(power for supports, power in _OF_NEW.items() if isinstance(new, supports))]
