"""The identity of a file for transactions: its id and the address of its storage."""

from dataclasses import dataclass, field

from async_storages.errors import StorageException
from async_storages.files import StoredFile, new_file_state_of
from async_storages.registry import StorageAddress
from async_storages.storage.base import Storage

__all__ = ["TrackedFile"]


@dataclass(frozen=True, slots=True)
class TrackedFile:
    """A file by its id and the address of its storage. Two folders can hold files with the same id.

    Attributes:
        file_id: The fusion id.
        address: The address of its storage; None if no known storage serves the id.
        stored: The file object.
        storage: Its storage, if it is known.
    """

    file_id: str
    address: StorageAddress | None
    stored: StoredFile = field(compare=False)
    storage: Storage | None = field(compare=False, default=None)

    def __hash__(self) -> int:
        """Hash only the id, because very many files can share an address."""
        return hash(self.file_id)

    @classmethod
    def of(cls, stored: StoredFile) -> "TrackedFile":
        """Return the identity of a file object."""
        fate = new_file_state_of(stored)
        if fate is not None and not fate.is_kept and isinstance(fate.made_in, Storage):  # it need not be looked up
            return cls(stored.file_id, StorageAddress.of(fate.made_in), stored, fate.made_in)
        try:
            storage = stored.storage
            return cls(str(storage.identify(stored.file_id)), StorageAddress.of(storage), stored, storage)
        except StorageException:
            return cls(stored.file_id, None, stored)
