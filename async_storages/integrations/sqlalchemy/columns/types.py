"""The column types, which turn ids into file objects and back, without I/O."""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Literal, Protocol

from sqlalchemy import Dialect, Unicode
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeDecorator, TypeEngine
from sqlalchemy.util import memoized_property

from async_storages.content import Content, PendingFile
from async_storages.errors import InvalidArgumentException, RouteNotSupportedException, StorageException, during
from async_storages.files import StoredFile, StoredImage, storage_ref_of
from async_storages.ids import FileId, is_fusion_id
from async_storages.images.recipes import Variants
from async_storages.integrations.sqlalchemy.columns.comparator import FileComparator
from async_storages.registry import StorageRef, StorageRouter
from async_storages.sources import is_empty_input
from async_storages.upload_options import CustomerKey, UploadOptions
from async_storages.variants.keys import check_recipes, is_variant
from async_storages.variants.links import VariantLinks

__all__ = ["FileType", "ImageType", "Validator"]

type UploadTo = Callable[[Any, str], str]
type OnDelete = Literal["delete", "keep"]


class Validator(Protocol):
    """A check of content before it is uploaded, such as `async_storages.FileValidator`."""

    @property
    def max_file_size(self) -> int | None:
        """The limit in bytes. Reading stops at this limit, whatever size the client declared."""
        ...

    async def check(self, content: Content) -> None:
        """Check content.

        Raises:
            StorageException: The content is not allowed.
        """
        ...


class FileType(TypeDecorator[StoredFile]):
    """A column that holds a file id and loads as a `StoredFile`.

    Assign a bare key, a fusion id, a `StoredFile` or a `FileAttach`. Under `enable_file_tracking` you can also assign
    content: a `PendingFile` or an `UploadFile`. The database stores the fusion id as ``Unicode(length)``. On MySQL and
    MariaDB the column has a case-sensitive collation.

    Args:
        storage: A storage, a manager, or a registered name. None uses the registered default. You may set it later,
            also after first use: ``Document.__table__.c.file.type.storage = storage``.
        length: The column's length in characters. A longer id raises an error before anything is written.
        on_delete: Under `enable_file_tracking`, ``"delete"`` removes the file when its row is deleted or gets another
            file. ``"keep"`` keeps the file.
        shared: Has no effect. Several rows may name one file in any case, and the file stays until no row names it.
        folder: The folder for assigned content. The content gets a fresh key in it.
        upload_to: A function that replaces `folder`. It is called with the object and the clean file name when content
            is uploaded. It returns a folder, with a slash at its end, or an exact key, which must be free. The
            function may read foreign keys, and defaults that Python computes. If it reads a value that only the INSERT
            produces, such as an autoincrement key, the flush raises an error.
        validators: Checks of content before it is uploaded, such as `FileValidator`.
        exclusive: True promises that no other row, of any table, ever names a file of this column. It saves
            the two queries of each commit that replaces or deletes files. If another row breaks the promise, that row
            loses its file.
        upload_options: Options for serving, encrypting and keeping its files. They override the storage's options.
        size: The name of a sibling attribute for the size in bytes. An assigned file that knows its size, such as an
            upload, sets the attribute. Any other file sets it to None. When a row is loaded, its file gets the size
            from this attribute.
        content_type: The name of a sibling attribute for the stored content type. It works like `size`.
        filename: The name of a sibling attribute for the clean name of the uploaded file. It works like `size`.
        sha256: The name of a sibling attribute for the SHA-256 of the content in hex. Uploads to this column compute
            it. It works like `size`.
        uploaded_at: The name of a sibling attribute for the time of the upload, in UTC. It works like `size`.

    Example:
        >>> file: Mapped[StoredFile | None] = mapped_column(FileType("documents", on_delete="keep"))
    """

    impl = Unicode
    cache_ok = True
    file_class: ClassVar[type[StoredFile]] = StoredFile
    variants: Variants | None = None
    placeholder: str | None = None
    comparator_factory = FileComparator  # pyright: ignore[reportAssignmentType] # documented to be set so

    def __init__(  # noqa: PLR0917 - SQLAlchemy copies types by the parameters that are not keyword-only
        self,
        storage: StorageRouter | str | None = "default",
        length: int | None = 1024,
        on_delete: OnDelete = "delete",
        shared: bool = False,
        folder: str = "",
        upload_to: UploadTo | None = None,
        validators: Iterable[Validator] = (),
        exclusive: bool = False,
        upload_options: UploadOptions | None = None,
        size: str | None = None,
        content_type: str | None = None,
        filename: str | None = None,
        sha256: str | None = None,
        uploaded_at: str | None = None,
    ) -> None:
        super().__init__(length)
        # SQLAlchemy builds the cache key of a statement from the parameters' values in __dict__; the StorageRef is one
        # per column, so that no statement returns files of another column's storage, and stays when the storage is set
        # later, so that cached statements see it.
        self.storage_ref = self.__dict__["storage"] = StorageRef(None)
        self.storage = storage
        self.length = length
        self.on_delete = on_delete
        self.shared = shared
        self.folder = folder
        self.upload_to = upload_to
        self.validators = tuple(validators)
        self.exclusive = exclusive
        self.upload_options = upload_options
        self.size = size
        self.content_type = content_type
        self.filename = filename
        self.sha256 = sha256
        self.uploaded_at = uploaded_at
        _check_options(self)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Let SQLAlchemy cache statements with a subclass, too: it checks each class separately."""
        super().__init_subclass__(**kwargs)
        cls.cache_ok = cls.cache_ok

    @memoized_property
    def _static_cache_key(self) -> Any:
        """SQLAlchemy's cache key: the parameters of `__init__`, and the storage, which a subclass may set itself."""
        key = super()._static_cache_key
        return (*key, self.storage_ref) if isinstance(key, tuple) else key

    @property
    def storage(self) -> StorageRouter | str | None:
        """The storage, its registered name, or None. Setting it affects every copy of this type.

        Raises:
            InvalidArgumentException: The value is none of these.
        """
        return self.storage_ref.value

    @storage.setter
    def storage(self, value: StorageRouter | str | None) -> None:
        if isinstance(value, type) or not (value is None or isinstance(value, str) or hasattr(value, "identify")):
            raise InvalidArgumentException(f"a file column's storage is a storage or its name, not {value!r}")
        self.storage_ref.value = value

    @property
    def python_type(self) -> type[StoredFile]:
        """The class that the column loads as."""
        return self.file_class

    @property
    def sort_key_function(self) -> Callable[[Any], Any]:  # type: ignore[override] # a property in TypeDecorator too
        """The function that a flush uses to sort rows whose primary key is a file."""
        return str

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Use a case-sensitive collation on MySQL and MariaDB, because keys may differ only by case."""
        if dialect.name in {"mysql", "mariadb"}:
            exact = mysql.VARCHAR(self.length, charset="utf8mb4", collation="utf8mb4_bin")
            return dialect.type_descriptor(exact)
        return super().load_dialect_impl(dialect)

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """Return the id for the database.

        Raises:
            InvalidArgumentException: The value is no id, is too long for the column, or is content that is still
                pending.
            RouteNotSupportedException: The storage does not serve the id.
        """
        coerced = self.coerce(value)
        if isinstance(coerced, PendingFile):
            raise InvalidArgumentException(
                "the content has not been uploaded: use enable_file_tracking(sessionmaker) and assign it before "
                "the flush (events of mappers are too late), or assign `await storage.save(content)`",
                operation="bind",
                file_id=coerced.filename,
            )
        return None if coerced is None else coerced.file_id

    def process_result_value(self, value: str | None, dialect: Dialect) -> StoredFile | None:
        """Return the file object of a loaded id. The id is not checked, so that a broken row breaks no query."""
        return None if value is None else self.file_class(value, self.storage_ref)

    def result_processor(self, dialect: Dialect, coltype: Any) -> Any:
        """Do the work of `process_result_value` in one call per row, unless a subclass or the driver adds a step."""
        is_own = type(self).process_result_value is FileType.process_result_value
        if not is_own or self.impl_instance.result_processor(dialect, coltype) is not None:
            return super().result_processor(dialect, coltype)
        return _loader(self.file_class, self.storage_ref)

    def coerce(self, value: Any) -> StoredFile | PendingFile | None:
        """Turn a value that is assigned to an attribute into a file object.

        Returns:
            The file object. None for an empty ``<input type=file>``.

        Raises:
            InvalidArgumentException: The value cannot be a file, or its id is too long for the column.
            RouteNotSupportedException: The storage does not serve the id.
        """
        if isinstance(value, StoredFile):
            is_own = isinstance(value, self.file_class) and value._storage_ref is self.storage_ref  # noqa: SLF001
            return value if is_own and self.storage_ref.variants is None else self._adopt(value)
        if isinstance(value, PendingFile):
            return None if is_empty_input(value.content) else value
        if value is None or is_empty_input(value):
            return None
        named = getattr(value, "fusion_id", None) or getattr(value, "file_id", value)
        if isinstance(named, str | FileId):
            return self.file_class(self._identify(named), self.storage_ref)
        if hasattr(value, "filename") and (hasattr(value, "read") or hasattr(value, "file")):
            return PendingFile(value, filename=value.filename)
        raise InvalidArgumentException(
            "a file column takes an id, a StoredFile, a FileAttach, a PendingFile or an upload, "
            f"not {type(value).__name__}",
            operation="assign",
        )

    def _adopt(self, stored: StoredFile) -> StoredFile:
        """Bind a file to this column's storage. The file keeps its known facts."""
        if storage_ref_of(stored) is self.storage_ref:  # it may go back, whatever the column's storage is today
            if self.storage_ref.variants is not None:
                _refuse_variant(stored._id)  # noqa: SLF001 - the columns' own files
            return self.file_class.of(stored)
        adopted = self.bind(stored, self._identify(stored.file_id))
        self._check_location(stored, adopted)
        return adopted

    def bind(self, stored: StoredFile, file_id: str) -> StoredFile:
        """Return the file under a checked id, as this column loads it. The file keeps its known facts."""
        bound = self.file_class(file_id, self.storage_ref)
        bound._facts = stored._facts  # noqa: SLF001 - the same file
        return bound

    def _check_location(self, stored: StoredFile, adopted: StoredFile) -> None:
        """Refuse a file of another storage with the same kind of ids, such as another folder."""
        if storage_ref_of(stored) is None:
            return
        try:
            theirs, ours = stored.storage, adopted.storage
        except StorageException:
            return  # one of them is not registered yet
        if theirs.location != ours.location:
            raise RouteNotSupportedException(
                f"the file is in {theirs!r}, the column's storage is {ours!r}",
                operation="assign",
                file_id=stored.file_id,
            )

    def _identify(self, name: str | FileId) -> str:
        text = str.__str__(name) if isinstance(name, str) else str(name)  # an Enum's own str() is the member's name
        with during("assign", text):
            if self.storage_ref.is_resolvable or not is_fusion_id(text):
                found = self.storage_ref.resolve().identify(text)
            else:
                found = FileId.parse(text)  # no storage yet: it will be asked when the file is used
            _refuse_variant(found)
            file_id = str(found)
            if self.length is not None and len(file_id) > self.length:
                raise InvalidArgumentException(f"the id has {len(file_id)} characters, the column {self.length}")
            return file_id


def _loader(file_class: type[StoredFile], ref: StorageRef) -> Callable[[Any], StoredFile | None]:
    """Return a function that makes the file object of a loaded id, without `__init__`: a third of its time."""
    make = object.__new__
    is_plain = file_class.__init__ is StoredFile.__init__ and file_class.__new__ is make

    def load(value: Any) -> StoredFile | None:
        if type(value) is not str or not is_plain:
            return None if value is None else file_class(value, ref)
        file = make(file_class)
        file.file_id = value
        file._storage_ref = ref  # noqa: SLF001 - as `StoredFile.__init__` sets them
        file._facts = None  # noqa: SLF001
        return file

    return load


class ImageType(FileType):
    """A column that holds an image's id and loads as a `StoredImage`.

    Args:
        storage: As for `FileType`.
        length: As for `FileType`. The options that are not listed here are also the same as there.
        width: The name of a sibling attribute for the width in pixels. An assigned image with known dimensions, such as
            the result of `save`, sets the attribute. Any other image sets it to None.
        height: The name of a sibling attribute for the height in pixels. It works like `width`.
        variants: The variants of each image. `Variant.when` decides when a variant is made. The variants are removed
            with the image: see docs/how-to/variants.md.
        placeholder: The name of a sibling attribute for the image's ThumbHash, which the flush makes.
        variant_links: The URLs of the variants with ``when="request"`` and ``when="worker"``. A request to such a URL
            makes the variant.

    Example:
        >>> photo: Mapped[StoredImage | None] = mapped_column(ImageType("photos", width="photo_width"))
        >>> photo_width: Mapped[int | None]
    """

    file_class = StoredImage

    def __init__(  # noqa: PLR0917 - SQLAlchemy copies types by the parameters that are not keyword-only
        self,
        storage: StorageRouter | str | None = "default",
        length: int | None = 1024,
        width: str | None = None,
        height: str | None = None,
        on_delete: OnDelete = "delete",
        shared: bool = False,
        folder: str = "",
        upload_to: UploadTo | None = None,
        validators: Iterable[Validator] = (),
        exclusive: bool = False,
        upload_options: UploadOptions | None = None,
        size: str | None = None,
        content_type: str | None = None,
        filename: str | None = None,
        sha256: str | None = None,
        uploaded_at: str | None = None,
        variants: Variants | None = None,
        placeholder: str | None = None,
        variant_links: VariantLinks | None = None,
    ) -> None:
        super().__init__(
            storage,
            length,
            on_delete,
            shared,
            folder,
            upload_to,
            validators,
            exclusive,
            upload_options,
            size,
            content_type,
            filename,
            sha256,
            uploaded_at,
        )
        self.width = width
        self.height = height
        self.placeholder = placeholder
        self.variant_links = variant_links
        if variants is not None:
            self.declare_variants(variants)
        if variant_links is not None:
            self.storage_ref.variant_links = variant_links
            variant_links.add_column(self.storage_ref, upload_options)

    def declare_variants(self, variants: Variants) -> None:
        """Declare variants for the images of this column.

        Raises:
            InvalidArgumentException: A name looks like the key of an upload. Or a recipe has ``when="request"``, and
                the column has no `variant_links`.
        """
        check_recipes(variants, has_links=self.variant_links is not None)
        self.variants = self.storage_ref.variants = variants


def _refuse_variant(file: FileId) -> None:
    """Refuse a variant: it is removed with its original, although a row names it."""
    if is_variant(file):
        raise InvalidArgumentException(
            "a variant belongs to its original, and is removed with it: assign the original, or save a copy",
            operation="assign",
            file_id=str(file),
        )


def _check_options(type_: FileType) -> None:
    if type_.on_delete not in {"delete", "keep"}:
        raise InvalidArgumentException(f"on_delete is 'delete' or 'keep', not {type_.on_delete!r}")
    if type_.folder and type_.upload_to:
        raise InvalidArgumentException("a column has a folder or upload_to, not both")
    if type_.upload_options is not None and isinstance(type_.upload_options.encryption, CustomerKey):
        raise InvalidArgumentException(
            "a column has no CustomerKey, as its files are read by its storage: give the upload_options to the storage"
        )
    for validator in type_.validators:
        if not hasattr(validator, "check"):
            raise InvalidArgumentException(f"a validator has a method `check`, which {validator!r} has not")
