"""`Storage`, the base class of every backend: five abstract methods, and all others written once on top of them.

A backend implements `write`, `stream`, `stat`, `delete` and `url` (see `AbstractStorage`); `MemoryStorage` shows the
whole of it. Powers that only some have are Protocols (`SupportsPresign`, `SupportsList` …), asked for with
`isinstance`. `async_storages.testing.StorageContract` is the suite that every backend passes.
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
    """The base class of every backend, and a place where files are.

    Subclasses set `scheme` (and `bucket`, if their ids have one), implement the five methods of `AbstractStorage`, and
    begin each of them with ``with self.operation("stat", name) as operation:``: see `operation`.

    Args:
        name: Registers the storage under this name: see `async_storages.registry`.
        read_only: Refuse every write and delete.

    Attributes:
        scheme: The beginning of its ids, such as ``"s3"``.
        bucket: Their bucket, None for schemes without one.
        location: Tells storages of one scheme and bucket apart where ids cannot: a folder, an endpoint; never secret.
        prefix: The folder that it keeps to, with a slash at its end; bare keys are relative to it. Empty for none.
        chooses_ids: Whether the backend chooses the ids of files, as FastDFS does, and takes of a name at most the
            extension: each write makes a new file, nothing is ever replaced; `upload` refuses `overwrite=False`.
        able_options: The fields of `UploadOptions` that `write` heeds; others are refused.
        upload_options: What new files have, unless a column or a call says otherwise.
        is_part: Whether its operations are parts of those of another storage, which emits their event; errors of a
            server then say which storage has failed.
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
        """Teach the id grammar the scheme of a new backend."""
        super().__init_subclass__(**kwargs)
        if "scheme" in cls.__dict__ and cls.scheme not in (*ids.known_schemes(), ids.FASTDFS):
            ids.register_scheme(cls.scheme, has_bucket=has_bucket)

    # ---- lifetime

    async def aclose(self) -> None:
        """Release what is open. Later use raises StorageClosedException until `async with` opens it again."""
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
        """The same methods without ``await``, for code that is not asynchronous: ``storage.sync.save(…)``."""
        from async_storages.synchronous.storages import SyncStorage  # noqa: PLC0415 - it imports this module

        return SyncStorage(self)

    # ---- names

    def identify(self, name: FileName) -> FileId:
        """The full id of a bare key, id or file object; no I/O.

        Raises:
            InvalidArgumentException: Malformed, of an unknown scheme, or a key that could lead elsewhere.
            RouteNotSupportedException: The id belongs to another backend or bucket.
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
        """Refuse keys that mean another place, or the same place under another name; nothing is written to them."""
        if "\\" in file_id.key or not _NO_SEGMENTS.isdisjoint(file_id.key.split("/")):
            raise InvalidArgumentException(
                "a key cannot hold empty, '.' or '..' segments or a backslash", file_id=str(file_id)
            )

    def check_id(self, file_id: FileId) -> None:
        """Refuse ids that cannot be those of files; by default those whose keys cannot be written to."""
        self.check_key(file_id)

    def bare_key(self, file_id: FileId) -> str:
        """The bare key that `identify` makes this id of."""
        return file_id.key.removeprefix(self.prefix)

    async def prepare(self) -> None:
        """Get ready for `presign`, which does no I/O: resolve credentials, where they are not at hand."""

    async def presigned_urls(
        self,
        names: Iterable[FileName],
        expires_in: float = 3600,
        method: PresignMethod = "GET",
        **options: Unpack[PresignOptions],
    ) -> builtins.list[str]:
        """Presigned URLs in the order of the names: as `SupportsPresign.presign`, and where it needs I/O as well.

        Args:
            names: The files; they need not exist.
            expires_in: Seconds from now, 1 to 604,800.
            method: GET, HEAD, PUT or DELETE.
            **options: `filename`, `content_type`, `disposition`, `content_length`, `stable`: see
                `SupportsPresign.presign`.

        Raises:
            OperationNotSupportedException: The storage cannot presign.
            StorageException: As for `SupportsPresign.presign`, and whatever I/O it needs.
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
        """The headers that a PUT presigned with these options must come with, beside those that every PUT has."""
        del content_length  # is in every PUT
        return {} if content_type is None else {"Content-Type": content_type}

    def storage_for(self, file_id: FileName) -> "Storage":
        """Return this storage, if it serves the id; managers route to one of theirs.

        Raises:
            RouteNotSupportedException: It does not.
        """
        self.identify(file_id)
        return self

    def file(self, name: FileName) -> StoredFile:
        """The file object of a name; no I/O, the file need not exist."""
        return StoredFile(self.identify(name), self)

    def get_name(self, untrusted: str) -> str:
        """The key that an untrusted name may have: what `upload` accepts unchanged."""
        return naming.clean_key(untrusted)

    def options_for(self, content: Content) -> UploadOptions:
        """Options of a file made of this content: field by field the content's, else the storage's.

        Raises:
            OperationNotSupportedException: The storage cannot do one of them; names it.
        """
        options = content.options.over(self.upload_options)
        if options.said:
            self._check_options(options)
        return options

    def _check_options(self, options: UploadOptions) -> None:
        """Refuse what the storage cannot do."""
        options.require(self.able_options, type(self).__name__)

    def operation(self, name: str, *file: FileName) -> Operation:
        """A context manager for the body of an operation; every method of a backend works in one.

        It refuses a closed storage and changes to a read-only one, makes the name the id `operation.file`, completes
        errors with operation and id, measures, and emits the event. A write to a storage that chooses its ids has no
        `operation.file` yet; its name has only to be a clean one.

        Args:
            name: The operation, as errors and events name it: ``"write"``, ``"stat"`` …
            *file: The file that it works on, if it works on one.
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
        """Store content under exactly this key, or under an id that the backend chooses (`chooses_ids`).

        Args:
            content: Bytes, a path, a binary file, an upload, a (async) iterable: see `async_storages.sources`. Files
                are read from where they stand, uploads from their beginning; they stay open. What fails leaves them
                where they stood.
            name: The key. One that the gate for names would change is refused; `get_name` gives the changed form.
            overwrite: False raises FileExistsException when the key exists, InvalidArgumentException where ids are
                chosen.
            **options: `content_type`, `metadata`, `size`, `max_size`, `expected`, and `options`, which are
                `UploadOptions`: see `ContentOptions`.

        Returns:
            The key, or the id that was chosen.

        Raises:
            InvalidArgumentException: The name, the content or an option is wrong, or the declared size.
            FileExistsException: The key exists and `overwrite` is False.
            FileTooLargeException: More than `max_size` bytes came.
            ChecksumMismatchException: An `expected` checksum does not hold.
            OperationNotSupportedException: The storage cannot do one of the `UploadOptions`; names it.

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
            filename: Any name, however hostile: it is cleaned. By default the content's own, else ``file``.
            folder: Cleaned as well.
            **options: As for `upload`.

        Returns:
            The stored file, which knows its size and dimensions without asking again. None for an upload without a
            name and bytes: so browsers send a form where no file was chosen.

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
        """`save`, once the key is chosen; it raises FileExistsException if somebody has it."""
        self.options_for(body)
        return await self._new_file(await self.write(body, key, overwrite=False), body)

    async def _new_file(self, file_id: str, body: Content) -> StoredFile:
        """A file that was written just now, with the facts that its content has told."""
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
        """The whole file in memory."""
        async with aclosing(self.stream(name)) as chunks:
            return b"".join([chunk async for chunk in chunks])

    async def open(self, name: FileName) -> BytesIO:
        """The whole file in memory, as a file at its beginning."""
        return BytesIO(await self.read(name))

    async def download_to(self, name: FileName, target: Target) -> int:
        """Stream the file into a path (complete or not at all) or an open binary file; returns the bytes written."""
        return await write_to(self.stream(name), target)

    async def info(self, name: FileName) -> "FileBasicInfo":
        """Size, type, etag, time and metadata: another name of `stat`."""
        return await self.stat(name)

    async def get_size(self, name: FileName) -> int:
        """The size in bytes, from the backend; raises FileNotFoundException if the file is missing."""
        return (await self.stat(name)).file_size

    async def get_path(self, name: FileName) -> str:
        """The file's URL: another name of `url`."""
        return await self.url(name)

    async def exists(self, name: FileName) -> bool:
        """Ask the backend; True if it holds the file."""
        try:
            await self.stat(name)
        except FileNotFoundException:
            return False
        return True

    async def delete_many(self, names: Iterable[FileName], *, concurrency: int = 32) -> None:
        """Delete several files, missing ones included; every one is tried before the first failure surfaces."""
        failures: list[Exception] = []

        async def attempt(name: FileName) -> None:
            try:
                await self.delete(name)
            except StorageException as error:
                failures.append(error)

        await map_bounded(attempt, names, limit=concurrency)
        if failures:
            raise failures[0]
