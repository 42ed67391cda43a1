"""Uploads in parts to a folder: see `PartUploads`.

```
films/5f0c7a4be11c9d20_a.mp4                      the file, once it is complete
films/0b8e5d…2f/0                                 holds the key of that file
films/0b8e5d…2f/1, films/0b8e5d…2f/2 …            its parts, sent by presigned URLs
```
"""

import re
import secrets
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from async_storages import sniff
from async_storages.errors import FileNotFoundException
from async_storages.ids import FileId
from async_storages.storage.base import FileName
from async_storages.storage.part_uploads import StoredPart, check_number, check_part_size, chosen_parts

if TYPE_CHECKING:
    from async_storages.backends.local.storage import LocalStorage

__all__ = ["LocalPartUploads"]

_UPLOAD_ID = re.compile(r"[0-9a-f]{32}")
_BEGINNING = re.compile(rf"(?:.*/)?({_UPLOAD_ID.pattern})/0")


class LocalPartUploads:
    """`PartUploads` to a folder. The parts are files beside the final file.

    If a part arrives after the upload was aborted, while its URL is valid, it stays until you delete it.

    Args:
        storage: The storage of the file and its parts.
    """

    def __init__(self, storage: "LocalStorage") -> None:
        self._storage = storage

    async def begin(self, name: FileName, *, content_type: str) -> str:
        """Begin an upload: see `PartUploads.begin`. The completed file gets its type from its name."""
        target, upload_id = self._storage.identify(name), secrets.token_hex(16)
        self._storage.presign(
            target, method="PUT", content_type=content_type
        )  # refuses now what would be refused later
        await self._storage.upload(target.key.encode(), _part(target, upload_id, 0))
        return upload_id

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
        """Return a URL for one part: see `PartUploads.presign_part`. Raises FileNotFoundException as `parts` does."""
        part = _part(await self._begun(name, upload_id), upload_id, check_number(number))
        check_part_size(size, max_size)
        return self._storage.presign_put(part, expires_in, content_length=size, max_size=max_size)

    async def parts(self, name: FileName, upload_id: str) -> list[StoredPart]:
        """Return the parts that have arrived: see `PartUploads.parts`."""
        target = await self._begun(name, upload_id)
        folder = self._storage.bare_key(_part(target, upload_id, 0)).removesuffix("0")
        found = [
            StoredPart(int(info.file_id.rpartition("/")[2]), info.file_size, info.etag or "")
            async for info in self._storage.list(folder)
        ]
        return sorted((part for part in found if part.number), key=lambda part: part.number)

    async def complete(self, name: FileName, upload_id: str, etags: Mapping[int, str], *, max_size: int | None) -> None:
        """Put the parts together: see `PartUploads.complete`."""
        target, parts = self._storage.identify(name), chosen_parts(await self.parts(name, upload_id), etags, max_size)
        content = self._joined(target, upload_id, parts)
        await self._storage.upload(content, target, content_type=sniff.guess_by_name(target.key))
        await self.abort(target, upload_id)

    async def abort(self, name: FileName, upload_id: str) -> None:
        """Abort an upload: see `PartUploads.abort`."""
        try:
            parts = await self.parts(name, upload_id)
        except FileNotFoundException:
            return
        target = self._storage.identify(name)
        await self._storage.delete_many(_part(target, upload_id, part.number) for part in parts)
        await self._storage.delete(_part(target, upload_id, 0))

    async def unfinished(self, prefix: str) -> list[tuple[FileId, str]]:
        """Return all open uploads: see `PartUploads.unfinished`."""
        uploads: list[tuple[FileId, str]] = []
        async for info in self._storage.list(prefix):
            if found := _BEGINNING.fullmatch(info.file_id.removeprefix("file:")):
                with suppress(FileNotFoundException):  # it ended meanwhile
                    key = (await self._storage.read(info.file_id)).decode()
                    uploads.append((FileId("file", None, key), found[1]))
        return uploads

    async def _begun(self, name: FileName, upload_id: str) -> FileId:
        """Return the file of the upload. Raise FileNotFoundException if the upload does not exist."""
        target = self._storage.identify(name)
        if (await self._storage.read(_part(target, upload_id, 0))).decode() != target.key:
            raise FileNotFoundException("no such upload")
        return target

    async def _joined(self, target: FileId, upload_id: str, parts: Iterable[StoredPart]) -> AsyncGenerator[bytes]:
        for part in parts:
            async with aclosing(self._storage.stream(_part(target, upload_id, part.number))) as chunks:
                async for chunk in chunks:
                    yield chunk


def _part(target: FileId, upload_id: str, number: int) -> FileId:
    if not _UPLOAD_ID.fullmatch(upload_id):
        raise FileNotFoundException("no such upload")
    folder, slash, _name = target.key.rpartition("/")
    return FileId(target.scheme, None, f"{folder}{slash}{upload_id}/{number}")
