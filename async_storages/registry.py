"""Named storages: `FileType("documents")` finds its storage when a file is first asked for, not at import.

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
"""The name that columns use when none is given."""


class StorageRouter(Protocol):
    """A `Storage`, or a `StorageManager` that routes to several: all that a column or a `StoredFile` needs."""

    def identify(self, name: "FileName") -> "FileId":
        """The full id of a bare key, id or StoredFile; raises for ids that are not served."""
        ...

    def storage_for(self, file_id: "FileName") -> "Storage":
        """The storage that holds the file; raises RouteNotSupportedException if none does."""
        ...


class DeletionPolicy(Protocol):
    """The decision when files are deleted, such as that of a ledger."""

    async def request_deletion(self, stored: "StoredFile") -> None:
        """Delete the file as soon as nothing names it."""
        ...


_storages: dict[str, StorageRouter] = {}


def register(name: str, storage: StorageRouter) -> None:
    """Give a storage a name.

    Raises:
        InvalidArgumentException: The name is empty, or another storage has it (`override` replaces it for a while).
    """
    if not isinstance(name, str) or not name:
        raise InvalidArgumentException("a storage's name is a non-empty str", operation="register")
    if _storages.setdefault(name, storage) is not storage:
        raise InvalidArgumentException(
            f"the name {name!r} is taken; use registry.override() to replace a storage for a while",
            operation="register",
        )


def unregister(name: str) -> None:
    """Forget a name; nothing happens if nobody has it."""
    _storages.pop(name, None)


def release(storage: StorageRouter) -> list[str]:
    """Forget the names of a storage or manager, so that another one can take them; returns them."""
    released = [name for name, router in _storages.items() if router is storage]
    for name in released:
        del _storages[name]
    return released


def names() -> tuple[str, ...]:
    """The registered names, sorted."""
    return tuple(sorted(_storages))


def get(name: str) -> StorageRouter:
    """The storage of that name.

    Raises:
        InvalidArgumentException: Nobody has that name; the message lists the names there are.
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
    """The address of a storage without a name: ids are the same on two S3 servers, or in two folders.

    Attributes:
        scheme: Its `Storage.scheme`.
        bucket: Its `Storage.bucket`.
        location: Its `Storage.location`.
    """

    scheme: str
    bucket: str | None
    location: str | None

    @classmethod
    def of(cls, storage: "Storage") -> "StorageAddress":
        """The address of a storage."""
        return cls(storage.scheme, storage.bucket, storage.location)

    def identify(self, name: "FileName") -> "FileId":
        """As the registered storage at this address does: an address is a `StorageRouter`."""
        return self.storage_for(name).identify(name)

    def storage_for(self, file_id: "FileName") -> "Storage":
        """The registered storage at this address; raises RouteNotSupportedException if there is none."""
        return find(str(file_id), at=self)


def find(file_id: str, *, at: StorageAddress | None = None) -> "Storage":
    """The storage that serves an id of unknown origin: the default one if it does, else the only one that does.

    Args:
        file_id: A fusion id.
        at: The address that the storage must have, if known.

    Raises:
        RouteNotSupportedException: No registered storage serves it, or several do.
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
    """Let another storage have the name inside the `with` block, in every thread and task: for tests.

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
    """Begin without any name, and forget at the end of the block those that it has registered: for tests.

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
    """A mutable place for a storage, shared by all copies of one column type and all files loaded through it.

    Attributes:
        value: A storage or manager, a registered name, or None: the registry's default, or set later.
        deletion_policy: Who deletes its files; None for whoever asks for it.
        variants: The recipes of its images' variants; None if it has none.
        variant_links: The URLs of those variants that are made later than the upload; None if they have no others.
    """

    __slots__ = ("__weakref__", "deletion_policy", "value", "variant_links", "variants")

    def __init__(self, value: StorageRouter | str | None) -> None:
        self.value = value
        self.deletion_policy: DeletionPolicy | None = None
        self.variants: Variants | None = None
        self.variant_links: VariantLinks | None = None

    def resolve(self) -> StorageRouter:
        """The storage meant: the value itself, else the one of that name, else the default.

        Raises:
            InvalidArgumentException: A name, or the default, that nobody has registered.
        """
        if self.value is None or isinstance(self.value, str):
            return get(self.value or DEFAULT)
        return self.value

    def resolve_for_new(self) -> "Storage":
        """The storage for new files: the one of `resolve`, or that which a manager has for them.

        Raises:
            InvalidArgumentException: As for `resolve`.
        """
        router: Any = self.resolve()
        for_new = getattr(router, "storage_for_new", None)
        storage: Storage = router if for_new is None else for_new()
        return storage

    @property
    def is_resolvable(self) -> bool:
        """True if `resolve` would find a storage now."""
        return not (self.value is None or isinstance(self.value, str)) or (self.value or DEFAULT) in _storages

    def __reduce__(self) -> tuple[type["StorageRef"], tuple[str | StorageAddress | None]]:
        """Pickled by the storage's name or address, never with the storage itself, which may hold secrets."""
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
