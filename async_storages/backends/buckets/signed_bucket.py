"""The common part of bucket storages with signed URLs and forms."""

import builtins
from abc import abstractmethod
from collections.abc import Iterable
from datetime import timedelta
from typing import Protocol, Unpack

from async_storages.backends.buckets.storage import BucketStorage, Keyed
from async_storages.ids import FileId
from async_storages.models import PresignedUpload
from async_storages.storage.base import FileName
from async_storages.storage.capabilities import PresignMethod, PresignOptions

__all__ = ["SignedBucketStorage", "Urls"]


class Urls(Protocol):
    """URLs of one bucket. The arguments are the storage's, which has checked names and methods."""

    def url(self, file: FileId) -> str:
        """Return the URL that needs no signature if the bucket is public."""
        ...

    def presign(self, file: FileId, expires_in: float, method: PresignMethod, **options: Unpack[PresignOptions]) -> str:
        """Return a presigned URL."""
        ...

    def presign_many(self, files: Iterable[FileId], expires_in: float, *, stable: timedelta | None) -> list[str]:
        """Return presigned GET URLs in the order of the files."""
        ...

    async def presign_post(
        self, file: FileId, expires_in: float, *, max_size: int | None, min_size: int, content_type: str | None
    ) -> PresignedUpload:
        """Return a form to post to the bucket."""
        ...


class SignedBucketStorage[Found, Listed: Keyed](BucketStorage[Found, Listed]):
    """Presigns the files of one bucket: see `BucketStorage`."""

    @property
    @abstractmethod
    def _urls(self) -> Urls:
        """The URLs of the bucket."""

    def _unsigned_url(self, file: FileId) -> str:
        return self._urls.url(file)

    def sign_url(self, file: FileId, expires_in: float, method: PresignMethod, options: PresignOptions) -> str:
        """Return a presigned URL: see `SupportsPresign`. On S3 and GCS a URL for GET does not allow HEAD.

        A URL for PUT stores the file with the storage's `upload_options`. The client must send `presigned_headers` with
        it. On GCS without a key, use `presigned_urls`: IAM signs these URLs.
        """
        return self._urls.presign(file, expires_in, method, **options)

    def presign_many(
        self, names: Iterable[FileName], expires_in: float = 3600, *, stable: timedelta | None = None
    ) -> builtins.list[str]:
        """Return presigned GET URLs in the order of the names: see `SupportsPresign`."""
        with self.operation("presign"):
            return self._urls.presign_many(map(self.identify, names), expires_in, stable=stable)

    async def presign_post(
        self,
        name: FileName,
        expires_in: float = 3600,
        *,
        max_size: int | None = None,
        min_size: int = 0,
        content_type: str | None = None,
    ) -> PresignedUpload:
        """Return a form to post to the bucket: see `SupportsDirectUpload`.

        S3 answers the form with 201 and XML. The XML holds the ETag, as some servers leave it out of the header.
        """
        with self.operation("presign_post", name) as operation:
            self.check_presign(operation.file, "POST")
            return await self._urls.presign_post(
                operation.file, expires_in, max_size=max_size, min_size=min_size, content_type=content_type
            )
