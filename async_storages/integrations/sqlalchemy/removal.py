"""Removing files when a transaction has ended, and looking first whether a row names them."""

import asyncio
import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import batched
from typing import Any

from sqlalchemy import Column, Engine

from async_storages._tasks import map_bounded
from async_storages.events import Operation
from async_storages.ids import FileId, is_fusion_id
from async_storages.integrations.sqlalchemy.file_columns import bare_key, file_type
from async_storages.integrations.sqlalchemy.frames import TrackedFile
from async_storages.integrations.sqlalchemy.queries import ids_named

__all__ = ["Home", "logger", "remove", "still_named"]

logger = logging.getLogger("async_storages")

_ASKED = 500
"""Ids looked for by one statement."""


@dataclass(frozen=True, slots=True)
class Home:
    """A column that may name a file, and the database it is in."""

    engine: Engine
    column: Column[Any]


def still_named(homes: Iterable[Home], files: Collection[TrackedFile]) -> set[TrackedFile]:
    """Those of the files that a committed row names, by the full id or, as old rows may, by the bare key."""
    named: set[TrackedFile] = set()
    for home in homes:
        spelled = _spelled(home.column, files)
        with home.engine.connect() as connection:
            connection.connection.rollback()  # after a commit that failed the pool may give the same connection again
            for batch in batched(sorted(spelled), _ASKED):
                found = connection.scalars(ids_named(home.column, batch, home.engine.dialect.name))
                named.update(file for each in found for file in spelled.get(each, ()))
    return named


def _spelled(column: Column[Any], files: Iterable[TrackedFile]) -> dict[str, list[TrackedFile]]:
    type_, spelled = file_type(column.type), dict[str, list[TrackedFile]]()
    for file in files:
        for each in {file.file_id, file.file_id if type_ is None else bare_key(type_, file.file_id)}:
            spelled.setdefault(each, []).append(file)
    return spelled


async def remove(files: Collection[TrackedFile], *, concurrency: int) -> None:
    """Remove files; a failure is an event and a log line, as there is nobody left who could act on it."""
    left = set(files)

    async def attempt(file: TrackedFile) -> None:
        try:
            with Operation("remove", *_scheme_and_bucket(file)):
                await file.stored.storage.delete(file.file_id)
        except Exception as error:  # noqa: BLE001 - the transaction has ended, and a storage may raise anything
            logger.warning("a file that nothing names is left: %s (%s)", error, type(error).__name__)
        left.discard(file)

    try:
        await map_bounded(attempt, files, limit=concurrency)
    except asyncio.CancelledError:  # there was no more time
        for file in left:
            logger.warning("a file that nothing names is left, there was no time to remove it: %r", file.file_id)
        raise


def _scheme_and_bucket(file: TrackedFile) -> tuple[str, str | None]:
    if file.address is not None:
        return file.address.scheme, file.address.bucket
    scheme = FileId.parse(file.file_id).scheme if is_fusion_id(file.file_id) else "unknown"
    return scheme, None
