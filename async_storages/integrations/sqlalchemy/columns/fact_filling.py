"""Facts for existing rows that lack them, after you add columns for facts, or `facts=` to a list column."""

import hashlib
from collections.abc import Callable, Container, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import InstrumentedAttribute

from async_storages._tasks import map_bounded
from async_storages.errors import InvalidArgumentException, InvalidFileTypeException, StorageException
from async_storages.files import StoredFile, StoredImage
from async_storages.imaging.pool import ImagePool
from async_storages.integrations.sqlalchemy.columns.fact_columns import known_facts
from async_storages.integrations.sqlalchemy.columns.file_rows import FileRows, NamedFile
from async_storages.integrations.sqlalchemy.columns.walk_results import WalkedRows
from async_storages.sources import open_source
from async_storages.variants.making import new_variants

__all__ = ["FilledFacts", "fill_facts", "sha256_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FilledFacts(WalkedRows):
    """The progress and the result of `fill_facts`.

    Attributes:
        rows: The number of rows read.
        filled: The number of rows that got facts.
        missing: Ids of files that do not exist, up to 1,000 of them.
        failed: Ids of files that could not be read, with the reason, up to 1,000 of them.
    """

    filled: int = 0

    @property
    def is_right(self) -> bool:
        """True if all files exist and could be read."""
        return not (self.missing or self.failed)


async def fill_facts(
    engine: AsyncEngine,
    attribute: InstrumentedAttribute[Any],
    *,
    batch: int = 500,
    concurrency: int = 16,
    every: bool = False,
    image_pool: ImagePool | None = None,
    on_progress: Callable[[FilledFacts], object] | None = None,
) -> FilledFacts:
    """Fill in missing facts: read them from the files in the storage, and write them into the rows.

    You can stop it and run it again, because it skips rows that have all their facts. If the application replaces a
    file or changes a list meanwhile, `fill_facts` leaves that row alone. It reads rows in the order of the primary key,
    and writes each batch in its own transaction. For a SHA-256 or a placeholder it reads the whole file, as a stream.

    Args:
        engine: The database.
        attribute: The attribute of the file or list, such as ``Document.file``. Its column type has ``size=`` or other
            names of facts; a list has ``facts=``.
        batch: Rows per transaction, 1 or more.
        concurrency: Files that are read at once.
        every: True also reads the files of complete rows, and overwrites their facts.
        image_pool: Makes placeholders. Without it, placeholders stay empty.
        on_progress: Called with the result so far after each batch.

    Returns:
        The numbers of rows, and the ids of missing and unreadable files. Those files get no facts.

    Raises:
        InvalidArgumentException: The attribute is no file column, or its type names no facts.
    """
    rows = FileRows.of(attribute, "fill_facts", but=() if image_pool else ("placeholder",))
    if not rows.facts:
        raise InvalidArgumentException(
            f"{attribute} has no columns for facts: name some by size=, content_type= … of its FileType, or by the "
            "facts= of its FileListType; a placeholder needs an image_pool",
            operation="fill_facts",
        )

    async def ask(named: NamedFile) -> dict[str, Any] | StorageException:
        wanted = rows.facts if every else rows.lacking(named)
        try:
            await _learn(named.file, wanted, image_pool)
        except StorageException as error:
            return error
        return known_facts(named.file, wanted)

    done = FilledFacts()
    async with aclosing(rows.batches(engine, batch, lacking_facts=not every)) as batches:
        async for found in batches:
            asked = [
                (index, named)
                for index, row in enumerate(found)
                for named in rows.files_of(row)
                if every or rows.lacking(named)
            ]
            answers = await map_bounded(ask, [named for _, named in asked], limit=concurrency)
            learnt: dict[int, dict[str, Mapping[str, Any]]] = {}
            for (index, named), answer in zip(asked, answers, strict=True):
                if isinstance(answer, StorageException):
                    done = done.with_error(named.file.file_id, answer)
                elif answer:
                    learnt.setdefault(index, {})[named.file.file_id] = answer
            changes = [rows.change(found[index], facts) for index, facts in learnt.items()]
            written = [each for each in changes if each is not None]
            async with engine.begin() as connection:
                for change in written:
                    await connection.execute(change)
            done = replace(done, rows=done.rows + len(found), filled=done.filled + len(written))
            if on_progress is not None:
                on_progress(done)
    return done


async def _learn(file: StoredFile, facts: Container[str], pool: ImagePool | None) -> None:
    """Read the facts of a file from its storage."""
    info = await file.get_info()
    file.remember(filename=info.file_name)
    if isinstance(file, StoredImage) and ("width" in facts or "height" in facts):
        with suppress(InvalidArgumentException):  # a damaged image has none
            await file.get_dimensions()
    if "sha256" in facts:
        file.remember(sha256=await sha256_of(file))
    if "placeholder" in facts and pool is not None:
        with suppress(InvalidFileTypeException):  # nor has it a placeholder
            file.remember(placeholder=await _placeholder_of(file, pool))


async def _placeholder_of(file: StoredFile, pool: ImagePool) -> str | None:
    async with new_variants({}, pool, file.name, with_placeholder=True) as made, aclosing(file.stream()) as chunks:
        await made.take(None, open_source(chunks))
        await made.make()
        return made.placeholder


async def sha256_of(file: StoredFile) -> str:
    """Return the SHA-256 of a file's content in hex. It reads the whole file, as a stream."""
    digest = hashlib.sha256()
    async with aclosing(file.stream()) as chunks:
        async for chunk in chunks:
            digest.update(chunk)
    return digest.hexdigest()
