"""The requests of multipart uploads, one method each: what is sent for them, and what their answers mean.

`Multipart` makes whole uploads of them.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress

from async_storages.backends.buckets.errors import NoSuchUpload
from async_storages.backends.s3 import answers, digests
from async_storages.backends.s3.answers import CompletedPart
from async_storages.backends.s3.conditions import REPLACE, Creation
from async_storages.backends.s3.copy_source import CopySource, source_unchanged
from async_storages.backends.s3.failures import of_s3
from async_storages.backends.s3.object_writes import ObjectWrites
from async_storages.backends.s3.wire import Request, Wire
from async_storages.errors import FileNotFoundException, StorageException, StorageOperationException
from async_storages.upload_options import CustomerKey

__all__ = ["MultipartRequests"]


class MultipartRequests:
    """The part of `S3Requests` that is about multipart uploads.

    Args:
        wire: Addresses, signs and sends.
        writes: Sends what makes objects.
    """

    def __init__(self, wire: Wire, writes: ObjectWrites) -> None:
        self.wire = wire
        self._writes = writes

    async def create_multipart_upload(
        self,
        bucket: str,
        key: str,
        *,
        headers: Mapping[str, str],
        customer_key: CustomerKey | None = None,
        is_fresh: bool = False,
        checksum: bool = True,
    ) -> str:
        """Begin a multipart upload.

        Args:
            bucket: The target's.
            key: The target's.
            headers: Of the object: type, metadata, storage class …
            customer_key: What encrypts it, where that is not the server's key; each of its parts needs it as well.
            is_fresh: Whether nobody else uploads to this key: further uploads to it are aborted then, if the answer to
                their beginning was lost. They hold no part; else the bucket's lifecycle rule removes them.
            checksum: Whether the parts are kept with their CRC32, and named with it when they are put together.

        Returns:
            The upload's id.
        """
        sent = self.wire.body(b"")
        request = Request(
            method="POST",
            bucket=bucket,
            key=key,
            query={"uploads": ""},
            headers={**headers, **({"x-amz-checksum-algorithm": "CRC32"} if checksum else {})},
            body=sent,
            customer_key=customer_key,
        )
        try:
            upload_id = answers.parse_text((await self.wire.exchange(request)).body, "UploadId")
        except StorageOperationException:  # one may have begun all the same
            if is_fresh:
                await self._abort_all_but(bucket, key, None)
            raise
        if sent.times_sent > 1 and is_fresh:
            await self._abort_all_but(bucket, key, upload_id)
        return upload_id

    async def _abort_all_but(self, bucket: str, key: str, upload_id: str | None) -> None:
        """Abort the other uploads to a key, where that is possible."""
        with suppress(StorageException):
            for upload in await self.list_multipart_uploads(bucket, key):
                if upload[0] == key and upload[1] != upload_id:
                    await self.abort_multipart_upload(bucket, *upload)

    async def upload_part(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        number: int,
        body: bytes,
        *,
        checksum: bool = True,
        customer_key: CustomerKey | None = None,
    ) -> CompletedPart:
        """Upload one part, of 5 MiB to 5 GiB unless it is the last; `checksum` as when the upload was begun."""
        crc32 = digests.crc32(body) if checksum else None
        request = Request(
            method="PUT",
            bucket=bucket,
            key=key,
            query={"partNumber": str(number), "uploadId": upload_id},
            headers={"Content-MD5": digests.content_md5(body)} if crc32 is None else {"x-amz-checksum-crc32": crc32},
            body=self.wire.body(body),
            customer_key=customer_key,
        )
        answer = await self.wire.exchange(request)
        of_s3(answer.headers)
        if crc32 is not None:
            digests.expect_checksum(answer.headers, crc32)
        return CompletedPart(number, answer.headers.get("ETag", ""), answer.headers.get("x-amz-checksum-crc32"))

    async def upload_part_copy(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        number: int,
        *,
        source: CopySource,
        first: int,
        last: int,
        customer_key: CustomerKey | None = None,
    ) -> CompletedPart:
        """Copy the bytes `first` to `last` of an object as one part; raises FileChanged if it is another version."""
        request = Request(
            method="PUT",
            bucket=bucket,
            key=key,
            query={"partNumber": str(number), "uploadId": upload_id},
            headers={**source.headers, "x-amz-copy-source-range": f"bytes={first}-{last}"},
            body=self.wire.body(b""),
            customer_key=customer_key,
            source_key=source.customer_key,
            may_fail_late=True,
        )
        with source_unchanged(is_certain=True):
            answer = await self.wire.exchange(request)
        return answers.parse_copied_part(number, answer.body)

    async def complete_multipart_upload(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        parts: Iterable[CompletedPart],
        *,
        creation: Creation = REPLACE,
        customer_key: CustomerKey | None = None,
    ) -> None:
        """Put the parts together.

        Raises:
            FileExistsException: The key is taken.
            NoSuchUpload: It was aborted, or has expired.
        """
        ordered = sorted(parts, key=lambda part: part.number)
        etag = digests.etag_of_parts(ordered)
        sent = self.wire.body(answers.complete_multipart_body(ordered))
        request = Request(
            method="POST",
            bucket=bucket,
            key=key,
            query={"uploadId": upload_id},
            headers={"Content-Type": "application/xml"},
            body=sent,
            customer_key=customer_key,
            may_fail_late=True,
        )
        await self._writes.send("complete", request, sent, lambda found: digests.etag_in(found) == etag, creation)

    async def abort_multipart_upload(self, bucket: str, key: str, upload_id: str) -> None:
        """Give a multipart upload up and free its parts; one that is gone is no error."""
        request = Request(method="DELETE", bucket=bucket, key=key, query={"uploadId": upload_id})
        with suppress(FileNotFoundException, NoSuchUpload):
            await self.wire.exchange(request)

    async def has_multipart_upload(
        self, bucket: str, key: str, upload_id: str, *, customer_key: CustomerKey | None = None
    ) -> bool:
        """Whether an upload is open, as one may be that was aborted while its parts were under way."""
        query = {"uploadId": upload_id, "max-parts": "1"}
        request = Request(method="GET", bucket=bucket, key=key, query=query, customer_key=customer_key)
        try:
            await self.wire.exchange(request)
        except (FileNotFoundException, NoSuchUpload):
            return False
        return True

    async def list_multipart_uploads(self, bucket: str, prefix: str = "") -> list[tuple[str, str]]:
        """Key and id of the first 1000 open uploads to keys that begin with `prefix`."""
        query = {"uploads": "", "prefix": prefix, "encoding-type": "url"}
        return answers.parse_uploads((await self.wire.exchange(Request(method="GET", bucket=bucket, query=query))).body)
