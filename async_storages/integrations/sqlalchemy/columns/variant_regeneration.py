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
    ImageProcessingException,
    InvalidArgumentException,
    InvalidFileTypeException,
    StorageException,
)
from async_storages.images.recipes import Variants
from async_storages.imaging.pool import ImagePool
from async_storages.integrations.sqlalchemy.columns.fields import file_type
from async_storages.integrations.sqlalchemy.columns.file_rows import FileRows, NamedFile
from async_storages.integrations.sqlalchemy.columns.types import FileType
from async_storages.integrations.sqlalchemy.columns.walk_results import WalkedRows, with_reason
from async_storages.variants.keys import variant_id
from async_storages.variants.making import shared_pool
from async_storages.variants.missing import make_missing

__all__ = ["RegeneratedVariants", "regenerate_variants", "variants_of_column"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegeneratedVariants(WalkedRows):
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

    made: int = 0
    damaged: Mapping[str, str] = field(default_factory=dict)
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
        attribute: The attribute of the image or list, such as ``Photo.image``, with ``variants=`` on its column type.
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
    type_, recipes = variants_of_column(attribute, "regenerate_variants")
    rows, used = FileRows.of(attribute, "regenerate_variants"), pool or shared_pool()

    async def make(asked: tuple[Row[Any], NamedFile]) -> int | StorageException:
        row, file = asked[0], asked[1].file
        try:
            storage = file.storage
            original = storage.identify(file.file_id)
            stored = await make_missing(storage, original, recipes, used, options=type_.upload_options, every=every)
        except StorageException as error:
            return error if await rows.still_names(engine, row, file.file_id) else 0
        # Whoever removes the image begins when no row names it any more, and then finds what was stored before: so
        # the row is asked, and not the storage, in which the image may still be.
        if stored and not await rows.still_names(engine, row, file.file_id):
            await storage.delete_many([str(variant_id(original, name, recipes[name])) for name in stored])
            return 0
        return len(stored)

    done = RegeneratedVariants(after=after)
    async with aclosing(rows.batches(engine, batch, after=after)) as batches:
        async for found in batches:
            asked = [(row, named) for row in sample(found, len(found)) for named in rows.files_of(row)]
            answers = await map_bounded(make, asked, limit=concurrency)
            for (_, named), answer in zip(asked, answers, strict=True):
                done = _with(done, named.file.file_id, answer)
            done = replace(done, rows=done.rows + len(found), after=rows.key_of(found[-1]))
            if on_progress is not None:
                on_progress(done)
    return done


def variants_of_column(attribute: InstrumentedAttribute[Any], operation: str) -> tuple[FileType, Variants]:
    """The type of a column's images, and the variants that it declares.

    Raises:
        InvalidArgumentException: It declares none.
    """
    type_ = file_type(FileRows.of(attribute, operation).column.type)
    if type_ is None or type_.variants is None:
        raise InvalidArgumentException(
            f"{attribute} declares no variants: give its ImageType variants=Variants(…)", operation=operation
        )
    return type_, type_.variants


def _with(done: RegeneratedVariants, file_id: str, answer: int | StorageException) -> RegeneratedVariants:
    if isinstance(answer, int):
        return replace(done, made=done.made + answer)
    if isinstance(answer, InvalidFileTypeException | ImageProcessingException):
        return replace(done, damaged=with_reason(done.damaged, file_id, answer.reason))
    return done.with_error(file_id, answer)
