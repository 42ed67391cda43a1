"""The requests of multipart uploads. Each has a method, which sends the request and interprets the answer.

`Multipart` builds whole uploads from them.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from async_storages.backends.buckets.server_errors import NoSuchUpload
from async_storages.backends.s3 import checksums, xml_messages
from async_storages.backends.s3.conditional_writes import REPLACE, Creation
from async_storages.backends.s3.copy_source import CopySource, source_unchanged
from async_storages.backends.s3.error_responses import require_etag
from async_storages.backends.s3.object_writes import ObjectWrites
from async_storages.backends.s3.wire import Request, Wire
from async_storages.backends.s3.xml_messages import UploadedPart
from async_storages.errors import FileNotFoundException, StorageException, StorageOperationException
from async_storages.upload_options import CustomerKey

__all__ = ["MultipartRequests"]


class MultipartRequests:
    """The multipart uploads of `S3ApiClient`.

    Args:
        wire: Addresses, signs and sends.
        writes: Sends the requests that make objects.
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
            bucket: The bucket of the new object.
            key: The key of the new object.
            headers: The headers of the object: type, metadata, storage class …
            customer_key: The customer's key that encrypts it. None for the server's key. Each part needs the key too.
            is_fresh: True if no other client uploads to this key. If an answer was lost, the client aborts the extra
                uploads to the key, which hold no part. If False, the bucket's lifecycle rule deletes them.
            checksum: True stores the parts with their CRC32, and sends it when they are put together.

        Returns:
            The id of the upload.
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
            upload_id = xml_messages.parse_text((await self.wire.exchange(request)).body, "UploadId")
        except StorageOperationException:  # the upload may have begun in spite of the error
            if is_fresh:
                await self._abort_all_but(bucket, key, None)
            raise
        if sent.times_sent > 1 and is_fresh:
            await self._abort_all_but(bucket, key, upload_id)
        return upload_id

    async def _abort_all_but(self, bucket: str, key: str, upload_id: str | None) -> None:
        """Abort the other uploads to a key, as far as possible."""
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
        body: bytes | Sequence[bytes],
        *,
        checksum: bool = True,
        customer_key: CustomerKey | None = None,
    ) -> UploadedPart:
        """Upload one part, of 5 MiB to 5 GiB unless it is the last. `checksum` is the same as at the beginning."""
        sent = self.wire.body(body)
        crc32 = await checksums.computed(checksums.crc32, sent) if checksum else None
        if crc32 is None:
            headers = {"Content-MD5": await checksums.computed(checksums.content_md5, sent)}
        else:
            headers = {"x-amz-checksum-crc32": crc32}
        request = Request(
            method="PUT",
            bucket=bucket,
            key=key,
            query={"partNumber": str(number), "uploadId": upload_id},
            headers=headers,
            body=sent,
            customer_key=customer_key,
        )
        answer = await self.wire.exchange(request)
        require_etag(answer.headers)
        if crc32 is not None:
            checksums.expect_checksum(answer.headers, crc32)
        return UploadedPart(number, answer.headers.get("ETag", ""), answer.headers.get("x-amz-checksum-crc32"))

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
    ) -> UploadedPart:
        """Copy the bytes `first` to `last` of an object as one part. Raises FileChanged for another version."""
        request = Request(
            method="PUT",
            bucket=bucket,
            key=key,
            query={"partNumber": str(number), "uploadId": upload_id},
            headers={**source.headers, "x-amz-copy-source-range": f"bytes={first}-{last}"},
            body=self.wire.body(b""),
            customer_key=customer_key,
            source_key=source.customer_key,
            can_fail_late=True,
        )
        with source_unchanged(is_certain=True):
            answer = await self.wire.exchange(request)
        return xml_messages.parse_copied_part(number, answer.body)

    async def complete_multipart_upload(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        parts: Iterable[UploadedPart],
        *,
        creation: Creation = REPLACE,
        customer_key: CustomerKey | None = None,
    ) -> str:
        """Put the parts together, and return the ETag of the object without quotes. Empty if the answer has none.

        Raises:
            FileExistsException: The key is taken.
            NoSuchUpload: The upload was aborted, or has expired.
        """
        ordered = sorted(parts, key=lambda part: part.number)
        etag = checksums.etag_of_parts(ordered)
        sent = self.wire.body(xml_messages.complete_multipart_body(ordered))
        request = Request(
            method="POST",
            bucket=bucket,
            key=key,
            query={"uploadId": upload_id},
            headers={"Content-Type": "application/xml"},
            body=sent,
            customer_key=customer_key,
            can_fail_late=True,
        )
        return (
            await self._writes.send("complete", request, sent, lambda found: checksums.etag_in(found) == etag, creation)
        ).etag

    async def abort_multipart_upload(self, bucket: str, key: str, upload_id: str) -> None:
        """Abort a multipart upload and free its parts. A missing upload is not an error."""
        request = Request(method="DELETE", bucket=bucket, key=key, query={"uploadId": upload_id})
        with suppress(FileNotFoundException, NoSuchUpload):
            await self.wire.exchange(request)

    async def has_multipart_upload(
        self, bucket: str, key: str, upload_id: str, *, customer_key: CustomerKey | None = None
    ) -> bool:
        """Return True if the upload is open. An aborted upload can be open if parts were being sent meanwhile."""
        query = {"uploadId": upload_id, "max-parts": "1"}
        request = Request(method="GET", bucket=bucket, key=key, query=query, customer_key=customer_key)
        try:
            await self.wire.exchange(request)
        except (FileNotFoundException, NoSuchUpload):
            return False
        return True

    async def list_multipart_uploads(self, bucket: str, prefix: str = "") -> list[tuple[str, str]]:
        """Return key and id of the first 1000 open uploads to keys that begin with `prefix`."""
        query = {"uploads": "", "prefix": prefix, "encoding-type": "url"}
        request = Request(method="GET", bucket=bucket, query=query)
        return xml_messages.parse_uploads((await self.wire.exchange(request)).body)
