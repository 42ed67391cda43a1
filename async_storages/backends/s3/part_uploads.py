"""Multipart uploads whose parts a client sends: see `PartUploads`."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from async_storages import naming
from async_storages.backends.buckets.server_errors import NoSuchUpload
from async_storages.backends.s3.wire import Request
from async_storages.backends.s3.xml_messages import UploadedPart, parse_parts
from async_storages.errors import FileNotFoundException, InvalidArgumentException, during
from async_storages.ids import FileId
from async_storages.storage.base import FileName
from async_storages.storage.part_uploads import StoredPart, check_number, check_part_size, chosen_parts

if TYPE_CHECKING:
    from async_storages.backends.s3.storage import S3Storage

__all__ = ["S3PartUploads"]

_UPLOAD_ID = re.compile(r"[A-Za-z0-9][\w.~+=-]*", re.ASCII)
"""The form of upload ids. Servers give no useful answer to other ids."""


class S3PartUploads:
    """`PartUploads` to one bucket.

    Specified in the Amazon S3 API reference: CreateMultipartUpload, UploadPart, ListParts, CompleteMultipartUpload,
    AbortMultipartUpload, ListMultipartUploads.

    Args:
        storage: The storage of the bucket.
    """

    def __init__(self, storage: "S3Storage") -> None:
        self._storage = storage
        self._client = storage._client  # noqa: SLF001 - of the same house

    async def begin(self, name: FileName, *, content_type: str) -> str:
        """Begin an upload: see `PartUploads.begin`. A lifecycle rule of the bucket may abort it, too."""
        with self._on("begin_upload", name) as (bucket, key):
            naming.check_key(key)
            self._storage._urls.refuse_customer_key()  # noqa: SLF001 - the sender of the parts would need it
            headers = {**self._storage._object_headers, "Content-Type": content_type}  # noqa: SLF001
            return await self._client.create_multipart_upload(bucket, key, headers=headers, checksum=False)

    async def presign_part(
        self,
        name: FileName,
        upload_id: str,
        number: int,
        expires_in: float = 3600,
        *,
        size: int | None = None,
        max_size: int | None = None,
    ) -> str:
        """Return a URL for one part: see `PartUploads.presign_part`. This does not check that the upload exists."""
        with self._on("presign_part", name, upload_id) as (_, key):
            naming.check_key(key)
            query = {"partNumber": str(check_number(number)), "uploadId": upload_id}
            check_part_size(size, max_size)
            if size is None and max_size is not None:
                raise InvalidArgumentException("S3 signs the size of a part, not a max_size: give the size")
            await self._storage.prepare()
            sent = {} if size is None else {"Content-Length": str(size)}
            presign = self._storage._urls.presigner(  # noqa: SLF001
                "PUT", expires_in, query, sent, is_of_part=True
            )
            return presign(self._storage.identify(name))

    async def parts(self, name: FileName, upload_id: str) -> list[StoredPart]:
        """Return the parts that the server has: see `PartUploads.parts`."""
        with self._on("list_parts", name, upload_id) as (bucket, key):
            found: list[StoredPart] = []
            query = {"uploadId": upload_id}
            while True:
                request = Request(method="GET", bucket=bucket, key=key, query=query)
                page, marker = parse_parts((await self._client.wire.exchange(request)).body)
                found += page
                if marker is None:
                    return sorted(found, key=lambda part: part.number)
                query["part-number-marker"] = marker

    async def complete(self, name: FileName, upload_id: str, etags: Mapping[int, str], *, max_size: int | None) -> None:
        """Put the parts together: see `PartUploads.complete`."""
        with self._on("complete_upload", name, upload_id) as (bucket, key):
            naming.check_key(key)
            parts = chosen_parts(await self.parts(name, upload_id), etags, max_size)
            sent = [UploadedPart(part.number, f'"{part.etag}"') for part in parts]
            await self._client.complete_multipart_upload(bucket, key, upload_id, sent)

    async def abort(self, name: FileName, upload_id: str) -> None:
        """Abort an upload: see `PartUploads.abort`."""
        with self._on("abort_upload", name, upload_id) as (bucket, key):
            await self._client.abort_multipart_upload(bucket, key, upload_id)

    async def unfinished(self, prefix: str) -> list[tuple[FileId, str]]:
        """Return the first 1000 open uploads: see `PartUploads.unfinished`."""
        storage = self._storage
        uploads = await self._client.list_multipart_uploads(str(storage.bucket), f"{storage.prefix}{prefix}")
        return [(FileId(storage.scheme, storage.bucket, key), upload_id) for key, upload_id in uploads]

    @contextmanager
    def _on(self, operation: str, name: FileName, upload_id: str = "new") -> Iterator[tuple[str, str]]:
        """Return bucket and key for one operation. Check that the storage is writable and the upload's id is valid."""
        with during(operation, str(name)):
            self._storage._check_usable("write")  # noqa: SLF001
            if not _UPLOAD_ID.fullmatch(upload_id):
                raise FileNotFoundException("no such upload")
            target = self._storage.identify(name)
            try:
                yield str(target.bucket), target.key
            except NoSuchUpload as error:
                raise FileNotFoundException(error.reason) from error
