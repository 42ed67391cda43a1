"""Variants that rows lack. They are made for new or changed recipes, and for images that no flush has stored."""

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
    """The progress and the result of `regenerate_variants`.

    Attributes:
        rows: The number of rows read.
        made: The number of variants that were made and stored.
        missing: Ids of images that do not exist, up to 1,000 of them.
        damaged: Ids of files from which no variant can be made, with the reason, up to 1,000 of them.
        failed: Ids of images that could not be read, or whose variants could not be stored, with the reason, up to
            1,000 of them.
        after: The primary key of the last row of the last complete batch; None before the first.
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

    You can stop it and run it again. Several processes can run it at once. It downloads each image once, into a
    temporary file. It reads rows in the order of the primary key, and processes the rows of a batch in a random order.
    So several processes seldom work on the same image. If a row stops naming its image meanwhile, the new variants are
    removed again.

    Args:
        engine: The database.
        attribute: The attribute of the image or list, such as ``Photo.image``. Its column type declares ``variants=``.
        every: True also makes variants that exist already, and overwrites them.
        after: The primary key of a row. The work begins behind it. Pass the `after` of an earlier result to continue.
        batch: Rows per batch, 1 or more.
        concurrency: Images that are processed at once.
        pool: Makes the images. None uses the pool that all sessions of the event loop share.
        on_progress: Called with the result so far after each batch.

    Returns:
        The numbers of rows and of new variants, and the ids of images that are missing, damaged or failed.

    Raises:
        InvalidArgumentException: The attribute is no column of images that declares variants.
        ImportError: Pillow is missing. The message names the extra to install.
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
    """Return the type of a column's images, and the variants that it declares.

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
