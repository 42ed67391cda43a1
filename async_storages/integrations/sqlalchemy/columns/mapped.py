"""Annotations of file attributes, for type checkers. SQLAlchemy treats all of them as `Mapped`."""

from typing import TYPE_CHECKING, Any, Never, Protocol, overload

from sqlalchemy.orm import Mapped

__all__ = ["FileListMapped", "FileMapped"]

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import InstrumentedAttribute

    from async_storages.content import PendingFile
    from async_storages.files import StoredFile
    from async_storages.ids import FileId
    from async_storages.models import FileAttach
    from async_storages.sources import HasBinaryFile

    class _Upload(HasBinaryFile, Protocol):
        @property
        def filename(self) -> str | None: ...

    type _Assignable = str | FileId | StoredFile | FileAttach | PendingFile | _Upload

    class _Read[Loaded](Protocol):
        """Types for reading an attribute, as with `Mapped`. mypy needs the first overload to accept `mapped_column`."""

        @overload
        def __get__(self, instance: Never, owner: Any) -> Any: ...
        @overload
        def __get__(self, instance: None, owner: Any) -> InstrumentedAttribute[Loaded]: ...
        @overload
        def __get__(self, instance: object, owner: Any) -> Loaded: ...

    class FileMapped[Loaded](_Read[Loaded], Protocol):
        """`Mapped` for a file column. Type checkers let you assign ids, content and uploads to it.

        ``Mapped[StoredFile]`` works the same at run time, but type checkers then accept only file objects.

        Example:
            >>> file: FileMapped[StoredFile | None] = mapped_column(FileType("documents"))
        """

        def __set__(self, instance: Any, value: Loaded | _Assignable) -> None: ...

    class FileListMapped[Loaded](_Read[Loaded], Protocol):
        """`Mapped` for a column of several files. Type checkers let you assign lists and tuples to it.

        Example:
            >>> pages: FileListMapped[FileList[StoredFile]] = mapped_column(FileListType("pages"))
        """

        def __set__(self, instance: Any, value: Loaded | Sequence[_Assignable]) -> None: ...

else:
    FileMapped = FileListMapped = Mapped
