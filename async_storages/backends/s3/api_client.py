"""The operations of S3. Each has a method, which sends the request and interprets the answer.

The client knows buckets and keys, not file ids. Every body is bytes, so that every request can be repeated.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from multidict import CIMultiDict

from async_storages.backends.buckets.download import received, size_answered
from async_storages.backends.buckets.server_errors import RangeBeyondEnd
from async_storages.backends.s3 import checksums, xml_messages
from async_storages.backends.s3.conditional_writes import REPLACE, ConditionalWrites, Conditions, Creation
from async_storages.backends.s3.copy_source import CopySource, source_unchanged
from async_storages.backends.s3.credentials import CredentialSource
from async_storages.backends.s3.download import WITH_CHECKSUM, S3Download
from async_storages.backends.s3.error_responses import ErrorResponse, require_etag
from async_storages.backends.s3.multipart_requests import MultipartRequests
from async_storages.backends.s3.object_writes import Made, ObjectWrites
from async_storages.backends.s3.wire import Request, Wire
from async_storages.backends.s3.xml_messages import Listing
from async_storages.backends.transport.response import Response
from async_storages.errors import FileNotFoundException, StorageException
from async_storages.sources import CHUNK_SIZE
from async_storages.upload_options import CustomerKey

__all__ = ["CopySource", "S3ApiClient"]

type Headers = Mapping[str, str]


class S3ApiClient(MultipartRequests):
    """Sends S3's requests to one server.

    Args:
        credentials: The source of the access key.
        conditional_writes: The server's treatment of conditions: see `Conditions`.
        **options: See `Wire`.

    Attributes:
        wire: Addresses, signs and sends.
        conditions: The server's treatment of conditions, as far as it is known.
    """

    def __init__(
        self, credentials: CredentialSource, *, conditional_writes: ConditionalWrites = "auto", **options: Any
    ) -> None:
        wire = Wire(credentials, **options)
        self.conditions = Conditions(conditional_writes, lambda bucket: wire.endpoint(bucket).is_aws)
        super().__init__(wire, ObjectWrites(wire, self.conditions))

    async def aclose(self) -> None:
        """Close the connections of the running loop."""
        await self.wire.aclose()

    # ---- objects

    async def put_object(
        self,
        bucket: str,
        key: str,
        body: bytes | Sequence[bytes],
        *,
        headers: Headers,
        customer_key: CustomerKey | None = None,
        creation: Creation = REPLACE,
    ) -> str:
        """Store an object of up to 5 GiB, and return its ETag without quotes.

        Raises:
            FileExistsException: The key is taken.
            ChecksumMismatchException: The server received other bytes.
        """
        sent = self.wire.body(body)
        checksum = await checksums.computed(checksums.crc32, sent)
        request = Request(
            method="PUT",
            bucket=bucket,
            key=key,
            headers={**headers, "x-amz-checksum-crc32": checksum, **_checksum_for_lock(headers)},
            body=sent,
            customer_key=customer_key,
        )

        def is_done_by(found: Headers) -> bool:
            is_same = (
                found.get("x-amz-checksum-crc32") == checksum
                or checksums.etag_in(found) == checksums.md5(sent.pieces).hex()
            )
            return (
                is_same
                and found.get("Content-Length", str(sent.size)) == str(sent.size)
                and _metadata_in(found) == _metadata_in(headers)
            )

        made = await self._writes.send("put", request, sent, is_done_by, creation)
        checksums.expect_checksum(require_etag(made.headers), checksum)
        return made.etag

    async def head_object(self, bucket: str, key: str, *, customer_key: CustomerKey | None = None) -> Headers:
        """Return the headers of an object. Raises FileNotFoundException if the object does not exist."""
        wanted = WITH_CHECKSUM if self.wire.reads_checksums else {}
        request = Request(method="HEAD", bucket=bucket, key=key, headers=wanted, customer_key=customer_key)
        return require_etag((await self.wire.exchange(request)).headers)

    async def object_size(self, bucket: str, key: str, *, customer_key: CustomerKey | None = None) -> int:
        """Return the size of an object in bytes, from a request for one byte, if HEAD does not tell it.

        Raises:
            FileNotFoundException: There is no such object.
            StorageOperationException: The server does not tell the size here either.
        """
        range_ = {"Range": "bytes=0-0"}
        request = Request(method="GET", bucket=bucket, key=key, headers=range_, customer_key=customer_key)
        try:
            response = await self.wire.open(request)
        except RangeBeyondEnd:
            return 0
        response.close()  # a server that ignores ranges sends the whole object
        return size_answered(response.status, response.headers)

    async def head_sized_object(self, bucket: str, key: str, *, customer_key: CustomerKey | None = None) -> Headers:
        """Return the headers of an object with its Content-Length, also if the server's HEAD leaves it out."""
        found = await self.head_object(bucket, key, customer_key=customer_key)
        if "Content-Length" in found:
            return found
        sized = CIMultiDict(found)
        sized["Content-Length"] = str(await self.object_size(bucket, key, customer_key=customer_key))
        return sized

    def get_object(
        self,
        bucket: str,
        key: str,
        offset: int = 0,
        length: int | None = None,
        *,
        chunk_size: int = CHUNK_SIZE,
        customer_key: CustomerKey | None = None,
    ) -> AsyncGenerator[bytes]:
        """Yield the bytes of an object, or of one range of it.

        If the connection breaks, the download of the same version resumes on another one.

        Args:
            bucket: The bucket.
            key: The key.
            offset: The first byte. A negative offset counts from the end.
            length: The largest number of bytes, at least 1. None reads to the end. Must be None with a negative offset.
            chunk_size: The largest size of a chunk in bytes.
            customer_key: The customer's key that encrypts it. None for the server's key.

        Raises:
            FileNotFoundException: There is no such object.
            RangeBeyondEnd: The object is shorter.
            FileChanged: The object was replaced meanwhile.
            ChecksumMismatchException: The bytes differ from the stored CRC32.
            StorageUnavailableException: The connection kept breaking before a byte came.
        """
        download = S3Download(offset, length)

        def ask() -> Awaitable[Response]:
            request = Request(
                method="GET", bucket=bucket, key=key, headers=download.headers(), customer_key=customer_key
            )
            return self.wire.open(request)

        retries, slots = self.wire.options.retries, self.wire.download_slots
        return received(download, ask, retries=retries, chunk_size=chunk_size, slots=slots)

    async def delete_object(self, bucket: str, key: str) -> None:
        """Delete an object. A missing object is not an error."""
        with suppress(FileNotFoundException):  # some servers say so
            await self.wire.exchange(Request(method="DELETE", bucket=bucket, key=key))

    async def delete_objects(self, bucket: str, keys: Sequence[str]) -> dict[str, StorageException]:
        """Delete up to 1000 objects at once. Return the failures by key."""
        retries = self.wire.options.retries
        errors: dict[str, StorageException] = {}
        for attempt in range(1, retries.attempts + 1):
            failures = await self._delete_objects(bucket, keys)
            errors |= {key: failure.error() for key, failure in failures.items()}
            keys = [key for key, failure in failures.items() if failure.can_pass and attempt < retries.attempts]
            if not keys:
                break
            for key in keys:
                del errors[key]
            await retries.pause(attempt)
        return errors

    async def _delete_objects(self, bucket: str, keys: Iterable[str]) -> dict[str, ErrorResponse]:
        body = xml_messages.delete_objects_body(keys)
        headers = {"Content-MD5": checksums.content_md5([body]), "Content-Type": "application/xml"}
        request = Request(
            method="POST", bucket=bucket, query={"delete": ""}, headers=headers, body=self.wire.body(body)
        )
        return xml_messages.parse_delete_result((await self.wire.exchange(request)).body)

    async def copy_object(
        self,
        bucket: str,
        key: str,
        source: CopySource,
        *,
        headers: Headers | None = None,
        customer_key: CustomerKey | None = None,
        creation: Creation = REPLACE,
        is_done_by: Callable[[Headers], bool],
    ) -> Made:
        """Copy an object of up to 5 GiB on the server.

        Args:
            bucket: The bucket of the copy.
            key: The key of the copy.
            source: The version to copy.
            headers: Headers of the copy, besides ``x-amz-metadata-directive: REPLACE``. The default is the source's
                headers.
            customer_key: The customer's key that encrypts the copy. None for the server's key.
            creation: The treatment of an existing object.
            is_done_by: Returns True if the target's headers show the copy. Used if no answer comes.

        Returns:
            The copy. It may be of any version if the server ignores the condition on the source.

        Raises:
            FileExistsException: The key is taken.
            FileChanged: The source has another version by now.
        """
        sent = self.wire.body(b"")
        request = Request(
            method="PUT",
            bucket=bucket,
            key=key,
            headers={**(headers or {}), **source.headers},
            body=sent,
            customer_key=customer_key,
            source_key=source.customer_key,
            can_fail_late=True,
        )
        with source_unchanged(is_certain=creation.is_fresh or not creation.is_conditional):
            return await self._writes.send("copy", request, sent, is_done_by, creation)

    async def undo(
        self, bucket: str, key: str, made: Made, creation: Creation, *, customer_key: CustomerKey | None = None
    ) -> None:
        """Delete the object that a request made, unless another client may have stored it."""
        request = Request(method="DELETE", bucket=bucket, key=key, customer_key=customer_key)
        await self._writes.undo(request, made, creation)

    async def list_objects(
        self, bucket: str, prefix: str, token: str | None = None, *, most: int = 1000, attempts: int | None = None
    ) -> Listing:
        """Return one page of the keys that begin with `prefix`, up to `most` of them, 1 to 1000."""
        query = {"list-type": "2", "prefix": prefix, "encoding-type": "url"}
        if most != 1000:
            query["max-keys"] = str(most)
        if token is not None:
            query["continuation-token"] = token
        request = Request(method="GET", bucket=bucket, query=query)
        return xml_messages.parse_listing((await self.wire.exchange(request, attempts=attempts)).body)


def _checksum_for_lock(headers: Headers) -> Headers:
    """Return the header that names the checksum. S3 demands it for locked objects."""
    return {"x-amz-sdk-checksum-algorithm": "CRC32"} if "x-amz-object-lock-mode" in headers else {}


def _metadata_in(headers: Headers) -> Headers:
    """Return the user's metadata. It leaves out the type, as SeaweedFS replaces the most general one."""
    lowered = {name.lower(): value for name, value in headers.items()}
    return {name: value for name, value in lowered.items() if name.startswith("x-amz-meta-")}
