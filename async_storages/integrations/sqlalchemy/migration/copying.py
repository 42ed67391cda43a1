"""The copy of one file with its facts and variants: streamed, and then checked against the target."""

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from typing import Any

from async_storages import sniff
from async_storages._checksums import new_checksum
from async_storages.backends.buckets.part_splitter import PART_SIZE
from async_storages.backends.buckets.storage import BucketStorage
from async_storages.content import Content, check_metadata
from async_storages.errors import (
    ChecksumMismatchException,
    FileExistsException,
    FileNotFoundException,
    InvalidArgumentException,
)
from async_storages.ids import FileId
from async_storages.integrations.sqlalchemy.columns.declared_variants import variants_declared_for
from async_storages.integrations.sqlalchemy.migration.crash_points import MoveStep, reached
from async_storages.integrations.sqlalchemy.migration.etags import ETag
from async_storages.integrations.sqlalchemy.migration.route import MovingFile, NewKey, Route, serves
from async_storages.integrations.sqlalchemy.migration.throttle import Throttle
from async_storages.models import FileBasicInfo
from async_storages.sources import ByteSource
from async_storages.storage.base import Storage
from async_storages.storage.capabilities import SupportsCopy, SupportsList
from async_storages.upload_options import SERVED, UploadOptions
from async_storages.variants.keys import folder_of, variant_id
from async_storages.variants.removal import list_variants

__all__ = ["Copied", "Copier"]

_NO_TYPE = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Copied:
    """A copy that is equal to its source.

    Attributes:
        bytes: Its size.
        checksum: The algorithm and the checksum in hex.
    """

    bytes: int
    checksum: str


class _Streamed(ByteSource):
    """The bytes of a stored file. Each new attempt at a write reads them from the beginning.

    Args:
        storage: The storage.
        file_id: The id.
        size: The size in bytes.
        throttle: The limit of the speed.
        part_size: The size of the parts of which the target makes its ETag. None if its ETags say nothing.

    Attributes:
        answered_etag: The ETag in the target's answer. None if it told none.
    """

    replayable = True

    def __init__(self, storage: Storage, file_id: str, size: int, throttle: Throttle, part_size: int | None) -> None:
        self._storage = storage
        self._file_id = file_id
        self._size = size
        self._throttle = throttle
        self._part_size = part_size
        self.answered_etag: str | None = None
        self._start()

    def _start(self) -> None:
        self._sha256 = new_checksum("sha256")
        self._etag = None if self._part_size is None else ETag(self._size, self._part_size)

    async def size(self) -> int:
        return self._size

    async def chunks(self) -> AsyncGenerator[bytes]:
        self._start()
        async with aclosing(self._storage.stream(self._file_id)) as chunks:
            async for chunk in chunks:
                await self._throttle.take_bytes(len(chunk))
                self._sha256.update(chunk)
                if self._etag is not None:
                    self._etag.update(chunk)
                yield chunk

    @property
    def sha256(self) -> str:
        """The SHA-256 of the bytes that have passed, in hex."""
        return self._sha256.digest().hex()

    @property
    def etag(self) -> str | None:
        """The ETag that the target gives to these bytes. None if its ETags say nothing about them."""
        return None if self._etag is None else str(self._etag)


class Copier:
    """Copies files along a route.

    Args:
        route: The route.
        throttle: The limit of the speed.
    """

    def __init__(self, route: Route, throttle: Throttle) -> None:
        self._source = route.source
        self._target = route.target
        self._throttle = throttle

    async def copy(self, file: MovingFile, new: NewKey, facts: Mapping[str, Any], *, was_ours: bool) -> Copied:
        """Copy a file and its variants, and check them.

        Args:
            file: The file.
            new: Its new key.
            facts: Facts of a row that names the file: ``content_type``.
            was_ours: True if an earlier attempt may have written the copy.

        Raises:
            FileNotFoundException: The source does not have the file.
            FileExistsException: Another file has the key.
            ChecksumMismatchException: The copy differs from the file.
            StorageException: One of the two storages failed.
        """
        copied = await self._copy(file.file_id, file.info, new, facts, was_ours=was_ours)
        async with aclosing(self._variants(file.file_id, new.file_id)) as variants:
            async for one, other in variants:
                with suppress(FileNotFoundException):  # a declared variant that was never made
                    info = await self._source.stat(one)
                    key = NewKey(FileId.parse(other).key, other, is_exact=True)
                    await self._copy(one, info, key, {}, was_ours=True)
        return copied

    async def _copy(
        self, file_id: str, info: FileBasicInfo, new: NewKey, facts: Mapping[str, Any], *, was_ours: bool
    ) -> Copied:
        key = self._target.identify(new.file_id) if new.is_exact else new.key
        passed: _Streamed | None = None
        is_new = True
        try:
            if (with_both := next(self._with_both(file_id, new.file_id), None)) is not None:
                await with_both.copy(file_id, new.file_id, overwrite=False)
            else:
                size = info.file_size
                streamed = _Streamed(self._source, file_id, size, self._throttle, self._part_size_for(size))
                async with self._content(streamed, file_id, info, facts) as content:
                    await self._target.write(content, key, overwrite=False)
                    streamed.answered_etag, passed = content.etag, streamed
        except FileExistsException:
            if not was_ours:
                raise
            is_new = False
        reached(MoveStep.COPIED)
        checksum = await self._find_checksum(file_id, info, new.file_id, passed)
        if checksum is None and is_new:
            raise ChecksumMismatchException(
                "the copy is not what the source is", operation="migrate", file_id=new.file_id
            )
        if checksum is None:
            raise FileExistsException("another file has the new key", operation="migrate", file_id=new.file_id)
        reached(MoveStep.VERIFIED)
        return Copied(info.file_size, f"sha256:{checksum}")

    def _with_both(self, file_id: str, new_id: str) -> Iterator[Any]:
        """Yield the storages that serve both ids and can copy on the server."""
        if (self._source.scheme, self._source.bucket) != (self._target.scheme, self._target.bucket):
            return
        for storage in (self._source, self._target):
            serves_both = serves(storage, file_id) and serves(storage, new_id)
            if serves_both and isinstance(storage, SupportsCopy) and not storage.read_only:
                yield storage

    def _part_size_for(self, size: int) -> int | None:
        """Return the size of the parts of which an ETag is made. None if ETags say nothing about the content."""
        if self._target.scheme == "gs":  # the MD5 of the whole file
            return size
        if self._target.scheme != "s3":
            return None
        return self._target.part_size_for(size) if isinstance(self._target, BucketStorage) else PART_SIZE

    def _content(self, streamed: _Streamed, file_id: str, info: FileBasicInfo, facts: Mapping[str, Any]) -> Content:
        said = facts.get("content_type") or info.content_type
        guessed = {_NO_TYPE, sniff.guess_by_name(file_id)} if self._source.chooses_ids else {_NO_TYPE}
        options = {name: getattr(info, name) for name in SERVED if name in self._target.able_options}
        return Content(
            streamed,
            filename=info.file_name,
            content_type=None if said in guessed else said,
            metadata=_sound_metadata(info.metadata),
            size=info.file_size,
            options=UploadOptions(**options),
        )

    async def _find_checksum(
        self, file_id: str, info: FileBasicInfo, new_id: str, passed: _Streamed | None
    ) -> str | None:
        """Find the SHA-256 of both files, by the target's own checksum or by reading the copy; None if they differ.

        Args:
            file_id: The old id.
            info: The source's facts about the file.
            new_id: The new id.
            passed: The bytes that passed through this process; None if the target has copied them by itself.
        """
        etag = None if passed is None else passed.answered_etag
        if passed is None or (passed.etag is not None and etag is None):  # else the copy is read in any case
            found = await self._target.stat(new_id)
            if found.file_size != info.file_size:
                return None
            etag = found.etag
        expected = await self._sha256(self._source, file_id) if passed is None else passed.sha256
        if passed is not None and etag is not None and etag == passed.etag:
            return expected
        return expected if await self._sha256(self._target, new_id) == expected else None

    async def _sha256(self, storage: Storage, file_id: str) -> str:
        checksum = new_checksum("sha256")
        async with aclosing(storage.stream(file_id)) as chunks:
            async for chunk in chunks:
                await self._throttle.take_bytes(len(chunk))
                checksum.update(chunk)
        return checksum.digest().hex()

    # ---- variants

    async def _variants(self, original: str, new: str) -> AsyncGenerator[tuple[str, str]]:
        """Yield variants that may exist, by their old and new ids: declared ones, and those of earlier recipes."""
        declared = variants_declared_for(self._source, original)
        if not declared:
            return
        source, target = FileId.parse(original), FileId.parse(new)
        if isinstance(self._source, SupportsList) and not self._source.chooses_ids:
            folder = folder_of(target.key)
            async with aclosing(list_variants(self._source, source)) as listed:
                async for one in listed:
                    if folder is not None:
                        yield one, str(replace(target, key=folder + one.rpartition("/")[2]))
            return
        for recipes in declared:
            for name, recipe in recipes.items():
                with suppress(InvalidArgumentException):  # the key has no room for variants
                    yield str(variant_id(source, name, recipe)), str(variant_id(target, name, recipe))


def _sound_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the pairs of metadata that every storage can store. Other tools may have written further ones."""
    sound: dict[str, str] = {}
    for key, value in metadata.items():
        with suppress(InvalidArgumentException):
            sound |= check_metadata({key: value})
    return sound
