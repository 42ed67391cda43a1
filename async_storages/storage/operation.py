"""The code around every operation of a storage: it checks, finds the id, completes errors and emits the event."""

from types import TracebackType
from typing import TYPE_CHECKING, Self

from async_storages import naming
from async_storages.errors import InvalidArgumentException, StorageException, StorageOperationException
from async_storages.events import Operation
from async_storages.files import StoredFile
from async_storages.ids import FileId

if TYPE_CHECKING:
    from async_storages.storage.base import FileName, Storage

__all__ = ["WRITES", "IdentifiedKey", "StorageOperation", "text_of"]

WRITES = frozenset({"write", "copy", "set_metadata"})


class IdentifiedKey(naming.UniqueKey):
    """A unique key together with its id. A caller may need the id before the write, which then uses it too.

    Attributes:
        file_id: The id.
        storage: The storage that made the id.
    """

    __slots__ = ("file_id", "storage")

    file_id: FileId
    storage: "Storage"

    @classmethod
    def fresh(cls, storage: "Storage", filename: str, folder: str = "") -> naming.UniqueKey:
        """Return a new key from `unique_key`, with its id. If the storage chooses its ids, the key has no id yet."""
        key = naming.unique_key(filename, folder)
        if storage.chooses_ids:
            return key
        identified = cls(key)
        identified.file_id, identified.storage = storage.identify(key), storage
        return identified


class StorageOperation(Operation):
    """One operation of a storage: see `Storage.operation`. It adds the operation and the file to errors."""

    __slots__ = ("_given", "_storage", "_subject")

    def __init__(self, storage: "Storage", name: str, given: "tuple[FileName, ...]") -> None:
        super().__init__(name, storage.scheme, storage.bucket)
        self._storage = storage
        self._given = given
        self._subject: FileId | str | None = text_of(*given) if given else None

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
            if not isinstance(self._given[0], naming.UniqueKey):
                naming.check_key(str(self._subject), operation=name)
            return
        [given] = self._given
        if isinstance(given, IdentifiedKey) and given.storage is storage:
            self.file = given.file_id
        else:
            self.file = storage.identify(given)
        self._subject = self.file
        if name in WRITES:
            storage.check_key(self.file)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, StorageException):
            if self._storage.is_part and error.operation is None and isinstance(error, StorageOperationException):
                error.reason = f"{error.reason}, in {self._storage!r}"
            error.complete(self._name, None if self._subject is None else str(self._subject))
        if not self._storage.is_part:
            super().__exit__(kind, error, traceback)


def text_of(name: "FileName") -> str:
    """Return a key, id or file object as text."""
    if isinstance(name, str):
        return str.__str__(name)  # an Enum's own str() is the member's name
    if isinstance(name, FileId | StoredFile):
        return str(name)
    raise InvalidArgumentException(f"a file is named by a str, FileId or StoredFile, not {type(name).__name__}")
