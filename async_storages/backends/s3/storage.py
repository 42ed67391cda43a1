"""Files in an S3 bucket, on AWS, MinIO, Ceph, SeaweedFS, R2 and other servers that speak S3."""

from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

from async_storages._secrets import hidden
from async_storages.backends.buckets.new_file import NewFile
from async_storages.backends.buckets.part_splitter import PART_SIZE
from async_storages.backends.buckets.storage import checked_token
from async_storages.backends.s3 import file_info, object_options
from async_storages.backends.s3.api_client import S3ApiClient
from async_storages.backends.s3.batch_deletes import delete_in_batches
from async_storages.backends.s3.bucket import S3BucketAdmin
from async_storages.backends.s3.bucket_writer import BucketWriter
from async_storages.backends.s3.checksum_headers import Checksums
from async_storages.backends.s3.cloudfront_storage import CloudFrontStorage
from async_storages.backends.s3.conditional_writes import ConditionalWrites
from async_storages.backends.s3.config_options import storage_options
from async_storages.backends.s3.credentials import credential_source
from async_storages.backends.s3.endpoint import AddressingStyle
from async_storages.backends.s3.part_sizes import part_sizes
from async_storages.backends.s3.part_uploads import S3PartUploads
from async_storages.backends.s3.urls import S3Urls
from async_storages.backends.s3.xml_messages import ListedObject, Listing
from async_storages.backends.transport.http import HttpOptions, override_options
from async_storages.config import S3Config
from async_storages.content import check_metadata
from async_storages.errors import InvalidArgumentException
from async_storages.ids import FileId
from async_storages.models import FileBasicInfo
from async_storages.storage.base import FileName
from async_storages.upload_options import NO_OPTIONS, CustomerKey, UploadOptions

if TYPE_CHECKING:
    from async_storages.backends.s3.cloudfront import CloudFrontSigner

__all__ = ["S3Storage"]


class S3Storage(CloudFrontStorage, has_bucket=True):
    """Keeps files in one bucket. Ids are ``s3:bucket/key``.

    Args:
        bucket_name: The bucket.
        endpoint_url: The server, with or without a scheme: ``"localhost:9000"``. With None the storage uses the first
            of these that is set: ``AWS_ENDPOINT_URL_S3``, ``AWS_ENDPOINT_URL``, the profile of the credentials, AWS.
        aws_access_key_id: The access key. Without it, boto3 finds the credentials as every AWS tool does.
        aws_secret_access_key: The secret of the access key.
        aws_session_token: The session token of temporary credentials.
        region_name: The bucket's region. With None the storage uses the first of these that is set: the region of
            `session`, ``AWS_REGION``, ``AWS_DEFAULT_REGION``, the profile of the credentials, ``"us-east-1"``.
        use_ssl: True uses https, False http, for an `endpoint_url`, `public_url` or `custom_domain` without a scheme.
        addressing_style: ``"path"``, ``"virtual"`` or ``"auto"``, which is virtual on AWS and path elsewhere.
        default_acl: A canned ACL for new objects. For example ``"public-read"``.
        custom_domain: The domain of a CDN, with or without scheme and path. URLs of `get_path` begin with it.
        cloudfront: The signer of the CloudFront distribution at `custom_domain`. It signs URLs for GET and HEAD, and
            with `querystring_auth` also the URLs of `get_path`.
        querystring_auth: True presigns the URLs of `get_path`.
        public_url: The address of the server for browsers, if it differs from `endpoint_url`. URLs are signed for it.
        prefix: A folder in the bucket. Bare keys are relative to it. The storage refuses ids outside it.
        storage_class: The storage class of new objects. For example ``"STANDARD_IA"``.
        upload_options: Further options of new objects. S3 supports all `UploadOptions`.
        requester_pays: True agrees to pay for requests to a requester-pays bucket.
        session: A `boto3.Session` or `aioboto3.Session` with credentials.
        profile_name: The AWS profile with credentials, region and server.
        name: The registered name of the storage.
        read_only: True refuses every write and delete.
        proxy: A proxy: see `HttpOptions`. This and the next two arguments override `options`.
        ca_bundle: A file of certificates to trust instead of the system's.
        verify: True checks certificates.
        options: Time-outs, pool, retries, proxy and certificates.
        conditional_writes: The server's treatment of the header ``If-None-Match: *``, with which `overwrite=False`
            refuses a taken key. True: the server honours it, as AWS does. False: the server ignores it (Cloud Storage
            by its S3 API, old Ceph, MinIO's gateway) or refuses it (Backblaze B2, Aliyun OSS). The storage then checks
            first that the key is free. Two writers at the same time may both succeed, and the later file replaces the
            other. ``"auto"``: the storage tests an unknown server once for each bucket. If the server ignores the
            header, the storage checks keys first and logs a warning. If the server refuses it, the storage raises.
            `save` works on all servers, as its keys are new.
        part_size: The size of an upload's parts in bytes: a multiple of 256 KiB, on AWS 5 MiB to 5 GiB. Parts become
            larger if there would be more than 10,000. Smaller files are sent in one request.
        checksums: ``"auto"`` sends checksum headers until the server refuses them, and remembers the refusal.
            ``"required"`` always sends them, as AWS demands for some buckets. ``"never"`` sends none, so
            old servers have nothing to refuse. Without checksum headers, uploads carry an MD5.

    Raises:
        InvalidArgumentException: An option is wrong.

    Warns:
        InsecureConnectionWarning: `verify` is False.

    Example:
        >>> storage = S3Storage("photos", endpoint_url="localhost:9000", aws_access_key_id="minioadmin",
        ...                     aws_secret_access_key="minioadmin", use_ssl=False)
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
        part_size: int = PART_SIZE,
    ) -> None:
        aws_secret_access_key, aws_session_token = hidden(aws_secret_access_key), hidden(aws_session_token)
        proxy = hidden(proxy)
        self._credentials = credential_source(
            aws_access_key_id, aws_secret_access_key, aws_session_token, session, profile_name
        )
        self._client = S3ApiClient(
            self._credentials,
            endpoint_url=endpoint_url,
            region_name=region_name,
            addressing_style=addressing_style,
            use_ssl=use_ssl,
            payer={"x-amz-request-payer": "requester"} if requester_pays else {},
            options=override_options(options, proxy=proxy, ca_bundle=ca_bundle, verify=verify),
            conditional_writes=conditional_writes,
            checksums=checksums,
        )
        self._public_url = public_url
        self._cloudfront = cloudfront
        if cloudfront is not None and not custom_domain:
            raise InvalidArgumentException("cloudfront= needs the distribution's domain: give it as custom_domain")
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
            part_size=part_size,
        )
        self._urls.public  # noqa: B018 - a wrong public_url is refused now

    def _bucket_url(self, bucket_name: str) -> str:
        return self._client.wire.said_endpoint(bucket_name).bucket_url

    @classmethod
    def from_config(cls, config: S3Config, **options: Any) -> "S3Storage":
        """Return a storage for the default bucket of the settings. `options` of the class override them."""
        return cls(**{"bucket_name": config.default_bucket, **storage_options(config), **options})

    @property
    def bucket_admin(self) -> S3BucketAdmin:
        """Return an object that sets up the bucket: creation, CORS, lifecycle rules."""
        return S3BucketAdmin(self._bucket, self._client.wire)

    @property
    def part_uploads(self) -> S3PartUploads:
        """Return the multipart uploads of the bucket, whose parts a browser sends: see `SupportsPartUploads`."""
        return S3PartUploads(self)

    async def prepare(self) -> None:
        """Find the credentials, so that `presign` does no I/O."""
        await self._client.wire.prepare()

    async def aclose(self) -> None:
        """Close the connections of the running event loop: see `Storage.aclose`."""
        await super().aclose()
        await self._client.aclose()

    # ---- files

    def _part_sizes(self, size: int | None, max_size: int | None) -> Iterator[int]:
        return part_sizes(size, max_size, self._part_size)

    async def _store(self, file: NewFile) -> str | None:
        return await self._writer.store(file) or None

    @property
    def _writer(self) -> BucketWriter:
        return BucketWriter(self._client, self._bucket, self.prefix, self.upload_options)

    def _chunks(self, key: str, offset: int, length: int | None, chunk_size: int) -> AsyncGenerator[bytes]:
        secret = self._customer_key
        return self._client.get_object(self._bucket, key, offset, length, chunk_size=chunk_size, customer_key=secret)

    @property
    def _customer_key(self) -> CustomerKey | None:
        return object_options.customer_key(self.upload_options)

    async def _find(self, key: str) -> Mapping[str, str]:
        return await self._client.head_object(self._bucket, key, customer_key=self._customer_key)

    async def _find_sized(self, key: str) -> Mapping[str, str]:
        return await self._client.head_sized_object(self._bucket, key, customer_key=self._customer_key)

    def _info(self, file: FileId, found: Mapping[str, str]) -> FileBasicInfo:
        return file_info.info_of(file, found)

    async def _remove(self, key: str) -> None:
        await self._client.delete_object(self._bucket, key)

    async def delete_many(self, names: Iterable[FileName], *, concurrency: int = 4) -> None:
        """Delete files, up to 1000 per request. Missing files are not an error.

        All files are tried before the first failure is raised.
        """
        await delete_in_batches(self, names, concurrency=concurrency)

    async def _page(
        self, prefix: str, token: str | None = None, *, most: int = 1000, attempts: int | None = None
    ) -> Listing:
        return await self._client.list_objects(self._bucket, prefix, token, most=most, attempts=attempts)

    def _listed_info(self, file: FileId, listed: ListedObject) -> FileBasicInfo:
        return file_info.listed_info(file, listed)

    # ---- on the server

    async def set_metadata(self, name: FileName, metadata: Mapping[str, str]) -> None:
        """Replace the user's metadata, by copying the object onto itself: see `SupportsMetadata`."""
        with self.operation("set_metadata", name) as operation:
            checked = check_metadata(metadata)
            key = operation.file.key
            await self._writer.copy(key, await self._find(key), key, metadata=checked)

    async def _copy(
        self, origin: FileId, found: Mapping[str, str], target: FileId, *, overwrite: bool, is_fresh: bool
    ) -> None:
        await self._writer.copy(origin.key, found, target.key, overwrite=overwrite, is_fresh=is_fresh)

    # ---- URLs

    @property
    def _urls(self) -> S3Urls:
        return S3Urls(
            self._bucket,
            self._client.wire,
            self._credentials,
            public_url=self._public_url,
            options=self.upload_options,
            distribution=self._distribution,
        )

    async def _signed_url(self, file: FileId) -> str:
        await self.prepare()
        return self._urls.presigner("GET")(file)

    def presigned_headers(
        self, *, content_type: str | None = None, content_length: int | None = None
    ) -> dict[str, str]:
        """Return the headers that a presigned PUT must have: see `Storage.presigned_headers`."""
        return {
            **self._urls.put_headers(),
            **super().presigned_headers(content_type=content_type, content_length=content_length),
        }

    @property
    def _object_headers(self) -> dict[str, str]:
        """Return the headers of a new object that a client uploads."""
        return object_options.object_headers(self.upload_options)
