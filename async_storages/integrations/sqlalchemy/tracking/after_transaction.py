"""Asking the database about files before a commit, and removing after it those that no row names.

A file is removed only after the database has said that no row names it; where it cannot be asked, the file stays.
After the end nothing fails: there is nobody left who could act on it.
"""

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import batched
from typing import Any

from sqlalchemy import Engine, TextClause, text

from async_storages.integrations.sqlalchemy import _greenlet
from async_storages.integrations.sqlalchemy.columns.tracked_file import TrackedFile
from async_storages.integrations.sqlalchemy.ledger.claims import Claims, label_of
from async_storages.integrations.sqlalchemy.ledger.crash_points import Step, reached
from async_storages.integrations.sqlalchemy.ledger.databases import take_write_lock
from async_storages.integrations.sqlalchemy.references.column_locations import Location, locate
from async_storages.integrations.sqlalchemy.references.lookup import Answer, ask
from async_storages.integrations.sqlalchemy.tracking import files_in_use
from async_storages.integrations.sqlalchemy.tracking.files_in_use import Inquiry
from async_storages.integrations.sqlalchemy.tracking.removal import logger, remove, tell_kept
from async_storages.integrations.sqlalchemy.tracking.transaction import Options, Scope

__all__ = ["ask_before_commit", "finish"]

_AT_A_TIME = 40
"""Files between which others get their turn."""


def ask_before_commit(scope: Scope) -> None:
    """Ask which files of a transaction rows name, where its own rows are seen."""
    files = scope.questionable
    scope.inquiry = Inquiry(files)
    answer = Answer()
    if files and _greenlet.can_wait():
        if scope.is_undisturbed and all(scope.is_named_for_sure(file) for file in files):
            answer = Answer(named=set(files), engines=[each.engine for each in scope.located])
        else:
            scope.look_again()
            for connection, locations in scope.located.items():
                answer.add(ask(connection, locations, files))
    scope.answer = answer


def finish(scopes: Iterable[Scope], options: Options) -> None:
    """Remove what ended transactions leave behind, before anybody goes on.

    Raises:
        asyncio.CancelledError: The task was cancelled meanwhile; all has been done.
    """
    if options.claims is not None:
        _leave_to_worker(scopes, options.claims, options.removal_timeout)
        return
    busy = [scope for scope in scopes if not (scope.is_idle or _is_settled(scope))]
    if not busy:
        return
    if _greenlet.can_wait():
        _greenlet.wait_for(_greenlet.wait_to_the_end(_finish(busy, options)))
    else:
        _tell(busy)


def _is_settled(scope: Scope) -> bool:
    """True if a commit has left nothing to remove, as most do: nobody waits for those."""
    answer, inquiry = scope.answer, scope.inquiry
    if not scope.is_committed or answer is None or inquiry is None or scope.has_dropped:
        return False
    if not answer.is_final or answer.unsure or inquiry.files - answer.named:
        return False
    scope.keep(scope.made)
    scope.inherited = scope.let_go()
    return not scope.inherited


# ---- with a ledger


def _leave_to_worker(scopes: Iterable[Scope], claims: Claims, seconds: float) -> None:
    """A ledger's worker finds out which files rows name; where none does, it need not wait for the grace."""
    left: dict[str, str] = {}
    for scope in scopes:
        reached(Step.COMMITTED if scope.is_committed else Step.ROLLED_BACK)
        scope.let_go()
        named = {file.file_id for file in scope.made if scope.is_committed and scope.is_named_for_sure(file)}
        scope.keep(file for file in scope.made if file.file_id in named)
        left |= {each: label for each, label in scope.intents.items() if each not in named}
        left |= {file.file_id: label_of(file) for file in scope.made if file.file_id not in named}
    if left and _greenlet.is_inside():
        _greenlet.wait_for(_greenlet.wait_to_the_end(_leave(claims, left, seconds)))
    elif left:
        with _only_logged():
            claims.leave_now(left)


async def _leave(claims: Claims, files: Mapping[str, str], seconds: float) -> None:
    with _only_logged():
        async with asyncio.timeout(seconds):
            await claims.leave(files)


@contextmanager
def _only_logged() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever the database says, the transaction has ended
        logger.warning("new files are left until the ledger's grace is over: %r", error)


# ---- without


def _tell(scopes: Iterable[Scope]) -> None:
    """A plain Session removes nothing within a running event loop."""
    for scope in scopes:
        scope.let_go()
        named = [file for file in scope.made if scope.is_committed and scope.is_named_for_sure(file)]
        scope.keep(named)
        for file in scope.made.keys() - named:
            logger.warning("a file that nothing names is left, as an event loop runs in this thread: %r", file.file_id)


async def _finish(scopes: Iterable[Scope], options: Options) -> None:
    for scope in scopes:
        inherited = [*scope.inherited, *await _greenlet.spawn(scope.let_go)]
        try:
            async with asyncio.timeout(options.removal_timeout):
                await _remove_unnamed(scope, inherited, options)
        except TimeoutError:
            logger.warning("removing files after a transaction took longer than %s s", options.removal_timeout)


async def _remove_unnamed(scope: Scope, inherited: Collection[TrackedFile], options: Options) -> None:
    try:
        unnamed = await _greenlet.spawn(_unnamed, scope, inherited)
    except BaseException as error:
        scope.keep(scope.made)
        tell_kept([*scope.made_or_dropped, *inherited], f"the database cannot be asked about it ({error!r})")
        if isinstance(error, Exception):
            return
        raise
    for batch in batched(unnamed, _AT_A_TIME):
        taken = files_in_use.take(file for file in batch if not _is_kept(scope, file))
        scope.forget(taken)
        try:
            await remove(taken, concurrency=options.concurrency)
        finally:
            files_in_use.note_removed(taken)
        await asyncio.sleep(0)


def _is_kept(scope: Scope, file: TrackedFile) -> bool:
    return file in scope.made and scope.made[file].is_kept


def _unnamed(scope: Scope, inherited: Iterable[TrackedFile]) -> list[TrackedFile]:
    """The files that no row names, as far as the database can tell."""
    if scope.is_committed:
        removable = [*_unnamed_at_commit(scope, inherited), *scope.dropped_for_sure]
    elif scope.answer is not None:  # the COMMIT was sent, and nobody has heard the answer
        _greenlet.wait_for(_settled(scope.answer))
        removable = _unnamed_now(scope, {*scope.made_or_dropped, *inherited}, is_uncertain=True)
    else:
        removable = _unnamed_now(scope, {*scope.made, *inherited})
    scope.keep(scope.made.keys() - set(removable) if scope.made else ())
    return removable


def _unnamed_at_commit(scope: Scope, inherited: Iterable[TrackedFile]) -> list[TrackedFile]:
    """The answer given before the commit, without the files that others may have named since."""
    answer, inquiry = scope.answer, scope.inquiry
    if answer is None or inquiry is None:  # there was no connection that could commit
        return _unnamed_now(scope, {*scope.questionable, *inherited})
    _tell_unsure(answer)
    unnamed = [file for file in _greenlet.paced(inquiry.files) if not answer.keeps(file)]
    doubtful = inquiry.doubtful if answer.is_final else unnamed
    again = {*inherited, *(file for file in _greenlet.paced(doubtful) if not answer.keeps(file))}
    return [*(file for file in _greenlet.paced(unnamed) if file not in again), *_unnamed_now(scope, again)]


def _unnamed_now(scope: Scope, files: set[TrackedFile], *, is_uncertain: bool = False) -> list[TrackedFile]:
    """Ask anew, and again about those that transactions of this process have named meanwhile."""
    removable: list[TrackedFile] = []
    while files:
        inquiry = Inquiry(files)
        answer = _ask_anew(scope, files, is_uncertain=is_uncertain)
        _tell_unsure(answer)
        unnamed = [file for file in _greenlet.paced(files) if not answer.keeps(file)]
        files = inquiry.doubtful.intersection(unnamed)
        removable += [file for file in unnamed if file not in files]
    return removable


def _tell_unsure(answer: Answer) -> None:
    tell_kept(answer.unsure - answer.named, "rows may name it that this connection does not see")


def _ask_anew(scope: Scope, files: Collection[TrackedFile], is_uncertain: bool) -> Answer:
    """Ask in transactions of their own, which see what is committed."""
    located: dict[Engine, set[Location]] = {}
    for connection, locations in scope.located.items():
        located.setdefault(connection.engine, set()).update(locations)
    columns = {} if scope.columns is None else scope.columns(files)
    answer = Answer()
    for engine in {**located, **columns}:
        places = located.get(engine, set())
        unknown = set(columns.get(engine, ())) - {each.field for each in places}
        with engine.connect() as connection:
            connection.connection.rollback()  # after a commit that failed the pool may give the same connection again
            connection.begin()
            places = {*places, *locate(connection, list(unknown))}
            if is_uncertain and places:  # on SQLite, wait for whoever is still writing
                take_write_lock(connection, next(iter(places)).field.column.table)
            answer.add(ask(connection, places, files))
    if not answer.engines:
        answer.unsure.update(files)
    return answer


_NEXT = text("SELECT txid_current()")
"""The id of a transaction that begins now: each one that is under way has a lower id."""
_UNFINISHED = text("SELECT txid_snapshot_xmin(txid_current_snapshot()), EXISTS (SELECT FROM pg_prepared_xacts)")
"""The lowest id of a transaction that is under way, and whether somebody may finish one some day."""
_PAUSE = 0.05
"""Seconds between two looks at a server that is still committing."""


async def _settled(answer: Answer) -> None:
    """Wait until no server is still busy with a commit whose answer was lost.

    Raises:
        TimeoutError: The caller's time is over.
        _Unsettled: Nobody can tell.
    """
    if not answer.engines:
        raise _Unsettled
    for engine in answer.engines:
        if engine.dialect.name == "postgresql":
            await _settled_on(engine)
        elif engine.dialect.name != "sqlite":
            raise _Unsettled


async def _settled_on(engine: Engine) -> None:
    """Wait for the end of all transactions that are under way now: the lost one is among them, or has ended."""
    [following] = await _greenlet.spawn(_row, engine, _NEXT)
    lowest, is_prepared = await _greenlet.spawn(_row, engine, _UNFINISHED)
    while lowest < following and not is_prepared:
        await asyncio.sleep(_PAUSE)
        lowest, is_prepared = await _greenlet.spawn(_row, engine, _UNFINISHED)
    if is_prepared:  # it may be ours; somebody commits it some day, or rolls it back
        raise _Unsettled


class _Unsettled(Exception):
    """The database cannot be asked what became of a transaction."""


def _row(engine: Engine, query: TextClause) -> Any:
    with engine.connect() as connection:
        return connection.execute(query).one()
