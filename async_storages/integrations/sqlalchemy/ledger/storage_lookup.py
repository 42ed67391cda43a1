"""Which storage holds a file that only the ledger names any more."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from async_storages import registry
from async_storages.errors import RouteNotSupportedException, StorageException
from async_storages.integrations.sqlalchemy.columns.fields import FileField
from async_storages.integrations.sqlalchemy.ledger.journal import Intent
from async_storages.registry import StorageAddress, StorageRef, StorageRouter
from async_storages.storage import Storage

__all__ = ["find", "intent", "label", "of_columns", "routers"]

_LONGEST = 255


def label(storage: Storage) -> str:
    """What tells a storage from others that serve the same ids."""
    return (storage.name or storage.location or "")[:_LONGEST]


def intent(storage: Storage, key: str, *, is_exact: bool = False) -> Intent:
    """The journal's entry for a file that is to be written under a key, or under an id that the storage will choose."""
    if storage.chooses_ids:
        return Intent.of_unknown(label(storage))
    return Intent(str(storage.identify(key)), label(storage), is_exact)


def routers(fields: Iterable[FileField]) -> list[StorageRouter]:
    """The registered storages and those of columns, each once."""
    found: dict[int, StorageRouter] = {}
    for place in (*(StorageRef(name) for name in registry.names()), *_places(fields)):
        with suppress(StorageException):  # it is not registered here
            router = place.resolve()
            found[id(router)] = router
    return list(found.values())


def _places(fields: Iterable[FileField]) -> list[StorageRef]:
    """The references of columns to storages, each once: hundreds of columns have a few."""
    values = {id(value): value for field in fields for value in [field.type.storage]}
    return [StorageRef(value) for value in values.values()]


def find(serving: Iterable[StorageRouter], file_id: str, storage_label: str) -> Storage:
    """The storage of a file: that of the label, else the only one that serves the id.

    Args:
        serving: What `routers` found.
        file_id: Its fusion id.
        storage_label: The label of its storage.

    Raises:
        RouteNotSupportedException: No column's and no registered storage serves it, or several do.
    """
    serving_it = {StorageAddress.of(storage): storage for storage in _serving(serving, file_id)}
    labelled = [storage for storage in serving_it.values() if label(storage) == storage_label]
    fitting = labelled or list(serving_it.values())
    if len(fitting) == 1:
        return fitting[0]
    problem = "several storages serve" if fitting else "no storage of a file column serves"
    raise RouteNotSupportedException(
        f"{problem} this id (it was stored in {storage_label!r}): give the storages names", file_id=file_id
    )


def _serving(serving: Iterable[StorageRouter], file_id: str) -> Iterator[Storage]:
    for router in serving:
        with suppress(StorageException):
            yield router.storage_for(file_id)


def of_columns(fields: Iterable[FileField]) -> list[Storage]:
    """The storages that columns put new files into, each once, as far as anything can be deleted there."""
    found: dict[StorageAddress, Storage] = {}
    for place in _places(fields):
        try:
            router: Any = place.resolve()
        except StorageException:
            continue  # it is not registered here
        for_new = getattr(router, "storage_for_new", None)
        storage: Storage = router if for_new is None else for_new()
        if not storage.read_only:
            found.setdefault(StorageAddress.of(storage), storage)
    return list(found.values())
