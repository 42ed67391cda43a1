"""Variants and placeholders that the flush makes with an upload, as the column declares them."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager

from async_storages.errors import InvalidArgumentException
from async_storages.imaging.pool import ImagePool
from async_storages.integrations.sqlalchemy.columns.declared_variants import recipes_made_at
from async_storages.integrations.sqlalchemy.columns.fields import FileField
from async_storages.integrations.sqlalchemy.columns.types import FileType
from async_storages.storage.base import Storage
from async_storages.variants.keys import is_variant
from async_storages.variants.making import NewVariants, new_variants, require_room, shared_pool

__all__ = ["check_key_for_variants", "making_variants", "require_ledger"]


@asynccontextmanager
async def making_variants(type_: FileType, key: str, pool: ImagePool | None) -> AsyncGenerator[NewVariants]:
    """Yield the maker of the variants and the placeholder of an upload.

    Args:
        type_: The column's type.
        key: The key of the upload, or a key with the same ending as the id that the storage chooses.
        pool: Makes the images. None uses the shared pool.
    """
    recipes = recipes_made_at(type_, "flush")
    wants_placeholder = type_.placeholder is not None
    async with new_variants(recipes, pool or shared_pool(), key, with_placeholder=wants_placeholder) as variants:
        yield variants


def require_ledger(fields: Iterable[FileField]) -> None:
    """Refuse columns whose variants a ledger's worker makes, if there is no ledger.

    Raises:
        InvalidArgumentException: There is such a column.
    """
    for field in fields:
        for name in recipes_made_at(field.type, "worker"):
            raise InvalidArgumentException(
                f"{field.column}: the variant {name!r} has when='worker', and is made by the worker of a ledger, but "
                "the sessions have none: enable_file_tracking(…, ledger=FileLedger(…))",
                operation="flush",
            )


def check_key_for_variants(type_: FileType, storage: Storage, key: str, *, is_exact: bool) -> None:
    """Refuse a key that cannot have variants, or that is the key of a variant.

    Args:
        type_: The column's type.
        storage: The storage of the upload.
        key: The key.
        is_exact: True if `upload_to` has chosen it.

    Raises:
        InvalidArgumentException: The key is refused.
        OperationNotSupportedException: The storage cannot store variants.
    """
    if is_exact and is_variant(storage.identify(key)):
        raise InvalidArgumentException(
            f"{key!r} is the key of a variant of another image: let upload_to return another one", operation="upload"
        )
    if type_.variants:
        require_room(storage, key, type_.variants)
