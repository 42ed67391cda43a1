"""The half of `MirroredStorage` that every one has, whatever its storages can."""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

from async_storages._cleanup import UNDO_WITHIN, clean_up
from async_storages._tasks import map_bounded
from async_storages.backends.combined.members import check_members
from async_storages.backends.combined.read_so_far import ReadSoFar
from async_storages.backends.combined.storage import CombinedStorage
from async_storages.backends.mirrored.following import bring_up, follow
from async_storages.backends.mirrored.later import is_mirrored_later
from async_storages.backends.mirrored.resync import Resynced, resync
from async_storages.content import Content
from async_storages.errors import (
    FileNotFoundException,
    InvalidArgumentException,
    OperationNotSupportedException,
    StorageException,
    StorageUnavailableException,
)
from async_storages.events import Operation
from async_storages.ids import FileId
from async_storages.models import FileBasicInfo
from async_storages.naming import UniqueKey
from async_storages.sources import CHUNK_SIZE
from async_storages.storage.base import FileName, Storage
from async_storages.storage.capabilities import SupportsList

__all__ = ["MirroredCore"]

logger = logging.getLogger("async_storages")


class MirroredCore(CombinedStorage):
    """A primary storage and its mirrors: see `MirroredStorage`.

    Attributes:
        has_queue: True if a ledger queues the copies of what its sessions store.
    """

    def __init__(
        self,
        primary: Storage,
        *mirrors: Storage,
        read_mirrors: bool = False,
        strict: bool = False,
        queue: bool = False,
        name: str | None = None,
        read_only: bool = False,
    ) -> None:
        named = {"the primary": primary} | {f"mirror {number}": each for number, each in enumerate(mirrors, 1)}
        check_members("MirroredStorage", named)
        if not mirrors:
            raise InvalidArgumentException("a MirroredStorage has a mirror at least: give it after the primary")
        if strict and queue:
            raise InvalidArgumentException(
                "strict=True is for mirrors that are written in the same call, queue=True for later copies: give one"
            )
        self._reads_mirrors = read_mirrors
        self.has_queue = queue
        self._is_strict = strict
        super().__init__([primary, *mirrors], name=name, read_only=read_only)

    @property
    def primary(self) -> Storage:
        """The storage whose word counts."""
        return self.members[0]

    @property
    def mirrors(self) -> tuple[Storage, ...]:
        """The storages that hold what it holds."""
        return self.members[1:]

    @property
    def _mirrors(self) -> tuple[Any, ...]:
        return self._parts[1:]

    # ---- reading

    async def stream(
        self, name: FileName, offset: int = 0, length: int | None = None, *, chunk_size: int = CHUNK_SIZE
    ) -> AsyncGenerator[bytes]:
        """The bytes of a file, or of a range of it: see `Storage.stream`."""
        with self.operation("stream", name) as operation:
            async with aclosing(self._chunks(operation.file, offset, length, chunk_size)) as chunks:
                async for chunk in chunks:
                    operation.bytes += len(chunk)
                    yield chunk

    async def _chunks(self, file: FileId, offset: int, length: int | None, chunk_size: int) -> AsyncGenerator[bytes]:
        """The bytes of the primary; where it cannot be reached any more, of a mirror that has the same ones."""
        so_far, failures = ReadSoFar(), list[StorageException]()
        for part in self._parts if self._reads_mirrors else self._parts[:1]:
            try:
                async with aclosing(so_far.rest_of(part.stream(file, offset, length, chunk_size=chunk_size))) as chunks:
                    async for chunk in chunks:
                        yield chunk
            except StorageException as error:
                if not (failures or isinstance(error, StorageUnavailableException)):
                    raise
                failures.append(error)
            else:
                return
        raise failures[0]

    async def stat(self, name: FileName) -> FileBasicInfo:
        """Size, type, etag, time and metadata: see `Storage.stat`."""
        with self.operation("stat", name) as operation:
            return await self._ask(lambda part: part.stat(operation.file))

    async def _ask[Found](self, ask: Callable[[Any], Awaitable[Found]]) -> Found:
        """The primary's answer; a mirror's, if the primary cannot be reached and mirrors may be read."""
        try:
            return await ask(self._first)
        except StorageUnavailableException as error:
            failure = error
        for mirror in self._mirrors if self._reads_mirrors else ():
            try:
                return await ask(mirror)
            except StorageException:  # also that it has no such file, as it may be behind
                continue
        raise failure

    async def url(self, name: FileName) -> str:
        """The file's URL in the primary: see `Storage.url`."""
        with self.operation("url", name) as operation:
            url: str = await self._first.url(operation.file)
            return url

    # ---- changing

    async def write(self, content: Content, key: FileName, *, overwrite: bool = True) -> str:
        """Store the content in the primary, then in the mirrors: see `Storage.write`.

        Raises:
            StorageException: The primary failed; with ``strict=True`` also if a mirror did, and then a new key is free
                again, while another one holds the new content.
        """
        with self.operation("write", key) as operation:
            file_id: str = await self._first.write(content, key, overwrite=overwrite)
            operation.bytes = content.size or 0
            try:
                await self._mirror(operation.file)
            except BaseException as error:
                if not overwrite or isinstance(key, UniqueKey):  # nothing was there before
                    await clean_up(self._remove(operation.file), error, within=UNDO_WITHIN)
                raise
            return file_id

    async def delete(self, name: FileName) -> None:
        """Delete a file in the primary, then in the mirrors; a missing one is not an error where that allows it.

        Raises:
            StorageException: The primary failed; with ``strict=True`` or ``queue=True`` also if a mirror did. It is
                tried there again by another call.
        """
        with self.operation("delete", name) as operation:
            await self._remove(operation.file)

    async def _remove(self, file: FileId) -> None:
        try:
            await self._first.delete(file)
        except FileNotFoundException:  # for some storages an error
            await self._follow(file, is_strict=self._is_strict or self.has_queue)
            raise
        await self._follow(file, is_strict=self._is_strict or self.has_queue)

    async def _mirror(self, file: FileId) -> None:
        """Bring all mirrors up to what was written, unless a ledger does that later."""
        if not (self.has_queue and is_mirrored_later()):
            await self._follow(file, is_strict=self._is_strict)

    async def _follow(self, file: FileId, *, is_strict: bool) -> None:
        """Bring all mirrors up to the primary; raises the first failure if that is asked for."""
        failures = [each for each in await map_bounded(self._try(file), self._mirrors, limit=len(self._parts)) if each]
        if failures and is_strict:
            raise failures[0]

    def _try(self, file: FileId) -> Callable[[Any], Awaitable[Exception | None]]:
        async def follow_in(mirror: Any) -> Exception | None:
            measured = Operation("mirror", self.scheme, self.bucket)
            try:
                await follow(self._first, mirror, file)
            except Exception as error:  # noqa: BLE001 - a storage may raise anything, and the primary has the file
                measured.__exit__(type(error), error, None)
                logger.warning("%r could not be mirrored in %r: %s", str(file), mirror, error)
                return error
            return None

        return follow_in

    async def mirror_file(self, name: FileName, mirror: int) -> bool:
        """Bring one mirror up to the primary, in one file: a copy that it has already is left, a missing one is made.

        It may be called beside everything else, and again after whatever ended it.

        Args:
            name: The file.
            mirror: The index of the mirror in `mirrors`.

        Returns:
            False if the primary has no such file: then the mirror has none either.

        Raises:
            StorageException: One of the two failed, or the copy is not the same.
        """
        with self.operation("mirror", name) as operation:
            return await bring_up(self._first, self._mirrors[mirror], operation.file)

    async def resync(
        self, prefix: str = "", *, delete: bool = False, verify: bool = False, concurrency: int = 8
    ) -> Resynced:
        """Bring the mirrors up to the primary, in one pass over sorted listings, of which nothing is held in memory.

        It may run at any time, beside everything else, and again after whatever ended it. What is to be changed is
        looked at again before.

        Args:
            prefix: The beginning of the keys; all of them by default.
            delete: Delete what a mirror has and the primary has not. Without it such files are counted as `extra`.
            verify: Read each file in both and compare the content. Without it files are the same if their sizes are,
                and their ETags, where these are checksums of the content; else if the mirror's is the later one.
            concurrency: Files at a time, at least 1.

        Returns:
            The numbers of files, of all mirrors together.

        Raises:
            OperationNotSupportedException: One of the storages cannot list its files.
            StorageException: A listing failed.
        """
        total = Resynced()
        with self.operation("resync"):
            for part in self._parts:
                if not isinstance(part, SupportsList):
                    raise OperationNotSupportedException(f"{part!r} cannot list its files, as resync() must")
            for mirror in self._mirrors:
                total += await resync(
                    self._first, mirror, prefix, delete=delete, verify=verify, concurrency=concurrency
                )
        return total
