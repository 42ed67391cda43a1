"""The common half of bucket storages with signed URLs and forms."""

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
    """URLs of one bucket; the arguments are those of the storage, which has looked at names and methods."""

    def url(self, file: FileId) -> str:
        """The URL that needs no signature where the bucket is public."""
        ...

    def presign(self, file: FileId, expires_in: float, method: PresignMethod, **options: Unpack[PresignOptions]) -> str:
        """A presigned URL."""
        ...

    def presign_many(self, files: Iterable[FileId], expires_in: float, *, stable: timedelta | None) -> list[str]:
        """Presigned GET URLs in the order of the files."""
        ...

    async def presign_post(
        self, file: FileId, expires_in: float, *, max_size: int | None, min_size: int, content_type: str | None
    ) -> PresignedUpload:
        """A form to post to the bucket."""
        ...


class SignedBucketStorage[Found, Listed: Keyed](BucketStorage[Found, Listed]):
    """Presigns what is in one bucket: see `BucketStorage`."""

    @property
    @abstractmethod
    def _urls(self) -> Urls:
        """The URLs of the bucket."""

    def _unsigned_url(self, file: FileId) -> str:
        return self._urls.url(file)

    def sign_url(self, file: FileId, expires_in: float, method: PresignMethod, options: PresignOptions) -> str:
        """A presigned URL: see `SupportsPresign`. On S3 and GCS one for GET does not allow HEAD.

        One for PUT stores the file with the storage's `upload_options`: it must come with `presigned_headers`. On GCS
        IAM signs where no key is at hand: `presigned_urls`.
        """
        return self._urls.presign(file, expires_in, method, **options)

    def presign_many(
        self, names: Iterable[FileName], expires_in: float = 3600, *, stable: timedelta | None = None
    ) -> builtins.list[str]:
        """Presigned GET URLs in the order of the names: see `SupportsPresign`."""
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
        """A form to post to the bucket: see `SupportsDirectUpload`.

        S3 answers it with 201 and XML that holds the ETag, as some servers have none in the header.
        """
        with self.operation("presign_post", name) as operation:
            self.check_presign(operation.file, "POST")
            return await self._urls.presign_post(
                operation.file, expires_in, max_size=max_size, min_size=min_size, content_type=content_type
            )
