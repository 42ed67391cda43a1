"""URLs of one bucket: public URLs, presigned URLs, and forms for uploads from browsers."""

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Unpack

from async_storages._tasks import map_bounded, offload
from async_storages.backends.buckets.signatures import answer_query, check_sent, encode_path, form_sizes
from async_storages.backends.gcs.credentials.protocols import CredentialSource, Signer
from async_storages.backends.gcs.signing import Unsigned, form, presigned
from async_storages.errors import InvalidArgumentException
from async_storages.ids import FileId
from async_storages.models import PresignedUpload
from async_storages.signing import check_expires_in, signing_time
from async_storages.storage.capabilities import PresignMethod, PresignOptions

__all__ = ["GCSUrls", "put_headers"]

_LARGEST = 5 << 40
"""The largest size of an object in bytes."""

_SIGNED_AT_ONCE = 16
"""The number of concurrent requests to IAM."""

_LONGEST_BY_IAM = 43_200
"""Seconds for which IAM surely keeps a signing key after its use: half a day (signBlob)."""

_SIGNED_HERE = 4
"""The number of URLs that are signed in the event loop, at 1 ms each. A thread signs more."""


class GCSUrls:
    """URLs of one bucket.

    Args:
        bucket: The bucket.
        bucket_url: The beginning of its objects' URLs for browsers. For example
            ``"https://storage.googleapis.com/photos"``, or an own domain, ``"https://photos.example.com"``.
        credentials: The credentials that sign.
        billed: The parameter of presigned URLs that names the paying project. Empty for the project of the bucket.
        sent: Headers that every upload by a presigned URL or form must have.
    """

    def __init__(
        self,
        bucket: str,
        bucket_url: str,
        credentials: CredentialSource,
        billed: Mapping[str, str] | None = None,
        sent: Mapping[str, str] | None = None,
    ) -> None:
        self._bucket = bucket
        scheme, _, rest = bucket_url.rstrip("/").partition("://")
        host, slash, path = rest.partition("/")
        self._origin = f"{scheme}://{host}"
        self._prefix = f"{slash}{path}/"
        self._credentials = credentials
        self._billed = billed or {}
        self._sent = sent or {}

    def url(self, file: FileId) -> str:
        """Return the URL that needs no signature if the bucket is public."""
        return self._origin + self._path(file)

    def presign(
        self,
        file: FileId,
        expires_in: float = 3600,
        method: PresignMethod = "GET",
        **options: Unpack[PresignOptions],
    ) -> str:
        """Return a presigned URL: see `SupportsPresign`. As on S3, a URL for GET does not allow HEAD.

        Raises:
            InvalidArgumentException: An option is wrong. Or there is no local key, and only `presigned_urls` can sign.
        """
        signer = self._signer()
        return _signed(signer, self._unsigned(signer.email, file, expires_in, method, options))

    def presign_many(
        self, files: Iterable[FileId], expires_in: float = 3600, *, stable: timedelta | None = None
    ) -> list[str]:
        """Return presigned GET URLs in the order of the files: see `SupportsPresign`. Raises as `presign` does."""
        return [self.presign(file, expires_in, stable=stable) for file in files]

    async def presigned_urls(
        self,
        files: Iterable[FileId],
        expires_in: float = 3600,
        method: PresignMethod = "GET",
        **options: Unpack[PresignOptions],
    ) -> list[str]:
        """Return presigned URLs in the order of the files, signed by the local key, or else by IAM.

        Raises:
            InvalidArgumentException: An option is wrong, or IAM signs and `expires_in` is more than 12 hours.
            OperationNotSupportedException: The account cannot sign.
            AccessDeniedException: The account lacks the permission.
            StorageUnavailableException: IAM cannot be reached.
        """

        def unsigned(email: str) -> list[Unsigned[str]]:
            return [self._unsigned(email, file, expires_in, method, options) for file in files]

        _, good_for = signing_time(_now(), expires_in, options.get("stable"))
        return await self._sign(unsigned, good_for)

    async def presign_post(
        self,
        file: FileId,
        expires_in: float = 3600,
        *,
        max_size: int | None = None,
        min_size: int = 0,
        content_type: str | None = None,
    ) -> PresignedUpload:
        """Return a form to post to the bucket: see `SupportsDirectUpload`. Raises as `presigned_urls` does."""
        check_sent(content_type, max_size)
        sizes = form_sizes(min_size, max_size, _LARGEST)
        expires_at = check_expires_in(expires_in)

        def unsigned(email: str) -> list[Unsigned[dict[str, str]]]:
            return [
                form(
                    email,
                    self._bucket,
                    file.key,
                    expires_in=expires_in,
                    now=_now(),
                    fields={**self._sent, **put_headers(content_type, None)},
                    conditions=[sizes],
                )
            ]

        [fields] = await self._sign(unsigned, expires_in)
        return PresignedUpload(file_id=str(file), url=self._origin + self._prefix, fields=fields, expires_at=expires_at)

    def _path(self, file: FileId) -> str:
        return self._prefix + encode_path(file.key)

    def _unsigned(
        self, email: str, file: FileId, expires_in: float, method: PresignMethod, options: PresignOptions
    ) -> Unsigned[str]:
        content_type, size = options.get("content_type"), options.get("content_length")
        check_sent(content_type, size)
        is_put = method == "PUT"
        now, expires_in = signing_time(_now(), expires_in, options.get("stable"))
        query = answer_query(file.key, options.get("filename"), content_type, options.get("disposition"))
        return presigned(
            email,
            method,
            self._origin,
            self._path(file),
            expires_in=expires_in,
            now=now,
            query={**self._billed, **({} if is_put else query)},
            headers={**self._sent, **put_headers(content_type, size)} if is_put else {},
        )

    # ---- signatures

    def _signer(self) -> Signer:
        signer = self._credentials.signer
        if signer is None:
            raise InvalidArgumentException(
                "no key is at hand to sign with: `await storage.prepare()` reads the account's key; accounts without "
                "one sign by IAM, in `await storage.presigned_urls(…)` and `await file.get_presigned_url()`",
                operation="presign",
            )
        return signer

    async def _sign[Signed](self, unsigned: Callable[[str], list[Unsigned[Signed]]], expires_in: float) -> list[Signed]:
        """Return the results of `unsigned` for an e-mail address, signed in its name."""
        await self._credentials.prepare()
        signer = self._credentials.signer
        if signer is None:
            return await self._sign_remotely(unsigned, expires_in)
        waiting = unsigned(signer.email)
        if len(waiting) <= _SIGNED_HERE:
            return [_signed(signer, one) for one in waiting]
        return await offload(lambda: [_signed(signer, one) for one in waiting])

    async def _sign_remotely[Signed](
        self, unsigned: Callable[[str], list[Unsigned[Signed]]], expires_in: float
    ) -> list[Signed]:
        signer = await self._credentials.remote_signer()
        waiting = unsigned(signer.email)
        if expires_in > _LONGEST_BY_IAM:
            raise InvalidArgumentException(
                f"expires_in (with stable) is {expires_in!r}, but signatures of IAM are valid for {_LONGEST_BY_IAM} "
                "seconds only: presign for less, or give the key of a service account",
                operation="presign",
            )

        async def sign(one: Unsigned[Signed]) -> Signed:
            return one.with_signature(await signer.sign(one.message))

        return await map_bounded(sign, waiting, limit=_SIGNED_AT_ONCE)


def put_headers(content_type: str | None, content_length: int | None) -> dict[str, str]:
    """Return the headers that a presigned PUT must have. Cloud Storage checks the size by a range."""
    size = None if content_length is None else f"{content_length},{content_length}"
    given = {"Content-Type": content_type, "x-goog-content-length-range": size}
    return {name: value for name, value in given.items() if value is not None}


def _now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)


def _signed[Signed](signer: Signer, unsigned: Unsigned[Signed]) -> Signed:
    return unsigned.with_signature(signer.sign(unsigned.message))
