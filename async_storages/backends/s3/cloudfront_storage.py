"""The CloudFront part of `S3Storage`: signed URLs and cookies."""

import builtins
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Unpack

from async_storages._tasks import offload
from async_storages.backends.buckets.signed_bucket import SignedBucketStorage
from async_storages.backends.s3.cloudfront_distribution import SIGNED_HERE, CloudFrontDistribution, CookieOptions
from async_storages.backends.s3.xml_messages import ListedObject
from async_storages.errors import InvalidArgumentException
from async_storages.ids import FileId
from async_storages.storage.base import FileName
from async_storages.storage.capabilities import PresignMethod, PresignOptions

if TYPE_CHECKING:
    from async_storages.backends.s3.cloudfront import CloudFrontSigner

__all__ = ["CloudFrontStorage"]


class CloudFrontStorage(SignedBucketStorage[Mapping[str, str], ListedObject]):
    """A bucket that a CloudFront distribution at its `custom_domain` may serve."""

    _cloudfront: "CloudFrontSigner | None"

    @property
    def _distribution(self) -> CloudFrontDistribution | None:
        if self._cloudfront is None or self._custom_domain is None:
            return None
        return CloudFrontDistribution(self._custom_domain, self._cloudfront)

    def _domain_url(self, domain: str, file: FileId) -> str:
        if (signed := self._distribution) is not None and self._querystring_auth:
            return signed.presign(file.key)
        return super()._domain_url(domain, file)

    def signed_cookies(
        self, prefix: str = "", expires_in: float = 3600, **options: Unpack[CookieOptions]
    ) -> dict[str, str]:
        """Return CloudFront cookies for all keys that begin with `prefix`: see `CloudFrontSigner.signed_cookies`.

        Raises:
            InvalidArgumentException: The storage has no `cloudfront` or no `custom_domain`, or an option is wrong.
        """
        if self._distribution is None:
            raise InvalidArgumentException("cookies need a custom_domain and a cloudfront=CloudFrontSigner(…)")
        return self._distribution.cookies(self.prefix + prefix, expires_in, **options)

    async def presigned_urls(
        self,
        names: Iterable[FileName],
        expires_in: float = 3600,
        method: PresignMethod = "GET",
        **options: Unpack[PresignOptions],
    ) -> builtins.list[str]:
        """Return presigned URLs in the order of the names.

        A thread signs many URLs for CloudFront, as each takes 1 ms.
        """
        names = list(names)
        if self._distribution is None or len(names) <= SIGNED_HERE or method not in {"GET", "HEAD"}:
            return await super().presigned_urls(names, expires_in, method, **options)
        return await offload(lambda: [self.presign(name, expires_in, method, **options) for name in names])
