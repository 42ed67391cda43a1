"""Variants that columns declare: for those who make them, and for whoever removes a file that may have some."""

from collections.abc import Mapping

from async_storages.errors import StorageException
from async_storages.images.recipes import Moment, Variant, Variants
from async_storages.integrations.sqlalchemy.columns.fields import all_file_fields
from async_storages.integrations.sqlalchemy.columns.types import FileType
from async_storages.registry import StorageAddress
from async_storages.storage.base import Storage

__all__ = ["recipes_made_at", "variants_declared_for"]


def recipes_made_at(type_: FileType, moment: Moment) -> Mapping[str, Variant]:
    """The recipes of a column that are made at a moment; none where it has no variants."""
    return {} if type_.variants is None else type_.variants.made_at(moment)


def variants_declared_for(storage: Storage, file_id: str) -> list[Variants]:
    """The variants of all columns that can have a file of a storage; none where removing it needs no look for them."""
    address = StorageAddress.of(storage)
    declared: list[Variants] = []
    for field in all_file_fields():
        variants = field.type.variants
        if variants is not None and variants not in declared and _may_serve(field.type, file_id, address):
            declared.append(variants)
    return declared


def _may_serve(type_: FileType, file_id: str, address: StorageAddress) -> bool:
    ref = type_.storage_ref
    if not ref.is_resolvable:
        return True  # who knows where its files are
    try:
        return StorageAddress.of(ref.resolve().storage_for(file_id)) == address
    except StorageException:
        return False
