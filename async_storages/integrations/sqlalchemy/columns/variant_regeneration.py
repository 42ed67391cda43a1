"""Variants that rows lack, made again: of recipes that are new or changed, and of images that came without a flush."""

from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from random import sample
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import InstrumentedAttribute

from async_storages._tasks import map_bounded
from async_storages.errors import (
    FileNotFoundException,
    ImageProcessingException,
    InvalidArgumentException,
    InvalidFileTypeException,
    StorageException,
)
from async_storages.images.recipes import Variants
from async_storages.imaging.pool import ImagePool
from async_storages.integrations.sqlalchemy.columns.file_rows import FileRows
from async_storages.variants.keys import variant_id
from async_storages.variants.making import shared_pool
from async_storages.variants.missing import make_missing

__all__ = ["RegeneratedVariants", "regenerate_variants", "variants_of_column"]

_MOST_IDS = 1000


@dataclass(frozen=True, slots=True)
class RegeneratedVariants:
    """The result of `regenerate_variants` so far.

    Attributes:
        rows: Rows that were looked at.
        made: Variants that were made and stored.
        missing: Ids of images that do not exist, up to 1,000 of them.
        damaged: Ids of files of which no variant can be made, with the reason, up to 1,000 of them.
        failed: Ids of images that could not be read, or whose variants could not be stored, with the reason, up to
            1,000 of them.
        after: The primary key of the last row of the last whole batch; None before the first.
    """

    rows: int = 0
    made: int = 0
    missing: tuple[str, ...] = ()
    damaged: Mapping[str, str] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    after: tuple[Any, ...] | None = None

    @property
    def is_right(self) -> bool:
        """True if all images have their variants."""
        return not (self.missing or self.damaged or self.failed)


async def regenerate_variants(
    engine: AsyncEngine,
    attribute: InstrumentedAttribute[Any],
    *,
    every: bool = False,
    after: tuple[Any, ...] | None = None,
    batch: int = 100,
    concurrency: int = 4,
    pool: ImagePool | None = None,
    on_progress: Callable[[RegeneratedVariants], object] | None = None,
) -> RegeneratedVariants:
    """Make the variants that the images of a column lack.

    It can be stopped and run again, and run by several processes at once. An image is downloaded into a temporary
    file, once for all its variants. Rows are read in the order of the primary key; those of a batch are worked on in
    any order, so that several processes share the work. What is stored for a row that names its image no longer is
    removed again.

    Args:
        engine: The database.
        attribute: The attribute of the image, such as ``Photo.image``, with ``variants=`` on its column type.
        every: True also makes the variants that are there, and overwrites them.
        after: The primary key of a row: begin behind it, as with the `after` of an earlier result.
        batch: Rows at a time, 1 or more.
        concurrency: Images that are worked on at once.
        pool: Makes the images; None for the one that is shared by the sessions of the event loop.
        on_progress: Called with the result so far after each batch.

    Returns:
        The numbers of rows and of variants that were made, and the ids of images that are missing, damaged, or could
        not be read or stored.

    Raises:
        InvalidArgumentException: The attribute is no column of images that declares variants.
        ImportError: Pillow is missing; it names the extra.
    """
    rows, recipes = FileRows.of(attribute, "regenerate_variants"), variants_of_column(attribute, "regenerate_variants")
    used = pool or shared_pool()

    async def make(row: Row[Any]) -> int | StorageException:
        try:
            return await _make(engine, rows, row, recipes, used, every=every)
        except StorageException as error:
            return error if await rows.still_names(engine, row) else 0

    done = RegeneratedVariants(after=after)
    async with aclosing(rows.batches(engine, batch, after=after)) as batches:
        async for found in batches:
            mixed = sample(found, len(found))
            answers = await map_bounded(make, mixed, limit=concurrency)
            for row, answer in zip(mixed, answers, strict=True):
                done = _with(done, row.file_id, answer)
            done = replace(done, rows=done.rows + len(found), after=rows.key_of(found[-1]))
            if on_progress is not None:
                on_progress(done)
    return done


def variants_of_column(attribute: InstrumentedAttribute[Any], operation: str) -> Variants:
    """The variants that a column declares.

    Raises:
        InvalidArgumentException: It declares none.
    """
    type_: Any = FileRows.of(attribute, operation).file.type  # a FileType
    variants: Variants | None = type_.variants
    if variants is None:
        raise InvalidArgumentException(
            f"{attribute} declares no variants: give its ImageType variants=Variants(…)", operation=operation
        )
    return variants


async def _make(
    engine: AsyncEngine, rows: FileRows, row: Row[Any], recipes: Variants, pool: ImagePool, *, every: bool
) -> int:
    type_: Any = rows.file.type
    file = rows.file_of(row)
    storage = file.storage
    original = storage.identify(file.file_id)
    stored = await make_missing(storage, original, recipes, pool, options=type_.upload_options, every=every)
    # Whoever removes the image begins when no row names it any more, and then finds what was stored before: so the
    # row is asked, and not the storage, in which the image may still be.
    if stored and not await rows.still_names(engine, row):
        await storage.delete_many([str(variant_id(original, name, recipes[name])) for name in stored])
        return 0
    return len(stored)


def _with(done: RegeneratedVariants, file_id: str, answer: int | StorageException) -> RegeneratedVariants:
    if isinstance(answer, int):
        return replace(done, made=done.made + answer)
    if isinstance(answer, FileNotFoundException):
        return replace(done, missing=(*done.missing, file_id)[:_MOST_IDS])
    if isinstance(answer, InvalidFileTypeException | ImageProcessingException):
        return replace(done, damaged=_added(done.damaged, file_id, answer))
    return replace(done, failed=_added(done.failed, file_id, answer))


def _added(told: Mapping[str, str], file_id: str, error: StorageException) -> Mapping[str, str]:
    return {**told, file_id: error.reason} if len(told) < _MOST_IDS else told
