"""Removal of variants that are not needed any more: their recipe is no longer declared, or their image is gone."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import InstrumentedAttribute

from async_storages import naming
from async_storages._tasks import map_bounded
from async_storages.errors import InvalidArgumentException, OperationNotSupportedException, StorageException
from async_storages.ids import FileId
from async_storages.images.recipes import Variants
from async_storages.integrations.sqlalchemy.columns.declared_variants import variants_declared_for
from async_storages.integrations.sqlalchemy.columns.fields import FileField
from async_storages.integrations.sqlalchemy.columns.types import FileType
from async_storages.integrations.sqlalchemy.columns.variant_regeneration import variants_of_column
from async_storages.integrations.sqlalchemy.references.column_locations import locate_columns
from async_storages.integrations.sqlalchemy.references.lookup import find_named_ids
from async_storages.models import FileBasicInfo
from async_storages.storage.base import Storage
from async_storages.storage.capabilities import SupportsList
from async_storages.variants.keys import find_original, folder_of, variant_id

__all__ = ["CleanedVariants", "clean_variants"]

_BATCH = 500
_AT_ONCE = 16
_MOST_IDS = 1000


@dataclass(frozen=True, slots=True)
class CleanedVariants:
    """The progress and the result of `clean_variants`.

    Attributes:
        variants: The number of variants found.
        outdated: The number of removed variants whose recipe no column declares any more.
        orphaned: The number of removed variants whose image does not exist any more.
        ids: The ids of all removed variants, up to 1,000 of them.
        failed: Ids of files that could not be checked or removed, with the reason, up to 1,000 of them.
    """

    variants: int = 0
    outdated: int = 0
    orphaned: int = 0
    ids: tuple[str, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_right(self) -> bool:
        """True if all files could be checked and removed."""
        return not self.failed


async def clean_variants(
    engine: AsyncEngine,
    attribute: InstrumentedAttribute[Any],
    *,
    prefix: str | None = None,
    older_than: timedelta = timedelta(days=1),
    dry_run: bool = False,
    on_progress: Callable[[CleanedVariants], object] | None = None,
) -> CleanedVariants:
    """Remove outdated variants from the storage into which a column puts new files.

    The function removes two kinds of variants:

    * Outdated variants of images that rows of this column name. A variant is outdated if no column declares its
      recipe for this image.
    * All variants of an image that no row names and that is not in the storage.

    It never removes images, nor variants of images that only other columns name.

    Args:
        engine: The database.
        attribute: The attribute of the image or list, such as ``Photo.image``. Its column type declares ``variants=``.
        prefix: The prefix of the keys to list. None lists the folder of the column, or all keys if the column has
            `upload_to`.
        older_than: Keep younger variants: processes that run another version of the application may use them.
        dry_run: True removes nothing. The result then contains the variants that would be removed.
        on_progress: Called with the result so far after each 500 images.

    Returns:
        The numbers of variants that were found and removed, and the ids of files that failed.

    Raises:
        InvalidArgumentException: The attribute is no column of images that declares variants.
        OperationNotSupportedException: The storage cannot list its files.
        StorageException: The storage could not list its files.
    """
    type_, own = variants_of_column(attribute, "clean_variants")
    column = FileField(attribute.key, attribute.property.columns[0], type_)
    before = datetime.now(UTC) - older_than
    cleaning = _Cleaning(engine, column, own, _storage_of(type_), before, dry_run=dry_run)
    done = CleanedVariants()
    async with aclosing(cleaning.batches(_prefix_of(type_) if prefix is None else prefix)) as batches:
        async for batch in batches:
            done = await cleaning.clean(done, batch)
            if on_progress is not None:
                on_progress(done)
    return done


def _storage_of(type_: FileType) -> Storage:
    storage = type_.storage_ref.resolve_for_new()
    if storage.chooses_ids or not isinstance(storage, SupportsList):
        raise OperationNotSupportedException(
            f"{type(storage).__name__} cannot list its files, so nobody can find variants of earlier recipes in it: "
            "they stay until whoever knows their recipes removes them",
            operation="clean_variants",
        )
    return storage


def _prefix_of(type_: FileType) -> str:
    """Return the prefix of the variants of all files that the column itself has stored."""
    if type_.upload_to is not None:
        return ""
    folder = naming.clean_folder(type_.folder)
    beside = folder_of(f"{folder}/any" if folder else "any")
    return (beside or "").removesuffix("any/")


type _Found = dict[FileId, list[str]]
"""The ids of the variants of each original."""


class _Cleaning:
    """The removal of variants from one storage."""

    def __init__(
        self,
        engine: AsyncEngine,
        column: FileField,
        own: Variants,
        storage: Storage,
        before: datetime,
        *,
        dry_run: bool,
    ) -> None:
        self._engine = engine
        self._column = column
        self._own = own
        self._storage = storage
        self._before = before
        self._dry_run = dry_run

    async def batches(self, prefix: str) -> AsyncGenerator[_Found]:
        """Yield the variants that are old enough, in batches of some hundred originals."""
        storage: Any = self._storage
        found: _Found = {}
        async with aclosing(storage.list(prefix)) as listed:
            async for info in listed:
                if (variant := self._variant(info)) is None:
                    continue
                original = replace(variant, key=find_original(variant.key) or "")
                if original not in found and len(found) == _BATCH:
                    yield found
                    found = {}
                found.setdefault(original, []).append(str(variant))
        if found:
            yield found

    def _variant(self, info: FileBasicInfo) -> FileId | None:
        if info.last_modify_time is None or info.last_modify_time > self._before:
            return None
        try:
            file = self._storage.identify(info.file_id)
        except StorageException:  # a key that nothing here has made
            return None
        return file if find_original(file.key) is not None else None

    async def clean(self, done: CleanedVariants, found: _Found) -> CleanedVariants:
        """Remove the outdated variants of a batch."""
        async with self._engine.connect() as connection:
            named = await connection.run_sync(self._find_named, [str(original) for original in found])
        unnamed = [original for original in found if str(original) not in named]
        there = dict(zip(unnamed, await map_bounded(self._is_there, unnamed, limit=_AT_ONCE), strict=True))
        failed = {str(original): str(error) for original, error in there.items() if isinstance(error, Exception)}
        outdated, orphaned = list[str](), list[str]()
        for original, variants in found.items():
            declared = self._declared(original)
            if str(original) in named:
                outdated += [each for each in variants if each not in declared]
            elif there[original] is False:
                orphaned += [each for each in variants if each in declared or _is_of_save(original)]
        try:
            await self._delete([*outdated, *orphaned])
        except StorageException as error:
            failed[error.file_id or self._storage.scheme] = str(error)
            outdated, orphaned = [], []
        return CleanedVariants(
            done.variants + sum(map(len, found.values())),
            done.outdated + len(outdated),
            done.orphaned + len(orphaned),
            (*done.ids, *outdated, *orphaned)[:_MOST_IDS],
            dict(list({**done.failed, **failed}.items())[:_MOST_IDS]),
        )

    def _find_named(self, connection: Connection, ids: list[str]) -> set[str]:
        return find_named_ids(connection, locate_columns(connection, [self._column]), ids)

    async def _is_there(self, original: FileId) -> bool | StorageException:
        try:
            return await self._storage.exists(original)
        except StorageException as error:
            return error

    def _declared(self, original: FileId) -> set[str]:
        declared: set[str] = set()
        for recipes in (self._own, *variants_declared_for(self._storage, str(original))):
            for name, recipe in recipes.items():
                with suppress(InvalidArgumentException):  # the key has no room for variants
                    declared.add(str(variant_id(original, name, recipe)))
        return declared

    async def _delete(self, ids: list[str]) -> None:
        if ids and not self._dry_run:
            await self._storage.delete_many(ids)


def _is_of_save(original: FileId) -> bool:
    """Return True if `save` or a flush has chosen the key.

    No other file then has a key that looks like a variant of it.
    """
    return naming.original_filename(original.key) != original.key.rpartition("/")[2]
