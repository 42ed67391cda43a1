"""Powers that a `FallbackStorage` has if its storages have them. Each is a class with its methods."""

import builtins
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import aclosing, suppress
from typing import Unpack

from async_storages._tasks import map_bounded
from async_storages.backends.combined.listings import paired
from async_storages.backends.combined.powers import PresignsByFirst
from async_storages.backends.combined.storage import parts_of
from async_storages.backends.combined.transfer import transfer
from async_storages.backends.fallback.bringing import bring
from async_storages.backends.fallback.core import FallbackCore
from async_storages.content import check_metadata
from async_storages.errors import FileNotFoundException, OperationNotSupportedException, StorageException
from async_storages.ids import FileId
from async_storages.models import FileBasicInfo
from async_storages.storage.base import FileName
from async_storages.storage.capabilities import PresignMethod, PresignOptions, SupportsPing
from async_storages.storage.part_uploads import PartUploads

__all__ = ["Copies", "Lists", "Pings", "Presigns", "SetsMetadata", "TakesParts"]

_AT_ONCE = 32
"""The number of concurrent requests that look for files, for their URLs."""


class Lists(FallbackCore):
    """`SupportsList`: the union of both listings."""

    async def list(self, prefix: str = "") -> AsyncIterator[FileBasicInfo]:
        """Yield the files of both storages whose key begins with `prefix`, sorted by key: see `SupportsList`.

        The listing is not held in memory. If both storages have a file, the facts come from the new one. A file may
        come twice if a server lists out of order, as SeaweedFS does with more than a thousand files.
        """
        with self.operation("list"):
            async with aclosing(paired(self._new.list(prefix), self._old.list(prefix))) as pairs:
                async for new, old in pairs:
                    if (info := new or old) is not None:
                        yield info


class Copies(FallbackCore):
    """`SupportsCopy`: within the new storage, or from the old one into it."""

    async def copy(self, source: FileName, target: FileName, *, overwrite: bool = True) -> str:
        """Copy a file into the new storage, through this process if only the old one has it: see `SupportsCopy`."""
        with self.operation("copy", target) as operation, parts_of("copy"):
            origin = self.identify(source)
            if not overwrite:
                await self._refuse_old(target, operation.file)
            await self._copy(origin, target, overwrite=overwrite)
            self._known.add(operation.file.key)
            return str(operation.file)

    async def _copy(self, origin: FileId, target: FileName, *, overwrite: bool) -> None:
        for copy in (self._new.copy, self._copy_from_old):
            with suppress(FileNotFoundException):
                await copy(origin, target, overwrite=overwrite)
                return
        await self._new.copy(origin, target, overwrite=overwrite)  # it may have moved meanwhile

    async def _copy_from_old(self, origin: FileId, target: FileName, *, overwrite: bool) -> None:
        await transfer(self._old, origin, self._new, target, overwrite=overwrite)


class SetsMetadata(FallbackCore):
    """`SupportsMetadata`: in the new storage. A file of the old storage is first copied there."""

    async def set_metadata(self, name: FileName, metadata: Mapping[str, str]) -> None:
        """Replace the user's metadata in the new storage: see `SupportsMetadata`.

        A file of the old storage is first copied to the new one.
        """
        with self.operation("set_metadata", name) as operation, parts_of("set_metadata"):
            checked = check_metadata(metadata)
            if not await self._new.exists(operation.file):
                with suppress(FileNotFoundException):  # which the new one says, unless the file has moved meanwhile
                    await bring(self._old, self._new, operation.file)
            await self._new.set_metadata(operation.file, checked)


class Pings(FallbackCore):
    """`SupportsPing`: both must answer."""

    async def ping(self) -> None:
        """Check that both storages answer: see `SupportsPing`. The error names the storage that does not answer."""
        with self.operation("ping"):
            for part in self._parts:
                try:
                    if isinstance(part, SupportsPing):
                        await part.ping()
                except StorageException as error:
                    error.file_id = repr(part)  # not the bucket, which is that of both
                    raise


class TakesParts(FallbackCore):
    """`SupportsPartUploads`: to the new storage."""

    @property
    def part_uploads(self) -> PartUploads:
        """Return the uploads in parts to the new storage: see `SupportsPartUploads`."""
        uploads: PartUploads = self._new.part_uploads
        return uploads


class Presigns(PresignsByFirst, FallbackCore):
    """`SupportsPresign`: URLs of the storage that has the file, or of the new one if no request can be sent."""

    def presign(
        self, name: FileName, expires_in: float = 3600, method: PresignMethod = "GET", **options: Unpack[PresignOptions]
    ) -> str:
        """Return a presigned URL of the new storage, without I/O: see `SupportsPresign`.

        `presigned_urls`, `StoredFile.get_presigned_url` and `file_urls` give URLs of files in the old storage as well.

        Raises:
            OperationNotSupportedException: The method is DELETE, which would delete the file in one storage only.
        """
        return super().presign(name, expires_in, method, **options)

    def _check_method(self, method: str) -> None:
        if method == "DELETE":
            raise OperationNotSupportedException(
                "a URL deletes in one storage alone, and what the old one has would come back: call delete()"
            )

    async def presigned_urls(
        self,
        names: Iterable[FileName],
        expires_in: float = 3600,
        method: PresignMethod = "GET",
        **options: Unpack[PresignOptions],
    ) -> builtins.list[str]:
        """Return presigned URLs of the storages that have the files: see `Storage.presigned_urls`.

        This sends a request for each file, to find its storage. With ``presign="new"`` it sends none, and it sends none
        for files that it has found in the new storage before.

        A file that neither storage has gets a URL of the old storage. URLs for PUT are always URLs of the new storage.
        """
        with self.operation("presign"):
            files = [self.identify(name) for name in names]
            self._check_method(method)
            is_read = method in {"GET", "HEAD"}
            holders = await map_bounded(self._holder if is_read else self._taker, files, limit=_AT_ONCE)
            urls: dict[FileId, str] = {}
            for part in (self._new, self._old):
                held = [file for file, holder in zip(files, holders, strict=True) if holder is part]
                if held:
                    made = await part.presigned_urls(held, expires_in, method, **options)
                    urls.update(zip(held, made, strict=True))
            return [urls[file] for file in files]

    async def _taker(self, _file: FileId) -> object:
        return self._new
