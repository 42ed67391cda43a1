"""The base class of storages that can be limited to a folder, for example one per tenant."""

from copy import copy
from typing import Self

from async_storages import naming
from async_storages.errors import InvalidArgumentException
from async_storages.storage.base import Storage

__all__ = ["FolderStorage"]


class FolderStorage(Storage):
    """The base class of storages that implement `SupportsFolders`.

    The `list` method of a subclass yields only files whose key begins with `self.prefix`.
    """

    def within(self, *folders: str) -> Self:
        """Return the same storage, limited to a folder: see `SupportsFolders`."""
        for folder in folders:
            if "/" in naming.check_key(folder, operation="within"):
                raise InvalidArgumentException(
                    "a folder holds no slash: give each part of the path as an argument of its own",
                    operation="within",
                    file_id=folder,
                )
        other = copy(self)
        prefix = f"{self.prefix}{naming.check_key('/'.join(folders), operation='within')}/"
        vars(other).update(prefix=prefix, name=None)
        return other
