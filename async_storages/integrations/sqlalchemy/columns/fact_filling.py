"""Facts for rows that were written before their table had columns for them."""

import hashlib
from collections.abc import Callable, Collection, Container, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import InstrumentedAttribute

from async_storages._tasks import map_bounded
from async_storages.errors import FileNotFoundException, InvalidArgumentException, StorageException
from async_storages.files import StoredFile, StoredImage
from async_storages.integrations.sqlalchemy.columns.fact_columns import fact_value, known_fact
from async_storages.integrations.sqlalchemy.columns.file_rows import FileRows

__all__ = ["FilledFacts", "fill_facts", "sha256_of"]


@dataclass(frozen=True, slots=True)
class FilledFacts:
    """The result of `fill_facts` so far.

    Attributes:
        rows: Rows that were looked at.
        filled: Rows that got facts.
        missing: Ids of files that do not exist, up to 1,000 of them.
        failed: Ids of files that could not be asked for, with the reason, up to 1,000 of them.
    """

    rows: int = 0
    filled: int = 0
    missing: tuple[str, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_right(self) -> bool:
        """True if no file was missing, and all could be asked for."""
        return not (self.missing or self.failed)


_MOST_IDS = 1000


async def fill_facts(
    engine: AsyncEngine,
    attribute: InstrumentedAttribute[Any],
    *,
    batch: int = 500,
    concurrency: int = 16,
    every: bool = False,
    on_progress: Callable[[FilledFacts], object] | None = None,
) -> FilledFacts:
    """Ask the storage for the facts of files whose rows lack them, and write them into the rows.

    Rows that have all their facts are passed over, so it can be stopped and run again. A row whose file was replaced
    meanwhile is left to whoever replaced it. Rows are read in the order of the primary key; each batch is written in a
    transaction of its own. For ``sha256=`` whole files are read, as streams.

    Args:
        engine: The database.
        attribute: The attribute of the file, such as ``Document.file``, with ``size=`` or others on its column type.
        batch: Rows at a time, 1 or more.
        concurrency: Files that are asked for at once.
        every: True also asks for rows that have their facts, and overwrites these.
        on_progress: Called with the result so far after each batch.

    Returns:
        The numbers of rows, and ids of files that are missing or could not be asked for; their rows stay as they are.

    Raises:
        InvalidArgumentException: The attribute is no file column, or names no attributes for facts.
    """
    rows = FileRows.of(attribute, "fill_facts")
    if not rows.facts:
        raise InvalidArgumentException(
            f"{attribute} has no columns for facts: name some by size=, content_type= … of its FileType",
            operation="fill_facts",
        )

    async def ask(row: Row[Any]) -> StoredFile | StorageException:
        file = rows.file_of(row)
        try:
            await _learn(file, _lacking(rows, row, every=every))
        except StorageException as error:
            return error
        return file

    done = FilledFacts()
    async with aclosing(rows.batches(engine, batch, lacking_facts=not every)) as batches:
        async for found in batches:
            answers = await map_bounded(ask, found, limit=concurrency)
            changes = []
            for row, answer in zip(found, answers, strict=True):
                if isinstance(answer, StoredFile) and (facts := _new_facts(rows, row, answer, every=every)):
                    changes.append((row, facts))
            async with engine.begin() as connection:
                for row, facts in changes:
                    await connection.execute(rows.change(row, facts))
            done = _after(done, found, answers, len(changes))
            if on_progress is not None:
                on_progress(done)
    return done


def _new_facts(rows: FileRows, row: Row[Any], file: StoredFile, *, every: bool) -> dict[str, Any]:
    lacking = _lacking(rows, row, every=every)
    told = {fact: fact_value(known_fact(file, fact), rows.facts[fact].type) for fact in lacking}
    return {fact: value for fact, value in told.items() if value is not None}


def _lacking(rows: FileRows, row: Row[Any], *, every: bool) -> Collection[str]:
    """The facts that a row is to get."""
    return rows.facts.keys() if every else rows.facts.keys() - rows.facts_of(row).keys()


async def _learn(file: StoredFile, facts: Container[str]) -> None:
    """Let a file know its facts, by asking its storage."""
    info = await file.get_info()
    file.remember(filename=info.file_name)
    if isinstance(file, StoredImage) and ("width" in facts or "height" in facts):
        with suppress(InvalidArgumentException):  # a damaged image has none
            await file.get_dimensions()
    if "sha256" in facts:
        file.remember(sha256=await sha256_of(file))


def _after(
    done: FilledFacts, rows: Sequence[Row[Any]], answers: Sequence[StoredFile | StorageException], filled: int
) -> FilledFacts:
    refused = [
        (row.file_id, answer) for row, answer in zip(rows, answers, strict=True) if isinstance(answer, Exception)
    ]
    missing = [file_id for file_id, error in refused if isinstance(error, FileNotFoundException)]
    failed = {file_id: str(error) for file_id, error in refused if not isinstance(error, FileNotFoundException)}
    return FilledFacts(
        rows=done.rows + len(rows),
        filled=done.filled + filled,
        missing=(*done.missing, *missing)[:_MOST_IDS],
        failed=dict(list({**done.failed, **failed}.items())[:_MOST_IDS]),
    )


async def sha256_of(file: StoredFile) -> str:
    """The SHA-256 of a file's content in hex, for which all of it is read, as a stream."""
    digest = hashlib.sha256()
    async with aclosing(file.stream()) as chunks:
        async for chunk in chunks:
            digest.update(chunk)
    return digest.hexdigest()
