"""Files in an S3 bucket: AWS, MinIO, Ceph, SeaweedFS, R2 and whatever else speaks S3."""

import builtins
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from datetime import timedelta
from os import PathLike
from typing import TYPE_CHECKING, Any, Unpack

from multidict import CIMultiDict

from async_storages import naming
from async_storages._secrets import hidden
from async_storages._tasks import offload
from async_storages.backends.buckets.part_splitter import Parts
from async_storages.backends.buckets.signatures import check_sent
from async_storages.backends.buckets.storage import BucketStorage, checked_token
from async_storages.backends.s3 import object_options, objects
from async_storages.backends.s3.answers import ListedObject, Listing
from async_storages.backends.s3.batch_deletes import delete_in_batches
from async_storages.backends.s3.bucket import BucketAdmin
from async_storages.backends.s3.bucket_writer import BucketWriter
from async_storages.backends.s3.checksums import Checksums
from async_storages.backends.s3.client import S3Client
from async_storages.backends.s3.conditions import ConditionalWrites
from async_storages.backends.s3.credentials import credential_source
from async_storages.backends.s3.distribution import SIGNED_HERE, CookieOptions, Distribution
from async_storages.backends.s3.endpoint import AddressingStyle
from async_storages.backends.s3.multipart import part_sizes
from async_storages.backends.s3.part_uploads import S3PartUploads
from async_storages.backends.s3.settings import storage_options
from async_storages.backends.s3.urls import BucketUrls
from async_storages.backends.transport.http import HttpOptions, networked
from async_storages.config import S3Config
from async_storages.content import check_metadata
from async_storages.errors import InvalidArgumentException
from async_storages.ids import FileId
from async_storages.models import FileBasicInfo, PresignedUpload
from async_storages.naming import Disposition
from async_storages.storage import FileName, PresignMethod, PresignOptions, check_presign_method
from async_storages.upload_options import NO_OPTIONS, CustomerKey, UploadOptions

if TYPE_CHECKING:
    from async_storages.backends.s3.cloudfront import CloudFrontSigner

__all__ = ["S3Storage"]


class S3Storage(BucketStorage[Mapping[str, str], ListedObject], has_bucket=True):
    """Keeps files in one bucket. Ids are ``s3:bucket/key``.

    Args:
        bucket_name: The bucket.
        endpoint_url: The server, with or without scheme: ``"localhost:9000"``; None for that of
            ``AWS_ENDPOINT_URL_S3``, of ``AWS_ENDPOINT_URL``, of the profile in which credentials were found, else AWS.
        aws_access_key_id: The access key; without one boto3 finds credentials as every AWS tool does.
        aws_secret_access_key: Its secret.
        aws_session_token: For temporary credentials.
        region_name: The bucket's region; by default that of `session`, else of ``AWS_REGION``, of
            ``AWS_DEFAULT_REGION``, of the profile in which credentials were found, else ``"us-east-1"``.
        use_ssl: For an `endpoint_url`, a `public_url` and a `custom_domain` without a scheme.
        addressing_style: ``"path"`` or ``"virtual"``; ``"auto"`` is virtual on AWS and path elsewhere.
        default_acl: A canned ACL for new objects, such as ``"public-read"``.
        custom_domain: A CDN's domain, with or without scheme and path, that `get_path` then begins with.
        cloudfront: Signs for the distribution of CloudFront whose domain the `custom_domain` is: what is presigned for
            GET and HEAD is signed for it, and `get_path` with `querystring_auth`.
        querystring_auth: Whether `get_path` presigns.
        public_url: The server as browsers reach it, where that is not `endpoint_url`; URLs are signed for it.
        prefix: A folder that this storage keeps to: bare keys are relative to it, and ids elsewhere are refused.
        storage_class: For new objects, such as ``"STANDARD_IA"``.
        upload_options: What else new objects have: `UploadOptions`, all of which S3 knows.
        requester_pays: Agree to pay, in a bucket whose requesters do.
        session: A `boto3.Session` or `aioboto3.Session` to take credentials from.
        profile_name: The profile to take credentials, region and server from.
        name: Registers the storage under this name.
        read_only: Refuse every write and delete.
        proxy: As for `HttpOptions`, like the next two, and before what `options` say.
        ca_bundle: A file of certificates that are trusted instead of the system's.
        verify: Whether certificates are checked.
        options: Time-outs, pool, retries, proxy and certificates.
        conditional_writes: What the server makes of ``If-None-Match: *``, by which `overwrite=False` refuses a key that
            is taken. True: it honours the header, as AWS does. False: it ignores it (Cloud Storage by its S3 API, old
            Ceph, MinIO's gateway) or refuses it (Backblaze B2, Aliyun OSS): then `overwrite=False` looks for the file
            first, which races: of two who create one key at once both may succeed, the later one replacing the file of
            the other. ``"auto"``: the first call with `overwrite=False` finds it out, by a few requests on objects of
            its own, once for each bucket; AWS is known. Where the header is ignored it looks first, with a warning
            in the log; where it is refused, that is an error that says so. `save`, whose keys are new, never asks and
            works everywhere.
        checksums: ``"auto"`` sends checksum headers until the server refuses them, and remembers that;
            ``"required"`` always, as AWS wants for some buckets; ``"never"`` spares old servers the first attempt.
            Without them uploads carry an MD5.

    Raises:
        InvalidArgumentException: An option that cannot be right.

    Warns:
        InsecureConnectionWarning: Certificates are not to be checked.

    Example:
        >>> storage = S3Storage("photos", endpoint_url="localhost:9000", aws_access_key_id="…",
        ...                     aws_secret_access_key="…", use_ssl=False)
    """

    scheme = "s3"
    able_options = object_options.ALL

    def __init__(
        self,
        bucket_name: str,
        *,
        endpoint_url: str | None = None,
        aws_access_key_id: str | None = None,
        aws_secret_access_key: str | None = None,
        aws_session_token: str | None = None,
        region_name: str | None = None,
        use_ssl: bool = True,
        addressing_style: AddressingStyle = "auto",
        default_acl: str | None = None,
        custom_domain: str | None = None,
        cloudfront: "CloudFrontSigner | None" = None,
        querystring_auth: bool = False,
        public_url: str | None = None,
        prefix: str = "",
        storage_class: str | None = None,
        upload_options: UploadOptions | None = None,
        requester_pays: bool = False,
        session: Any = None,
        profile_name: str | None = None,
        name: str | None = None,
        read_only: bool = False,
        proxy: str | None = None,
        ca_bundle: str | PathLike[str] | None = None,
        verify: bool | None = None,
        options: HttpOptions | None = None,
        conditional_writes: ConditionalWrites = "auto",
        checksums: Checksums = "auto",
    ) -> None:
        aws_secret_access_key, aws_session_token = hidden(aws_secret_access_key), hidden(aws_session_token)
        proxy = hidden(proxy)
        self._credentials = credential_source(
            aws_access_key_id, aws_secret_access_key, aws_session_token, session, profile_name
        )
        self._client = S3Client(
            self._credentials,
            endpoint_url=endpoint_url,
            region_name=region_name,
            addressing_style=addressing_style,
            use_ssl=use_ssl,
            payer={"x-amz-request-payer": "requester"} if requester_pays else {},
            options=networked(options, proxy=proxy, ca_bundle=ca_bundle, verify=verify),
            conditional_writes=conditional_writes,
            checksums=checksums,
        )
        self._public_url = public_url
        self._cloudfront = cloudfront
        if cloudfront is not None and not custom_domain:
            raise InvalidArgumentException("what signs for CloudFront needs the distribution's custom_domain")
        super().__init__(
            bucket_name,
            custom_domain=custom_domain,
            querystring_auth=querystring_auth,
            prefix=prefix,
            upload_options=(upload_options or NO_OPTIONS).over(
                UploadOptions(
                    acl=checked_token("default_acl", default_acl),
                    storage_class=checked_token("storage_class", storage_class),
                )
            ),
            name=name,
            read_only=read_only,
            use_ssl=use_ssl,
        )
        self._urls.public  # noqa: B018 - wrong ones are refused now

    def _bucket_url(self, bucket_name: str) -> str:
        return self._client.wire.said_endpoint(bucket_name).bucket_url

    @classmethod
    def from_config(cls, config: S3Config, **options: Any) -> "S3Storage":
        """A storage on the default bucket of the settings; `options` as for the class go first."""
        return cls(**{"bucket_name": config.default_bucket, **storage_options(config), **options})

    @property
    def bucket_admin(self) -> BucketAdmin:
        """Creating the bucket, CORS and lifecycle rules."""
        return BucketAdmin(self._bucket, self._client.wire)

    @property
    def part_uploads(self) -> S3PartUploads:
        """Multipart uploads whose parts a browser sends: see `SupportsPartUploads`."""
        return S3PartUploads(self)

    async def prepare(self) -> None:
        """Resolve the credentials, so that `presign` can work without I/O."""
        await self._client.wire.prepare()

    async def aclose(self) -> None:
        """Close the connections of the running loop; see `Storage.aclose`."""
        await super().aclose()
        await self._client.aclose()

    # ---- files

    def _part_sizes(self, size: int | None, max_size: int | None) -> Iterator[int]:
        return part_sizes(size, max_size)

    async def _store(
        self,
        key: str,
        parts: Parts,
        content_type: str,
        metadata: Mapping[str, str],
        options: UploadOptions,
        *,
        overwrite: bool,
        is_fresh: bool,
    ) -> None:
        await self._writer.store(key, parts, content_type, metadata, options, overwrite=overwrite, is_fresh=is_fresh)

    @property
    def _writer(self) -> BucketWriter:
        return BucketWriter(self._client, self._bucket, self._prefix, self.upload_options)

    def _chunks(self, key: str, offset: int, length: int | None, chunk_size: int) -> AsyncGenerator[bytes]:
        secret = self._customer_key
        return self._client.get_object(self._bucket, key, offset, length, chunk_size=chunk_size, customer_key=secret)

    @property
    def _customer_key(self) -> CustomerKey | None:
        return object_options.customer_key(self.upload_options)

    async def _find(self, key: str) -> Mapping[str, str]:
        return await self._client.head_object(self._bucket, key, customer_key=self._customer_key)

    async def _find_sized(self, key: str) -> Mapping[str, str]:
        found = await self._find(key)
        if "Content-Length" in found:
            return found
        sized = CIMultiDict(found)
        sized["Content-Length"] = str(
            await self._client.object_size(self._bucket, key, customer_key=self._customer_key)
        )
        return sized

    def _info(self, file: FileId, found: Mapping[str, str]) -> FileBasicInfo:
        return objects.info_of(file, found)

    async def _remove(self, key: str) -> None:
        await self._client.delete_object(self._bucket, key)

    async def delete_many(self, names: Iterable[FileName], *, concurrency: int = 4) -> None:
        """Delete up to 1000 files per request, missing ones included; all are tried before a failure surfaces."""
        await delete_in_batches(self, names, concurrency=concurrency)

    async def _page(
        self, prefix: str, token: str | None = None, *, most: int = 1000, attempts: int | None = None
    ) -> Listing:
        return await self._client.list_objects(self._bucket, prefix, token, most=most, attempts=attempts)

    def _listed_info(self, file: FileId, listed: ListedObject) -> FileBasicInfo:
        return objects.listed_info(file, listed)

    # ---- on the server

    async def set_metadata(self, name: FileName, metadata: Mapping[str, str]) -> None:
        """Replace the user's metadata, by a copy onto itself: see `SupportsMetadata`."""
        with self._operation("set_metadata", name) as operation:
            checked = check_metadata(metadata)
            key = operation.file.key
            await self._writer.copy(key, await self._find(key), key, metadata=checked)

    async def _copy(
        self, origin: FileId, found: Mapping[str, str], target: FileId, *, overwrite: bool, is_fresh: bool
    ) -> None:
        await self._writer.copy(origin.key, found, target.key, overwrite=overwrite, is_fresh=is_fresh)

    # ---- URLs

    @property
    def _urls(self) -> BucketUrls:
        return BucketUrls(
            self._bucket,
            self._client.wire,
            self._credentials,
            public_url=self._public_url,
            options=self.upload_options,
            distribution=self._distribution,
        )

    def _unsigned_url(self, file: FileId) -> str:
        return self._urls.url(file)

    async def _signed_url(self, file: FileId) -> str:
        await self.prepare()
        return self._urls.presigner("GET")(file)

    @property
    def _distribution(self) -> Distribution | None:
        if self._cloudfront is None or self._custom_domain is None:
            return None
        return Distribution(self._custom_domain, self._cloudfront)

    def _domain_url(self, domain: str, file: FileId) -> str:
        if (signed := self._distribution) is not None and self._querystring_auth:
            return signed.presign(file.key)
        return super()._domain_url(domain, file)

    def signed_cookies(
        self, prefix: str = "", expires_in: float = 3600, **options: Unpack[CookieOptions]
    ) -> dict[str, str]:
        """Cookies of CloudFront for all keys that begin with `prefix`: see `CloudFrontSigner.signed_cookies`.

        Raises:
            InvalidArgumentException: There is no `cloudfront` and `custom_domain`; or as for the signer.
        """
        if self._distribution is None:
            raise InvalidArgumentException("cookies need a custom_domain and a cloudfront=CloudFrontSigner(…)")
        return self._distribution.cookies(self._prefix + prefix, expires_in, **options)

    async def presigned_urls(
        self,
        names: Iterable[FileName],
        expires_in: float = 3600,
        method: PresignMethod = "GET",
        **options: Unpack[PresignOptions],
    ) -> builtins.list[str]:
        """Presigned URLs in the order of the names; many for CloudFront are signed in a thread, as each takes 1 ms."""
        names = list(names)
        if self._distribution is None or len(names) <= SIGNED_HERE or method not in {"GET", "HEAD"}:
            return await super().presigned_urls(names, expires_in, method, **options)
        return await offload(lambda: [self.presign(name, expires_in, method, **options) for name in names])

    def presign(
        self,
        name: FileName,
        expires_in: float = 3600,
        method: PresignMethod = "GET",
        *,
        filename: str | None = None,
        content_type: str | None = None,
        disposition: Disposition | None = None,
        content_length: int | None = None,
        stable: timedelta | None = None,
    ) -> str:
        """A presigned URL: see `SupportsPresign`. On S3 one for GET does not allow HEAD.

        One for PUT stores the file with the storage's `upload_options`: it must come with `presigned_headers`.
        """
        with self._operation("presign", name) as operation:
            check_presign_method(method, read_only=self.read_only)
            check_sent(content_type, content_length)
            if method == "PUT":
                naming.check_key(self._bare_key(operation.file))
            return self._urls.presign(
                operation.file,
                expires_in,
                method,
                filename=filename,
                content_type=content_type,
                disposition=disposition,
                content_length=content_length,
                stable=stable,
            )

    def presigned_headers(
        self, *, content_type: str | None = None, content_length: int | None = None
    ) -> dict[str, str]:
        """What a presigned PUT must come with: see `Storage.presigned_headers`."""
        return {
            **self._urls.put_headers(),
            **super().presigned_headers(content_type=content_type, content_length=content_length),
        }

    @property
    def _object_headers(self) -> dict[str, str]:
        """The headers of a new object that is not written here."""
        return object_options.object_headers(self.upload_options)

    def presign_many(
        self, names: Iterable[FileName], expires_in: float = 3600, *, stable: timedelta | None = None
    ) -> builtins.list[str]:
        """Presigned GET URLs in the order of the names: see `SupportsPresign`."""
        with self._operation("presign"):
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

        It is answered with 201 and XML that holds the ETag, as some servers have none in the header.
        """
        with self._operation("presign_post", name) as operation:
            check_presign_method("POST", read_only=self.read_only)
            naming.check_key(self._bare_key(operation.file))
            return await self._urls.presign_post(
                operation.file, expires_in, max_size=max_size, min_size=min_size, content_type=content_type
            )
