"""Multipart uploads whose parts somebody else sends, by presigned URLs: a browser, another service."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from async_storages import naming
from async_storages.backends.parts import StoredPart, check_number, chosen_parts
from async_storages.backends.s3.answers import NoSuchUpload, Part, parse_parts
from async_storages.backends.s3.storage import S3Storage
from async_storages.backends.s3.wire import Request
from async_storages.errors import FileNotFoundException, during
from async_storages.storage import FileName

__all__ = ["PartUploads"]


class PartUploads:
    """Begins and completes uploads to one bucket, and presigns what comes between.

    Specified in the Amazon S3 API reference: CreateMultipartUpload, UploadPart, ListParts, CompleteMultipartUpload,
    AbortMultipartUpload, ListMultipartUploads.

    Args:
        storage: Whose bucket it is.
    """

    def __init__(self, storage: S3Storage) -> None:
        self._storage = storage
        self._client = storage._client  # noqa: SLF001 - of the same house

    async def begin(self, name: FileName, *, content_type: str) -> str:
        """Begin an upload; returns its id. Complete or abort it, or let a lifecycle rule do that.

        Args:
            name: The exact key.
            content_type: Of the file.
        """
        with self._on("begin_upload", name) as (bucket, key):
            naming.check_key(key)
            headers = {**self._storage._object_headers, "Content-Type": content_type}  # noqa: SLF001
            return await self._client.create_multipart_upload(bucket, key, headers=headers, checksum=False)

    async def presign_part(self, name: FileName, upload_id: str, number: int, expires_in: float = 3600) -> str:
        """A URL to which one part is sent with PUT.

        Args:
            name: The key.
            upload_id: From `begin`.
            number: 1 to 10,000.
            expires_in: Seconds from now, 1 to 604,800.
        """
        with self._on("presign_part", name):
            query = {"partNumber": str(check_number(number)), "uploadId": upload_id}
            await self._storage.prepare()
            presign = self._storage._presigner("PUT", expires_in, query)  # noqa: SLF001
            return presign(self._storage.identify(name))

    async def parts(self, name: FileName, upload_id: str) -> list[StoredPart]:
        """The parts that the server has, by number; raises FileNotFoundException if there is no such upload."""
        with self._on("list_parts", name) as (bucket, key):
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
        """Put parts together: see `chosen_parts`; raises FileNotFoundException if there is no such upload any more."""
        with self._on("complete_upload", name) as (bucket, key):
            parts = chosen_parts(await self.parts(name, upload_id), etags, max_size)
            sent = [Part(part.number, f'"{part.etag}"') for part in parts]
            await self._client.complete_multipart_upload(bucket, key, upload_id, sent)

    async def abort(self, name: FileName, upload_id: str) -> None:
        """Give an upload up and free its parts; one that is gone is no error."""
        with self._on("abort_upload", name) as (bucket, key):
            await self._client.abort_multipart_upload(bucket, key, upload_id)

    async def unfinished(self, prefix: str) -> list[tuple[str, str]]:
        """Full key and id of the first 1000 uploads under way to keys that begin with `prefix`, a full key's too."""
        return await self._client.list_multipart_uploads(str(self._storage.bucket), prefix)

    @contextmanager
    def _on(self, operation: str, name: FileName) -> Iterator[tuple[str, str]]:
        """Bucket and key, of a storage that may be written to."""
        with during(operation, str(name)):
            self._storage._check_usable("write")  # noqa: SLF001
            target = self._storage.identify(name)
            try:
                yield str(target.bucket), target.key
            except NoSuchUpload as error:
                raise FileNotFoundException(error.reason) from error
