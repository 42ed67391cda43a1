"""Uploads in parts to the primary. Completed files are mirrored."""

import builtins
from collections.abc import Awaitable, Callable, Mapping

from async_storages.ids import FileId
from async_storages.storage.base import FileName
from async_storages.storage.part_uploads import PartUploads, StoredPart

__all__ = ["MirroredPartUploads"]


class MirroredPartUploads:
    """`PartUploads` to a primary.

    Args:
        uploads: The uploads of the primary.
        identify: Returns the id of a name.
        mirror: Makes the mirrors equal to the primary for one file.
    """

    def __init__(
        self, uploads: PartUploads, identify: Callable[[FileName], FileId], mirror: Callable[[FileId], Awaitable[None]]
    ) -> None:
        self._uploads = uploads
        self._identify = identify
        self._mirror = mirror

    async def begin(self, name: FileName, *, content_type: str) -> str:
        """Begin an upload: see `PartUploads.begin`."""
        return await self._uploads.begin(name, content_type=content_type)

    async def presign_part(
        self,
        name: FileName,
        upload_id: str,
        number: int,
        expires_in: float = 3600,
        *,
        size: int | None = None,
        max_size: int | None = None,
    ) -> str:
        """Return a URL for one part: see `PartUploads.presign_part`."""
        return await self._uploads.presign_part(name, upload_id, number, expires_in, size=size, max_size=max_size)

    async def parts(self, name: FileName, upload_id: str) -> list[StoredPart]:
        """Return the parts that have arrived: see `PartUploads.parts`."""
        return await self._uploads.parts(name, upload_id)

    async def complete(self, name: FileName, upload_id: str, etags: Mapping[int, str], *, max_size: int | None) -> None:
        """Put the parts together and mirror the file: see `PartUploads.complete`."""
        await self._uploads.complete(name, upload_id, etags, max_size=max_size)
        await self._mirror(self._identify(name))

    async def abort(self, name: FileName, upload_id: str) -> None:
        """Abort an upload: see `PartUploads.abort`."""
        await self._uploads.abort(name, upload_id)

    async def unfinished(self, prefix: str) -> builtins.list[tuple[FileId, str]]:
        """Return the open uploads: see `PartUploads.unfinished`."""
        return await self._uploads.unfinished(prefix)
