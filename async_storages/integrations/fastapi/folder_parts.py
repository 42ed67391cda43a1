"""Uploads in parts to a storage that knows none, such as a folder: what `PartUploads` is on S3."""

import re
import secrets
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing

from async_storages import sniff
from async_storages.backends.parts import StoredPart, check_number, chosen_parts
from async_storages.errors import FileNotFoundException, OperationNotSupportedException
from async_storages.ids import FileId
from async_storages.storage import Storage, SupportsList, SupportsPresign

__all__ = ["FolderParts"]

_UPLOAD_ID = re.compile(r"[0-9a-f]{32}")


class FolderParts:
    """Begins and completes uploads whose parts are files until then, each below ``{folder}/{upload id}/``.

    Args:
        storage: One that presigns PUT, and lists.
        folder: Where the parts are, as a bare key.

    Raises:
        OperationNotSupportedException: The storage cannot do that.
    """

    def __init__(self, storage: Storage, folder: str) -> None:
        if not isinstance(storage, SupportsPresign) or not isinstance(storage, SupportsList):
            raise OperationNotSupportedException(f"{type(storage).__name__} takes no uploads in parts")
        self._storage = storage
        self._presigning: SupportsPresign = storage
        self._listing: SupportsList = storage
        self._folder = folder

    async def begin(self, name: FileId, *, content_type: str) -> str:
        """Begin an upload; returns its id. The type is told from the name again when it is complete."""
        upload_id = secrets.token_hex(16)
        await self._storage.upload(name.key.encode(), self._part(upload_id, 0))  # says whose parts they are
        return upload_id

    async def presign_part(self, name: FileId, upload_id: str, number: int, expires_in: float = 3600) -> str:
        """A URL to which one part is sent with PUT."""
        part = self._part(upload_id, check_number(number))
        await self._check(name, upload_id)
        return self._presigning.presign(part, expires_in, "PUT")

    async def parts(self, name: FileId, upload_id: str) -> list[StoredPart]:
        """The parts that have arrived, by number; raises FileNotFoundException if there is no such upload."""
        await self._check(name, upload_id)
        found = [
            StoredPart(int(info.file_id.rpartition("/")[2]), info.file_size, info.etag or "")
            async for info in self._listing.list(f"{self._folder}/{upload_id}/")
        ]
        return sorted((part for part in found if part.number), key=lambda part: part.number)

    async def complete(self, name: FileId, upload_id: str, etags: Mapping[int, str], *, max_size: int | None) -> None:
        """Put parts together: see `chosen_parts`; raises FileNotFoundException if there is no such upload any more."""
        parts = chosen_parts(await self.parts(name, upload_id), etags, max_size)
        content = self._joined(upload_id, parts)
        size = sum(part.size for part in parts)
        await self._storage.upload(content, name, content_type=sniff.guess_by_name(name.key), size=size)
        await self.abort(name, upload_id)

    async def abort(self, name: FileId, upload_id: str) -> None:
        """Give an upload up, and remove its parts; one that is gone is no error."""
        try:
            parts = await self.parts(name, upload_id)
        except FileNotFoundException:
            return
        await self._storage.delete_many(self._part(upload_id, part.number) for part in parts)
        await self._storage.delete(self._part(upload_id, 0))

    async def unfinished(self, prefix: str) -> list[tuple[str, str]]:
        """Full key and id of the uploads under way to keys that begin with `prefix`."""
        begun = [info.file_id async for info in self._listing.list(f"{self._folder}/") if info.file_id.endswith("/0")]
        uploads = [((await self._storage.read(file_id)).decode(), file_id.split("/")[-2]) for file_id in begun]
        return [(key, upload_id) for key, upload_id in uploads if key.startswith(prefix)]

    def _part(self, upload_id: str, number: int) -> str:
        if not _UPLOAD_ID.fullmatch(upload_id):
            raise FileNotFoundException("no such upload")
        return f"{self._folder}/{upload_id}/{number}"

    async def _check(self, name: FileId, upload_id: str) -> None:
        if (await self._storage.read(self._part(upload_id, 0))).decode() != name.key:
            raise FileNotFoundException("no such upload")

    async def _joined(self, upload_id: str, parts: Iterable[StoredPart]) -> AsyncGenerator[bytes]:
        for part in parts:
            async with aclosing(self._storage.stream(self._part(upload_id, part.number))) as chunks:
                async for chunk in chunks:
                    yield chunk
