"""A file as transactions tell it from others: by its id and the place of its storage."""

from dataclasses import dataclass, field

from async_storages.errors import StorageException
from async_storages.files import StoredFile
from async_storages.registry import StorageAddress

__all__ = ["TrackedFile"]


@dataclass(frozen=True, slots=True)
class TrackedFile:
    """A file by its id and the place of its storage: two folders hold files of one id.

    Attributes:
        file_id: The fusion id.
        address: The address of its storage; None if no storage that is known serves the id.
        stored: The file object.
    """

    file_id: str
    address: StorageAddress | None
    stored: StoredFile = field(compare=False)

    def __hash__(self) -> int:
        """Of the id alone, as there may be very many files in one place."""
        return hash(self.file_id)

    @classmethod
    def of(cls, stored: StoredFile) -> "TrackedFile":
        """The file of a file object."""
        try:
            storage = stored.storage
            return cls(str(storage.identify(stored.file_id)), StorageAddress.of(storage), stored)
        except StorageException:
            return cls(stored.file_id, None, stored)
