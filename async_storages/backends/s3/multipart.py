"""Large uploads in parts. A few parts are sent at once, memory is limited, and failed uploads are aborted."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from itertools import count

from async_storages._cleanup import begun
from async_storages._tasks import map_bounded
from async_storages.backends.buckets.part_splitter import PartSplitter
from async_storages.backends.s3.api_client import S3ApiClient
from async_storages.backends.s3.conditional_writes import Creation
from async_storages.backends.s3.copy_source import CopySource
from async_storages.backends.s3.part_sizes import part_sizes
from async_storages.backends.s3.xml_messages import UploadedPart
from async_storages.errors import StorageException
from async_storages.upload_options import CustomerKey

__all__ = ["IN_FLIGHT", "Multipart"]

IN_FLIGHT = 3
"""The number of parts in memory at once: those that are being sent, and the one that is being filled."""

_COPIED_AT_ONCE = 1 << 30

_ABORTS = 5
"""The largest number of attempts to abort an upload."""


class Multipart:
    """One multipart upload. It is completed, or aborted without a trace.

    Args:
        client: Sends the requests.
        bucket: The bucket of the new object.
        key: The key of the new object.
        headers: The headers of the object: type, metadata, storage class …
        customer_key: The customer's key that encrypts it. None for the server's key.
        creation: The treatment of an existing object when the parts are put together.
        checks: Called before the parts are put together. An exception aborts the upload.
    """

    def __init__(
        self,
        client: S3ApiClient,
        bucket: str,
        key: str,
        *,
        headers: Mapping[str, str],
        customer_key: CustomerKey | None = None,
        creation: Creation,
        checks: Iterable[Callable[[], Awaitable[None]]] = (),
    ) -> None:
        self._client = client
        self._target = (bucket, key)
        self._headers = headers
        self._customer_key = customer_key
        self._creation = creation
        self._checks = tuple(checks)
        self._unanswered = 0

    async def upload(self, parts: PartSplitter) -> str:
        """Upload parts one by one, and return the ETag of the object without quotes. Empty if the answer has none.

        Raises:
            Exception: The error of `parts` or of a request. The upload is then aborted, also when cancelled. If the
                abort fails too, the first error is raised, and the bucket's lifecycle rule cleans up.
        """
        async with self._begun() as upload_id:
            return await self._complete(upload_id, await self._send(upload_id, parts))

    async def copy(self, source: CopySource, size: int) -> None:
        """Copy an object of `size` bytes on the server. Raises as `upload` does."""
        part_size = next(part_sizes(size, part_size=_COPIED_AT_ONCE))

        async def copy_part(numbered: tuple[int, int]) -> UploadedPart:
            number, first = numbered
            last = min(first + part_size, size) - 1
            return await self._answered(
                self._client.upload_part_copy(
                    *self._target,
                    upload_id,
                    number,
                    source=source,
                    first=first,
                    last=last,
                    customer_key=self._customer_key,
                )
            )

        async with self._begun() as upload_id:
            copied = await map_bounded(copy_part, enumerate(range(0, size, part_size), 1), limit=IN_FLIGHT)
            await self._complete(upload_id, copied)

    def _begun(self) -> AbstractAsyncContextManager[str]:
        """Begin an upload and return its id. Abort it if the block fails."""
        is_fresh = self._creation.is_fresh
        return begun(
            self._client.create_multipart_upload(
                *self._target, headers=self._headers, customer_key=self._customer_key, is_fresh=is_fresh
            ),
            self._abort,
            within=self._client.wire.options.cleanup_timeout,
        )

    async def _answered(self, sending: Awaitable[UploadedPart]) -> UploadedPart:
        """Wait for the answer of a part and return the part. Count the parts without an answer."""
        self._unanswered += 1
        part = await sending
        self._unanswered -= 1
        return part

    async def _abort(self, upload_id: str) -> None:
        """Abort the upload. Repeat it if the server stored a part afterwards.

        Specified in the Amazon S3 API reference, AbortMultipartUpload: "it might be necessary to abort a given
        multipart upload multiple times".
        """
        await self._client.abort_multipart_upload(*self._target, upload_id)
        retries = self._client.wire.options.retries
        for attempt in range(1, _ABORTS if self._unanswered else 0):
            with suppress(StorageException):  # a user who may upload may lack the permission to ask
                if await self._client.has_multipart_upload(*self._target, upload_id, customer_key=self._customer_key):
                    await self._client.abort_multipart_upload(*self._target, upload_id)
                    await retries.pause(attempt)
                    continue
            return

    async def _send(self, upload_id: str, parts: PartSplitter) -> list[UploadedPart]:
        sent: list[UploadedPart] = []
        free = asyncio.Semaphore(IN_FLIGHT)

        async def send(number: int, body: list[bytes]) -> None:
            part = self._client.upload_part(*self._target, upload_id, number, body, customer_key=self._customer_key)
            sent.append(await self._answered(part))
            free.release()

        failure = None
        try:
            async with asyncio.TaskGroup() as group:
                for number in count(1):
                    await free.acquire()
                    if not (body := await parts.next_pieces()):
                        break
                    group.create_task(send(number, body))
                    del body
        except BaseExceptionGroup as failures:
            failure = failures.exceptions[0]
        if failure is not None:  # raised out here it keeps its own cause and context
            raise failure
        return sent

    async def _complete(self, upload_id: str, parts: list[UploadedPart]) -> str:
        for check in self._checks:
            await check()
        return await self._client.complete_multipart_upload(
            *self._target, upload_id, parts, creation=self._creation, customer_key=self._customer_key
        )
