"""Verification: rows of a file column beside what the storage holds."""

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
    """The result of `verify_files` so far.

    Attributes:
        rows: Rows that were looked at.
        right: Rows whose files are there, and are what they say.
        missing: Ids of files that do not exist, up to 1,000 of them.
        wrong: Ids of files that are not what their row says, with the difference, up to 1,000 of them.
        failed: Ids of files that could not be asked for, with the reason, up to 1,000 of them.
    """

    right: int = 0
    wrong: Mapping[str, str] = field(default_factory=dict)

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
    """Look whether the files of each row exist, and are what the row says; nothing is changed.

    A file that a row names no longer by the time its answer comes is not counted as missing or wrong: the row is read
    again first.

    Args:
        engine: The database.
        attribute: The attribute of the file or list, such as ``Document.file``. Its facts are compared: the size
            always, the SHA-256 with `content`.
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
    """The difference between a row and its file; None if there is none."""
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
