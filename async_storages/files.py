"""`StoredFile` and `StoredImage`: the objects that file columns return. They do I/O only in awaited methods."""

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any, Self, Unpack

from async_storages import naming, registry, sniff
from async_storages._file_facts import FileFacts, NewFileState
from async_storages.errors import (
    InvalidArgumentException,
    OperationNotSupportedException,
    StorageException,
    during,
)
from async_storages.ids import FileId, is_fusion_id
from async_storages.images.probe import ImageSize, probe_image
from async_storages.images.srcset import SrcSet
from async_storages.registry import DeletionPolicy, StorageAddress, StorageRef, StorageRouter
from async_storages.sources import CHUNK_SIZE
from async_storages.variants.keys import complete_recipe, variant_id

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, SerializationInfo, ValidatorFunctionWrapHandler
    from pydantic_core import CoreSchema

    from async_storages.content import Content, ContentOptions, PendingFile
    from async_storages.content_disposition import Disposition
    from async_storages.images.recipes import Variants
    from async_storages.models import FileBasicInfo
    from async_storages.sinks import Target
    from async_storages.sources import Source
    from async_storages.storage.base import Storage
    from async_storages.storage.capabilities import PresignMethod
    from async_storages.synchronous.files import SyncStoredFile, SyncStoredImage

__all__ = ["StoredFile", "StoredImage", "link_of", "new_file_state_of", "storage_ref_of"]

type _StorageRef = StorageRef | StorageRouter | str | StorageAddress | None


class StoredFile:
    """A file in a storage, known by its id. It is cheap to create, and you can keep, compare, pickle and copy it.

    The object contacts its storage only when you await a method. You can load, compare and replace it even if the file
    is missing or its scheme is unknown.

    Args:
        file_id: The file id, with its scheme.
        storage: The file's storage or manager, or a registered name. None finds the storage in the registry by the id.

    Attributes:
        file_id: The file id, as the database holds it.
    """

    __slots__ = ("_facts", "_storage_ref", "file_id")

    file_id: str
    _storage_ref: "_StorageRef"
    _facts: FileFacts | None

    def __init__(
        self, file_id: str | FileId, storage: StorageRef | StorageRouter | str | StorageAddress | None = None
    ) -> None:
        self.file_id = file_id if type(file_id) is str else _text_of(file_id)
        self._storage_ref = storage
        self._facts = None

    # ---- what the id tells, without I/O

    @property
    def _id(self) -> FileId:
        if is_fusion_id(self.file_id):
            return FileId.parse(self.file_id)
        try:
            return self.storage.identify(self.file_id)  # an old row's bare key, or an id of FastDFS
        except StorageException:
            return FileId.parse(self.file_id)

    @property
    def scheme(self) -> str:
        """The scheme of the id: ``"s3"``, ``"gs"``, ``"file"``, ``"mem"``, ``"fastdfs"`` or a registered one."""
        return self._id.scheme

    @property
    def bucket(self) -> str | None:
        """The bucket. None if the scheme has no buckets."""
        return self._id.bucket

    @property
    def name(self) -> str:
        """The key without scheme and bucket. For FastDFS, the whole id."""
        return self._id.key

    @property
    def filename(self) -> str:
        """The name of the uploaded file. If unknown, the name in the key: see `original_filename`."""
        return self.known_filename or naming.original_filename(self.name)

    @property
    def content_type(self) -> str:
        """The stored content type. If unknown, the type that the name suggests."""
        return self.known_content_type or sniff.guess_by_name(self.name)

    @property
    def known_info(self) -> "FileBasicInfo | None":
        """The result of the last `get_info` or `prefetch` on this object. None before the first one."""
        return self._facts.info if self._facts else None

    @property
    def known_size(self) -> int | None:
        """The size in bytes, from an upload, a prefetch or the id. None if unknown.

        The value can be out of date if another upload overwrote the key.
        """
        if self._facts and self._facts.size is not None:
            return self._facts.size
        details = None if is_fusion_id(self.file_id) else self._id.details
        return details.size if details else None

    @property
    def known_crc32(self) -> int | None:
        """The CRC-32 of the content, from an upload. None if unknown.

        The value can be out of date if another upload overwrote the key. It is not read from FastDFS ids, because
        servers before 6.0 write another checksum there.
        """
        return self._facts.crc32 if self._facts else None

    @property
    def known_content_type(self) -> str | None:
        """The stored content type, from an upload, a `get_info` or the row: see `FileType`. None if unknown."""
        return self._facts.content_type if self._facts else None

    @property
    def known_filename(self) -> str | None:
        """The cleaned name that the uploader's file had, from an upload or the row: see `FileType`. None if unknown."""
        said = self._facts.filename if self._facts else None
        return naming.clean_filename(said) if said else None

    @property
    def known_sha256(self) -> str | None:
        """The SHA-256 of the content in hex. None if unknown.

        It comes from an upload with ``checksums=["sha256"]``, or from the row: see `FileType`.
        """
        return self._facts.sha256 if self._facts else None

    @property
    def known_upload_time(self) -> datetime | None:
        """The upload time, with a time zone. None if unknown.

        It comes from an upload, a `get_info` or the row: see `FileType`.
        """
        return self._facts.upload_time if self._facts else None

    def __str__(self) -> str:
        return self.file_id

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.file_id!r}>"

    def __eq__(self, other: object) -> bool:
        return self.file_id == other.file_id if isinstance(other, StoredFile) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.file_id)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the id and the storage's registered name. A storage without a name is pickled by its address."""
        return type(self), (self.file_id, self._address())

    def _address(self) -> "str | StorageAddress | None":
        ref = self._storage_ref
        if isinstance(ref, StorageRef):
            ref = registry.DEFAULT if ref.value is None else ref.value
        if ref is None or isinstance(ref, str | StorageAddress):
            return ref
        if isinstance(name := getattr(ref, "name", None), str):
            return name
        try:
            storage = ref.storage_for(self.file_id)
        except StorageException:
            return _NOT_SERVED
        return storage.name or StorageAddress.of(storage)

    # ---- what its storage tells

    @property
    def storage(self) -> "Storage":
        """The storage that holds the file. No I/O.

        Raises:
            RouteNotSupportedException: No known storage serves the id.
            InvalidArgumentException: The id is malformed, or the name of its storage is not registered.
        """
        ref = self._storage_ref
        if ref is None or isinstance(ref, StorageAddress):
            return registry.find(self.file_id, at=ref)
        with during("resolve", self.file_id):
            found = ref if isinstance(ref, StorageRef) else StorageRef(ref)
            return found.resolve().storage_for(self.file_id)

    @property
    def _deletion_policy(self) -> "DeletionPolicy | None":
        return self._storage_ref.deletion_policy if isinstance(self._storage_ref, StorageRef) else None

    @property
    def sync(self) -> "SyncStoredFile":
        """The same methods without ``await``, for synchronous code: ``file.sync.read()``."""
        from async_storages.synchronous.files import SyncStoredFile  # noqa: PLC0415 - it imports this module

        return SyncStoredFile(self)

    async def get_path(self) -> str:
        """Return the file's percent-encoded URL.

        For a variant that is made after the upload, it is the URL of the route that makes the variant.
        """
        link = self._facts.link if self._facts else None
        if link is not None:
            return link()
        return await self.storage.url(self.file_id)

    async def get_info(self) -> "FileBasicInfo":
        """Return size, content type, ETag, time and metadata. Raises FileNotFoundException if the file is missing."""
        info = await self.storage.stat(self.file_id)
        self.remember(info=info, size=info.file_size, content_type=info.content_type, upload_time=info.last_modify_time)
        return info

    async def get_size(self) -> int:
        """Return the size in bytes. Raises FileNotFoundException if the file is missing."""
        return (await self.get_info()).file_size

    async def exists(self) -> bool:
        """Return True if the storage holds the file."""
        return await self.storage.exists(self.file_id)

    def stream(
        self, offset: int = 0, length: int | None = None, *, chunk_size: int = CHUNK_SIZE
    ) -> AsyncGenerator[bytes]:
        """Yield the bytes of the file or of a range of it: see `Storage.stream`."""
        return self.storage.stream(self.file_id, offset, length, chunk_size=chunk_size)

    async def read(self) -> bytes:
        """Return the whole content in memory."""
        return await self.storage.read(self.file_id)

    async def open(self) -> BytesIO:
        """Return the whole content in memory, as a binary file at position 0."""
        return await self.storage.open(self.file_id)

    async def download_to(self, target: "Target") -> int:
        """Stream the file into a path or an open binary file, and return the number of bytes written.

        If the download fails, a path keeps its old content.
        """
        return await self.storage.download_to(self.file_id, target)

    async def delete(self) -> None:
        """Delete the file at once. With a ledger, the worker deletes it as soon as no row names it.

        To empty a column, write ``document.file = None``.
        """
        deletion_policy = self._deletion_policy
        await (self.storage.delete(self.file_id) if deletion_policy is None else deletion_policy.request_deletion(self))
        self._facts = None

    async def upload(self, content: "Source | PendingFile | Content", **options: "Unpack[ContentOptions]") -> None:
        """Replace the content under the same id. The options are those of `Storage.upload`.

        Raises:
            OperationNotSupportedException: The storage chooses its own ids and replaces no file, as FastDFS does. Or a
                ledger tracks the file: with a ledger, the content under an id never changes.
        """
        storage = self.storage
        if storage.chooses_ids or self._deletion_policy is not None:
            replaces = "a ledger" if self._deletion_policy is not None else type(storage).__name__
            raise OperationNotSupportedException(
                f"{replaces} replaces no files: assign new content to the column",
                operation="upload",
                file_id=self.file_id,
            )
        self._facts = None
        await storage.upload(content, self.file_id, **options)

    async def get_presigned_url(
        self,
        expires_in: float = 3600,
        method: "PresignMethod" = "GET",
        *,
        filename: str | None = None,
        content_type: str | None = None,
        disposition: "Disposition | None" = None,
        stable: timedelta | None = None,
    ) -> str:
        """Return a URL that works without credentials until it expires: see `SupportsPresign.presign`.

        Raises:
            OperationNotSupportedException: The storage cannot presign.
        """
        with during("presign", self.file_id):
            [url] = await self.storage.presigned_urls(
                [self.file_id],
                expires_in,
                method,
                filename=filename,
                content_type=content_type,
                disposition=disposition,
                stable=stable,
            )
        return url

    def remember(
        self,
        *,
        info: "FileBasicInfo | None" = None,
        size: int | None = None,
        image_size: ImageSize | None = None,
        crc32: int | None = None,
        content_type: str | None = None,
        filename: str | None = None,
        sha256: str | None = None,
        upload_time: datetime | None = None,
        placeholder: str | None = None,
        link: Callable[[], str] | None = None,
        is_new: bool = False,
    ) -> None:
        """Set the `known_…` attributes to facts from elsewhere. `is_new` says that the upload used a fresh key."""
        facts = self._facts = self._facts or FileFacts()
        facts.new_file_state = NewFileState(self._storage_ref) if is_new else facts.new_file_state
        facts.info = info or facts.info
        facts.size = facts.size if size is None else size
        facts.image_size = image_size or facts.image_size
        facts.crc32 = facts.crc32 if crc32 is None else crc32
        facts.content_type = content_type or facts.content_type
        facts.filename = filename or facts.filename
        facts.sha256 = sha256 or facts.sha256
        facts.upload_time = upload_time or facts.upload_time
        facts.placeholder = placeholder or facts.placeholder
        facts.link = link or facts.link

    # ---- pydantic

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: "GetCoreSchemaHandler") -> "CoreSchema":
        """Validate from an id or a file object, and serialise to the id.

        With the serialisation context ``{id: url}``, which `file_urls` returns, the URLs replace the ids. A context
        that holds other things too takes the URLs as ``{"file_urls": {id: url}}``.
        """
        from pydantic_core import core_schema  # noqa: PLC0415 - only pydantic calls this

        return core_schema.no_info_wrap_validator_function(
            cls._validate,
            core_schema.str_schema(),
            serialization=core_schema.plain_serializer_function_ser_schema(
                cls._serialise, info_arg=True, return_schema=core_schema.str_schema()
            ),
        )

    @classmethod
    def _validate(cls, value: Any, as_text: "ValidatorFunctionWrapHandler") -> Self:
        return cls.of(value) if isinstance(value, StoredFile) else cls(FileId.parse(as_text(value)))

    @staticmethod
    def _serialise(stored: "StoredFile", info: "SerializationInfo") -> str:
        context = info.context
        urls = context.get("file_urls", context) if isinstance(context, Mapping) else None
        return str(urls.get(str(stored), stored)) if isinstance(urls, Mapping) else str(stored)

    @classmethod
    def of(cls, stored: "StoredFile") -> Self:
        """Return the same file as an object of this class. An object of this class is returned unchanged."""
        if isinstance(stored, cls):
            return stored
        same = cls(stored.file_id, stored._storage_ref)  # noqa: SLF001 - of the same family
        same._facts = stored._facts  # noqa: SLF001
        return same


class StoredImage(StoredFile):
    """A stored file that is an image."""

    __slots__ = ()

    @property
    def known_dimensions(self) -> tuple[int, int] | None:
        """Width and height in pixels as displayed, from the upload or a prefetch. None if unknown."""
        size = self._facts.image_size if self._facts else None
        return size.dimensions if size else None

    @property
    def known_placeholder(self) -> str | None:
        """The ThumbHash of the image. None if unknown.

        It comes from an upload to a column with ``placeholder=``, or from the row: see `ImageType`.
        """
        return self._facts.placeholder if self._facts else None

    def variant(self, name: str) -> "StoredImage":
        """Return a variant that the column's `ImageType` declares. No I/O. The variant need not exist.

        The variant's content type is known. Its dimensions are known if those of this image are. The variant belongs
        to this image, so no row can name it.

        Args:
            name: The name of the variant.

        Raises:
            InvalidArgumentException: The image does not come from a column that declares this variant.
        """
        recipe, file, ref = self._recipes().recipe(name), self._id, self._storage_ref
        found = StoredImage(variant_id(file, name, recipe), ref)
        size = self._facts.image_size if self._facts else None
        found.remember(
            content_type=complete_recipe(recipe, file.key).format_for("").content_type,
            image_size=recipe.size_of(size) if size else None,
        )
        links = ref.variant_links if isinstance(ref, StorageRef) else None
        if links is not None and recipe.when != "flush":
            found.remember(link=partial(links.url, self, name, recipe))
        return found

    async def srcset(
        self,
        name: str,
        *,
        widths: Iterable[int] | None = None,
        sizes: str = "100vw",
        alt: str = "",
        presign: bool = False,
        expires_in: float = 3600,
        stable: timedelta | None = None,
    ) -> SrcSet:
        """Return the URLs of a variant in all its widths, for ``<img srcset>``.

        If the dimensions of this image are known, the result lists the real widths of the variants. Images are never
        enlarged, so several variants may have the same width. The result lists one of them.

        Args:
            name: The name of the variant.
            widths: The widths to list, in pixels. Each is a width of the recipe or of its `widths`. None lists all.
            sizes: The width of the image on the page, in CSS, for example ``"(max-width: 600px) 100vw, 600px"``.
            alt: The text that replaces the image.
            presign: True returns URLs that expire, as `get_presigned_url` does. False returns those of `get_path`.
            expires_in: Seconds until presigned URLs expire, 1 to 604,800.
            stable: The time window in which the URLs stay the same: see `SupportsPresign.presign`.

        Raises:
            InvalidArgumentException: The image does not come from a column that declares this variant, or the variant
                lacks one of the widths.
            OperationNotSupportedException: ``presign=True``, but the storage cannot presign.
        """
        from async_storages.many_files import file_urls  # noqa: PLC0415 - it imports this module

        family = [(recipe.width, self.variant(each)) for each, recipe in self._recipes().family(name).items()]
        offered = {width: variant for width, variant in family if width is not None}
        wanted = offered.keys() if widths is None else set(widths)
        if unknown := wanted - offered.keys():
            raise InvalidArgumentException(
                f"the variant {name!r} has no width {next(iter(unknown))!r}, but {sorted(offered)}: declare it",
                operation="srcset",
                file_id=self.file_id,
            )
        variants = [variant for _, variant in family]
        urls = await file_urls(variants, presign=presign, expires_in=expires_in, stable=stable)
        listed: dict[int, str] = {}
        for width, variant in offered.items():
            if width in wanted:
                known = variant.known_dimensions
                listed.setdefault(known[0] if known else width, urls[variant])
        shown = ", ".join(f"{listed[width]} {width}w" for width in sorted(listed))
        across, down = variants[0].known_dimensions or (None, None)
        return SrcSet(urls[variants[0]], shown, sizes, across, down, alt)

    def _recipes(self) -> "Variants":
        ref = self._storage_ref
        if not isinstance(ref, StorageRef) or ref.variants is None:
            raise InvalidArgumentException(
                "the image is of no column that declares variants: load it by one with ImageType(variants=Variants(…))",
                operation="variant",
                file_id=self.file_id,
            )
        return ref.variants

    async def delete(self) -> None:
        """Delete the image and its variants, as `StoredFile.delete` does."""
        ref = self._storage_ref
        if isinstance(ref, StorageRef) and ref.variants is not None and ref.deletion_policy is None:
            from async_storages.variants.removal import delete_with_variants  # noqa: PLC0415 - it imports this module

            await delete_with_variants(self.storage, self.file_id, [ref.variants])
            self._facts = None
            return
        await super().delete()

    @property
    def sync(self) -> "SyncStoredImage":
        """The same methods without ``await``, for synchronous code."""
        from async_storages.synchronous.files import SyncStoredImage  # noqa: PLC0415 - it imports this module

        return SyncStoredImage(self)

    async def get_dimensions(self) -> tuple[int, int] | None:
        """Return width and height in pixels as displayed, with the EXIF orientation applied.

        It never reads the whole file. Images from cameras and browsers take one range of 64 KiB. Others take a few
        small ranges more.

        Returns:
            Width and height. None for SVG and for files of no known image type.

        Raises:
            FileNotFoundException: The file is missing.
            InvalidArgumentException: The image header is truncated or wrong.
        """
        size = await self.get_image_size()
        return size.dimensions if size else None

    async def get_image_size(self) -> ImageSize | None:
        """Return the displayed dimensions, the stored dimensions and the EXIF orientation: see `get_dimensions`."""
        storage = self.storage

        async def fetch(offset: int, length: int) -> bytes:
            return b"".join([chunk async for chunk in storage.stream(self.file_id, offset, length)])

        with during("get_dimensions", self.file_id):
            size = await probe_image(fetch)
        self.remember(image_size=size)
        return size


def storage_ref_of(stored: StoredFile) -> "_StorageRef":
    """Return the file's reference to its storage: the storage, its name, its address, a `StorageRef`, or None."""
    return stored._storage_ref  # noqa: SLF001 - of this module


def new_file_state_of(stored: StoredFile) -> NewFileState | None:
    """Return the state of a file that `save` stored in this process. None for all other files."""
    return stored._facts.new_file_state if stored._facts else None  # noqa: SLF001


def link_of(stored: StoredFile) -> "Callable[[], str] | None":
    """Return a function that makes the application's URL of the file. None if the storage has the URL."""
    return stored._facts.link if stored._facts else None  # noqa: SLF001


def _text_of(file_id: object) -> str:
    if isinstance(file_id, str):
        return str.__str__(file_id)  # an Enum's own str() is the member's name
    if isinstance(file_id, FileId):
        return str(file_id)
    raise InvalidArgumentException(f"a file id is a str or FileId, not {type(file_id).__name__}")


_NOT_SERVED = StorageAddress("", None, None)
"""The address of an unpickled file that no storage served before it was pickled."""
