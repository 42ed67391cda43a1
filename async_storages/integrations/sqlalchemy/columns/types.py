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
        """The limit in bytes; reading ends there, whatever size was declared."""
        ...

    async def check(self, content: Content) -> None:
        """Raise a StorageException for content that is not allowed."""
        ...


class FileType(TypeDecorator[StoredFile]):
    """A column that holds a file id and loads as a `StoredFile`.

    Assign a bare key, a fusion id, a `StoredFile`, a `FileAttach`, or, under `enable_file_tracking`, content: a
    `PendingFile` or an `UploadFile`. The database holds the fusion id as ``Unicode(length)``; on MySQL and MariaDB
    with a collation that tells upper from lower case.

    Args:
        storage: A storage or manager, a registered name, or None: the registered default. It may be set later,
            ``Document.__table__.c.file.type.storage = storage``, also after first use.
        length: Characters of the column; longer ids are refused before anything is written.
        on_delete: Under `enable_file_tracking`: ``"delete"`` removes the file of a row that is deleted or gets another
            one, ``"keep"`` does not.
        shared: Accepted, and changes nothing: several rows may name one file, which stays until none of them does.
        folder: The folder for assigned content, which is stored under a fresh key.
        upload_to: Called with the object and the clean file name when content is uploaded, in place of `folder`. It
            returns a folder, with a slash at its end, or an exact key, which must be free. Keys of related objects
            and defaults of Python are set before; reading a column that only the INSERT fills raises.
        validators: Checks of content before it is uploaded, such as `FileValidator`.
        exclusive: True promises that no other row, of any table, ever names a file of this column. It saves the query
            for such rows before a commit; if there is one nevertheless, it loses its file.
        upload_options: Options for serving, encrypting and keeping its files; they override the storage's.
        size: The name of a sibling attribute for the size in bytes. An assigned file that knows its size, such as an
            upload, sets it; any other sets it to None. Files of rows that are loaded know it then.
        content_type: The same for the stored type.
        filename: The same for the clean name that the file was uploaded with.
        sha256: The same for the SHA-256 of the content in hex, which uploads to this column compute.
        uploaded_at: The same for the time of the upload, in UTC.

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
        """Let statements with a subclass be cached too: SQLAlchemy asks each class by itself."""
        super().__init_subclass__(**kwargs)
        cls.cache_ok = cls.cache_ok

    @memoized_property
    def _static_cache_key(self) -> Any:
        """SQLAlchemy's key, with the parameters of `__init__`, and the storage, which a subclass may set itself."""
        key = super()._static_cache_key
        return (*key, self.storage_ref) if isinstance(key, tuple) else key

    @property
    def storage(self) -> StorageRouter | str | None:
        """The storage, its registered name, or None; setting it reaches every copy of this type.

        Raises:
            InvalidArgumentException: Something else is set.
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
        """The key by which a flush sorts rows whose primary key is a file."""
        return str

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Use a case-sensitive collation on MySQL and MariaDB, as keys differ by case."""
        if dialect.name in {"mysql", "mariadb"}:
            exact = mysql.VARCHAR(self.length, charset="utf8mb4", collation="utf8mb4_bin")
            return dialect.type_descriptor(exact)
        return super().load_dialect_impl(dialect)

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """The id for the database.

        Raises:
            InvalidArgumentException: The value is no id, too long for the column, or content that is still pending.
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
        """The file object of a loaded id, which is not checked: a broken row does not break the query."""
        return None if value is None else self.file_class(value, self.storage_ref)

    def result_processor(self, dialect: Dialect, coltype: Any) -> Any:
        """Do the work of `process_result_value` in one call per row, unless a subclass or the driver adds a step."""
        is_own = type(self).process_result_value is FileType.process_result_value
        if not is_own or self.impl_instance.result_processor(dialect, coltype) is not None:
            return super().result_processor(dialect, coltype)
        file_class, ref = self.file_class, self.storage_ref
        return lambda value: None if value is None else file_class(value, ref)

    def coerce(self, value: Any) -> StoredFile | PendingFile | None:
        """Make a file object of a value that is assigned to an attribute; None for an empty ``<input type=file>``.

        Raises:
            InvalidArgumentException: The value can be no file, or its id is too long for the column.
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
        """Bind a file to this column's storage; it keeps its known facts."""
        if storage_ref_of(stored) is self.storage_ref:  # it may go back, whatever the column's storage is today
            if self.storage_ref.variants is not None:
                _refuse_variant(stored._id)  # noqa: SLF001 - the columns' own files
            return self.file_class.of(stored)
        adopted = self.bind(stored, self._identify(stored.file_id))
        self._check_location(stored, adopted)
        return adopted

    def bind(self, stored: StoredFile, file_id: str) -> StoredFile:
        """The same file, under an id that is checked already, as this column loads it; it keeps its known facts."""
        bound = self.file_class(file_id, self.storage_ref)
        bound._facts = stored._facts  # noqa: SLF001 - the same file
        return bound

    def _check_location(self, stored: StoredFile, adopted: StoredFile) -> None:
        """Refuse a file of another storage whose ids this one would serve too, such as another folder."""
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


class ImageType(FileType):
    """A column that holds an image's id and loads as a `StoredImage`.

    Args:
        storage: As for `FileType`.
        length: As for `FileType`, like the options after `height`.
        width: The name of a sibling attribute for the width in pixels. An assigned image with known dimensions, such as
            the result of `save`, sets it; any other sets it to None.
        height: The same for the height.
        variants: The variants of each image, which the flush makes and stores with it, and which are removed with it:
            see docs/how-to/variants.md.
        placeholder: The name of a sibling attribute for the image's ThumbHash, which the flush makes.
        variant_links: The URLs of the variants with ``when="request"`` and ``when="worker"``, at which they are made.

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
        """Let the images of this column have variants.

        Raises:
            InvalidArgumentException: A recipe cannot be that of a column.
        """
        check_recipes(variants, has_links=self.variant_links is not None)
        self.variants = self.storage_ref.variants = variants


def _refuse_variant(file: FileId) -> None:
    """Refuse a variant, which goes with its original whatever names it."""
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
