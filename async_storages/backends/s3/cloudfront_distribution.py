"""A bucket behind a CloudFront distribution: signed URLs and cookies for its keys."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypedDict, Unpack

from async_storages.backends.buckets.signatures import encode_path, encode_query

if TYPE_CHECKING:
    from async_storages.backends.s3.cloudfront import CloudFrontSigner

__all__ = ["SIGNED_HERE", "CloudFrontDistribution", "CookieOptions"]

SIGNED_HERE = 4
"""The number of URLs that are signed in the event loop, at 1 ms each. A thread signs more."""


class CookieOptions(TypedDict, total=False):
    """Further options of signed cookies: see `CloudFrontSigner.signed_cookies`."""

    starts_at: datetime | None
    ip: str | None
    stable: timedelta | None


@dataclass(frozen=True, slots=True)
class CloudFrontDistribution:
    """A CloudFront distribution and the signer of its URLs.

    Attributes:
        domain: The scheme and domain, with or without a path.
        signer: Signs URLs and cookies.
    """

    domain: str
    signer: "CloudFrontSigner"

    def presign(
        self,
        key: str,
        expires_in: float = 3600,
        query: Mapping[str, str] | None = None,
        stable: timedelta | None = None,
    ) -> str:
        """Return the signed URL of a key. The distribution must forward the parameters of `query`."""
        asked = f"?{encode_query(query)}" if query else ""
        return self.signer.signed_url(f"{self.domain}/{encode_path(key)}{asked}", expires_in, stable=stable)

    def cookies(self, prefix: str, expires_in: float, **options: Unpack[CookieOptions]) -> dict[str, str]:
        """Return the cookies for all keys that begin with `prefix`."""
        return self.signer.signed_cookies(f"{self.domain}/{encode_path(prefix)}*", expires_in, **options)
