"""The types of columns with several files: a JSON list of ids, in PostgreSQL as JSONB."""

from collections.abc import Iterable
from typing import Any, ClassVar, Literal

from sqlalchemy import JSON, Dialect
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator, TypeEngine
from sqlalchemy.util import memoized_property

from async_storages.errors import InvalidArgumentException
from async_storages.files import StoredFile
from async_storages.images.recipes import Variants
from async_storages.integrations.sqlalchemy.columns.comparator import FileListComparator
from async_storages.integrations.sqlalchemy.columns.file_list import FileList, coerce_list
from async_storages.integrations.sqlalchemy.columns.list_json import list_as_json, split_list, tell_listed_facts
from async_storages.integrations.sqlalchemy.columns.types import FileType, ImageType, OnDelete, UploadTo, Validator
from async_storages.registry import StorageRouter
from async_storages.upload_options import UploadOptions

__all__ = ["FileListType", "ImageListType"]

type FileFact = Literal["size", "content_type", "filename", "sha256", "uploaded_at"]
type ImageFact = FileFact | Literal["width", "height", "placeholder"]

_FILE_FACTS = ("size", "content_type", "filename", "sha256", "uploaded_at")
_IMAGE_FACTS = (*_FILE_FACTS, "width", "height", "placeholder")


class FileListType(TypeDecorator[FileList[Any]]):
    """A column that holds a list of file ids and loads as a `FileList`.

    Assign a list or tuple of values that a `FileType` takes. None is NULL, and ``[]`` is an empty list. The database
    stores the fusion ids as a JSON array. With `facts`, the last item of the array is an object. It holds the facts of
    each id. On PostgreSQL the column is JSONB, and a GIN index finds rows by their files.

    Args:
        storage: As for `FileType`.
        length: The largest number of characters of each id. A longer id raises an error before anything is written.
        on_delete: ``"delete"`` removes files that leave the list, ``"keep"`` does not: see `FileType`.
        shared: As for `FileType`.
        folder: The folder for assigned content.
        upload_to: As for `FileType`. It is called once for each file of the list.
        validators: Checks of content before it is uploaded. They check every file of the list.
        exclusive: As for `FileType`, for every file of the list.
        upload_options: As for `FileType`.
        facts: Names of facts that the column stores with each file. The files of loaded rows know them: ``"size"``,
            ``"content_type"``, ``"filename"``, ``"sha256"`` (computed by uploads to this column), ``"uploaded_at"``.

    Raises:
        InvalidArgumentException: An option is invalid, or a fact is unknown.

    Example:
        >>> files: Mapped[FileList[StoredFile] | None] = mapped_column(FileListType("documents"))
        >>> select(Document).where(Document.files.contains(stored))
    """

    impl = JSON
    cache_ok = True
    hashable = False
    item_class: ClassVar[type[FileType]] = FileType
    _possible_facts: ClassVar[tuple[str, ...]] = _FILE_FACTS
    comparator_factory = FileListComparator  # pyright: ignore[reportAssignmentType] # documented to be set so

    def __init__(  # noqa: PLR0917 - as for `FileType`
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
        facts: Iterable[FileFact] = (),
    ) -> None:
        super().__init__(none_as_null=True)
        self.facts = _checked_facts(facts, self._possible_facts)
        # an upload sees by its type which facts are wanted; in a list their names are those in the JSON
        names: dict[str, Any] = {fact: fact for fact in self.facts}
        self.item_type = self.item_class(
            storage,
            length,
            on_delete=on_delete,
            shared=shared,
            folder=folder,
            upload_to=upload_to,
            validators=validators,
            exclusive=exclusive,
            upload_options=upload_options,
            **names,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(length={self.item_type.length!r})"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Let SQLAlchemy cache statements with a subclass, as for `FileType`."""
        super().__init_subclass__(**kwargs)
        cls.cache_ok = cls.cache_ok

    @memoized_property
    def _static_cache_key(self) -> Any:
        """SQLAlchemy's cache key, including the key of the items' type."""
        key = super()._static_cache_key
        return (*key, self.item_type._static_cache_key) if isinstance(key, tuple) else key  # noqa: SLF001

    @property
    def storage(self) -> StorageRouter | str | None:
        """The storage of the files, as for `FileType.storage`."""
        return self.item_type.storage

    @storage.setter
    def storage(self, value: StorageRouter | str | None) -> None:
        self.item_type.storage = value

    @property
    def python_type(self) -> type[FileList[Any]]:
        """The class that the column loads as."""
        return FileList

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Use JSONB on PostgreSQL, which can index it."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(JSONB(none_as_null=True))
        return super().load_dialect_impl(dialect)

    def process_bind_param(self, value: Any, dialect: Dialect) -> list[Any] | None:
        """Return the ids and the known facts, for the database.

        Raises:
            InvalidArgumentException: The value is no list of files, an id is too long, or content is still pending.
            RouteNotSupportedException: The storage does not serve an id.
        """
        files = self.coerce(value)
        if files is None:
            return None
        ids = [self.item_type.process_bind_param(file, dialect) for file in files]
        return list_as_json(ids, files, self.facts)

    def process_result_value(self, value: Any, dialect: Dialect) -> FileList[Any] | None:
        """Return the file objects of loaded ids. Other values, such as null, stay unchanged and break no query."""
        if value is None:
            return None
        ids, facts = split_list(value) if isinstance(value, list) else ([value], {})
        file = self.item_type.process_result_value
        files = [file(each, dialect) if isinstance(each, str) else each for each in ids]
        for each in files if facts else ():
            if isinstance(each, StoredFile):
                tell_listed_facts(each, facts)
        return FileList(files, self.item_type)

    def coerce(self, value: Any) -> FileList[Any] | None:
        """Turn a value that is assigned to an attribute into a `FileList`.

        Raises:
            InvalidArgumentException: The value is no list or tuple, or an item is no file.
            RouteNotSupportedException: The storage does not serve an id.
        """
        return coerce_list(value, self.item_type)


class ImageListType(FileListType):
    """A column that holds a list of images. It is a `FileListType` that loads `StoredImage` objects.

    Args:
        storage: As for `FileListType`. The options that are not listed here are also the same as there.
        facts: As for `FileListType`. Further facts are ``"width"`` and ``"height"``, which you can only use together,
            and ``"placeholder"``, the ThumbHash that the flush makes.
        variants: The variants of each image. `Variant.when` decides when a variant is made. The variants are removed
            with the image: see docs/how-to/variants.md.

    Raises:
        InvalidArgumentException: As for `FileListType`.

    Example:
        >>> photos: Mapped[FileList[StoredImage]] = mapped_column(ImageListType("photos", facts=("width", "height")))
    """

    item_class = ImageType
    _possible_facts = _IMAGE_FACTS

    def __init__(  # noqa: PLR0917 - as for `FileType`
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
        facts: Iterable[ImageFact] = (),
        variants: Variants | None = None,
    ) -> None:
        names: Any = facts
        super().__init__(
            storage, length, on_delete, shared, folder, upload_to, validators, exclusive, upload_options, names
        )
        if variants is not None:
            image_type: Any = self.item_type  # an ImageType
            image_type.declare_variants(variants)


def _checked_facts(facts: Iterable[str], possible: Iterable[str]) -> tuple[str, ...]:
    if isinstance(facts, str):
        raise InvalidArgumentException(f"facts= takes several names, such as ('size',), not the string {facts!r}")
    names = tuple(dict.fromkeys(facts))
    for name in names:
        if name not in possible:
            raise InvalidArgumentException(f"facts= names {', '.join(possible)}, not {name!r}")
    if ("width" in names) != ("height" in names):
        raise InvalidArgumentException("facts= has 'width' and 'height' together, or neither")
    return names
