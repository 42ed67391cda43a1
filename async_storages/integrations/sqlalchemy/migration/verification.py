"""Verification: it compares each row with its copy, and each file of the target with the rows."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, Table, select

from async_storages._checksums import new_checksum
from async_storages._tasks import map_bounded
from async_storages.errors import FileNotFoundException, OperationNotSupportedException, StorageException
from async_storages.integrations.sqlalchemy.ledger.storage_marks import FOLDER
from async_storages.integrations.sqlalchemy.migration import entries
from async_storages.integrations.sqlalchemy.migration.plan import pages
from async_storages.integrations.sqlalchemy.migration.rows import texts_in
from async_storages.integrations.sqlalchemy.migration.swapping import Swaps
from async_storages.integrations.sqlalchemy.migration.transactions import Transactions
from async_storages.integrations.sqlalchemy.references.column_locations import router_of
from async_storages.registry import StorageAddress
from async_storages.storage.capabilities import SupportsList
from async_storages.variants.keys import find_original

__all__ = ["Verified", "verify_rows", "verify_target"]

_MOST = 1000


@dataclass(frozen=True, slots=True)
class Verified:
    """The progress and the result of `Migration.verify`.

    Attributes:
        rows: The number of rows that name files of the source or the target.
        right: The number of files in the target that rows name, that exist, and that match the old files.
        unmoved: The number of files that rows name in the source.
        missing: Ids of files that rows name in the target, but that do not exist, up to 1,000 of them.
        wrong: Ids of files that differ from the old file, with the difference, up to 1,000 of them.
        failed: Ids of files that could not be read, with the reason, up to 1,000 of them.
        objects: The number of files that were listed in the target.
        unnamed: Ids of listed files that neither a row nor a move knows, up to 1,000 of them.
    """

    rows: int = 0
    right: int = 0
    unmoved: int = 0
    missing: tuple[str, ...] = ()
    wrong: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    objects: int = 0
    unnamed: tuple[str, ...] = ()

    @property
    def is_right(self) -> bool:
        """True if no file is missing, wrong or unreadable. `unnamed` does not count: others may own those files."""
        return not (self.missing or self.wrong or self.failed)


@dataclass(frozen=True, slots=True)
class _Move:
    """A copy under a new id. Without a size, it is a file that no migration has moved."""

    target: str
    bytes: int | None = None
    checksum: str | None = None


async def verify_rows(
    transactions: Transactions, swaps: Swaps, *, content: bool, concurrency: int
) -> AsyncGenerator[Verified]:
    """Compare the files that rows name with the old files. Yield the result so far.

    Args:
        transactions: The migration's transactions.
        swaps: The swaps.
        content: True reads the files with a known checksum.
        concurrency: Files at once.
    """
    target, done = swaps.route.target, Verified()

    async def problem_of(copy: _Move) -> tuple[str, str, str] | None:
        try:
            found = await target.stat(copy.target)
            if copy.bytes not in {None, found.file_size}:
                return "wrong", copy.target, f"it has {found.file_size} bytes, not {copy.bytes}"
            if content and copy.checksum not in {None, has := await _checksum(target, copy.target)}:
                return "wrong", copy.target, f"it has {has}, not {copy.checksum}"
        except FileNotFoundException:
            return "missing", copy.target, ""
        except StorageException as error:
            return "failed", copy.target, str(error)
        return None

    for column in await transactions.read(swaps.rows.located):
        router = router_of(column.field)
        if router is None:
            continue
        async with aclosing(pages(transactions, column)) as batches:
            async for rows in batches:
                named = [[_identified(router, text) for text in texts_in(row.value)] for row in rows]
                sources = {each for some in named for each in some if each and swaps.route.is_of_source(each)}
                ids = {each for some in named for each in some if each} - sources
                ids = {each for each in ids if StorageAddress.of(router.storage_for(each)) == StorageAddress.of(target)}
                known = await transactions.read(_find_moves, swaps.table, sorted(ids))
                others = [_Move(each) for each in sorted(ids - {copy.target for copy in known})]
                problems = await map_bounded(problem_of, [*known, *others], limit=concurrency)
                again = await transactions.read(swaps.rows.named, [each[1] for each in problems if each is not None])
                real = [each for each in problems if each is not None and each[1] in again]
                done = _with(done, real)
                done = replace(
                    done,
                    rows=done.rows + sum(1 for some in named if any(some)),
                    right=done.right + len(ids) - sum(each is not None for each in problems),
                    unmoved=done.unmoved + len(sources),
                )
                yield done


def _with(done: Verified, problems: Sequence[tuple[str, str, str]]) -> Verified:
    by_kind: dict[str, dict[str, str]] = {"missing": {}, "wrong": {}, "failed": {}}
    for kind, file_id, reason in problems:
        by_kind[kind][file_id] = reason
    return replace(
        done,
        missing=(*done.missing, *by_kind["missing"])[:_MOST],
        wrong=dict([*done.wrong.items(), *by_kind["wrong"].items()][:_MOST]),
        failed=dict([*done.failed.items(), *by_kind["failed"].items()][:_MOST]),
    )


def _identified(router: Any, text: str) -> str | None:
    try:
        return str(router.identify(text))
    except StorageException:
        return None


async def _checksum(storage: Any, file_id: str) -> str:
    checksum = new_checksum("sha256")
    async with aclosing(storage.stream(file_id)) as chunks:
        async for chunk in chunks:
            checksum.update(chunk)
    return f"sha256:{checksum.digest().hex()}"


def _find_moves(connection: Connection, table: Table, ids: Sequence[str]) -> Sequence[_Move]:
    if not ids:
        return []
    found = select(table.c.target, table.c.bytes, table.c.checksum).where(table.c.target.in_(ids))
    return [_Move(*row) for row in connection.execute(found)]


async def verify_target(transactions: Transactions, swaps: Swaps, done: Verified) -> AsyncGenerator[Verified]:
    """List the target, and find files that no row names. A variant counts as its original.

    Raises:
        OperationNotSupportedException: The target cannot list its files.
    """
    target = swaps.route.target
    if not isinstance(target, SupportsList):
        raise OperationNotSupportedException(f"{target!r} cannot list its files", operation="verify")
    storage: Any = target
    batch: list[str] = []
    async with aclosing(storage.list()) as listed:
        async for info in listed:
            batch.append(str(storage.identify(info.file_id)))
            if len(batch) == entries.BATCH:
                done, batch = await _look(transactions, swaps, done, batch), []
                yield done
    yield await _look(transactions, swaps, done, batch)


async def _look(transactions: Transactions, swaps: Swaps, done: Verified, batch: list[str]) -> Verified:
    storage = swaps.route.target
    originals: dict[str, str] = {}
    for each in batch:
        parsed = storage.identify(each)
        if not storage.bare_key(parsed).startswith(f"{FOLDER}/") and not swaps.route.is_of_source(each):
            original = find_original(parsed.key)
            originals[each] = each if original is None else str(replace(parsed, key=original))
    wanted = sorted(set(originals.values()))
    named = await transactions.read(swaps.rows.named, wanted)
    named |= await transactions.read(entries.find_known, swaps.table, wanted)
    unnamed = [each for each, original in originals.items() if original not in named]
    return replace(done, objects=done.objects + len(originals), unnamed=(*done.unnamed, *unnamed)[:_MOST])
