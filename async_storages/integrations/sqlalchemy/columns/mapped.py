"""What type checkers let file attributes be assigned. To SQLAlchemy all of this is `Mapped`."""

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
        """As `Mapped` is read; mypy needs the first overload to accept what `mapped_column` returns."""

        @overload
        def __get__(self, instance: Never, owner: Any) -> Any: ...
        @overload
        def __get__(self, instance: None, owner: Any) -> InstrumentedAttribute[Loaded]: ...
        @overload
        def __get__(self, instance: object, owner: Any) -> Loaded: ...

    class FileMapped[Loaded](_Read[Loaded], Protocol):
        """`Mapped`, of a file column: type checkers let ids, content and uploads be assigned to it.

        With ``Mapped[StoredFile]`` all works the same, but they let nothing but file objects be assigned.

        Example:
            >>> file: FileMapped[StoredFile | None] = mapped_column(FileType("documents"))
        """

        def __set__(self, instance: Any, value: Loaded | _Assignable) -> None: ...

    class FileListMapped[Loaded](_Read[Loaded], Protocol):
        """The same of a column with several files, which takes lists and tuples.

        Example:
            >>> pages: FileListMapped[FileList[StoredFile]] = mapped_column(FileListType("pages"))
        """

        def __set__(self, instance: Any, value: Loaded | Sequence[_Assignable]) -> None: ...

else:
    FileMapped = FileListMapped = Mapped
