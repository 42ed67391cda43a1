"""The part of `FallbackStorage` that does not depend on the capabilities of its storages."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any, Literal

from async_storages.backends.combined.members import check_members
from async_storages.backends.combined.read_so_far import ReadSoFar
from async_storages.backends.combined.storage import CombinedStorage
from async_storages.backends.fallback.copy_on_read import copied_while_read
from async_storages.backends.fallback.known_files import KnownFiles
from async_storages.content import Content
from async_storages.errors import (
    DeleteNotSupportedException,
    FileExistsException,
    FileNotFoundException,
    InvalidArgumentException,
)
from async_storages.ids import FileId
from async_storages.models import FileBasicInfo
from async_storages.naming import UniqueKey
from async_storages.sources import CHUNK_SIZE
from async_storages.storage.base import FileName, Storage

__all__ = ["FallbackCore", "Presign"]

type Presign = Literal["found", "new"]


class FallbackCore(CombinedStorage):
    """Two storages as one: see `FallbackStorage`."""

    def __init__(
        self,
        new: Storage,
        old: Storage,
        *,
        copy_on_read: bool = False,
        presign: Presign = "found",
        name: str | None = None,
        read_only: bool = False,
    ) -> None:
        check_members("FallbackStorage", {"new": new, "old": old})
        if presign not in {"found", "new"}:
            raise InvalidArgumentException(f"presign is 'found' or 'new', not {presign!r}")
        self._copies_on_read = copy_on_read
        self._presign = presign
        self._known = KnownFiles()
        super().__init__([new, old], name=name, read_only=read_only)

    @property
    def new(self) -> Storage:
        """The storage for new files."""
        return self.members[0]

    @property
    def old(self) -> Storage:
        """The storage with the files that are not in the new one yet."""
        return self.members[1]

    @property
    def _new(self) -> Any:
        return self._parts[0]

    @property
    def _old(self) -> Any:
        return self._parts[1]

    # ---- reading

    async def stream(
        self, name: FileName, offset: int = 0, length: int | None = None, *, chunk_size: int = CHUNK_SIZE
    ) -> AsyncGenerator[bytes]:
        """Yield the bytes of a file, or of a range of it: see `Storage.stream`."""
        with self.operation("stream", name) as operation:
            async with aclosing(self._chunks(operation.file, offset, length, chunk_size)) as chunks:
                async for chunk in chunks:
                    operation.bytes += len(chunk)
                    yield chunk

    async def _chunks(self, file: FileId, offset: int, length: int | None, chunk_size: int) -> AsyncGenerator[bytes]:
        """Yield bytes of the new storage, else of the old one. If the file moves meanwhile, continue in the new one."""
        is_begun, so_far = False, ReadSoFar()
        try:
            async with aclosing(self._new.stream(file, offset, length, chunk_size=chunk_size)) as chunks:
                async for chunk in chunks:
                    is_begun = True
                    yield chunk
                return
        except FileNotFoundException:
            if is_begun:
                raise
        try:
            async with aclosing(so_far.rest_of(self._from_old(file, offset, length, chunk_size))) as chunks:
                async for chunk in chunks:
                    yield chunk
                return
        except FileNotFoundException:  # it may have moved meanwhile
            pass
        found = self._new.stream(file, offset, length, chunk_size=chunk_size)
        async with aclosing(so_far.rest_of(found)) as chunks:
            async for chunk in chunks:
                yield chunk

    def _from_old(self, file: FileId, offset: int, length: int | None, chunk_size: int) -> AsyncGenerator[bytes]:
        if self._copies_on_read and not self.read_only and (offset, length) == (0, None):
            return copied_while_read(self._old, self._new, file, chunk_size=chunk_size)
        chunks: AsyncGenerator[bytes] = self._old.stream(file, offset, length, chunk_size=chunk_size)
        return chunks

    async def _find[Found](self, ask: Callable[[Any], Awaitable[Found]]) -> Found:
        """Return the answer of the first part that has the file."""
        for part in self._parts:
            with suppress(FileNotFoundException):
                return await ask(part)
        return await ask(self._new)  # it may have moved between the two looks

    async def stat(self, name: FileName) -> FileBasicInfo:
        """Return size, type, etag, time and metadata: see `Storage.stat`."""
        with self.operation("stat", name) as operation:
            return await self._find(lambda part: part.stat(operation.file))

    async def exists(self, name: FileName) -> bool:
        """Return True if one of the storages has the file: see `Storage.exists`."""
        with self.operation("stat", name) as operation:
            for part in (*self._parts, self._new):
                if await part.exists(operation.file):
                    return True
            return False

    async def url(self, name: FileName) -> str:
        """Return the URL of the storage that has the file: see `Storage.url`."""
        with self.operation("url", name) as operation:
            holder = await self._holder(operation.file)
            url: str = await holder.url(operation.file)
            return url

    async def _holder(self, file: FileId) -> Any:
        """Return the part whose URL works: the new one if it has the file, else the old one."""
        if self._presign == "new" or file.key in self._known:
            return self._new
        if not await self._new.exists(file):
            return self._old
        self._known.add(file.key)
        return self._new

    # ---- changing

    async def write(self, content: Content, key: FileName, *, overwrite: bool = True) -> str:
        """Store the content in the new storage: see `Storage.write`."""
        with self.operation("write", key) as operation:
            if not overwrite:
                await self._refuse_old(key, operation.file)
            file_id: str = await self._new.write(content, key, overwrite=overwrite)
            operation.bytes = content.size or 0
            self._known.add(operation.file.key)
            return file_id

    async def _refuse_old(self, key: FileName, file: FileId) -> None:
        """Refuse a key that is taken in the old storage. A unique key cannot be taken."""
        if not isinstance(key, UniqueKey) and await self._old.exists(file):
            raise FileExistsException("the key is taken", file_id=str(file))

    async def delete(self, name: FileName) -> None:
        """Delete a file in both storages: first in the old one, so that its file cannot come back.

        If the delete fails after the first step, the new storage still has the file. The call can be repeated.

        Raises:
            DeleteNotSupportedException: The storage is read-only, or the old storage is read-only and has the file.
        """
        with self.operation("delete", name) as operation:
            file = operation.file
            self._known.forget(file.key)
            if self._old.read_only:
                await self._refuse_to_leave(file)
                await self._new.delete(file)
                return
            missing = [error for part in (self._old, self._new) if (error := await _deleted(part, file)) is not None]
            if len(missing) == 2:
                raise missing[0]

    async def _refuse_to_leave(self, file: FileId) -> None:
        if await self._old.exists(file):
            raise DeleteNotSupportedException(
                "the old storage has the file, and was opened with read_only=True: deleted in the new one alone it "
                "would come back"
            )


async def _deleted(part: Any, file: FileId) -> FileNotFoundException | None:
    """Delete a file. Return the error if the storage raises for a missing file."""
    try:
        await part.delete(file)
    except FileNotFoundException as error:
        return error
    return None
