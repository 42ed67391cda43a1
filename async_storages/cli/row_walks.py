"""Go through the rows of a file column for ``async-storages facts`` and ``verify``, and show the progress."""

import json
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from typing import Any, Protocol

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from sqlalchemy.exc import ArgumentError, InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import InstrumentedAttribute

from async_storages.cli.apps import imported
from async_storages.cli.printing import shown
from async_storages.cli.running import run
from async_storages.cli.units import counted
from async_storages.errors import InvalidArgumentException
from async_storages.integrations.sqlalchemy import FilledFacts, VerifiedFiles, fill_facts, verify_files

__all__ = ["as_json", "as_text", "fill_facts", "summary", "verify_files", "walk"]

_SHOWN = 10
"""Ids of each kind that the text lists."""


class Walk[Result](Protocol):
    """Goes through the rows of a file column, with its options."""

    def __call__(
        self,
        engine: AsyncEngine,
        attribute: InstrumentedAttribute[Any],
        /,
        *,
        on_progress: Callable[[Result], object],
    ) -> Coroutine[Any, Any, Result]:
        """Go through the rows of an attribute."""
        ...


def walk[Result](
    over: Walk[Result],
    attribute: str,
    database: str,
    *,
    summary: Callable[[Result], str],
    shows_progress: bool,
    how_to_go_on: Callable[[], str] | str = "run it again: what is done stays done",
) -> Result:
    """Go through the rows of a file column.

    Args:
        over: Goes through the rows.
        attribute: ``module:Class.attribute``.
        database: A URL, or ``module:engine``.
        summary: Returns the result in one line.
        shows_progress: True shows the summary so far on stderr.
        how_to_go_on: A sentence for a user who has stopped the command.

    Raises:
        InvalidArgumentException: There is no such attribute, or no such database.
    """
    found, engine = imported(attribute), _engine_of(database)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    console = Console(stderr=True)
    is_hidden = not (shows_progress and console.is_terminal)
    progress = Progress(*columns, console=console, disable=is_hidden, transient=True)
    with shown(progress):
        task = progress.add_task("0 rows")

        def show(done: Result) -> None:
            progress.update(task, description=summary(done))

        async def over_all() -> Result:
            try:
                return await over(engine, found, on_progress=show)
            finally:
                await engine.dispose()

        return run(over_all(), how_to_go_on)


def _engine_of(database: str) -> AsyncEngine:
    if "://" not in database:
        engine = imported(database)
        if not isinstance(engine, AsyncEngine):
            raise InvalidArgumentException(f"{database!r} is a {type(engine).__name__}, not an AsyncEngine")
        return engine
    try:
        return create_async_engine(database)
    except (ArgumentError, InvalidRequestError, ModuleNotFoundError) as error:
        raise InvalidArgumentException(f"the URL of the database cannot be used: {error}") from None


def as_json(done: FilledFacts | VerifiedFiles) -> str:
    """The result, for programs."""
    return json.dumps(asdict(done))


def as_text(done: FilledFacts | VerifiedFiles) -> str:
    """The result, for people."""
    missing = [f"missing: {file_id}" for file_id in done.missing]
    different = done.wrong if isinstance(done, VerifiedFiles) else {}
    wrong = [f"wrong: {file_id}: {what}" for file_id, what in different.items()]
    return "\n".join([summary(done), *missing[:_SHOWN], *wrong[:_SHOWN], *list(done.failed.values())[:_SHOWN]])


def summary(done: FilledFacts | VerifiedFiles) -> str:
    """The result in one line."""
    if isinstance(done, VerifiedFiles):
        counts = f"{done.right} right, {len(done.wrong)} wrong"
    else:
        counts = f"{done.filled} filled"
    missing = counted(len(done.missing), "file")
    return f"{counted(done.rows, 'row')} read, {counts}, {missing} missing, {len(done.failed)} failed"
