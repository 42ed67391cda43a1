"""Copying a file of the old storage into the new one while it is read."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from types import TracebackType
from typing import Self

from async_storages._tasks import wait_out
from async_storages.backends.combined.transfer import content_of
from async_storages.backends.fallback.bringing import store_unless_deleted
from async_storages.errors import StorageException
from async_storages.ids import FileId
from async_storages.sources import CHUNK_SIZE
from async_storages.storage.base import Storage

__all__ = ["copied_while_read"]

logger = logging.getLogger("async_storages")

_CHUNKS = 4
"""The number of chunks that the copy may be behind the reader: 1 MiB."""

_PATIENCE = 15.0
"""Seconds that a reader waits for a copy without progress. Then the copy is aborted."""


async def copied_while_read(
    old: Storage, new: Storage, file: FileId, *, chunk_size: int = CHUNK_SIZE
) -> AsyncGenerator[bytes]:
    """Yield the bytes of the old storage's file, and store them in the new one by the end of the read.

    If the copy fails, it is logged and aborted, and the read continues. If the read stops before its end, the copy is
    aborted too. The new storage gets the whole file or nothing.

    Args:
        old: The storage with the file.
        new: The storage for the copy. A file that it has by then stays.
        file: The file.
        chunk_size: The largest size of a chunk in bytes.

    Raises:
        FileNotFoundException: The old storage does not have the file.
    """
    async with aclosing(old.stream(file, chunk_size=chunk_size)) as chunks:
        chunk = await anext(chunks, None)
        async with _Copy(old, new, file) as copy:
            while chunk is not None:
                await copy.take(chunk)
                yield chunk
                chunk = await anext(chunks, None)
            await copy.take(None)


class _Copy:
    """The task that stores the bytes of a reader."""

    def __init__(self, old: Storage, new: Storage, file: FileId) -> None:
        self._file = file
        self._chunks = asyncio.Queue[bytes | None](_CHUNKS)
        self._task = asyncio.create_task(self._store(old, new), name=f"copy of {file}")
        self._task.add_done_callback(self._log_failure)

    async def _store(self, old: Storage, new: Storage) -> None:
        info = await old.stat(self._file)
        await store_unless_deleted(old, new, self._file, content_of(info, self._taken(), new))

    async def _taken(self) -> AsyncGenerator[bytes]:
        while (chunk := await self._chunks.get()) is not None:
            yield chunk

    async def take(self, chunk: bytes | None) -> None:
        """Give a chunk to the copy. None is the end: wait until the copy is complete."""
        if self._task.done():
            return
        if chunk is not None and not self._chunks.full():
            self._chunks.put_nowait(chunk)
            return
        giving = asyncio.ensure_future(self._chunks.put(chunk))
        awaited = [self._task] if chunk is None else [self._task, giving]
        try:
            await asyncio.wait(awaited, timeout=_PATIENCE, return_when=asyncio.FIRST_COMPLETED)
            if not any(each.done() for each in awaited):
                logger.warning("%r is read without being copied, as that takes too long", str(self._file))
                self._task.cancel()
        finally:
            giving.cancel()
            if (cancelled := await wait_out(giving)) is not None:
                raise cancelled

    def _log_failure(self, task: asyncio.Task[None]) -> None:
        failure = None if task.cancelled() else task.exception()
        if failure is not None:
            is_expected = isinstance(failure, StorageException)
            logger.warning(
                "%r was read, but could not be copied: %s (%s)",
                str(self._file),
                failure,
                type(failure).__name__,
                exc_info=None if is_expected else failure,
            )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._task.cancel()
        if (cancelled := await wait_out(self._task)) is not None:
            raise cancelled
