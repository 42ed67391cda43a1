"""`Storage`, the base class of every backend. It builds all its methods on five abstract ones.

A backend implements `write`, `stream`, `stat`, `delete` and `url`: see `AbstractStorage`. `MemoryStorage` is a complete
example. Capabilities that only some backends have are Protocols, for example `SupportsPresign` and `SupportsList`. Test
for them with `isinstance`. Every backend passes the test suite `async_storages.testing.StorageContract`.
"""

import builtins
from collections.abc import Collection, Iterable
from contextlib import aclosing
from datetime import UTC, datetime
from io import BytesIO
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self, Unpack, overload
from warnings import warn

from async_storages import ids, naming, registry
from async_storages._tasks import map_bounded
from async_storages.content import Content, ContentOptions, PendingFile, as_content
from async_storages.errors import (
    AccessDeniedException,
    DeleteNotSupportedException,
    FileNotFoundException,
    InvalidArgumentException,
    OperationNotSupportedException,
    RouteNotSupportedException,
    StorageClosedException,
    StorageException,
    during,
)
from async_storages.events import Operation
from async_storages.files import StoredFile
from async_storages.ids import FileId
from async_storages.sinks import Target, write_to
from async_storages.sources import Source, Upload, is_empty_input
from async_storages.storage.capabilities import PresignMethod, PresignOptions, SupportsPresign
from async_storages.storage.contract import AbstractStorage, FileName
from async_storages.storage.operation import WRITES, StorageOperation, text_of
from async_storages.upload_options import NO_OPTIONS, UploadOptions

if TYPE_CHECKING:
    from async_storages.models import FileBasicInfo
    from async_storages.synchronous.storages import SyncStorage

__all__ = ["FileName", "Storage"]

_NO_SEGMENTS = frozenset({"", ".", ".."})


class Storage(AbstractStorage):
    """A place that keeps files, and the base class of every backend.

    A subclass sets `scheme`, and `bucket` if its ids have one. It implements the five methods of `AbstractStorage`, and
    begins each of them with ``with self.operation("stat", name) as operation:``. See `operation`.

    Args:
        name: Registers the storage under this name: see `async_storages.registry`.
        read_only: True refuses every write and delete.

    Attributes:
        scheme: The first part of its ids, for example ``"s3"``.
        bucket: The bucket in its ids. None for schemes without buckets.
        location: A text that tells apart storages with equal ids, such as a folder or an endpoint. It holds no secret.
        prefix: The folder that limits the storage, with a slash at its end. Bare keys are relative to it. Empty means
            no limit.
        chooses_ids: True if the backend chooses the ids of files, as FastDFS does. Such an id holds at most the
            extension of the name. Each write makes a new file and replaces none. `upload` refuses `overwrite=False`.
        able_options: The fields of `UploadOptions` that `write` supports. The storage refuses all others.
        upload_options: The options of new files. Options of a column or a call take precedence.
        is_part: True if another storage uses this one for its own operations. The other storage then emits the
            events. If this storage fails, the message of the error names it.
    """

    scheme: ClassVar[str]
    chooses_ids: ClassVar[bool] = False
    able_options: ClassVar[Collection[str]] = ()
    upload_options = NO_OPTIONS
    bucket: str | None = None
    location: str | None = None
    name: str | None = None
    read_only: bool = False
    prefix: str = ""
    is_part: bool = False
    _closed = False

    def __init__(self, *, name: str | None = None, read_only: bool = False) -> None:
        self.read_only = read_only
        if name is not None:
            registry.register(name, self)
            self.name = name

    def __init_subclass__(cls, *, has_bucket: bool = False, **kwargs: Any) -> None:
        """Register the scheme of a new backend, so that ids with it can be parsed."""
        super().__init_subclass__(**kwargs)
        if "scheme" in cls.__dict__ and cls.scheme not in (*ids.known_schemes(), ids.FASTDFS):
            ids.register_scheme(cls.scheme, has_bucket=has_bucket)

    # ---- lifetime

    async def aclose(self) -> None:
        """Close the storage, and its connections of the running event loop.

        Later use raises StorageClosedException until `async with` opens the storage again.
        """
        self._closed = True

    async def __aenter__(self) -> Self:
        self._closed = False
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    @property
    def sync(self) -> "SyncStorage":
        """The same methods without ``await``, for synchronous code: ``storage.sync.save(…)``."""
        from async_storages.synchronous.storages import SyncStorage  # noqa: PLC0415 - it imports this module

        return SyncStorage(self)

    # ---- names

    def identify(self, name: FileName) -> FileId:
        """Return the full id of a bare key, id or file object. No I/O.

        Raises:
            InvalidArgumentException: The name is malformed, has an unknown scheme, or its key could lead to another
                place.
            RouteNotSupportedException: The id belongs to another backend, bucket or folder.
        """
        text = text_of(name)
        ids.check_text(text)
        is_bare = ids.scheme_of(text) is None
        found = FileId(self.scheme, self.bucket, self.prefix + text) if is_bare else FileId.parse(text)
        if (found.scheme, found.bucket) != (self.scheme, self.bucket):
            raise RouteNotSupportedException(f"{self!r} does not serve this id; a manager may", file_id=text)
        if not found.key.startswith(self.prefix):
            raise RouteNotSupportedException(f"{self!r} keeps to {self.prefix!r}", file_id=text)
        if is_bare:
            self.check_key(found)
        else:
            self.check_id(found)
        return found

    def check_key(self, file_id: FileId) -> None:
        """Refuse a key with an empty, ``.`` or ``..`` segment or a backslash: no write may use it.

        Raises:
            InvalidArgumentException: The key is refused.
        """
        if "\\" in file_id.key or not _NO_SEGMENTS.isdisjoint(file_id.key.split("/")):
            raise InvalidArgumentException(
                "a key cannot hold empty, '.' or '..' segments or a backslash", file_id=str(file_id)
            )

    def check_id(self, file_id: FileId) -> None:
        """Refuse an id that no file of this storage can have. By default, it applies `check_key`.

        Raises:
            InvalidArgumentException: The id is refused.
        """
        self.check_key(file_id)

    def bare_key(self, file_id: FileId) -> str:
        """Return the bare key for an id: the inverse of `identify`."""
        return file_id.key.removeprefix(self.prefix)

    async def prepare(self) -> None:
        """Load the credentials that `presign` needs, because `presign` itself does no I/O."""

    async def presigned_urls(
        self,
        names: Iterable[FileName],
        expires_in: float = 3600,
        method: PresignMethod = "GET",
        **options: Unpack[PresignOptions],
    ) -> builtins.list[str]:
        """Return presigned URLs in the order of the names. It calls `prepare` first, so it works where I/O is needed.

        Args:
            names: The files. They need not exist.
            expires_in: Seconds from now, 1 to 604,800.
            method: GET, HEAD, PUT or DELETE.
            **options: `filename`, `content_type`, `disposition`, `content_length` and `stable`: see
                `SupportsPresign.presign`.

        Raises:
            OperationNotSupportedException: The storage cannot presign.
            StorageException: As for `SupportsPresign.presign`, or the credentials could not be loaded.
        """
        if not isinstance(self, SupportsPresign):
            raise OperationNotSupportedException(f"{type(self).__name__} cannot presign URLs", operation="presign")
        await self.prepare()
        said = {option for option, value in options.items() if value is not None}
        if method == "GET" and said <= {"stable"}:
            stable = options.get("stable")
            return self.presign_many(names, expires_in, **({} if stable is None else {"stable": stable}))
        if "stable" not in said:
            options.pop("stable", None)  # storages of others need not know it
        return [self.presign(name, expires_in, method, **options) for name in names]

    def presigned_headers(
        self, *, content_type: str | None = None, content_length: int | None = None
    ) -> dict[str, str]:
        """Return the headers that a client must add to a PUT presigned with these options.

        Headers that every PUT has, such as Content-Length, are not in the result.
        """
        del content_length  # is in every PUT
        return {} if content_type is None else {"Content-Type": content_type}

    def storage_for(self, file_id: FileName) -> "Storage":
        """Return this storage if it serves the id. A manager returns the one of its storages that does.

        Raises:
            RouteNotSupportedException: The storage does not serve the id.
        """
        self.identify(file_id)
        return self

    def file(self, name: FileName) -> StoredFile:
        """Return the file object for a name. No I/O. The file need not exist."""
        return StoredFile(self.identify(name), self)

    def get_name(self, untrusted: str) -> str:
        """Return an untrusted name as a clean key, which `upload` accepts."""
        return naming.clean_key(untrusted)

    def options_for(self, content: Content) -> UploadOptions:
        """Return the options for storing this content. Options of the content override those of the storage.

        Raises:
            OperationNotSupportedException: The storage does not support one of the options. The message names it.
        """
        options = content.options.over(self.upload_options)
        if options.said:
            self._check_options(options)
        return options

    def _check_options(self, options: UploadOptions) -> None:
        """Refuse options that the storage does not support."""
        options.require(self.able_options, type(self).__name__)

    def operation(self, name: str, *file: FileName) -> Operation:
        """Return a context manager for the body of an operation. Every method of a backend uses one.

        It refuses to use a closed storage and to change a read-only one. It converts the name to the id
        `operation.file`. It adds the operation and the id to errors, measures the time, and emits the event.

        If the storage chooses its ids, a write has no `operation.file` yet. The operation then only checks that the
        name is clean.

        Args:
            name: The operation in errors and events, for example ``"write"`` or ``"stat"``.
            *file: The file of the operation, if it has one.
        """
        return StorageOperation(self, name, file)

    def _operation(self, name: str, *file: FileName) -> Operation:
        warn("Storage._operation is Storage.operation now", DeprecationWarning, stacklevel=2)
        return self.operation(name, *file)

    def _check_usable(self, operation: str) -> None:
        if self._closed:
            raise StorageClosedException("the storage is closed; `async with storage:` opens it again")
        if self.read_only and operation == "delete":
            raise DeleteNotSupportedException("the storage was opened with read_only=True")
        if self.read_only and operation in WRITES:
            raise AccessDeniedException("the storage was opened with read_only=True")

    # ---- friendly methods, the same on every backend

    async def upload(
        self,
        content: Source | PendingFile | Content,
        name: FileName,
        *,
        overwrite: bool = True,
        **options: Unpack[ContentOptions],
    ) -> str:
        """Store content under exactly this key. A backend with `chooses_ids` chooses the id itself.

        Args:
            content: Bytes, a path, a binary file, an upload, or an iterable or async iterable: see
                `async_storages.sources`. Files are read from their current position, uploads from their beginning.
                They stay open. After a failure, a file that can seek is back at its old position.
            name: The key. A key that is not clean is refused. `get_name` returns the clean form.
            overwrite: False raises FileExistsException if the key exists. On a storage with `chooses_ids` it raises
                InvalidArgumentException.
            **options: `content_type`, `metadata`, `size`, `max_size`, `expected`, `options` with `UploadOptions`, and
                others: see the arguments of `Content`.

        Returns:
            The key, or the id that the backend chose.

        Raises:
            InvalidArgumentException: The name, the content, an option or the declared size is wrong.
            FileExistsException: The key exists and `overwrite` is False.
            FileTooLargeException: The content has more than `max_size` bytes.
            ChecksumMismatchException: The content does not have an `expected` checksum.
            OperationNotSupportedException: The storage does not support one of the `UploadOptions`. The message names
                it.

        Example:
            >>> await storage.upload(b"hello", "notes/hello.txt")
            'notes/hello.txt'
        """
        with during("upload", text_of(name)):
            key = self._key_for_upload(name, overwrite=overwrite)
            async with as_content(content, key.rpartition("/")[2], options) as body:
                self.options_for(body)
                stored = await self.write(body, key, overwrite=overwrite)
            return self.bare_key(self.identify(stored)) if self.chooses_ids else key

    def _key_for_upload(self, name: FileName, *, overwrite: bool) -> str:
        if not self.chooses_ids:
            return naming.check_key(self.bare_key(self.identify(name)))
        if not overwrite:
            raise InvalidArgumentException(
                "overwrite=False is of no use here: the storage chooses new ids and replaces no file; leave it out"
            )
        return naming.check_key(text_of(name))

    @overload
    async def save(  # type: ignore[overload-overlap] # an upload is a source, too
        self, content: Upload, filename: str | None = None, *, folder: str = "", **options: Unpack[ContentOptions]
    ) -> StoredFile | None: ...

    @overload
    async def save(
        self,
        content: Source | PendingFile | Content,
        filename: str | None = None,
        *,
        folder: str = "",
        **options: Unpack[ContentOptions],
    ) -> StoredFile: ...

    async def save(
        self,
        content: Source | PendingFile | Content,
        filename: str | None = None,
        *,
        folder: str = "",
        **options: Unpack[ContentOptions],
    ) -> StoredFile | None:
        """Store content under a fresh, unique key: ``[folder/]{16 hex digits}_{clean file name}``.

        Args:
            content: As for `upload`.
            filename: Any name, even a hostile one: it is cleaned. By default the name of the content, or ``file``.
            folder: The folder for the key. It is cleaned too.
            **options: As for `upload`.

        Returns:
            The stored file, with known size and dimensions. None for an upload without name and bytes, which browsers
            send for a form field where no file was chosen.

        Raises:
            StorageException: As for `upload`.

        Example:
            >>> await storage.save(Path("q3.pdf"), folder="reports")
            <StoredFile 'file:reports/5f0c7a4be11c9d20_q3.pdf'>
        """
        if is_empty_input(content):
            return None
        with during("save", filename):
            async with as_content(content, filename, options) as body:
                return await self._save_as(naming.unique_key(body.filename or "file", folder), body)

    async def _save_as(self, key: str, body: Content) -> StoredFile:
        """Store content under a chosen key. Raises FileExistsException if the key exists."""
        self.options_for(body)
        return await self._new_file(await self.write(body, key, overwrite=False), body)

    async def _new_file(self, file_id: str, body: Content) -> StoredFile:
        """Return the file object of a new file, with the facts that its content knows."""
        stored = StoredFile(file_id, self)
        stored.remember(
            size=body.size,
            image_size=body.image_size,
            crc32=body.crc32,
            content_type=await body.content_type(),
            filename=body.filename,
            sha256=body.hexdigest("sha256") if body.computes("sha256") else None,
            upload_time=datetime.now(UTC),
            is_new=True,
        )
        return stored

    async def read(self, name: FileName) -> bytes:
        """Return the whole content in memory."""
        async with aclosing(self.stream(name)) as chunks:
            return b"".join([chunk async for chunk in chunks])

    async def open(self, name: FileName) -> BytesIO:
        """Return the whole content in memory, as a binary file at position 0."""
        return BytesIO(await self.read(name))

    async def download_to(self, name: FileName, target: Target) -> int:
        """Stream the file into a path or an open binary file, and return the number of bytes written.

        If the download fails, a path keeps its old content.
        """
        return await write_to(self.stream(name), target)

    async def info(self, name: FileName) -> "FileBasicInfo":
        """Return size, content type, ETag, time and metadata: another name of `stat`."""
        return await self.stat(name)

    async def get_size(self, name: FileName) -> int:
        """Return the size in bytes. Raises FileNotFoundException if the file is missing."""
        return (await self.stat(name)).file_size

    async def get_path(self, name: FileName) -> str:
        """Return the file's URL: another name of `url`."""
        return await self.url(name)

    async def exists(self, name: FileName) -> bool:
        """Return True if the storage holds the file."""
        try:
            await self.stat(name)
        except FileNotFoundException:
            return False
        return True

    async def delete_many(self, names: Iterable[FileName], *, concurrency: int = 32) -> None:
        """Delete several files. A missing file is no error.

        It tries to delete every file before it raises the first failure.
        """
        failures: list[Exception] = []

        async def attempt(name: FileName) -> None:
            try:
                await self.delete(name)
            except StorageException as error:
                failures.append(error)

        await map_bounded(attempt, names, limit=concurrency)
        if failures:
            raise failures[0]
