"""Verification: it compares the rows of a file column with the files in the storage."""

from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import InstrumentedAttribute

from async_storages._tasks import map_bounded
from async_storages.errors import StorageException
from async_storages.integrations.sqlalchemy.columns.fact_filling import sha256_of
from async_storages.integrations.sqlalchemy.columns.file_rows import FileRows, NamedFile
from async_storages.integrations.sqlalchemy.columns.walk_results import WalkedRows, with_reason

__all__ = ["VerifiedFiles", "verify_files"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedFiles(WalkedRows):
    """The progress and the result of `verify_files`.

    Attributes:
        rows: The number of rows read.
        right: The number of rows whose files exist and match the row.
        missing: Ids of files that do not exist, up to 1,000 of them.
        wrong: Ids of files that differ from their row, with the difference, up to 1,000 of them.
        failed: Ids of files that could not be read, with the reason, up to 1,000 of them.
    """

    right: int = 0
    wrong: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_right(self) -> bool:
        """True if all files exist, match their rows, and could be read."""
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
    """Check that the files of all rows exist and match their rows. It changes nothing.

    Before it reports a file as missing or wrong, it reads the row again. If the row no longer names the file, the file
    is not reported.

    Args:
        engine: The database.
        attribute: The attribute of the file or list, such as ``Document.file``. The function compares its facts: always
            the size, and the SHA-256 with `content`.
        content: True reads whole files, as streams, if the row has their SHA-256.
        batch: Rows per batch, 1 or more.
        concurrency: Files that are checked at once.
        on_progress: Called with the result so far after each batch.

    Returns:
        The numbers of rows, and the ids of files that are missing, wrong, or could not be read.

    Raises:
        InvalidArgumentException: The attribute is no file column.
    """
    rows = FileRows.of(attribute, "verify_files")

    async def compare(asked: tuple[Row[Any], NamedFile]) -> str | StorageException | None:
        row, named = asked
        found: str | StorageException | None
        try:
            found = await _difference(named, content=content)
        except StorageException as error:
            found = error
        return found if found is None or await rows.still_names(engine, row, named.file.file_id) else None

    done = VerifiedFiles()
    async with aclosing(rows.batches(engine, batch)) as batches:
        async for found in batches:
            asked = [(row, named) for row in found for named in rows.files_of(row)]
            answers = await map_bounded(compare, asked, limit=concurrency)
            not_right = {id(row) for (row, _), answer in zip(asked, answers, strict=True) if answer is not None}
            done = replace(done, rows=done.rows + len(found), right=done.right + len(found) - len(not_right))
            for (_, named), answer in zip(asked, answers, strict=True):
                done = _with(done, named.file.file_id, answer)
            if on_progress is not None:
                on_progress(done)
    return done


async def _difference(named: NamedFile, *, content: bool) -> str | None:
    """Return the difference between a row and its file; None if they match."""
    file, told = named.file, named.told
    size = await file.get_size()
    if told.get("size", size) != size:
        return f"{size} bytes, the row says {told['size']}"
    if content and "sha256" in told and (found := await sha256_of(file)) != told["sha256"]:
        return f"SHA-256 {found}, the row says {told['sha256']}"
    return None


def _with(done: VerifiedFiles, file_id: str, answer: str | StorageException | None) -> VerifiedFiles:
    if isinstance(answer, StorageException):
        return done.with_error(file_id, answer)
    return done if answer is None else replace(done, wrong=with_reason(done.wrong, file_id, answer))
