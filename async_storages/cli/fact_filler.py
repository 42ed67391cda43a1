"""``async-storages facts``: `fill_facts` with a progress display."""

import asyncio
import json
import sys
from dataclasses import asdict
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from async_storages.errors import InvalidArgumentException

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from async_storages.integrations.sqlalchemy import FilledFacts

__all__ = ["as_json", "as_text", "run"]

_SHOWN = 10
"""Ids that the text lists."""


def run(
    attribute: str, database: str, *, batch: int, concurrency: int, every: bool, shows_progress: bool
) -> "FilledFacts":
    """Fill the facts of one column; see `fill_facts`.

    Args:
        attribute: ``module:Class.attribute``.
        database: A URL, or ``module:engine``.
        batch: Rows at a time.
        concurrency: Files that are asked for at once.
        every: Ask for rows that have their facts, too.
        shows_progress: Show the number of rows on stderr, meanwhile.

    Raises:
        InvalidArgumentException: There is no such attribute, or no such database.
    """
    from async_storages.integrations.sqlalchemy import fill_facts  # noqa: PLC0415 - other commands work without it

    found, engine = _imported(attribute), _engine_of(database)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    console = Console(stderr=True)
    is_hidden = not (shows_progress and console.is_terminal)
    with Progress(*columns, console=console, disable=is_hidden, transient=True) as progress:
        task = progress.add_task("0 rows")

        def show(done: "FilledFacts") -> None:
            progress.update(task, description=f"{done.rows} rows, {done.filled} filled")

        async def fill() -> "FilledFacts":
            try:
                return await fill_facts(
                    engine, found, batch=batch, concurrency=concurrency, every=every, on_progress=show
                )
            finally:
                await engine.dispose()

        return asyncio.run(fill())


def _engine_of(database: str) -> "AsyncEngine":
    from sqlalchemy.exc import ArgumentError, InvalidRequestError  # noqa: PLC0415 - see `run`
    from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine  # noqa: PLC0415

    if "://" not in database:
        engine = _imported(database)
        if not isinstance(engine, AsyncEngine):
            raise InvalidArgumentException(f"{database!r} is a {type(engine).__name__}, not an AsyncEngine")
        return engine
    try:
        return create_async_engine(database)
    except (ArgumentError, InvalidRequestError, ModuleNotFoundError) as error:
        raise InvalidArgumentException(f"the URL of the database cannot be used: {error}") from None


def _imported(path: str) -> Any:
    """The object at ``module:name.name``, which may be in the current folder."""
    module, separator, names = path.partition(":")
    if not (separator and module and names):
        raise InvalidArgumentException(f"{path!r} is not of the form module:name, such as shop.models:Product.photo")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        return attrgetter(names)(import_module(module))
    except (ImportError, AttributeError) as error:
        raise InvalidArgumentException(f"{path!r} cannot be imported: {error}") from error


def as_json(done: "FilledFacts") -> str:
    """The result, for programs."""
    return json.dumps(asdict(done))


def as_text(done: "FilledFacts") -> str:
    """The result, for people."""
    troubles = f"{len(done.missing)} files missing, {len(done.failed)} failed"
    missing = [f"missing: {file_id}" for file_id in done.missing]
    lines = [*missing[:_SHOWN], *list(done.failed.values())[:_SHOWN]]
    return "\n".join([f"{done.rows} rows read, {done.filled} filled, {troubles}", *lines])
