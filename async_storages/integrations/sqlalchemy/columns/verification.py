"""Verification: rows of a file column beside what the storage holds."""

from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import InstrumentedAttribute

from async_storages._tasks import map_bounded
from async_storages.errors import FileNotFoundException, StorageException
from async_storages.integrations.sqlalchemy.columns.fact_filling import sha256_of
from async_storages.integrations.sqlalchemy.columns.file_rows import FileRows

__all__ = ["VerifiedFiles", "verify_files"]

_MOST_IDS = 1000


@dataclass(frozen=True, slots=True)
class VerifiedFiles:
    """The result of `verify_files` so far.

    Attributes:
        rows: Rows that were looked at.
        right: Rows whose file is there, and is what they say.
        missing: Ids of files that do not exist, up to 1,000 of them.
        wrong: Ids of files that are not what their row says, with the difference, up to 1,000 of them.
        failed: Ids of files that could not be asked for, with the reason, up to 1,000 of them.
    """

    rows: int = 0
    right: int = 0
    missing: tuple[str, ...] = ()
    wrong: Mapping[str, str] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_right(self) -> bool:
        """True if nothing is missing, wrong or unknown."""
        return self.rows == self.right


async def verify_files(
    engine: AsyncEngine,
    attribute: InstrumentedAttribute[Any],
    *,
    content: bool = False,
    batch: int = 500,
    concurrency: int = 16,
    on_progress: Callable[[VerifiedFiles], object] | None = None,
) -> VerifiedFiles:
    """Look whether the file of each row exists, and is what the row says; nothing is changed.

    A file that a row names no longer by the time its answer comes is not counted as missing or wrong: the row is read
    again first.

    Args:
        engine: The database.
        attribute: The attribute of the file, such as ``Document.file``. Its columns for facts are compared: ``size=``
            always, ``sha256=`` with `content`.
        content: True reads whole files, as streams, where the row has their SHA-256.
        batch: Rows at a time, 1 or more.
        concurrency: Files that are asked for at once.
        on_progress: Called with the result so far after each batch.

    Returns:
        The numbers of rows, and the ids of files that are missing, wrong, or could not be asked for.

    Raises:
        InvalidArgumentException: The attribute is no file column.
    """
    rows = FileRows.of(attribute, "verify_files")

    async def compare(row: Row[Any]) -> str | StorageException | None:
        found: str | StorageException | None
        try:
            found = await _difference(rows, row, content=content)
        except StorageException as error:
            found = error
        return found if found is None or await rows.still_names(engine, row) else None

    done = VerifiedFiles()
    async with aclosing(rows.batches(engine, batch)) as batches:
        async for found in batches:
            answers = await map_bounded(compare, found, limit=concurrency)
            done = replace(done, rows=done.rows + len(found), right=done.right + answers.count(None))
            for row, answer in zip(found, answers, strict=True):
                done = _with(done, row.file_id, answer)
            if on_progress is not None:
                on_progress(done)
    return done


async def _difference(rows: FileRows, row: Row[Any], *, content: bool) -> str | None:
    """The difference between a row and its file; None if there is none."""
    file, told = rows.file_of(row), rows.facts_of(row)
    size = await file.get_size()
    if told.get("size", size) != size:
        return f"{size} bytes, the row says {told['size']}"
    if content and "sha256" in told and (found := await sha256_of(file)) != told["sha256"]:
        return f"SHA-256 {found}, the row says {told['sha256']}"
    return None


def _with(done: VerifiedFiles, file_id: str, answer: str | StorageException | None) -> VerifiedFiles:
    if isinstance(answer, FileNotFoundException):
        return replace(done, missing=(*done.missing, file_id)[:_MOST_IDS])
    if isinstance(answer, StorageException):
        return replace(done, failed=_added(done.failed, file_id, str(answer)))
    return done if answer is None else replace(done, wrong=_added(done.wrong, file_id, answer))


def _added(told: Mapping[str, str], file_id: str, reason: str) -> Mapping[str, str]:
    return {**told, file_id: reason} if len(told) < _MOST_IDS else told
