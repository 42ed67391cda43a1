"""The part of `MirroredStorage` that does not depend on the capabilities of its storages."""

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
        has_queue: True if a ledger queues the copies of files that its sessions store.
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
        """The storage for new files, which also reads and decides."""
        return self.members[0]

    @property
    def mirrors(self) -> tuple[Storage, ...]:
        """The storages that hold copies of the primary's files."""
        return self.members[1:]

    @property
    def _mirrors(self) -> tuple[Any, ...]:
        return self._parts[1:]

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
        """Yield the bytes of the primary. If it becomes unreachable, continue with a mirror that has the same bytes."""
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
        """Return size, type, etag, time and metadata: see `Storage.stat`."""
        with self.operation("stat", name) as operation:
            return await self._ask(lambda part: part.stat(operation.file))

    async def _ask[Found](self, ask: Callable[[Any], Awaitable[Found]]) -> Found:
        """Return the answer of the primary, or of a mirror if the primary is unreachable and mirrors may be read."""
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
        """Return the URL of the file in the primary: see `Storage.url`."""
        with self.operation("url", name) as operation:
            url: str = await self._first.url(operation.file)
            return url

    # ---- changing

    async def write(self, content: Content, key: FileName, *, overwrite: bool = True) -> str:
        """Store the content in the primary, then in the mirrors: see `Storage.write`.

        Raises:
            StorageException: The primary failed, or a mirror failed with ``strict=True``. After a mirror's failure the
                file stays in the primary, unless the key is sure to be new: from `Storage.save`, or with
                ``overwrite=False``.
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
        """Delete a file in the primary, then in the mirrors. The primary decides if a missing file is an error.

        Raises:
            StorageException: The primary failed, or a mirror failed with ``strict=True`` or ``queue=True``. Call the
                method again to retry.
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
        """Copy a new file into all mirrors, unless a ledger does so later."""
        if not (self.has_queue and is_mirrored_later()):
            await self._follow(file, is_strict=self._is_strict)

    async def _follow(self, file: FileId, *, is_strict: bool) -> None:
        """Make all mirrors equal to the primary for one file. If `is_strict`, raise the first failure."""
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
        """Make one mirror equal to the primary for one file. An existing equal copy stays.

        It may run at the same time as other operations. It can be repeated after any interruption.

        Args:
            name: The file.
            mirror: The index of the mirror in `mirrors`.

        Returns:
            True if the primary has the file. False if it does not: the mirror does not have it either then.

        Raises:
            StorageException: One of the two failed, or the copy differs.
        """
        with self.operation("mirror", name) as operation:
            return await bring_up(self._first, self._mirrors[mirror], operation.file)

    async def resync(
        self, prefix: str = "", *, delete: bool = False, verify: bool = False, concurrency: int = 8
    ) -> Resynced:
        """Make the mirrors equal to the primary, in one pass over sorted listings.

        The listings are not held in memory. It may run at any time, together with other operations, and can be repeated
        after any interruption. It checks each file again before it changes the mirror.

        Args:
            prefix: The beginning of the keys. The default is all keys.
            delete: True deletes files that a mirror has and the primary lacks. False only counts them as `extra`.
            verify: True reads each file in both storages and compares the content. False compares the sizes, and also
                the ETags if they are checksums of the content. Without such ETags, files of equal size count as equal
                if the mirror's file is the later one.
            concurrency: The number of files at a time, at least 1.

        Returns:
            The numbers of files, summed over all mirrors.

        Raises:
            OperationNotSupportedException: A storage cannot list its files.
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
