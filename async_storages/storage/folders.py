"""The base class of storages that can be kept to a folder, such as that of a tenant."""

from copy import copy
from typing import Self

from async_storages import naming
from async_storages.errors import InvalidArgumentException
from async_storages.storage.base import Storage

__all__ = ["FolderStorage"]


class FolderStorage(Storage):
    """A storage that has folders, as `SupportsFolders` says; the `list` of a subclass keeps to `self.prefix`."""

    def within(self, *folders: str) -> Self:
        """The same storage, kept to a folder: see `SupportsFolders`."""
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
