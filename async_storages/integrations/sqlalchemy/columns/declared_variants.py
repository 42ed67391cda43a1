"""Variants that columns declare: one function for making them, one for removing them with their original."""

from collections.abc import Mapping

from async_storages.errors import StorageException
from async_storages.images.recipes import Moment, Variant, Variants
from async_storages.integrations.sqlalchemy.columns.fields import all_file_fields
from async_storages.integrations.sqlalchemy.columns.types import FileType
from async_storages.registry import StorageAddress
from async_storages.storage.base import Storage

__all__ = ["recipes_made_at", "variants_declared_for"]


def recipes_made_at(type_: FileType, moment: Moment) -> Mapping[str, Variant]:
    """Return the recipes of a column for one moment. The result is empty if the column has no variants."""
    return {} if type_.variants is None else type_.variants.made_at(moment)


def variants_declared_for(storage: Storage, file_id: str) -> list[Variants]:
    """Return the variants of all columns that can name a file of a storage.

    The result is empty where the removal of a file needs no search for variants.
    """
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
