"""Removal of files that no row names, and the log of those that stay."""

import asyncio
import logging
from collections.abc import Collection, Iterable

from async_storages._tasks import map_bounded
from async_storages.events import Operation
from async_storages.ids import FileId, is_fusion_id
from async_storages.integrations.sqlalchemy.columns.declared_variants import variants_declared_for
from async_storages.integrations.sqlalchemy.columns.tracked_file import TrackedFile
from async_storages.variants.removal import delete_with_variants

__all__ = ["logger", "remove_files", "report_kept"]

logger = logging.getLogger("async_storages")


async def remove_files(files: Collection[TrackedFile], *, concurrency: int) -> None:
    """Remove files. A failure becomes an event and a log line, because no caller could handle it."""
    left = set(files)

    async def attempt(file: TrackedFile) -> None:
        try:
            with Operation("remove", *_scheme_and_bucket(file)):
                storage = file.stored.storage
                await delete_with_variants(storage, file.file_id, variants_declared_for(storage, file.file_id))
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


def report_kept(files: Iterable[TrackedFile], reason: str) -> None:
    """Report files that stay although possibly no row names them, by an event and a log line each."""
    for file in files:
        with Operation("keep", *_scheme_and_bucket(file)):
            logger.warning("a file that may be unreferenced stays, as %s: %r", reason, file.file_id)
