"""Removing uploads that were not attached in time."""

import logging
from datetime import timedelta

from async_storages._tasks import pause
from async_storages.direct_uploads.pending_files import PendingFiles
from async_storages.errors import OperationNotSupportedException
from async_storages.ids import FileId
from async_storages.storage.base import Storage
from async_storages.storage.capabilities import SupportsList
from async_storages.storage.part_uploads import SupportsPartUploads

__all__ = ["ExpiredUploads"]

logger = logging.getLogger("async_storages")


class ExpiredUploads:
    """Removes expired pending files. It may run in several processes.

    Args:
        storage: The storage of the pending files.
        pending: Recognises the pending files.
    """

    def __init__(self, storage: Storage, pending: PendingFiles) -> None:
        self._storage = storage
        self._pending = pending

    async def remove(self) -> int:
        """Remove expired uploads, including uploads in parts, and return their number.

        Raises:
            OperationNotSupportedException: The storage cannot list its files.
        """
        storage, pending = self._storage, self._pending
        if not isinstance(storage, SupportsList):
            raise OperationNotSupportedException(f"{type(storage).__name__} cannot list its files")
        aborted = await self._abort_parts()
        listed = storage.list(pending.prefix)
        expired = [file_id async for info in listed if pending.is_over(file_id := FileId.parse(info.file_id))]
        await storage.delete_many(expired)
        return aborted + sum(not pending.is_claim(file_id) for file_id in expired)

    async def _abort_parts(self) -> int:
        if not isinstance(self._storage, SupportsPartUploads):
            return 0
        parts = self._storage.part_uploads
        expired = [each for each in await parts.unfinished(self._pending.prefix) if self._pending.is_over(each[0])]
        for file_id, upload_id in expired:
            await parts.abort(file_id, upload_id)
        return len(expired)

    async def run(self, interval: timedelta) -> None:
        """Call `remove` again and again, until the task is cancelled. It logs a failure and tries again later.

        Args:
            interval: The time between two calls. The first call is at once.
        """
        while True:
            try:
                await self.remove()
            except Exception as error:  # noqa: BLE001 - a storage may raise anything, and the next call may go well
                logger.warning("expired uploads could not be removed: %s (%s)", error, type(error).__name__)
            await pause(interval.total_seconds())
