"""The common part of storages that keep files in a bucket on an HTTP server."""

import re
from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from copy import copy
from typing import Protocol, Self

from async_storages import naming
from async_storages.backends.buckets.new_file import NewFile
from async_storages.backends.buckets.part_splitter import PART_SIZE, PartSplitter, checked_part_size
from async_storages.backends.buckets.server_errors import RangeBeyondEnd
from async_storages.backends.buckets.signatures import encode_path
from async_storages.content import Content
from async_storages.errors import (
    FileNotFoundException,
    InvalidArgumentException,
    StorageException,
    StorageOperationException,
    during,
)
from async_storages.ids import FileId
from async_storages.models import FileBasicInfo
from async_storages.sources import CHUNK_SIZE
from async_storages.storage.base import FileName
from async_storages.storage.byte_ranges import byte_range
from async_storages.storage.folders import FolderStorage
from async_storages.storage.presigning import PresigningStorage
from async_storages.upload_options import UploadOptions

__all__ = ["BucketStorage", "Keyed", "NewFile", "Page", "checked_token"]

_PINGS = 4
"""The largest number of attempts of `ping`. A health check must not wait for a server that restarts."""

_TOKEN = re.compile(r"[A-Za-z0-9_-]+")
_DOMAIN = re.compile(r"(https?://)?([\w.-]+(?::[0-9]{1,5})?(?:/[\w./~%-]*)?)", re.IGNORECASE | re.ASCII)


class Keyed(Protocol):
    """An object in a listing."""

    @property
    def key(self) -> str:
        """Its key."""
        ...


class Page[Listed: Keyed](Protocol):
    """One page of a listing."""

    @property
    def objects(self) -> Sequence[Listed]:
        """The objects on it."""
        ...

    @property
    def token(self) -> str | None:
        """The token of the next page. None on the last page."""
        ...


class BucketStorage[Found, Listed: Keyed](PresigningStorage, FolderStorage):
    """Keeps files in one bucket. Subclasses send the requests to their server.

    Args:
        bucket_name: The bucket.
        custom_domain: The domain of a CDN, with or without scheme and path. URLs of `get_path` begin with it.
        querystring_auth: True presigns the URLs of `get_path`.
        prefix: A folder in the bucket. Bare keys are relative to it. The storage refuses ids outside it.
        upload_options: The options of new files. A column or a call can override them.
        name: The registered name of the storage.
        read_only: True refuses every write and delete.
        use_ssl: True uses https, False http, for a `custom_domain` without a scheme.
        part_size: The size of an upload's parts in bytes: see `checked_part_size`.

    Raises:
        OperationNotSupportedException: The server does not support one of the `upload_options`.
    """

    def __init__(
        self,
        bucket_name: str,
        *,
        custom_domain: str | None,
        querystring_auth: bool,
        prefix: str,
        upload_options: UploadOptions,
        name: str | None,
        read_only: bool,
        use_ssl: bool = True,
        part_size: int = PART_SIZE,
    ) -> None:
        self._part_size = checked_part_size(part_size)
        self.upload_options = upload_options
        self._check_options(upload_options)
        self._bucket = self.bucket = bucket_name
        self._custom_domain = _checked_domain(custom_domain, use_ssl=use_ssl)
        self._querystring_auth = querystring_auth
        self.prefix = f"{naming.check_key(prefix.strip('/'))}/" if prefix.strip("/") else ""
        self.location = self._bucket_url(bucket_name)
        super().__init__(name=name, read_only=read_only)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.bucket!r}, location={self.location!r})"

    # ---- for backends to implement

    @abstractmethod
    def _bucket_url(self, bucket_name: str) -> str:
        """Return the address of a bucket on the server."""

    @abstractmethod
    def _unsigned_url(self, file: FileId) -> str:
        """Return the URL of a public file."""

    @abstractmethod
    async def _signed_url(self, file: FileId) -> str:
        """Return a presigned GET URL of a file, valid for an hour."""

    @abstractmethod
    async def _find(self, key: str) -> Found:
        """Return the server's description of a file. Raise FileNotFoundException if the file does not exist."""

    async def _find_sized(self, key: str) -> Found:
        """Return the server's description of a file, with its size."""
        return await self._find(key)

    @abstractmethod
    def _info(self, file: FileId, found: Found) -> FileBasicInfo:
        """Return the file information in a description."""

    @abstractmethod
    async def _remove(self, key: str) -> None:
        """Delete a file. A missing file is not an error."""

    @abstractmethod
    async def _copy(self, origin: FileId, found: Found, target: FileId, *, overwrite: bool, is_fresh: bool) -> None:
        """Copy the version that was found, with its description. `is_fresh` is the same as for `NewFile`."""

    def part_size_for(self, size: int) -> int:
        """Return the size of the parts in which `write` sends a file, in bytes. A file of at most this size has one.

        Args:
            size: The size of the file in bytes.

        Raises:
            FileTooLargeException: The server stores no file of this size.
        """
        return next(self._part_sizes(size, None))

    @abstractmethod
    def _part_sizes(self, size: int | None, max_size: int | None) -> Iterator[int]:
        """Return the size of each part of an upload. Content that fits into one part is uploaded in one request.

        Args:
            size: The size of the content in bytes. None while unknown.
            max_size: The largest size of the content in bytes. None sets no limit.
        """

    @abstractmethod
    async def _store(self, file: NewFile) -> str | None:
        """Store a file whole or not at all, and return its ETag if the server told it. Raises as `write` does."""

    @abstractmethod
    def _chunks(self, key: str, offset: int, length: int | None, chunk_size: int) -> AsyncGenerator[bytes]:
        """Yield the bytes of a range that HTTP can request. Raises RangeBeyondEnd."""

    @abstractmethod
    async def _page(
        self, prefix: str, token: str | None = None, *, most: int = 1000, attempts: int | None = None
    ) -> Page[Listed]:
        """Return one page of a listing, with at most this number of attempts."""

    @abstractmethod
    def _listed_info(self, file: FileId, listed: Listed) -> FileBasicInfo:
        """Return the file information in a listing."""

    # ---- for users

    def with_bucket(self, bucket_name: str) -> Self:
        """Return the same storage for another bucket.

        It uses the same connections, and has no name, prefix or custom domain.
        """
        other = copy(self)
        location = self._bucket_url(bucket_name)
        vars(other).update(_bucket=bucket_name, bucket=bucket_name, location=location)
        vars(other).update(prefix="", _custom_domain=None, name=None)
        return other

    def with_upload_options(self, options: UploadOptions) -> Self:
        """Return the same storage with other options for new files.

        It uses the same connections and has no name.

        Use it to read files that a call stored with a `CustomerKey`.

        Raises:
            OperationNotSupportedException: The server does not support one of the options.
        """
        self._check_options(options)
        other = copy(self)
        vars(other).update(upload_options=options.over(self.upload_options), name=None)
        return other

    async def write(self, content: Content, key: FileName, *, overwrite: bool = True) -> str:
        """Store the content under the key: see `Storage.write`. Content of more than 8 MiB is sent in parts.

        On S3 a stream of unknown size can be up to 78 GiB long. With `max_size` the limit is `max_size`, at most 48.8
        TiB.

        A failed write leaves no file. A write that is cancelled at its very end may have stored the file. This can
        happen with `overwrite`, or if the server ignores conditional writes (see `S3Storage`).
        """
        with self.operation("write", key) as operation:
            options = self.options_for(content)
            parts = PartSplitter(content, self._part_sizes(await content.measure(), content.max_size))
            kind = await content.content_type()
            async with aclosing(parts):
                file = NewFile(
                    key=operation.file.key,
                    parts=parts,
                    content_type=kind,
                    metadata=content.metadata,
                    options=options,
                    overwrite=overwrite,
                    is_fresh=isinstance(key, naming.UniqueKey),
                )
                content.etag = await self._store(file)
            operation.bytes = content.size or 0
            return str(operation.file)

    async def stream(
        self, name: FileName, offset: int = 0, length: int | None = None, *, chunk_size: int = CHUNK_SIZE
    ) -> AsyncGenerator[bytes]:
        """Yield the bytes of a file, or of a range of it: see `Storage.stream`."""
        with self.operation("stream", name) as operation:
            key = operation.file.key
            byte_range(0, offset, length, chunk_size)  # refuses impossible ranges
            if length == 0 or (offset < 0 and length is not None):  # HTTP has no such ranges
                size = self._info(operation.file, await self._find_sized(key)).file_size
                positions = byte_range(size, offset, length, chunk_size)
                offset, length = positions.start, positions.stop - positions.start
            if length == 0:
                return
            try:
                async with aclosing(self._chunks(key, offset, length, chunk_size)) as chunks:
                    async for chunk in chunks:
                        operation.bytes += len(chunk)
                        yield chunk
            except RangeBeyondEnd:
                return

    async def ping(self) -> None:
        """Check that the server answers, has the bucket and allows listing it: see `SupportsPing`."""
        with self.operation("ping"), during("ping", self._bucket):
            await self._page(f"{self.prefix}ping", most=1, attempts=_PINGS)

    async def stat(self, name: FileName) -> FileBasicInfo:
        """Return size, type, etag, time and metadata: see `Storage.stat`."""
        with self.operation("stat", name) as operation:
            return self._info(operation.file, await self._find_sized(operation.file.key))

    async def exists(self, name: FileName) -> bool:
        """Return True if the bucket has the file: see `Storage.exists`."""
        with self.operation("stat", name) as operation:
            try:
                await self._find(operation.file.key)
            except FileNotFoundException:
                return False
            return True

    async def delete(self, name: FileName) -> None:
        """Delete a file. It is not an error if the file does not exist."""
        with self.operation("delete", name) as operation:
            await self._remove(operation.file.key)

    async def copy(self, source: FileName, target: FileName, *, overwrite: bool = True) -> str:
        """Copy a file on the server, with everything that describes it: see `SupportsCopy`.

        If another client replaces the source during the copy, this method raises an error.
        """
        with self.operation("copy", target) as operation:
            origin = self.identify(source)
            with during("copy", str(origin)):
                found = await self._find(origin.key)
            is_fresh = isinstance(target, naming.UniqueKey)
            await self._copy(origin, found, operation.file, overwrite=overwrite, is_fresh=is_fresh)
            return str(operation.file)

    async def list(self, prefix: str = "") -> AsyncIterator[FileBasicInfo]:
        """Yield the files whose key begins with `prefix`, sorted by key: see `SupportsList`.

        The listing includes objects of other tools, such as ``folder/`` and ``a//b``. You can read, copy and delete
        them by their ids, but not write to such keys.
        """
        with self.operation("list"):
            beginning = self.prefix + prefix
            token: str | None = None
            while True:
                page = await self._page(beginning, token)
                for listed in sorted(page.objects, key=lambda found: found.key):  # SeaweedFS goes folder by folder
                    file_id = FileId(self.scheme, self._bucket, listed.key)
                    if listed.key.startswith(beginning) and self._has_id(file_id):
                        yield self._listed_info(file_id, listed)
                if page.token is None:
                    return
                if page.token == token:
                    raise StorageOperationException("the server gives the same page of the listing again and again")
                token = page.token

    def check_id(self, file_id: FileId) -> None:
        """Refuse only keys that may lead out of the bucket. Keys of other tools, such as ``a//b``, are allowed."""
        if ".." in file_id.key.split("/"):
            raise InvalidArgumentException("a key cannot hold a '..' segment", file_id=str(file_id))

    def _has_id(self, file_id: FileId) -> bool:
        """Return True if the key can be part of an id: without control characters and ``..`` segments."""
        try:
            self.identify(file_id)
        except StorageException:
            return False
        return True

    def _domain_url(self, domain: str, file: FileId) -> str:
        """Return the URL on the `custom_domain`."""
        return f"{domain}/{encode_path(file.key)}"

    async def url(self, name: FileName) -> str:
        """Return the URL on the `custom_domain`, if there is one.

        Otherwise return a presigned URL if `querystring_auth` is True, and the public URL if it is False.
        """
        with self.operation("url", name) as operation:
            if self._custom_domain is not None:
                return self._domain_url(self._custom_domain, operation.file)
            if not self._querystring_auth:
                return self._unsigned_url(operation.file)
            return await self._signed_url(operation.file)


def checked_token(name: str, value: str | None) -> str | None:
    """Return the value of an option that is one word, such as a storage class.

    Raises:
        InvalidArgumentException: The value is something else.
    """
    if value is not None and not _TOKEN.fullmatch(value):
        raise InvalidArgumentException(f"{name} is {value!a}: give one word of letters, digits, - and _")
    return value


def _checked_domain(domain: str | None, *, use_ssl: bool) -> str | None:
    if not domain:
        return None
    found = _DOMAIN.fullmatch(domain)
    if found is None:  # not repeated, as it may hold a password
        raise InvalidArgumentException("the custom_domain must be [http[s]://]host[:port][/path]")
    return f"{found[1] or ('https://' if use_ssl else 'http://')}{found[2].rstrip('/')}"
