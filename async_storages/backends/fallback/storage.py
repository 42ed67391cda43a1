"""Two storages with the same ids as one, while files move from the old one to the new one."""

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
    """An old and a new storage of one scheme and bucket, so of the same ids, as one storage.

    Files are read from the new storage, and if that does not have them from the old one. They are written to the new
    storage, deleted in both, and listed as the union of both. It has the powers that its storages have, which it opens
    and closes.

    Args:
        new: The storage for new files.
        old: The storage that has had the files so far. With ``read_only=True`` nothing in it changes, and what it has
            cannot be deleted.
        copy_on_read: Store what is read as a whole from the old storage in the new one as well, by the end of the
            read. A copy that fails is logged, and the read goes on.
        presign: ``"found"``: URLs are those of the storage that has the file, for which the new one is asked; that it
            has a file is remembered. ``"new"``: those of the new storage, without a question, once all files are there.
        name: Registers the storage under this name; its two storages have none.
        read_only: Refuse every write and delete.

    Raises:
        InvalidArgumentException: The ids of the two storages are not the same, or are chosen by the storage; both are
            the same place, or one has a registered name; `presign` is something else.

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
        """An object with the powers of its storages; without them, as `copy` makes one, of the same class."""
        if isinstance(new, Storage) and isinstance(old, Storage):
            return super().__new__(class_for(cls, new, _powers(new, old, presign)))
        return super().__new__(cls)


def _powers(new: Storage, old: Storage, presign: Presign) -> list[type[Any]]:
    both = [power for supports, power in _OF_BOTH.items() if isinstance(new, supports) and isinstance(old, supports)]
    if presign == "new" and Presigns not in both and isinstance(new, SupportsPresign):
        both.append(Presigns)
    return [*both, *(power for supports, power in _OF_NEW.items() if isinstance(new, supports))]
