"""Powers that a combined storage gets from its first storage, or from all. Each is a class with its methods."""

import builtins
from collections.abc import Iterable
from copy import copy
from typing import Any, Self, Unpack

from async_storages.backends.combined.storage import CombinedStorage
from async_storages.models import PresignedUpload
from async_storages.storage.base import FileName
from async_storages.storage.capabilities import PresignMethod, PresignOptions

__all__ = ["InFolders", "PresignsByFirst", "TakesFormsByFirst"]


class InFolders(CombinedStorage):
    """`SupportsFolders`: all storages are limited to the folder."""

    def within(self, *folders: str) -> Self:
        """Return the same storage, limited to a folder: see `SupportsFolders`."""
        of_all: tuple[Any, ...] = self.members
        members = tuple(member.within(*folders) for member in of_all)
        other = copy(self)
        vars(other).update(members=members, _parts=self._parts_of(members), prefix=members[0].prefix, name=None)
        return other


class PresignsByFirst(CombinedStorage):
    """`SupportsPresign`: URLs of the storage for new files."""

    def presign(
        self, name: FileName, expires_in: float = 3600, method: PresignMethod = "GET", **options: Unpack[PresignOptions]
    ) -> str:
        """Return a presigned URL of the storage for new files: see `SupportsPresign`."""
        with self.operation("presign", name) as operation:
            self._check_method(method)
            url: str = self._first.presign(operation.file, expires_in, method, **options)
            return url

    def _check_method(self, method: str) -> None:
        """Refuse methods that one storage alone cannot carry out."""

    def presign_many(self, names: Iterable[FileName], expires_in: float = 3600, **options: Any) -> builtins.list[str]:
        """Return presigned GET URLs of the storage for new files, in the order of the names: see `SupportsPresign`."""
        with self.operation("presign"):
            files = [self.identify(name) for name in names]
            urls: list[str] = self._first.presign_many(files, expires_in, **options)
            return urls


class TakesFormsByFirst(CombinedStorage):
    """`SupportsDirectUpload`: forms that upload to the storage for new files."""

    async def presign_post(
        self,
        name: FileName,
        expires_in: float = 3600,
        *,
        max_size: int | None = None,
        min_size: int = 0,
        content_type: str | None = None,
    ) -> PresignedUpload:
        """Return a form for one key of the storage for new files: see `SupportsDirectUpload`."""
        with self.operation("presign_post", name) as operation:
            made: PresignedUpload = await self._first.presign_post(
                operation.file, expires_in, max_size=max_size, min_size=min_size, content_type=content_type
            )
            return made
