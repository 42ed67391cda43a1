"""The types of columns with several files: a JSON list of ids, in PostgreSQL as JSONB."""

from collections.abc import Iterable
from typing import Any, ClassVar

from sqlalchemy import JSON, Dialect
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator, TypeEngine
from sqlalchemy.util import memoized_property

from async_storages.integrations.sqlalchemy.columns.comparator import FileListComparator
from async_storages.integrations.sqlalchemy.columns.file_list import FileList, coerce_list
from async_storages.integrations.sqlalchemy.columns.types import FileType, ImageType, OnDelete, UploadTo, Validator
from async_storages.registry import StorageRouter

__all__ = ["FileListType", "ImageListType"]


class FileListType(TypeDecorator[FileList[Any]]):
    """A column that holds a list of file ids and loads as a `FileList`.

    Assign a list or tuple of values that a `FileType` takes; None is NULL, and ``[]`` is an empty list. The database
    holds the fusion ids as JSON; on PostgreSQL as JSONB, where a GIN index finds rows by the files in them.

    Args:
        storage: As for `FileType`.
        length: Characters of each id; longer ones are refused before anything is written.
        on_delete: ``"delete"`` removes files that leave the list, ``"keep"`` does not; see `FileType`.
        shared: As for `FileType`.
        folder: The folder for assigned content.
        upload_to: Called for every file of the list.
        validators: Check every file of the list.
        exclusive: As for `FileType`, for every file of the list.

    Example:
        >>> files: Mapped[FileList[StoredFile] | None] = mapped_column(FileListType("documents"))
        >>> select(Document).where(Document.files.contains(stored))
    """

    impl = JSON
    cache_ok = True
    hashable = False
    item_class: ClassVar[type[FileType]] = FileType
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
    ) -> None:
        super().__init__(none_as_null=True)
        self.item_type = self.item_class(
            storage,
            length,
            on_delete=on_delete,
            shared=shared,
            folder=folder,
            upload_to=upload_to,
            validators=validators,
            exclusive=exclusive,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(length={self.item_type.length!r})"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """As for `FileType`."""
        super().__init_subclass__(**kwargs)
        cls.cache_ok = cls.cache_ok

    @memoized_property
    def _static_cache_key(self) -> Any:
        """SQLAlchemy's key, with that of the items' type."""
        key = super()._static_cache_key
        return (*key, self.item_type._static_cache_key) if isinstance(key, tuple) else key  # noqa: SLF001

    @property
    def storage(self) -> StorageRouter | str | None:
        """As for `FileType`."""
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

    def process_bind_param(self, value: Any, dialect: Dialect) -> list[str | None] | None:
        """The ids for the database.

        Raises:
            InvalidArgumentException: The value is no list of files, an id is too long, or content is still pending.
            RouteNotSupportedException: The storage does not serve an id.
        """
        files = self.coerce(value)
        return None if files is None else [self.item_type.process_bind_param(file, dialect) for file in files]

    def process_result_value(self, value: Any, dialect: Dialect) -> FileList[Any] | None:
        """The file objects of loaded ids; other values, such as null, stay as they are and do not break the query."""
        if value is None:
            return None
        file = self.item_type.process_result_value
        loaded = value if isinstance(value, list) else [value]
        return FileList([file(each, dialect) if isinstance(each, str) else each for each in loaded], self.item_type)

    def coerce(self, value: Any) -> FileList[Any] | None:
        """Make a `FileList` of a value that is assigned to an attribute.

        Raises:
            InvalidArgumentException: The value is no list or tuple, or an item is no file.
            RouteNotSupportedException: The storage does not serve an id.
        """
        return coerce_list(value, self.item_type)


class ImageListType(FileListType):
    """A column that holds a list of images; as `FileListType`, but it loads `StoredImage` objects."""

    item_class = ImageType
