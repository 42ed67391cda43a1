"""The value of a column with several files. The session notices every change of the list."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Self, SupportsIndex

from sqlalchemy.orm import InstanceState
from sqlalchemy.orm.attributes import flag_modified

from async_storages.content import is_no_file
from async_storages.errors import InvalidArgumentException
from async_storages.files import StoredFile
from async_storages.integrations.sqlalchemy.columns.types import FileType

__all__ = ["FileList", "coerce_list"]


class FileList[File: StoredFile](list[File]):
    """The files of an attribute, in their order. The next flush writes every change.

    Items are any values that a file column takes. They become file objects at once. The list omits an upload without a
    chosen file.

    The list belongs to its attribute until the object is expired or refreshed, or gets another list. After that, a
    change raises an error, because no flush would write it. Slices, copies and pickles are independent lists.

    Args:
        files: File objects.
        item_type: The type that turns further items into file objects. Without it, items stay as they are.

    Attributes:
        loaded: The ids of the files that the row named at the last load or write.

    Example:
        >>> document.files.append(PendingFile(b"...", filename="page 3.png"))
        >>> document.files[0], document.files[1] = document.files[1], document.files[0]
    """

    __slots__ = ("_owner", "item_type", "loaded")

    def __init__(self, files: Iterable[File] = (), item_type: FileType | None = None) -> None:
        super().__init__(files)
        self._owner: tuple[InstanceState[Any], str] | None = None
        self.item_type = item_type
        self.loaded: frozenset[str] = frozenset()

    @property
    def owner(self) -> tuple[InstanceState[Any], str] | None:
        """The owner: the state of a mapped object, and the name of its attribute. None before the first owner.

        A list that is detached still has its last owner.
        """
        return self._owner

    def remember_loaded(self) -> None:
        """Remember that the row now names exactly these files."""
        self.loaded = frozenset(item.file_id for item in self if isinstance(item, StoredFile))

    def attach_to(self, state: InstanceState[Any], key: str, item_type: FileType) -> None:
        """Make this the list of an attribute."""
        self.item_type = item_type
        self._owner = (state, key)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy only the files. When the object is unpickled, its attribute owns the list again."""
        return FileList, (list(self),)

    # ---- changes: items become file objects first, so that a refused one changes nothing

    def __setitem__(self, index: Any, value: Any) -> None:
        files: Any = self._files(value) if isinstance(index, slice) else self._file(value)
        with self._change():
            super().__setitem__(index, files)

    def __delitem__(self, index: SupportsIndex | slice) -> None:
        with self._change():
            super().__delitem__(index)

    def __iadd__(self, values: Iterable[Any]) -> Self:  # type: ignore[misc,override] # as list's own
        self.extend(values)
        return self

    def __imul__(self, times: SupportsIndex) -> Self:
        with self._change():
            return super().__imul__(times)

    def append(self, value: Any) -> None:
        """Add a file."""
        self.extend([value])

    def extend(self, values: Iterable[Any]) -> None:
        """Add files."""
        files = self._files(values)
        with self._change():
            super().extend(files)

    def insert(self, index: SupportsIndex, value: Any) -> None:
        """Add a file before another one."""
        self[index:index] = [value]

    def pop(self, index: SupportsIndex = -1) -> File:
        """Remove a file by its position, and return it."""
        with self._change():
            return super().pop(index)

    def remove(self, value: Any) -> None:
        """Remove the first item that is this file.

        Raises:
            ValueError: The list does not contain the file.
        """
        with self._change():
            super().remove(value)

    def clear(self) -> None:
        """Remove all files from the list."""
        with self._change():
            super().clear()

    def reverse(self) -> None:
        """Reverse the order."""
        with self._change():
            super().reverse()

    def sort(self, *, key: Any = None, reverse: bool = False) -> None:
        """Sort the files by a key. The key is required, because files have no order of their own."""
        with self._change():
            super().sort(key=key, reverse=reverse)

    def _file(self, value: Any) -> Any:
        return value if self.item_type is None else _file(value, self.item_type)

    def _files(self, values: Any) -> list[Any]:
        if not isinstance(values, Iterable) or isinstance(values, str | bytes):
            raise _no_list(values)
        return [self._file(value) for value in values if not is_no_file(value)]

    @contextmanager
    def _change(self) -> Iterator[None]:
        """Flag the attribute as modified after the block, unless the block fails."""
        if self._owner is None:
            yield
            return
        state, key = self._owner
        target = state.obj()
        if state.dict.get(key) is not self:
            raise _detached(f"{state.class_.__name__}.{key}", is_forgotten=target is None)
        yield
        flag_modified(target, key)


def coerce_list(value: Any, item_type: FileType) -> FileList[Any] | None:
    """Turn a value for an attribute into a `FileList`. The list of another attribute is copied.

    Raises:
        InvalidArgumentException: The value is no list or tuple, or an item is no file.
        RouteNotSupportedException: The storage does not serve an id.
    """
    if value is None or (isinstance(value, FileList) and value.item_type is item_type and value.owner is None):
        return value
    if not isinstance(value, list | tuple):
        raise _no_list(value)
    return FileList([_file(item, item_type) for item in value if not is_no_file(item)], item_type)


def _file(value: Any, item_type: FileType) -> Any:
    file = item_type.coerce(value)
    if file is None:
        raise InvalidArgumentException("a list of files holds no None", operation="assign")
    return file


def _detached(name: str, *, is_forgotten: bool) -> InvalidArgumentException:
    reason = (
        "the object is gone, as nobody kept it: keep it in a variable"
        if is_forgotten
        else "it was set, or the object expired or refreshed: read it again, or copy this list with list()"
    )
    return InvalidArgumentException(f"{name} does not hold this list any more: {reason}", operation="change")


def _no_list(value: Any) -> InvalidArgumentException:
    return InvalidArgumentException(f"a list of files is expected, not {type(value).__name__}", operation="assign")
