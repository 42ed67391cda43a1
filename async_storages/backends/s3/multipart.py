"""Large uploads in parts: a few in flight, bounded memory, nothing left open when they fail."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from itertools import count, repeat

from async_storages._tasks import map_bounded
from async_storages.backends.cleanup import begun
from async_storages.backends.cutting import Parts
from async_storages.backends.s3.answers import Part
from async_storages.backends.s3.client import CopySource, S3Client
from async_storages.errors import FileTooLargeException
from async_storages.upload_options import CustomerKey

__all__ = ["IN_FLIGHT", "MAX_PARTS", "PART_SIZE", "Multipart", "part_sizes"]

PART_SIZE = 8 << 20
"""Bytes of a part, unless there would be too many of them; what is no larger is uploaded in one request."""

IN_FLIGHT = 3
"""Parts that are in memory at once: those on their way, and the one being filled."""

MAX_PARTS = 10_000
"""The most that S3 takes."""

_LARGEST = 5 << 40
_COPIED_AT_ONCE = 1 << 30


def part_sizes(size: int | None) -> Iterator[int]:
    """Bytes of each part of an upload of `size` bytes, without end; for unknown sizes they double every 1000 parts.

    Either way `MAX_PARTS` of them hold the 5 TiB that S3 stores, and are whole MiB.

    Raises:
        FileTooLargeException: It is more than that.
    """
    if size is None:
        return (PART_SIZE << (number // 1000) for number in range(MAX_PARTS))
    if size > _LARGEST:
        raise FileTooLargeException("larger than the 5 TiB that S3 stores")
    return repeat(max(PART_SIZE, -(-size // (MAX_PARTS << 20)) << 20))


class Multipart:
    """One multipart upload, from its beginning to its completion, or without a trace.

    Args:
        client: Sends it.
        bucket: The target's.
        key: The target's.
        headers: Of the object: type, metadata, storage class …
        customer_key: What encrypts it, where that is not the server's key.
        overwrite: False refuses a key that is taken, when the parts are put together.
    """

    def __init__(
        self,
        client: S3Client,
        bucket: str,
        key: str,
        *,
        headers: Mapping[str, str],
        customer_key: CustomerKey | None = None,
        overwrite: bool,
    ) -> None:
        self._client = client
        self._target = (bucket, key)
        self._headers = headers
        self._customer_key = customer_key
        self._overwrite = overwrite

    async def upload(self, parts: Parts) -> None:
        """Upload parts that come one by one.

        Raises:
            Exception: Whatever `parts` or a request raised. The upload is aborted then, also when cancelled; where
                that fails too, the first error is the one that surfaces, and the bucket's lifecycle rule cleans up.
        """
        async with self._begun() as upload_id:
            await self._complete(upload_id, await self._send(upload_id, parts))

    async def copy(self, source: CopySource, size: int) -> None:
        """Copy an object of `size` bytes on the server; raises as `upload` does."""
        part_size = max(_COPIED_AT_ONCE, next(part_sizes(size)))

        async def copy_part(numbered: tuple[int, int]) -> Part:
            number, first = numbered
            last = min(first + part_size, size) - 1
            return await self._client.upload_part_copy(
                *self._target,
                upload_id,
                number,
                source=source,
                first=first,
                last=last,
                customer_key=self._customer_key,
            )

        async with self._begun() as upload_id:
            copied = await map_bounded(copy_part, enumerate(range(0, size, part_size), 1), limit=IN_FLIGHT)
            await self._complete(upload_id, copied)

    def _begun(self) -> AbstractAsyncContextManager[str]:
        """The id of an upload that is aborted where the block is left by an error."""
        return begun(
            self._client.create_multipart_upload(
                *self._target, headers=self._headers, customer_key=self._customer_key, overwrite=self._overwrite
            ),
            lambda upload_id: self._client.abort_multipart_upload(*self._target, upload_id),
            within=self._client.wire.options.cleanup_timeout,
        )

    async def _send(self, upload_id: str, parts: Parts) -> list[Part]:
        sent: list[Part] = []
        free = asyncio.Semaphore(IN_FLIGHT)

        async def send(number: int, body: bytes) -> None:
            part = await self._client.upload_part(
                *self._target, upload_id, number, body, customer_key=self._customer_key
            )
            sent.append(part)
            free.release()

        failure = None
        try:
            async with asyncio.TaskGroup() as group:
                for number in count(1):
                    await free.acquire()
                    if not (body := await parts.next()):
                        break
                    group.create_task(send(number, body))
                    del body
        except BaseExceptionGroup as failures:
            failure = failures.exceptions[0]
        if failure is not None:  # raised out here it keeps its own cause and context
            raise failure
        return sent

    async def _complete(self, upload_id: str, parts: list[Part]) -> None:
        await self._client.complete_multipart_upload(
            *self._target, upload_id, parts, overwrite=self._overwrite, customer_key=self._customer_key
        )
