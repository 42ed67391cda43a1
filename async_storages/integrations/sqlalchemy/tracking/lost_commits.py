"""Commits that were sent but never answered: wait until the server has decided about them."""

import asyncio
from typing import Any

from sqlalchemy import Engine, TextClause, text

from async_storages.integrations.sqlalchemy import _greenlet
from async_storages.integrations.sqlalchemy.columns.database_types import MYSQL_DIALECTS
from async_storages.integrations.sqlalchemy.references.lookup import LookupResult

__all__ = ["wait_for_outcome"]

_NEXT = text("SELECT txid_current()")
"""The id of a transaction that begins now. All running transactions have lower ids."""
_UNFINISHED = text("SELECT txid_snapshot_xmin(txid_current_snapshot()), EXISTS (SELECT FROM pg_prepared_xacts)")
"""The lowest id of a running transaction, and true if there is a prepared one, which may end at any later time."""
_PAUSE = 0.05
"""Seconds between two queries to a server that is still committing."""


async def wait_for_outcome(result: LookupResult) -> None:
    """Wait until no server is still busy with a commit whose answer was lost.

    Args:
        result: The lookup before that commit. It knows the engines.

    Raises:
        TimeoutError: The caller's time is over.
        _UnknownOutcome: The database cannot tell.
    """
    if not result.engines:
        raise _UnknownOutcome
    for engine in result.engines:
        if engine.dialect.name == "postgresql":
            await _wait_for_postgresql(engine)
        elif engine.dialect.name not in {"sqlite", *MYSQL_DIALECTS}:  # both wait for locks afterwards
            raise _UnknownOutcome


async def _wait_for_postgresql(engine: Engine) -> None:
    """Wait for the end of all transactions that run now. The lost one is among them, or has ended."""
    [following] = await _greenlet.spawn(_row, engine, _NEXT)
    lowest, is_prepared = await _greenlet.spawn(_row, engine, _UNFINISHED)
    while lowest < following and not is_prepared:
        await asyncio.sleep(_PAUSE)
        lowest, is_prepared = await _greenlet.spawn(_row, engine, _UNFINISHED)
    if is_prepared:  # it may be ours; somebody commits it some day, or rolls it back
        raise _UnknownOutcome


class _UnknownOutcome(Exception):
    """The database cannot tell if a transaction was committed."""


def _row(engine: Engine, query: TextClause) -> Any:
    with engine.connect() as connection:
        return connection.execute(query).one()
