"""What is done to files when transactions have ended. Nothing here fails: there is nobody left who could act on it."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from async_storages.integrations.sqlalchemy import _greenlet
from async_storages.integrations.sqlalchemy.frames import TrackedFile
from async_storages.integrations.sqlalchemy.ledger.claims import Claims, label_of
from async_storages.integrations.sqlalchemy.ledger.steps import Step, reached
from async_storages.integrations.sqlalchemy.levels import Level, Options
from async_storages.integrations.sqlalchemy.removal import logger, remove, still_named

__all__ = ["finish"]


def finish(levels: Iterable[Level], options: Options) -> None:
    """Remove what ended transactions leave behind, before anybody goes on.

    Raises:
        asyncio.CancelledError: The task was cancelled meanwhile; all has been done.
    """
    if options.claims is not None:
        _leave_to_worker(levels, options.claims, options.removal_timeout)
        return
    busy = []
    for level in levels:
        if level.frame.has_leftovers(committed=level.is_committed):
            busy.append(level)
        else:
            level.frame.end(committed=level.is_committed)
    if not busy:
        return
    if _greenlet.is_inside():
        _greenlet.wait_for(_greenlet.wait_to_the_end(_finish(busy, options)))
    else:
        _tell(busy)


def _leave_to_worker(levels: Iterable[Level], claims: Claims, seconds: float) -> None:
    """A ledger's worker finds out which files rows name; where none does, it need not wait for the grace."""
    left: dict[str, str] = {}
    for level in levels:
        reached(Step.COMMITTED if level.is_committed else Step.ROLLED_BACK)
        named = {file.file_id for file in level.frame.named_by_rows(committed=level.is_committed)}
        removed = level.frame.end(committed=level.is_committed)
        left |= {each: label for each, label in level.intents.items() if each not in named}
        left |= {file.file_id: label_of(file) for file in removed if file in level.frame.made}
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


def _tell(levels: Iterable[Level]) -> None:
    """A plain Session removes nothing."""
    for level in levels:
        for file in level.frame.end(committed=level.is_committed):
            logger.warning("a file that nothing names is left, a plain Session cannot remove it: %r", file.file_id)


async def _finish(levels: Iterable[Level], options: Options) -> None:
    for level in levels:
        try:
            async with asyncio.timeout(options.removal_timeout):
                await remove(await _unneeded(level), concurrency=options.concurrency)
        except TimeoutError:
            logger.warning("removing files after a transaction took longer than %s s", options.removal_timeout)


async def _unneeded(level: Level) -> list[TrackedFile]:
    frame, committed = level.frame, level.is_committed
    try:
        if level.is_uncertain and frame.named:
            committed = bool(await _greenlet.spawn(still_named, level.homes, frame.named))
    except BaseException as error:
        frame.leave()
        logger.warning("the files of a transaction stay, as nobody knows how it ended: %r", error)
        if isinstance(error, Exception):
            return []
        raise
    removed = frame.end(committed=committed)
    kept = await _shared(level, [file for file in removed if file in frame.shared])
    removed = [file for file in removed if file not in kept]
    frame.forget(removed)
    return removed


async def _shared(level: Level, files: list[TrackedFile]) -> set[TrackedFile]:
    """Those that other rows name as well, or may name as far as can be told."""
    try:
        return await _greenlet.spawn(still_named, level.shared_homes, files) if files else set()
    except Exception as error:  # noqa: BLE001 - whatever the database says
        logger.warning("shared files stay, as the rows that may name them cannot be read: %r", error)
        return set(files)
