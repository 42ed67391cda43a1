"""URLs of one bucket: public URLs, presigned URLs, and forms for uploads from browsers."""

import warnings
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Unpack

from async_storages.backends.buckets.signatures import answer_query, check_sent, form_sizes
from async_storages.backends.s3 import object_options
from async_storages.backends.s3.cloudfront_distribution import CloudFrontDistribution
from async_storages.backends.s3.credentials import CredentialSource
from async_storages.backends.s3.endpoint import Endpoint
from async_storages.backends.s3.wire import Wire
from async_storages.errors import CredentialsExpireWarning, OperationNotSupportedException
from async_storages.ids import FileId
from async_storages.models import PresignedUpload
from async_storages.signing import check_expires_in, signing_time
from async_storages.storage.capabilities import PresignMethod, PresignOptions
from async_storages.upload_options import UploadOptions

__all__ = ["S3Urls"]

_LARGEST_POSTED = 5 << 30
"""The largest number of bytes that one form can store."""


class S3Urls:
    """URLs of one bucket.

    Args:
        bucket: The bucket.
        wire: Provides addresses, the server's time and the signer.
        credentials: The credentials that sign.
        public_url: The address of the server for browsers. None takes the server of the wire.
        options: The options of files that are uploaded by presigned URLs and forms.
        distribution: The CloudFront distribution that serves the bucket, and signs URLs for GET and HEAD. None without
            one.
    """

    def __init__(
        self,
        bucket: str,
        wire: Wire,
        credentials: CredentialSource,
        *,
        public_url: str | None,
        options: UploadOptions,
        distribution: CloudFrontDistribution | None,
    ) -> None:
        self._bucket = bucket
        self._wire = wire
        self._credentials = credentials
        self._public_url = public_url
        self._options = options
        self._distribution = distribution

    @property
    def public(self) -> Endpoint:
        """The bucket's address in URLs.

        Raises:
            InvalidArgumentException: The `public_url` is malformed.
        """
        return self._wire.endpoint(self._bucket, endpoint_url=self._public_url)

    def url(self, file: FileId) -> str:
        """Return the URL that needs no signature if the bucket is public."""
        return self.public.url(file.key)

    def presign(
        self,
        file: FileId,
        expires_in: float = 3600,
        method: PresignMethod = "GET",
        **options: Unpack[PresignOptions],
    ) -> str:
        """Return a presigned URL: see `SupportsPresign`. A URL for GET does not allow HEAD.

        Raises:
            InvalidArgumentException: An option is wrong, or the credentials are not known yet.
            OperationNotSupportedException: The files are encrypted with a `CustomerKey`.
        """
        content_type, size, stable = options.get("content_type"), options.get("content_length"), options.get("stable")
        check_sent(content_type, size)
        if method == "PUT":
            sent = {**object_options.object_headers(self._options), **_sent_headers(content_type, size)}
            return self.presigner("PUT", expires_in, headers=sent, stable=stable)(file)
        if method != "DELETE":
            self.refuse_customer_key()
        query = answer_query(file.key, options.get("filename"), content_type, options.get("disposition"))
        if self._distribution is not None and method in {"GET", "HEAD"}:
            return self._distribution.presign(file.key, expires_in, query, stable)
        return self.presigner(method, expires_in, query, stable=stable)(file)

    def presign_many(
        self, files: Iterable[FileId], expires_in: float = 3600, *, stable: timedelta | None = None
    ) -> list[str]:
        """Return presigned GET URLs in the order of the files: see `SupportsPresign`. Raises as `presign` does."""
        self.refuse_customer_key()
        if self._distribution is not None:
            return [self._distribution.presign(file.key, expires_in, {}, stable) for file in files]
        presign = self.presigner("GET", expires_in, stable=stable)
        return [presign(file) for file in files]

    def presigner(
        self,
        method: str,
        expires_in: float = 3600,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        stable: timedelta | None = None,
        is_of_part: bool = False,
    ) -> Callable[[FileId], str]:
        """Return a function that presigns files for one method, query and set of headers. Raises as `presign` does.

        For a PUT the payer is in a header, which `put_headers` returns. For a part it is in the query, as browsers know
        only the URL of a part.
        """
        wire, public = self._wire, self.public
        if method != "DELETE":
            self.refuse_customer_key()
        if method == "PUT" and not is_of_part:
            headers = {**(headers or {}), **wire.payer}
        else:
            query = {**(query or {}), **wire.payer}
        self._warn_if_outlived(expires_in)
        now, expires_in = signing_time(wire.now, expires_in, stable)
        presign = wire.signer(public.region).presigner(
            method, public.origin, expires_in=expires_in, now=now, query=query, headers=headers
        )
        return lambda file: presign(public.path(file.key))

    def put_headers(self) -> dict[str, str]:
        """Return the headers of the bucket and of new files that a client must send with a presigned PUT."""
        return {**self._wire.payer, **object_options.object_headers(self._options)}

    async def presign_post(
        self,
        file: FileId,
        expires_in: float = 3600,
        *,
        max_size: int | None = None,
        min_size: int = 0,
        content_type: str | None = None,
    ) -> PresignedUpload:
        """Return a form to post to the bucket: see `SupportsDirectUpload`. Raises as `presign` does.

        S3 answers the form with 201 and XML. The XML holds the ETag, as some servers leave it out of the header.
        """
        check_sent(content_type, max_size)
        sizes = form_sizes(min_size, max_size, _LARGEST_POSTED)
        await self._wire.prepare()
        expires_at = check_expires_in(expires_in)
        self._warn_if_outlived(expires_in)
        self.refuse_customer_key()
        wire, public = self._wire, self.public
        fields = {
            **object_options.form_fields(self._options),
            **wire.payer,
            **_sent_headers(content_type, None),
            "success_action_status": "201",
        }
        signed = wire.signer(public.region).presign_post(
            self._bucket,
            file.key,
            expires_in=expires_in,
            now=wire.now,
            fields=fields,
            conditions=[*({field: value} for field, value in fields.items()), sizes],
        )
        return PresignedUpload(file_id=str(file), url=public.bucket_url, fields=signed, expires_at=expires_at)

    def refuse_customer_key(self) -> None:
        """Raise OperationNotSupportedException if users of a URL would need a customer's key too."""
        if object_options.customer_key(self._options) is not None:
            raise OperationNotSupportedException(
                "files encrypted with a CustomerKey cannot be presigned, as no URL may hold the key: let them pass "
                "through the application",
                operation="presign",
            )

    def _warn_if_outlived(self, expires_in: float) -> None:
        if self._credentials.expire_within(expires_in):
            warnings.warn(
                f"a URL presigned for {expires_in:.0f} seconds ends earlier, with the temporary credentials that sign "
                "it: presign for less, or with the access key of a user",
                CredentialsExpireWarning,
                stacklevel=2,
            )


def _sent_headers(content_type: str | None, content_length: int | None) -> dict[str, str]:
    """Return the headers that a client must send with an upload."""
    given = {"Content-Type": content_type, "Content-Length": content_length}
    return {name: str(value) for name, value in given.items() if value is not None}
