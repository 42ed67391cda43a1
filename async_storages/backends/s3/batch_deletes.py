"""Deleting many files of one bucket, with as few requests as S3 allows."""

from collections.abc import Iterable
from itertools import batched
from typing import TYPE_CHECKING

from async_storages._tasks import map_bounded
from async_storages.errors import StorageException, during
from async_storages.ids import FileId
from async_storages.storage.base import FileName

if TYPE_CHECKING:
    from async_storages.backends.s3.storage import S3Storage

__all__ = ["delete_in_batches"]

_DELETED_AT_ONCE = 1000
"""The largest number of keys in one request: S3's limit."""


async def delete_in_batches(storage: "S3Storage", names: Iterable[FileName], *, concurrency: int) -> None:
    """Delete files. All are tried before the first failure is raised.

    Specified in the Amazon S3 API reference, DeleteObjects.

    Args:
        storage: The storage of the bucket.
        names: The files. Missing files are not an error.
        concurrency: The number of requests at a time.

    Raises:
        StorageException: The first failure.
    """
    keys: list[str] = []
    failures: list[StorageException] = []

    async def delete_batch(batch: tuple[str, ...]) -> None:
        try:
            await _delete_batch(storage, batch)
        except StorageException as error:
            failures.append(error)

    for name in names:
        try:
            with during("delete", str(name)):
                keys.append(storage.identify(name).key)
        except StorageException as error:
            failures.append(error)
    await map_bounded(delete_batch, batched(keys, _DELETED_AT_ONCE), limit=concurrency)
    if failures:
        raise failures[0]


async def _delete_batch(storage: "S3Storage", keys: tuple[str, ...]) -> None:
    bucket = str(storage.bucket)
    with storage.operation("delete"):
        failures = await storage._client.delete_objects(bucket, keys)  # noqa: SLF001
        for key, error in failures.items():
            error.file_id = str(FileId(storage.scheme, bucket, key))
            raise error
