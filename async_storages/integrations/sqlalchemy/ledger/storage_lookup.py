"""Lookup of the storage of a file, by its id and the label in the ledger."""

from collections.abc import Iterable, Iterator
from contextlib import suppress

from async_storages import registry
from async_storages.errors import RouteNotSupportedException, StorageException
from async_storages.integrations.sqlalchemy.columns.fields import FileField
from async_storages.integrations.sqlalchemy.ledger.tables import label_of
from async_storages.registry import StorageAddress, StorageRef, StorageRouter
from async_storages.storage.base import Storage

__all__ = ["find_routers", "find_storage", "find_storages"]


def find_routers(fields: Iterable[FileField]) -> list[StorageRouter]:
    """Find the registered storages and those of columns, each once."""
    found: dict[int, StorageRouter] = {}
    for ref in (*(StorageRef(name) for name in registry.names()), *_refs_of(fields)):
        with suppress(StorageException):  # it is not registered here
            router = ref.resolve()
            found[id(router)] = router
    return list(found.values())


def _refs_of(fields: Iterable[FileField]) -> list[StorageRef]:
    """Return the references of columns to storages, each once: hundreds of columns share a few of them."""
    values = {id(value): value for field in fields for value in [field.type.storage]}
    return [StorageRef(value) for value in values.values()]


def find_storage(routers: Iterable[StorageRouter], file_id: str, label: str) -> Storage:
    """Find the storage of a file: the storage with the label, or else the only one that serves the id.

    Args:
        routers: The routers of `find_routers`.
        file_id: The file's fusion id.
        label: The label of its storage.

    Raises:
        RouteNotSupportedException: No registered storage and no column's storage serves the id, or several do.
    """
    serving = {StorageAddress.of(storage): storage for storage in _find_serving(routers, file_id)}
    labelled = [storage for storage in serving.values() if label_of(storage) == label]
    fitting = labelled or list(serving.values())
    if len(fitting) == 1:
        return fitting[0]
    problem = "several storages serve" if fitting else "no storage of a file column serves"
    raise RouteNotSupportedException(
        f"{problem} this id (it was stored in {label!r}): give the storages names", file_id=file_id
    )


def _find_serving(routers: Iterable[StorageRouter], file_id: str) -> Iterator[Storage]:
    for router in routers:
        with suppress(StorageException):
            yield router.storage_for(file_id)


def find_storages(fields: Iterable[FileField]) -> list[Storage]:
    """Find the storages into which columns put new files, each once. Read-only storages are left out."""
    found: dict[StorageAddress, Storage] = {}
    for ref in _refs_of(fields):
        try:
            storage = ref.resolve_for_new()
        except StorageException:
            continue  # it is not registered here
        if not storage.read_only:
            found.setdefault(StorageAddress.of(storage), storage)
    return list(found.values())
