"""A file as transactions tell it from others: by its id and the place of its storage."""

from dataclasses import dataclass, field

from async_storages.errors import StorageException
from async_storages.files import StoredFile
from async_storages.registry import Address
from async_storages.storage import Storage

__all__ = ["TrackedFile"]


@dataclass(frozen=True, slots=True)
class TrackedFile:
    """A file by its id and the place of its storage: two folders hold files of one id.

    Attributes:
        file_id: The fusion id.
        address: The address of its storage; None if no storage that is known serves the id.
        stored: The file object.
        storage: Its storage, if it is known.
    """

    file_id: str
    address: Address | None
    stored: StoredFile = field(compare=False)
    storage: Storage | None = field(compare=False, default=None)

    def __hash__(self) -> int:
        """Of the id alone, as there may be very many files in one place."""
        return hash(self.file_id)

    @classmethod
    def of(cls, stored: StoredFile) -> "TrackedFile":
        """The file of a file object."""
        fate = stored.fate
        if fate is not None and not fate.is_kept and isinstance(fate.made_in, Storage):  # it need not be looked up
            return cls(stored.file_id, Address.of(fate.made_in), stored, fate.made_in)
        try:
            storage = stored.storage
            return cls(str(storage.identify(stored.file_id)), Address.of(storage), stored, storage)
        except StorageException:
            return cls(stored.file_id, None, stored)
