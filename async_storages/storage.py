"""The storage contract: a tiny mandatory part, friendly methods written once on top, powers as Protocols.

A backend implements `write`, `stream`, `stat`, `delete` and `url`; `MemoryStorage` shows the whole of it. What only
some backends can do is a Protocol of its own (`SupportsPresign`, `SupportsList` …), asked for with `isinstance`.
`async_storages.testing.StorageContract` is the suite that every backend passes.
"""

import builtins
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterable, Mapping
from contextlib import aclosing
from copy import copy
from datetime import timedelta
from io import BytesIO
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self, TypedDict, Unpack, overload, runtime_checkable

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
from async_storages.naming import Disposition
from async_storages.sinks import Target, write_to
from async_storages.sources import CHUNK_SIZE, Source, Upload, is_empty_input
from async_storages.upload_options import NO_OPTIONS, UploadOptions

if TYPE_CHECKING:
    from async_storages.models import FileBasicInfo, PresignedUpload
    from async_storages.synchronous.storages import SyncStorage

__all__ = [
    "BaseStorage",
    "FileName",
    "Storage",
    "SupportsCopy",
    "SupportsDirectUpload",
    "SupportsFolders",
    "SupportsList",
    "SupportsMetadata",
    "SupportsPing",
    "SupportsPresign",
]

type FileName = str | FileId | StoredFile
"""What methods take for a file: a bare key, a fusion id in either form, or a file object."""

type PresignMethod = Literal["GET", "HEAD", "PUT", "DELETE"]


class PresignOptions(TypedDict, total=False):
    """What presigning takes beside name, time and method: see `SupportsPresign.presign`."""

    filename: str | None
    content_type: str | None
    disposition: Disposition | None
    content_length: int | None
    stable: timedelta | None


_WRITES = frozenset({"write", "copy", "set_metadata"})
_NO_SEGMENTS = frozenset({"", ".", ".."})


class Storage(ABC):
    """Where files are: the base class of every backend.

    Subclasses set `scheme` (and `bucket`, if their ids have one), implement the five abstract methods, and begin each
    of them with ``with self._operation("stat", name) as operation:``, which refuses a closed storage, identifies the
    file (`operation.file`) and emits the event.

    Args:
        name: Registers the storage under this name: see `async_storages.registry`.
        read_only: Refuse every write and delete.

    Attributes:
        scheme: What its ids begin with.
        bucket: Their bucket, None for schemes without one.
        location: Tells storages of one scheme and bucket apart where ids cannot: a folder, an endpoint; never secret.
        chooses_ids: Whether the backend chooses the ids of files, as FastDFS does, and takes of a name at most the
            extension: each write makes a new file, nothing is ever replaced; `upload` refuses `overwrite=False`.
        able_options: The fields of `UploadOptions` that `write` heeds; others are refused.
        upload_options: What new files have, unless a column or a call says otherwise.
    """

    scheme: ClassVar[str]
    chooses_ids: ClassVar[bool] = False
    able_options: ClassVar[Collection[str]] = ()
    upload_options = NO_OPTIONS
    bucket: str | None = None
    location: str | None = None
    name: str | None = None
    read_only: bool = False
    _prefix = ""
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

    # ---- what a backend implements

    @abstractmethod
    async def write(self, content: Content, key: FileName, *, overwrite: bool = True) -> str:
        """Store the content whole or not at all.

        Args:
            content: Iterate it once; whatever it raises must leave nothing behind. `options_for` gives its options.
            key: The exact key; backends that choose their ids use its extension, and keep the name for people.
            overwrite: False refuses a key that exists, without a race; of no effect where ids are chosen, as `save`
                says False everywhere.

        Returns:
            The fusion id.

        Raises:
            FileExistsException: The key exists and `overwrite` is False.
            StorageOperationException: The backend failed; nothing was stored.
        """

    @abstractmethod
    def stream(
        self, name: FileName, offset: int = 0, length: int | None = None, *, chunk_size: int = CHUNK_SIZE
    ) -> AsyncGenerator[bytes]:
        """The bytes of a file or of a range of it, in chunks of at most `chunk_size` bytes.

        Args:
            name: The file.
            offset: The first byte, from 0; negative counts from the end (a suffix); past the end gives nothing.
            length: How many bytes at the most; None for all, 0 for none.
            chunk_size: Bytes, at least 1.

        Raises:
            FileNotFoundException: There is no such file, raised by the first step of the iteration.
            InvalidArgumentException: A negative length, a chunk size below 1.
        """

    @abstractmethod
    async def stat(self, name: FileName) -> "FileBasicInfo":
        """Size, type, etag, time and metadata.

        Raises:
            FileNotFoundException: There is no such file.
        """

    @abstractmethod
    async def delete(self, name: FileName) -> None:
        """Remove a file; a missing one is not an error where the protocol allows.

        Raises:
            DeleteNotSupportedException: The storage is read-only.
        """

    @abstractmethod
    async def url(self, name: FileName) -> str:
        """The file's URL, percent-encoded; without asking whether the file exists."""

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
        text = _text_of(name)
        ids.check_text(text)
        is_bare = ids.scheme_of(text) is None
        found = FileId(self.scheme, self.bucket, self._prefix + text) if is_bare else FileId.parse(text)
        if (found.scheme, found.bucket) != (self.scheme, self.bucket):
            raise RouteNotSupportedException(f"{self!r} does not serve this id", file_id=text)
        if not found.key.startswith(self._prefix):
            raise RouteNotSupportedException(f"{self!r} keeps to {self._prefix!r}", file_id=text)
        if is_bare:
            self._check_key(found)
        else:
            self._check_id(found)
        return found

    def _check_key(self, file_id: FileId) -> None:
        """Refuse keys that mean another place, or the same place under another name; nothing is written to them."""
        if "\\" in file_id.key or not _NO_SEGMENTS.isdisjoint(file_id.key.split("/")):
            raise InvalidArgumentException(
                "a key cannot hold empty, '.' or '..' segments or a backslash", file_id=str(file_id)
            )

    def _check_id(self, file_id: FileId) -> None:
        """Refuse ids that cannot be those of files; by default those whose keys cannot be written to."""
        self._check_key(file_id)

    def _bare_key(self, file_id: FileId) -> str:
        """What `identify` makes this id of."""
        return file_id.key.removeprefix(self._prefix)

    def _within(self, folders: tuple[str, ...]) -> Self:
        """See `SupportsFolders`: for storages whose `list` keeps to `_prefix` as well."""
        for folder in folders:
            if "/" in naming.check_key(folder, operation="within"):
                raise InvalidArgumentException("one folder at a time, without slashes", file_id=folder)
        other = copy(self)
        prefix = f"{self._prefix}{naming.check_key('/'.join(folders), operation='within')}/"
        vars(other).update(_prefix=prefix, name=None)
        return other

    async def prepare(self) -> None:  # noqa: B027 - most storages need not do anything
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
        """This storage itself, if it serves the id; managers route to one of theirs.

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
        """What a file made of this content is to have: what the content says, else what the storage says.

        Raises:
            OperationNotSupportedException: The storage cannot do one of them; names it.
        """
        options = content.options.over(self.upload_options)
        self._check_options(options)
        return options

    def _check_options(self, options: UploadOptions) -> None:
        """Refuse what the storage cannot do."""
        options.require(self.able_options, type(self).__name__)

    def _operation(self, name: str, *file: FileName) -> Operation:
        """Wrap an operation's body: refuse if closed or read-only, identify `.file`, measure, emit the event.

        A write to a storage that chooses its ids has no `.file` yet; its name has only to be a clean one.
        """
        return _Wrapped(self, name, file)

    def _check_usable(self, operation: str) -> None:
        if self._closed:
            raise StorageClosedException("the storage is closed; `async with storage:` opens it again")
        if self.read_only and operation == "delete":
            raise DeleteNotSupportedException("the storage was opened with read_only=True")
        if self.read_only and operation in _WRITES:
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
        with during("upload", _text_of(name)):
            key = self._key_for_upload(name, overwrite=overwrite)
            async with as_content(content, key.rpartition("/")[2], options) as body:
                self.options_for(body)
                stored = await self.write(body, key, overwrite=overwrite)
            return self._bare_key(self.identify(stored)) if self.chooses_ids else key

    def _key_for_upload(self, name: FileName, *, overwrite: bool) -> str:
        if not self.chooses_ids:
            return naming.check_key(self._bare_key(self.identify(name)))
        if not overwrite:
            raise InvalidArgumentException(
                "overwrite=False promises nothing here: the storage chooses a new id, and never replaces a file"
            )
        return naming.check_key(_text_of(name))

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
        stored = StoredFile(await self.write(body, key, overwrite=False), self)
        stored.remember(size=body.size, image_size=body.image_size, crc32=body.crc32, is_new=True)
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
        """Whether the backend holds the file."""
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


BaseStorage = Storage


# ---- capabilities


@runtime_checkable
class SupportsPresign(Protocol):
    """URLs that let whoever holds them do one thing to one file for a while."""

    def presign(
        self,
        name: FileName,
        expires_in: float = 3600,
        method: PresignMethod = "GET",
        *,
        filename: str | None = None,
        content_type: str | None = None,
        disposition: Disposition | None = None,
        content_length: int | None = None,
        stable: timedelta | None = None,
    ) -> str:
        """A presigned URL; no I/O. A PUT must come with the headers of `Storage.presigned_headers`.

        Args:
            name: The file; it need not exist.
            expires_in: Seconds from now, 1 to 604,800.
            method: GET (which allows HEAD), HEAD, PUT or DELETE.
            filename: The name the download is to have; implies ``disposition="attachment"``.
            content_type: GET: the answer's type. PUT: the only type that may be sent.
            disposition: ``"inline"`` or ``"attachment"``.
            content_length: PUT: the only size in bytes that may be sent.
            stable: A window of time, from a second: all URLs that are made within one are equal to the byte, so that
                browsers and caches know them again. Each is good for at least `expires_in`, and for up to `stable`
                longer; together they are at most 604,800 seconds.

        Raises:
            InvalidArgumentException: A bad name or option.
            OperationNotSupportedException: There is nothing to sign with.
        """
        ...

    def presign_many(
        self, names: Iterable[FileName], expires_in: float = 3600, *, stable: timedelta | None = None
    ) -> builtins.list[str]:
        """Presigned GET URLs for a listing, in the order of the names; no I/O."""
        ...


@runtime_checkable
class SupportsDirectUpload(Protocol):
    """Forms that let a browser upload one file straight to the backend."""

    async def presign_post(
        self,
        name: FileName,
        expires_in: float = 3600,
        *,
        max_size: int | None = None,
        min_size: int = 0,
        content_type: str | None = None,
    ) -> "PresignedUpload":
        """A form for one key.

        Args:
            name: The key the file will have; as strict as `upload`.
            expires_in: Seconds from now, 1 to 604,800.
            max_size: Bytes; larger files are refused by the backend.
            min_size: Bytes; smaller files are refused by the backend.
            content_type: The only type that may be sent, as the form field ``Content-Type``.
        """
        ...


@runtime_checkable
class SupportsList(Protocol):
    """Listing what is there."""

    def list(self, prefix: str = "") -> AsyncIterator["FileBasicInfo"]:
        """The files whose key begins with `prefix`, sorted by key."""
        ...


@runtime_checkable
class SupportsFolders(Protocol):
    """Keeping to a folder, such as that of a tenant."""

    def within(self, *folders: str) -> "Storage":
        """The same storage, kept to a folder: bare keys are relative to it, ids elsewhere are refused; no I/O.

        It has no name, and uses the connections of this storage: it need not be closed, and closes them if it is.

        Args:
            *folders: The path of the folder, each without slashes: no tenant's name leads into another's folder.

        Raises:
            InvalidArgumentException: A folder that is empty, holds a slash, or is no clean name.

        Example:
            >>> await storage.within("tenants", "acme").upload(b"hello", "hello.txt")
            'hello.txt'
            >>> await storage.exists("tenants/acme/hello.txt")
            True
        """
        ...


@runtime_checkable
class SupportsCopy(Protocol):
    """Copying without the bytes passing through here."""

    async def copy(self, source: FileName, target: FileName, *, overwrite: bool = True) -> str:
        """Copy a file with its type and metadata to an exact key; returns the new fusion id.

        Raises:
            FileNotFoundException: There is no source.
            FileExistsException: The target exists and `overwrite` is False.
        """
        ...


@runtime_checkable
class SupportsMetadata(Protocol):
    """Changing the metadata of a file that is already there."""

    async def set_metadata(self, name: FileName, metadata: Mapping[str, str]) -> None:
        """Replace the user's metadata; the content stays.

        Raises:
            FileNotFoundException: There is no such file.
        """
        ...


@runtime_checkable
class SupportsPing(Protocol):
    """Telling whether the backend is there, for health checks."""

    async def ping(self) -> None:
        """Nothing, if it answers and lets us in; changes nothing there.

        Raises:
            StorageException: It does not.
        """
        ...


# ---- pieces that backends share


class _Wrapped(Operation):
    """What `Storage._operation` gives: the errors of the body, and its own, say what was done to which file."""

    __slots__ = ("_given", "_storage", "_subject")

    def __init__(self, storage: Storage, name: str, given: tuple[FileName, ...]) -> None:
        super().__init__(name, storage.scheme, storage.bucket)
        self._storage = storage
        self._given = given
        self._subject: FileId | str | None = _text_of(*given) if given else None

    def __enter__(self) -> Self:
        try:
            self._begin()
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def _begin(self) -> None:
        storage, name = self._storage, self._name
        storage._check_usable(name)  # noqa: SLF001 - this is its own wrapper
        if self._subject is None:
            return
        if name == "write" and storage.chooses_ids:
            naming.check_key(str(self._subject), operation=name)
            return
        self.file = self._subject = storage.identify(*self._given)
        if name in _WRITES:
            storage._check_key(self.file)  # noqa: SLF001

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, StorageException):
            error.complete(self._name, None if self._subject is None else str(self._subject))
        super().__exit__(kind, error, traceback)


def check_presign_method(method: str, *, read_only: bool) -> str:
    """The method of a presigned request, if there can be such a request to such a storage."""
    if method not in {"GET", "HEAD", "PUT", "POST", "DELETE"}:
        raise InvalidArgumentException(f"{method!r} is not a method that can be presigned")
    if read_only and method not in {"GET", "HEAD"}:
        raise AccessDeniedException("the storage was opened with read_only=True")
    return method


def _text_of(name: FileName) -> str:
    """The text of a name in any of its forms."""
    if isinstance(name, str):
        return str.__str__(name)  # an Enum's own str() is the member's name
    if isinstance(name, FileId | StoredFile):
        return str(name)
    raise InvalidArgumentException(f"a file is named by a str, FileId or StoredFile, not {type(name).__name__}")


def byte_range(size: int, offset: int, length: int | None, chunk_size: int) -> range:
    """The positions of a file of `size` bytes that `stream` is to give, as ``range(start, stop, chunk_size)``."""
    if chunk_size < 1 or (length is not None and length < 0):
        raise InvalidArgumentException(f"a stream cannot have length {length} or chunk size {chunk_size}")
    start = max(0, size + offset) if offset < 0 else min(offset, size)
    stop = size if length is None else min(size, start + length)
    return range(start, stop, chunk_size)
