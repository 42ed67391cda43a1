"""Named storages: `FileType("documents")` looks its storage up at the first use of a file, not at import.

```python
from async_storages import LocalStorage, MemoryStorage, registry

registry.register("documents", LocalStorage("files"))    # or LocalStorage("files", name="documents")

with registry.override("documents", MemoryStorage()):    # in a test
    ...
```
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from async_storages.errors import InvalidArgumentException, RouteNotSupportedException, StorageException

if TYPE_CHECKING:
    from async_storages.files import StoredFile
    from async_storages.ids import FileId
    from async_storages.images.recipes import Variants
    from async_storages.storage.base import FileName, Storage
    from async_storages.variants.links import VariantLinks

__all__ = [
    "DEFAULT",
    "DeletionPolicy",
    "StorageAddress",
    "StorageRef",
    "StorageRouter",
    "find",
    "get",
    "isolated",
    "names",
    "override",
    "register",
    "release",
    "unregister",
]

DEFAULT = "default"
"""The name that columns without a storage use."""


class StorageRouter(Protocol):
    """The methods that columns and `StoredFile` need. `Storage` and `StorageManager` have them."""

    def identify(self, name: "FileName") -> "FileId":
        """Return the full id of a bare key, id or StoredFile. Raises RouteNotSupportedException for foreign ids."""
        ...

    def storage_for(self, file_id: "FileName") -> "Storage":
        """Return the storage that serves the id. Raises RouteNotSupportedException if none does."""
        ...


class DeletionPolicy(Protocol):
    """An object that decides when files are deleted, for example a ledger."""

    async def request_deletion(self, stored: "StoredFile") -> None:
        """Delete the file as soon as no row names it."""
        ...


_storages: dict[str, StorageRouter] = {}


def register(name: str, storage: StorageRouter) -> None:
    """Register a storage under a name.

    Args:
        name: The name, not empty.
        storage: The storage or manager.

    Raises:
        InvalidArgumentException: The name is empty, or another storage has it. To replace that storage for a while, use
            `override`.
    """
    if not isinstance(name, str) or not name:
        raise InvalidArgumentException("a storage's name is a non-empty str", operation="register")
    if _storages.setdefault(name, storage) is not storage:
        raise InvalidArgumentException(
            f"the name {name!r} is taken; use registry.override() to replace a storage for a while",
            operation="register",
        )


def unregister(name: str) -> None:
    """Remove a name from the registry. It is not an error if the name is not registered."""
    _storages.pop(name, None)


def release(storage: StorageRouter) -> list[str]:
    """Remove all names of a storage or manager, so that another one can take them.

    Returns:
        The removed names.
    """
    released = [name for name, router in _storages.items() if router is storage]
    for name in released:
        del _storages[name]
    return released


def names() -> tuple[str, ...]:
    """Return the registered names, sorted."""
    return tuple(sorted(_storages))


def get(name: str) -> StorageRouter:
    """Return the storage or manager with this name.

    Raises:
        InvalidArgumentException: The name is not registered. The message lists the registered names.
    """
    try:
        return _storages[name]
    except KeyError:
        known = ", ".join(map(repr, names())) or "none"
        raise InvalidArgumentException(
            f"no storage is registered as {name!r} (registered: {known}); call registry.register({name!r}, storage)"
        ) from None


@dataclass(frozen=True, slots=True)
class StorageAddress:
    """The address of a storage that has no name. Two S3 servers, or two folders, can have files with equal ids.

    Attributes:
        scheme: The storage's `Storage.scheme`.
        bucket: The storage's `Storage.bucket`.
        location: The storage's `Storage.location`.
    """

    scheme: str
    bucket: str | None
    location: str | None

    @classmethod
    def of(cls, storage: "Storage") -> "StorageAddress":
        """Return the address of a storage."""
        return cls(storage.scheme, storage.bucket, storage.location)

    def identify(self, name: "FileName") -> "FileId":
        """Return the full id of a bare key, id or file object, from the registered storage at this address."""
        return self.storage_for(name).identify(name)

    def storage_for(self, file_id: "FileName") -> "Storage":
        """Return the registered storage at this address. Raises RouteNotSupportedException if there is none."""
        return find(str(file_id), at=self)


def find(file_id: str, *, at: StorageAddress | None = None) -> "Storage":
    """Return the registered storage that serves an id.

    The default storage comes first. If it does not serve the id, exactly one of the others must.

    Args:
        file_id: A file id.
        at: The address that the storage must have. None allows every address.

    Raises:
        RouteNotSupportedException: No registered storage serves the id, or several do.
    """
    fitting: list[Storage] = []
    for name in (DEFAULT, *names()):
        storage = _serving(name, file_id)
        if storage is None or at not in {None, StorageAddress.of(storage)}:
            continue
        if name == DEFAULT:
            return storage
        if storage not in fitting:
            fitting.append(storage)
    if len(fitting) == 1:
        return fitting[0]
    problem = "several registered storages serve" if fitting else "no registered storage serves"
    raise RouteNotSupportedException(
        f"{problem} this id (registered: {', '.join(map(repr, names())) or 'none'}); "
        "give its storage a name: registry.register(name, storage)",
        file_id=file_id,
    )


def _serving(name: str, file_id: str) -> "Storage | None":
    try:
        return get(name).storage_for(file_id)
    except StorageException:
        return None


@contextmanager
def override[Router: StorageRouter](name: str, storage: Router) -> Iterator[Router]:
    """Replace the storage of a name inside the `with` block, in all threads and tasks. For tests.

    Only look-ups by name change. Objects that already hold a storage keep it.

    Example:
        >>> with override("default", MemoryStorage()) as storage: ...
    """
    before = _storages.get(name)
    _storages[name] = storage
    try:
        yield storage
    finally:
        if before is None:
            _storages.pop(name, None)
        else:
            _storages[name] = before


@contextmanager
def isolated() -> Iterator[None]:
    """Empty the registry for the `with` block, and restore the old names at its end. For tests.

    Example:
        >>> with isolated():
        ...     LocalStorage("files", name="documents")
    """
    before = dict(_storages)
    _storages.clear()
    try:
        yield
    finally:
        _storages.clear()
        _storages.update(before)


class StorageRef:
    """A reference to a storage. All copies of one column type, and all files that it loads, share one reference.

    Attributes:
        value: A storage or manager, or a registered name. None means the default storage of the registry.
        deletion_policy: Decides when files are deleted. None means that `StoredFile.delete` deletes at once.
        variants: The recipes of the image variants. None if the column has none.
        variant_links: Makes the URLs of variants that are made after the upload. None if such variants have no URLs of
            their own.
    """

    __slots__ = ("__weakref__", "deletion_policy", "value", "variant_links", "variants")

    def __init__(self, value: StorageRouter | str | None) -> None:
        self.value = value
        self.deletion_policy: DeletionPolicy | None = None
        self.variants: Variants | None = None
        self.variant_links: VariantLinks | None = None

    def resolve(self) -> StorageRouter:
        """Return the storage: the value itself, the storage with that name, or the default storage.

        Raises:
            InvalidArgumentException: The name, or the default, is not registered.
        """
        if self.value is None or isinstance(self.value, str):
            return get(self.value or DEFAULT)
        return self.value

    def resolve_for_new(self) -> "Storage":
        """Return the storage for new files. If `resolve` returns a manager, the manager chooses the storage.

        Raises:
            InvalidArgumentException: As for `resolve`.
        """
        router: Any = self.resolve()
        for_new = getattr(router, "storage_for_new", None)
        storage: Storage = router if for_new is None else for_new()
        return storage

    @property
    def is_resolvable(self) -> bool:
        """True if `resolve` can find a storage now."""
        return not (self.value is None or isinstance(self.value, str)) or (self.value or DEFAULT) in _storages

    def __reduce__(self) -> tuple[type["StorageRef"], tuple[str | StorageAddress | None]]:
        """Pickle the storage's name or address, never the storage itself, which may hold secrets."""
        value = self.value
        if value is None or isinstance(value, str | StorageAddress):
            return StorageRef, (value,)
        name = getattr(value, "name", None)
        return StorageRef, (
            name if name is not None or not hasattr(value, "scheme") else StorageAddress.of(cast("Storage", value)),
        )

    def __deepcopy__(self, memo: object) -> "StorageRef":
        return self

    def __repr__(self) -> str:
        return f"StorageRef({self.value!r})"


# names in pickles of earlier versions
Ref = StorageRef
Address = StorageAddress
