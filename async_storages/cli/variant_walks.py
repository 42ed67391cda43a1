"""Go through the rows of an image column, and their variants, for ``async-storages variants``."""

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import InstrumentedAttribute

from async_storages.cli.row_walks import walk
from async_storages.cli.units import counted
from async_storages.imaging.pool import ImagePool
from async_storages.integrations.sqlalchemy import (
    CleanedVariants,
    RegeneratedVariants,
    clean_variants,
    regenerate_variants,
)
from async_storages.integrations.sqlalchemy.columns.file_rows import FileRows

__all__ = ["as_json", "as_text", "clean", "regenerate"]

_SHOWN = 10
"""Ids of each kind that the text lists."""

type Result = CleanedVariants | RegeneratedVariants


def regenerate(
    attribute: str, database: str, *, after: Sequence[str], workers: int | None, shows_progress: bool, **options: Any
) -> RegeneratedVariants:
    """Make the missing variants of images that rows name.

    Args:
        attribute: ``module:Class.attribute``.
        database: A URL, or ``module:engine``.
        after: The primary key of a row. It begins with the next row. Empty begins with the first row.
        workers: The number of processes that make images. None for as many as there are CPUs.
        shows_progress: Show the numbers on stderr, meanwhile.
        **options: Options of `regenerate_variants`.

    Raises:
        InvalidArgumentException: There is no such attribute, database or key.
    """
    last: tuple[Any, ...] | None = None

    async def over(
        engine: AsyncEngine,
        found: InstrumentedAttribute[Any],
        /,
        *,
        on_progress: Callable[[RegeneratedVariants], object],
    ) -> RegeneratedVariants:
        def note(done: RegeneratedVariants) -> None:
            nonlocal last
            last = done.after
            on_progress(done)

        begin = FileRows.of(found, "regenerate_variants").parse_key(after) if after else None
        async with ImagePool(workers=workers) as pool:
            return await regenerate_variants(engine, found, after=begin, pool=pool, on_progress=note, **options)

    def how_to_go_on() -> str:
        key = after if last is None else last
        told = "".join(f" --after {shlex.quote(str(value))}" for value in key)
        return f"what is made stays made; run it again{' with' if told else ''}{told} to go on"

    return walk(over, attribute, database, summary=summary, shows_progress=shows_progress, how_to_go_on=how_to_go_on)


def clean(attribute: str, database: str, *, dry_run: bool, shows_progress: bool, **options: Any) -> CleanedVariants:
    """Remove the variants that no column declares, or whose original is gone.

    Args:
        attribute: ``module:Class.attribute``.
        database: A URL, or ``module:engine``.
        dry_run: True removes nothing.
        shows_progress: Show the numbers on stderr, meanwhile.
        **options: Options of `clean_variants`.

    Raises:
        InvalidArgumentException: There is no such attribute or database.
        OperationNotSupportedException: The storage cannot list its files.
    """

    async def over(
        engine: AsyncEngine, found: InstrumentedAttribute[Any], /, *, on_progress: Callable[[CleanedVariants], object]
    ) -> CleanedVariants:
        return await clean_variants(engine, found, dry_run=dry_run, on_progress=on_progress, **options)

    return walk(over, attribute, database, summary=summary, shows_progress=shows_progress)


def as_json(done: Result) -> str:
    """The result, for programs."""
    return json.dumps(asdict(done), default=str)


def as_text(done: Result, *, dry_run: bool = False) -> str:
    """The result, for people."""
    lines = [summary(done), "nothing was removed"] if dry_run else [summary(done)]
    if isinstance(done, RegeneratedVariants):
        lines += [f"missing: {file_id}" for file_id in done.missing[:_SHOWN]]
        lines += [f"damaged: {file_id}: {reason}" for file_id, reason in list(done.damaged.items())[:_SHOWN]]
    else:
        lines += [f"not needed: {file_id}" for file_id in done.ids[:_SHOWN]]
    lines += list(done.failed.values())[:_SHOWN]
    return "\n".join(lines)


def summary(done: Result) -> str:
    """The result in one line."""
    if isinstance(done, RegeneratedVariants):
        wrong = f"{counted(len(done.missing), 'image')} missing, {len(done.damaged)} damaged, {len(done.failed)} failed"
        return f"{counted(done.rows, 'row')} read, {counted(done.made, 'variant')} made, {wrong}"
    kinds = f"{done.outdated} of earlier recipes, {done.orphaned} of images that have gone"
    return f"{counted(done.variants, 'variant')} seen, {kinds}, {len(done.failed)} failed"
