"""Powers that a `MirroredStorage` has if its primary has them. Each is a class with its methods."""

import builtins
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import aclosing
from typing import Unpack

from async_storages.backends.combined.powers import PresignsByFirst
from async_storages.backends.combined.storage import parts_of
from async_storages.backends.mirrored.core import MirroredCore
from async_storages.backends.mirrored.part_uploads import MirroredPartUploads
from async_storages.models import FileBasicInfo
from async_storages.storage.base import FileName
from async_storages.storage.capabilities import PresignMethod, PresignOptions
from async_storages.storage.part_uploads import PartUploads

__all__ = ["Copies", "Lists", "Pings", "Presigns", "SetsMetadata", "TakesParts"]


class Lists(MirroredCore):
    """`SupportsList`: the listing of the primary."""

    async def list(self, prefix: str = "") -> AsyncIterator[FileBasicInfo]:
        """Yield the files of the primary whose key begins with `prefix`, sorted by key: see `SupportsList`."""
        with self.operation("list"):
            async with aclosing(self._first.list(prefix)) as listed:
                async for info in listed:
                    yield info


class Copies(MirroredCore):
    """`SupportsCopy`: in the primary, then mirrored."""

    async def copy(self, source: FileName, target: FileName, *, overwrite: bool = True) -> str:
        """Copy a file in the primary, then in the mirrors: see `SupportsCopy`."""
        with self.operation("copy", target) as operation, parts_of("copy"):
            copied: str = await self._first.copy(self.identify(source), target, overwrite=overwrite)
            await self._mirror(operation.file)
            return copied


class SetsMetadata(MirroredCore):
    """`SupportsMetadata`: in the primary, then mirrored."""

    async def set_metadata(self, name: FileName, metadata: Mapping[str, str]) -> None:
        """Replace the user's metadata in the primary, then in the mirrors: see `SupportsMetadata`."""
        with self.operation("set_metadata", name) as operation:
            await self._first.set_metadata(operation.file, metadata)
            await self._mirror(operation.file)


class Pings(MirroredCore):
    """`SupportsPing`: the primary must answer."""

    async def ping(self) -> None:
        """Check that the primary answers: see `SupportsPing`."""
        with self.operation("ping"):
            await self._first.ping()


class TakesParts(MirroredCore):
    """`SupportsPartUploads`: to the primary. Completed files are mirrored."""

    @property
    def part_uploads(self) -> PartUploads:
        """Return the uploads in parts to the primary: see `SupportsPartUploads`. Completed files are mirrored."""
        return MirroredPartUploads(self._first.part_uploads, self.identify, self._mirror)


class Presigns(PresignsByFirst, MirroredCore):
    """`SupportsPresign`: URLs of the primary."""

    async def presigned_urls(
        self,
        names: Iterable[FileName],
        expires_in: float = 3600,
        method: PresignMethod = "GET",
        **options: Unpack[PresignOptions],
    ) -> builtins.list[str]:
        """Return presigned URLs of the primary: see `Storage.presigned_urls`.

        `resync` mirrors files that clients upload or delete with these URLs.
        """
        with self.operation("presign"):
            files = [self.identify(name) for name in names]
            urls: list[str] = await self._first.presigned_urls(files, expires_in, method, **options)
            return urls
