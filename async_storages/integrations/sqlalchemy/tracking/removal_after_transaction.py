"""The end of transactions: look files up before a commit, and afterwards remove those that no row names.

A file is removed only after a lookup found no row that names it. If the lookup fails, the file stays. After the end of
a transaction no error is raised, because no caller could handle it.
"""

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import batched
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect

from async_storages.integrations.sqlalchemy import _greenlet
from async_storages.integrations.sqlalchemy.columns.tracked_file import TrackedFile
from async_storages.integrations.sqlalchemy.ledger.claims import Claims
from async_storages.integrations.sqlalchemy.ledger.connections import take_write_lock
from async_storages.integrations.sqlalchemy.ledger.crash_points import Step, reached
from async_storages.integrations.sqlalchemy.ledger.tables import label_of
from async_storages.integrations.sqlalchemy.references.column_locations import (
    ColumnLocation,
    locate_columns,
)
from async_storages.integrations.sqlalchemy.references.lookup import LookupResult, look_up_files
from async_storages.integrations.sqlalchemy.tracking import files_in_use
from async_storages.integrations.sqlalchemy.tracking.files_in_use import PendingLookup
from async_storages.integrations.sqlalchemy.tracking.lost_commits import wait_for_outcome
from async_storages.integrations.sqlalchemy.tracking.removal import logger, remove_files, report_kept
from async_storages.integrations.sqlalchemy.tracking.transaction_scope import TrackingOptions, TransactionScope

if TYPE_CHECKING:
    from sqlalchemy import Engine

__all__ = ["finish_transactions", "look_up_before_commit"]

_AT_A_TIME = 40
"""Number of files after which other tasks get a turn."""


def look_up_before_commit(scope: TransactionScope) -> None:
    """Look up the files of a transaction in the rows, on its own connections, which see its rows."""
    files = scope.files_to_look_up
    scope.pending_lookup = PendingLookup(files)
    result = LookupResult()
    if files and _greenlet.can_wait():
        if scope.has_flushed_rows_only and all(scope.is_surely_named(file) for file in files):
            result = LookupResult(named=set(files), engines=[each.engine for each in scope.locations])
        else:
            scope.refresh_locations()
            for connection, locations in scope.locations.items():
                result.add(look_up_files(connection, locations, files))
    scope.lookup_result = result


def finish_transactions(scopes: Iterable[TransactionScope], options: TrackingOptions) -> None:
    """Remove the files that ended transactions leave without a row, before the session continues.

    Raises:
        asyncio.CancelledError: The task was cancelled meanwhile. The work is finished nevertheless.
    """
    if options.claims is not None:
        _leave_to_worker(scopes, options.claims, options.removal_timeout)
        return
    busy = [scope for scope in scopes if not (scope.is_idle or _is_decided(scope))]
    if not busy:
        return
    if _greenlet.can_wait():
        _greenlet.wait_for(_greenlet.wait_uninterrupted(_finish(busy, options)))
    else:
        _log_left_files(busy)


def _is_decided(scope: TransactionScope) -> bool:
    """Return True if a commit has left nothing to remove. This is the usual case, and needs no coroutine."""
    result, lookup = scope.lookup_result, scope.pending_lookup
    if not scope.is_committed or result is None or lookup is None or scope.has_dropped:
        return False
    if not result.is_final or result.unsure or lookup.files - result.named:
        return False
    scope.mark_kept(scope.new_files)
    scope.postponed_removals = scope.release_files()
    return not scope.postponed_removals


# ---- with a ledger


def _leave_to_worker(scopes: Iterable[TransactionScope], claims: Claims, seconds: float) -> None:
    """Pass files without a sure reference to the ledger's worker. It does not wait for the end of their grace."""
    left: dict[str, str] = {}
    for scope in scopes:
        reached(Step.COMMITTED if scope.is_committed else Step.ROLLED_BACK)
        scope.release_files()
        named = {file.file_id for file in scope.new_files if scope.is_committed and scope.is_surely_named(file)}
        scope.mark_kept(file for file in scope.new_files if file.file_id in named)
        left |= {each: label for each, label in scope.intents.items() if each not in named}
        left |= {file.file_id: label_of(file.storage) for file in scope.new_files if file.file_id not in named}
    if left and _greenlet.is_in_async_session():
        _greenlet.wait_for(_greenlet.wait_uninterrupted(_leave(claims, left, seconds)))
    elif left:
        with _errors_logged():
            claims.expire_in_event(left)


async def _leave(claims: Claims, files: Mapping[str, str], seconds: float) -> None:
    with _errors_logged():
        async with asyncio.timeout(seconds):
            await claims.expire(files)


@contextmanager
def _errors_logged() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever the database says, the transaction has ended
        logger.warning("new files are left until the ledger's grace is over: %r", error)


# ---- without a ledger


def _log_left_files(scopes: Iterable[TransactionScope]) -> None:
    """Log the files that stay without a row: a plain Session removes none within a running event loop."""
    for scope in scopes:
        scope.release_files()
        named = [file for file in scope.new_files if scope.is_committed and scope.is_surely_named(file)]
        scope.mark_kept(named)
        for file in scope.new_files.keys() - named:
            logger.warning("a file that nothing names is left, as an event loop runs in this thread: %r", file.file_id)


async def _finish(scopes: Iterable[TransactionScope], options: TrackingOptions) -> None:
    for scope in scopes:
        postponed = [*scope.postponed_removals, *await _greenlet.spawn(scope.release_files)]
        try:
            async with asyncio.timeout(options.removal_timeout):
                await _remove_unnamed(scope, postponed, options)
        except TimeoutError:
            logger.warning("removing files after a transaction took longer than %s s", options.removal_timeout)


async def _remove_unnamed(
    scope: TransactionScope, postponed: Collection[TrackedFile], options: TrackingOptions
) -> None:
    try:
        unnamed = await _greenlet.spawn(_find_unnamed, scope, postponed)
    except BaseException as error:
        scope.mark_kept(scope.new_files)
        is_late = isinstance(error, asyncio.CancelledError)
        reason = "there was no time to ask the database" if is_late else "the database cannot be asked"
        report_kept([*scope.new_or_dropped, *postponed], f"{reason} about it ({error!r})")
        if isinstance(error, Exception):
            return
        raise
    for batch in batched(unnamed, _AT_A_TIME):
        removable = files_in_use.begin_removal(file for file in batch if not _is_kept(scope, file))
        scope.mark_removed(removable)
        try:
            await remove_files(removable, concurrency=options.concurrency)
        finally:
            files_in_use.end_removal(removable)
        await asyncio.sleep(0)


def _is_kept(scope: TransactionScope, file: TrackedFile) -> bool:
    return file in scope.new_files and scope.new_files[file].is_kept


def _find_unnamed(scope: TransactionScope, postponed: Iterable[TrackedFile]) -> list[TrackedFile]:
    """Return the files that no row names, as far as the database can tell."""
    if scope.is_committed:
        unnamed = [*_unnamed_at_commit(scope, postponed), *scope.exclusively_dropped]
    elif scope.lookup_result is not None:  # the COMMIT was sent, and its answer was lost
        _greenlet.wait_for(wait_for_outcome(scope.lookup_result))
        unnamed = _unnamed_now(scope, {*scope.new_or_dropped, *postponed}, is_uncertain=True)
    else:
        unnamed = _unnamed_now(scope, {*scope.new_files, *postponed})
    scope.mark_kept(scope.new_files.keys() - set(unnamed) if scope.new_files else ())
    return unnamed


def _unnamed_at_commit(scope: TransactionScope, postponed: Iterable[TrackedFile]) -> list[TrackedFile]:
    """Return the files that the lookup before the commit did not find, after a second lookup of doubtful ones."""
    result, lookup = scope.lookup_result, scope.pending_lookup
    if result is None or lookup is None:  # there was no connection that could commit
        return _unnamed_now(scope, {*scope.files_to_look_up, *postponed})
    _report_unsure(result)
    unnamed = [file for file in _greenlet.pace(lookup.files) if not result.should_keep(file)]
    doubtful = lookup.named_meanwhile if result.is_final else unnamed
    again = {*postponed, *(file for file in _greenlet.pace(doubtful) if not result.should_keep(file))}
    sure = [file for file in _greenlet.pace(unnamed) if file not in again]
    return [*sure, *_unnamed_now(scope, again), *_unnamed_since(scope, result)]


def _unnamed_since(scope: TransactionScope, result: LookupResult) -> list[TrackedFile]:
    """Return the dropped files that rows named before the commit, but that no row names now.

    Two transactions that drop the last two rows of a file see each other's row until both are committed. Each therefore
    searches again after its commit, and the later one finds no row.
    """
    dropped = (result.named - result.unsure).intersection(scope.new_or_dropped).difference(scope.new_files)
    if dropped and all(_sees_the_same(*each) for each in scope.locations.items()):
        return _unnamed_now(scope, dropped)
    return []


def _sees_the_same(connection: Connection, locations: Collection[ColumnLocation]) -> bool:
    """Return True if new connections find all rows that the session's found: the same tables, and no views.

    On SQLite it returns False: SQLite has one writer, so no other transaction has changed anything since the lookup.
    """
    if connection.dialect.name == "sqlite":
        return False
    with connection.engine.connect() as other:
        tables = {schema: inspect(other).get_table_names(schema) for schema in {each.schema for each in locations}}
        return set(locate_columns(other, [each.field for each in locations])) == locations and all(
            each.field.column.table.name in tables[each.schema] for each in locations
        )


def _unnamed_now(scope: TransactionScope, files: set[TrackedFile], *, is_uncertain: bool = False) -> list[TrackedFile]:
    """Return the files that a new lookup does not find. It is repeated for files that this process names meanwhile."""
    found: list[TrackedFile] = []
    while files:
        lookup = PendingLookup(files)
        result = _look_up_committed(scope, files, is_uncertain=is_uncertain)
        _report_unsure(result)
        unnamed = [file for file in _greenlet.pace(files) if not result.should_keep(file)]
        files = lookup.named_meanwhile.intersection(unnamed)
        found += [file for file in unnamed if file not in files]
    return found


def _report_unsure(result: LookupResult) -> None:
    report_kept(result.unsure - result.named, "rows may name it that this connection does not see")


def _look_up_committed(scope: TransactionScope, files: Collection[TrackedFile], is_uncertain: bool) -> LookupResult:
    """Look files up in new transactions, which see the committed rows."""
    by_engine: dict[Engine, set[ColumnLocation]] = {}
    for connection, locations in scope.locations.items():
        by_engine.setdefault(connection.engine, set()).update(locations)
    columns = {} if scope.find_columns is None else scope.find_columns(files)
    result = LookupResult()
    for engine in {**by_engine, **columns}:
        located = by_engine.get(engine, set())
        unlocated = set(columns.get(engine, ())) - {each.field for each in located}
        with engine.connect() as connection:
            connection.connection.rollback()  # after a commit that failed the pool may give the same connection again
            connection.begin()
            located = {*located, *locate_columns(connection, list(unlocated))}
            if is_uncertain and located:  # on SQLite, wait for whoever is still writing
                take_write_lock(connection, next(iter(located)).field.column.table)
            result.add(look_up_files(connection, located, files, is_locking=is_uncertain))
    if not result.engines:
        result.unsure.update(files)
    return result
