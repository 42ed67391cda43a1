"""S3's operations, one method each: what is sent for them, and what their answers mean.

It knows buckets and keys, no file ids. Every body is bytes, so that every request can be sent again.
"""

import base64
import hashlib
import re
import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientResponse

from async_storages.backends.download import received, size_answered
from async_storages.backends.refusals import FileChanged, NoSuchUpload, RangeBeyondEnd
from async_storages.backends.s3 import answers
from async_storages.backends.s3.answers import Listing, Part
from async_storages.backends.s3.conditions import REPLACE, ConditionalWrites, Conditions, Creation
from async_storages.backends.s3.credentials import CredentialSource
from async_storages.backends.s3.download import WITH_CHECKSUM, Download
from async_storages.backends.s3.failures import Failure, of_s3
from async_storages.backends.s3.object_writes import Made, ObjectWrites
from async_storages.backends.s3.sigv4 import encode_path
from async_storages.backends.s3.wire import Request, Wire
from async_storages.errors import (
    ChecksumMismatchException,
    FileExistsException,
    FileNotFoundException,
    StorageException,
    StorageOperationException,
)
from async_storages.sources import CHUNK_SIZE
from async_storages.upload_options import CustomerKey

__all__ = ["CopySource", "S3Client"]

type Headers = Mapping[str, str]

_MD5 = re.compile(r'"?([0-9a-f]{32})"?')


@dataclass(frozen=True, slots=True)
class CopySource:
    """One version of an object, to be copied.

    Attributes:
        bucket: Whose it is.
        key: Its key.
        etag: Of the version, in quotes; None for whichever there is.
        customer_key: What encrypts it, where that is not the server's key.
    """

    bucket: str
    key: str
    etag: str | None
    customer_key: CustomerKey | None = None

    @property
    def headers(self) -> Headers:
        """What names it in a request."""
        pinned = {"x-amz-copy-source-if-match": self.etag} if self.etag else {}
        return {"x-amz-copy-source": f"{encode_path(self.bucket)}/{encode_path(self.key)}", **pinned}


class S3Client:
    """Speaks S3 with one server.

    Args:
        credentials: Where the access key comes from.
        conditional_writes: What the server makes of conditions: see `Conditions`.
        **options: See `Wire`.

    Attributes:
        wire: Addresses, signs and sends.
        conditions: What is known of the server's conditions.
    """

    def __init__(
        self, credentials: CredentialSource, *, conditional_writes: ConditionalWrites = "auto", **options: Any
    ) -> None:
        self.wire = Wire(credentials, **options)
        self.conditions = Conditions(conditional_writes, lambda bucket: self.wire.endpoint(bucket).is_aws)
        self._writes = ObjectWrites(self.wire, self.conditions)

    async def aclose(self) -> None:
        """Close the connections of the running loop."""
        await self.wire.aclose()

    # ---- objects

    async def put_object(
        self,
        bucket: str,
        key: str,
        body: bytes,
        *,
        headers: Headers,
        customer_key: CustomerKey | None = None,
        creation: Creation = REPLACE,
    ) -> None:
        """Store an object of up to 5 GiB.

        Raises:
            FileExistsException: The key is taken.
            ChecksumMismatchException: Other bytes arrived.
        """
        checksum = _crc32(body)
        sent = self.wire.body(body)
        request = Request(
            method="PUT",
            bucket=bucket,
            key=key,
            headers={**headers, "x-amz-checksum-crc32": checksum, **_checksum_for_lock(headers)},
            body=sent,
            customer_key=customer_key,
        )

        def is_done_by(found: Headers) -> bool:
            same = _etag(found) == _md5(body).hex() or found.get("x-amz-checksum-crc32") == checksum
            return (
                same
                and found.get("Content-Length", str(len(body))) == str(len(body))
                and _metadata_in(found) == _metadata_in(headers)
            )

        made = await self._writes.send("put", request, sent, is_done_by, creation)
        _expect_checksum(of_s3(made.headers), checksum)

    async def head_object(self, bucket: str, key: str, *, customer_key: CustomerKey | None = None) -> Headers:
        """The headers of an object; raises FileNotFoundException if there is none."""
        wanted = WITH_CHECKSUM if self.wire.reads_checksums else {}
        request = Request(method="HEAD", bucket=bucket, key=key, headers=wanted, customer_key=customer_key)
        return of_s3((await self.wire.exchange(request)).headers)

    async def object_size(self, bucket: str, key: str, *, customer_key: CustomerKey | None = None) -> int:
        """The bytes of an object, asked for by a range of one byte, where HEAD does not tell.

        Raises:
            FileNotFoundException: There is no such object.
            StorageOperationException: The server does not tell either.
        """
        range_ = {"Range": "bytes=0-0"}
        request = Request(method="GET", bucket=bucket, key=key, headers=range_, customer_key=customer_key)
        try:
            response = await self.wire.open(request)
        except RangeBeyondEnd:
            return 0
        response.close()  # where the range was ignored, all of the object is on its way
        return size_answered(response.status, response.headers)

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
        """The bytes of an object, or of one range of it.

        A connection that breaks on the way is replaced, and the transfer resumed where it was, of the same version.

        Args:
            bucket: Whose it is.
            key: Its key.
            offset: The first byte; negative counts from the end.
            length: How many bytes at the most, at least 1; None for all. Always None where the offset is negative.
            chunk_size: Bytes at a time, at the most.
            customer_key: What encrypts it, where that is not the server's key.

        Raises:
            FileNotFoundException: There is no such object.
            RangeBeyondEnd: It has no such byte.
            FileChanged: It was replaced meanwhile.
            ChecksumMismatchException: All of it came, and is not what its stored CRC32 says.
            StorageUnavailableException: It kept breaking without a byte between.
        """
        download = Download(offset, length)

        def ask() -> Awaitable[ClientResponse]:
            request = Request(
                method="GET", bucket=bucket, key=key, headers=download.headers(), customer_key=customer_key
            )
            return self.wire.open(request)

        retries, slots = self.wire.options.retries, self.wire.download_slots
        return received(download, ask, retries=retries, chunk_size=chunk_size, slots=slots)

    async def delete_object(self, bucket: str, key: str) -> None:
        """Delete an object; a missing one is no error."""
        with suppress(FileNotFoundException):  # some servers say so
            await self.wire.exchange(Request(method="DELETE", bucket=bucket, key=key))

    async def delete_objects(self, bucket: str, keys: Sequence[str]) -> dict[str, StorageException]:
        """Delete up to 1000 objects at once; returns what failed, by key."""
        retries = self.wire.options.retries
        errors: dict[str, StorageException] = {}
        for attempt in range(1, retries.attempts + 1):
            failures = await self._delete_objects(bucket, keys)
            errors |= {key: failure.error() for key, failure in failures.items()}
            keys = [key for key, failure in failures.items() if failure.may_pass and attempt < retries.attempts]
            if not keys:
                break
            for key in keys:
                del errors[key]
            await retries.pause(attempt)
        return errors

    async def _delete_objects(self, bucket: str, keys: Iterable[str]) -> dict[str, Failure]:
        body = answers.delete_objects_body(keys)
        headers = {"Content-MD5": _base64(_md5(body)), "Content-Type": "application/xml"}
        request = Request(
            method="POST", bucket=bucket, query={"delete": ""}, headers=headers, body=self.wire.body(body)
        )
        return answers.parse_delete_result((await self.wire.exchange(request)).body)

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
            bucket: The target's.
            key: The target's.
            source: What is copied.
            headers: Of the copy, besides ``x-amz-metadata-directive: REPLACE``; by default those of the source.
            customer_key: What encrypts the copy, where that is not the server's key.
            creation: How an object is treated that is there.
            is_done_by: Whether the headers of the target show that it is the copy, if no answer comes.

        Returns:
            The copy, of whichever version where the server ignores the condition on the source.

        Raises:
            FileExistsException: The key is taken.
            FileChanged: The source is another version by now.
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
            may_fail_late=True,
        )
        with _source_unchanged(is_certain=creation.is_fresh or not creation.condition):
            return await self._writes.send("copy", request, sent, is_done_by, creation)

    async def undo(self, bucket: str, key: str, made: Made, creation: Creation) -> None:
        """Remove what a request has made, unless it may be somebody else's."""
        await self._writes.undo(Request(method="DELETE", bucket=bucket, key=key), made, creation)

    async def list_objects(
        self, bucket: str, prefix: str, token: str | None = None, *, most: int = 1000, attempts: int | None = None
    ) -> Listing:
        """One page of the keys that begin with `prefix`, up to `most` of them, 1 to 1000."""
        query = {"list-type": "2", "prefix": prefix, "encoding-type": "url"}
        if most != 1000:
            query["max-keys"] = str(most)
        if token is not None:
            query["continuation-token"] = token
        request = Request(method="GET", bucket=bucket, query=query)
        return answers.parse_listing((await self.wire.exchange(request, attempts=attempts)).body)

    # ---- multipart uploads

    async def create_multipart_upload(
        self,
        bucket: str,
        key: str,
        *,
        headers: Headers,
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
    ) -> Part:
        """Upload one part, of 5 MiB to 5 GiB unless it is the last; `checksum` as when the upload was begun."""
        crc32 = _crc32(body) if checksum else None
        request = Request(
            method="PUT",
            bucket=bucket,
            key=key,
            query={"partNumber": str(number), "uploadId": upload_id},
            headers={"Content-MD5": _base64(_md5(body))} if crc32 is None else {"x-amz-checksum-crc32": crc32},
            body=self.wire.body(body),
            customer_key=customer_key,
        )
        answer = await self.wire.exchange(request)
        of_s3(answer.headers)
        if crc32 is not None:
            _expect_checksum(answer.headers, crc32)
        return Part(number, answer.headers.get("ETag", ""), answer.headers.get("x-amz-checksum-crc32"))

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
    ) -> Part:
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
        with _source_unchanged(is_certain=True):
            answer = await self.wire.exchange(request)
        return answers.parse_copied_part(number, answer.body)

    async def complete_multipart_upload(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        parts: Iterable[Part],
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
        etag = _etag_of_parts(ordered)
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
        await self._writes.send("complete", request, sent, lambda found: _etag(found) == etag, creation)

    async def abort_multipart_upload(self, bucket: str, key: str, upload_id: str) -> None:
        """Give a multipart upload up and free its parts; one that is gone is no error."""
        request = Request(method="DELETE", bucket=bucket, key=key, query={"uploadId": upload_id})
        with suppress(FileNotFoundException, NoSuchUpload):
            await self.wire.exchange(request)

    async def has_multipart_upload(self, bucket: str, key: str, upload_id: str) -> bool:
        """Whether an upload is open, as one may be that was aborted while its parts were under way."""
        request = Request(method="GET", bucket=bucket, key=key, query={"uploadId": upload_id, "max-parts": "1"})
        try:
            await self.wire.exchange(request)
        except (FileNotFoundException, NoSuchUpload):
            return False
        return True

    async def list_multipart_uploads(self, bucket: str, prefix: str = "") -> list[tuple[str, str]]:
        """Key and id of the first 1000 open uploads to keys that begin with `prefix`."""
        query = {"uploads": "", "prefix": prefix, "encoding-type": "url"}
        return answers.parse_uploads((await self.wire.exchange(Request(method="GET", bucket=bucket, query=query))).body)


@contextmanager
def _source_unchanged(*, is_certain: bool) -> Iterator[None]:
    """A failed precondition is the source's, where no other was set; else most servers say whose it is."""
    try:
        yield
    except FileExistsException as error:
        if is_certain:
            raise FileChanged("the file was replaced while it was copied") from error
        raise


def _checksum_for_lock(headers: Headers) -> Headers:
    """S3 asks of what is to be locked that the request says which checksum it has."""
    return {"x-amz-sdk-checksum-algorithm": "CRC32"} if "x-amz-object-lock-mode" in headers else {}


def _expect_checksum(answered: Headers, ours: str) -> None:
    theirs = answered.get("x-amz-checksum-crc32", ours)
    if theirs != ours:
        raise ChecksumMismatchException(f"crc32 was sent as {ours}, and stored as {theirs}")


def _metadata_in(headers: Headers) -> Headers:
    """The user's metadata; the type does not count, as SeaweedFS sets another one for the most general."""
    lowered = {name.lower(): value for name, value in headers.items()}
    return {name: value for name, value in lowered.items() if name.startswith("x-amz-meta-")}


def _etag_of_parts(parts: Sequence[Part]) -> str | None:
    """What S3 gives an object of these parts for an ETag; None where the parts' own are no MD5s, as with SSE-KMS."""
    digests = [found[1] for part in parts if (found := _MD5.fullmatch(part.etag))]
    if len(digests) < len(parts):
        return None
    return f"{_md5(bytes.fromhex(''.join(digests))).hex()}-{len(parts)}"


def _etag(headers: Headers) -> str:
    return headers.get("ETag", "").strip('"')


def _crc32(body: bytes) -> str:
    """As S3 writes it: big-endian, in base64."""
    return _base64(zlib.crc32(body).to_bytes(4, "big"))


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
