"""Files in a bucket of Google Cloud Storage."""

import builtins
import os
import re
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from itertools import repeat
from pathlib import Path
from typing import Any, Unpack

from async_storages._secrets import hidden
from async_storages.backends.buckets.new_file import NewFile
from async_storages.backends.buckets.part_splitter import PART_SIZE
from async_storages.backends.buckets.signed_bucket import SignedBucketStorage
from async_storages.backends.buckets.storage import checked_token
from async_storages.backends.gcs import file_info, object_options
from async_storages.backends.gcs.api_client import GCSApiClient
from async_storages.backends.gcs.bucket import GCSBucketAdmin
from async_storages.backends.gcs.credentials.google import credentials_from
from async_storages.backends.gcs.resources import Page, StoredObject
from async_storages.backends.gcs.urls import GCSUrls, put_headers
from async_storages.backends.gcs.wire import Wire
from async_storages.backends.transport.addresses import ServerAddress
from async_storages.backends.transport.http import HttpOptions, override_options
from async_storages.backends.transport.network import Network
from async_storages.config import GCSConfig
from async_storages.content import check_metadata
from async_storages.errors import InvalidArgumentException
from async_storages.ids import FileId
from async_storages.models import FileBasicInfo
from async_storages.storage.base import FileName
from async_storages.storage.capabilities import PresignMethod, PresignOptions
from async_storages.upload_options import NO_OPTIONS, UploadOptions

__all__ = ["GCSStorage"]

_SERVER = "https://storage.googleapis.com"
_EMULATOR = "STORAGE_EMULATOR_HOST"

_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")


class GCSStorage(SignedBucketStorage[StoredObject, StoredObject], has_bucket=True):
    """Keeps files in one bucket. Ids are ``gs:bucket/object``.

    Args:
        bucket_name: The bucket.
        service_file: The JSON file of a service account or of a workload identity.
        service_account_info: The content of such a file. Without both, the storage finds the credentials as Google's
            tools do: from ``GOOGLE_APPLICATION_CREDENTIALS``, from gcloud, or from the machine.
        endpoint_url: The server, for example an emulator. None uses the server in ``STORAGE_EMULATOR_HOST``, which
            needs no credentials. If the variable is not set, None uses Google's server.
        anonymous: True uses no credentials, for emulators and for reading public buckets.
        custom_domain: The domain of a CDN, with or without scheme and path. URLs of `get_path` begin with it.
        querystring_auth: True presigns the URLs of `get_path`.
        public_url: The address of the server for browsers, if it differs from `endpoint_url`. URLs are signed for it.
        prefix: A folder in the bucket. Bare keys are relative to it. The storage refuses ids outside it.
        storage_class: The storage class of new objects, except those that browsers upload by presigned URLs. For
            example ``"NEARLINE"``.
        predefined_acl: The predefined ACL of new objects, except those that browsers upload by presigned URLs. For
            example ``"publicRead"``. Buckets with uniform access refuse it.
        upload_options: Further options of new objects: `UploadOptions` without `expires`, `tags` and the encryption of
            other providers. A file that a browser uploads gets the headers at once. It gets the other options when
            `DirectUploads.attach` copies it.
        user_project: The id of the project that pays for requests to a requester-pays bucket. Presigned forms do not
            support it.
        part_size: The size of an upload's parts in bytes, a multiple of 256 KiB. Smaller files are sent in one request.
        name: The registered name of the storage.
        read_only: True refuses every write and delete.
        proxy: A proxy, also for tokens and signatures: see `HttpOptions`. This and the next two arguments override
            `options`.
        ca_bundle: A file of certificates to trust instead of the system's.
        verify: True checks certificates.
        options: Time-outs, pool, retries, proxy and certificates.

    Raises:
        InvalidArgumentException: An option is wrong.

    Warns:
        InsecureConnectionWarning: `verify` is False.

    Example:
        >>> storage = GCSStorage("photos", service_file="service-account.json")
    """

    scheme = "gs"
    able_options = object_options.ABLE

    def __init__(
        self,
        bucket_name: str,
        *,
        service_file: str | Path | None = None,
        service_account_info: Mapping[str, Any] | None = None,
        endpoint_url: str | None = None,
        anonymous: bool = False,
        custom_domain: str | None = None,
        querystring_auth: bool = False,
        public_url: str | None = None,
        prefix: str = "",
        storage_class: str | None = None,
        predefined_acl: str | None = None,
        upload_options: UploadOptions | None = None,
        user_project: str | None = None,
        part_size: int = PART_SIZE,
        name: str | None = None,
        read_only: bool = False,
        proxy: str | None = None,
        ca_bundle: str | os.PathLike[str] | None = None,
        verify: bool | None = None,
        options: HttpOptions | None = None,
    ) -> None:
        service_account_info, proxy = hidden(service_account_info), hidden(proxy)
        options = override_options(options, proxy=proxy, ca_bundle=ca_bundle, verify=verify)
        network = Network(options)
        emulator = os.environ.get(_EMULATOR) if endpoint_url is None else None
        is_bare = service_file is None and service_account_info is None
        self._credentials = credentials_from(
            service_file,
            service_account_info,
            anonymous=anonymous or bool(emulator and is_bare),
            retries=options.retries,
            network=network,
        )
        origin = _origin(emulator, use_ssl=False) if emulator else _origin(endpoint_url or _SERVER)
        self._client = GCSApiClient(
            Wire(
                self._credentials,
                origin=origin,
                billed={} if user_project is None else {"userProject": user_project},
                options=options,
                network=network,
            ),
        )
        self._public_origin = origin if public_url is None else _origin(public_url)
        super().__init__(
            bucket_name,
            custom_domain=custom_domain,
            querystring_auth=querystring_auth,
            prefix=prefix,
            upload_options=(upload_options or NO_OPTIONS).over(
                UploadOptions(
                    acl=checked_token("predefined_acl", predefined_acl),
                    storage_class=checked_token("storage_class", storage_class),
                )
            ),
            name=name,
            read_only=read_only,
            part_size=part_size,
        )

    def _bucket_url(self, bucket_name: str) -> str:
        return f"{self._client.wire.origin}/{_checked_bucket(bucket_name)}"

    @classmethod
    def from_config(cls, config: GCSConfig, **options: Any) -> "GCSStorage":
        """Return a storage for the default bucket of the settings. `options` of the class override them."""
        info = config.service_account_info
        given = {
            **config.model_dump(exclude={"default_bucket", "endpoint"}),
            "endpoint_url": config.endpoint,
            "service_account_info": None if info is None else info.get_secret_value(),
            "upload_options": config.upload_options,
            "proxy": hidden(None if config.proxy is None else config.proxy.get_secret_value()),
        }
        return cls(**{"bucket_name": config.default_bucket, **given, **options})

    @property
    def bucket_admin(self) -> GCSBucketAdmin:
        """Return an object that sets up the bucket: creation, CORS, lifecycle rules."""
        return GCSBucketAdmin(self._bucket, self._client.wire)

    async def prepare(self) -> None:
        """Read and parse the key, so that `presign` does no I/O."""
        await self._credentials.prepare()

    async def aclose(self) -> None:
        """Close the connections of the running event loop: see `Storage.aclose`."""
        await super().aclose()
        await self._client.wire.aclose()
        await self._credentials.aclose()

    # ---- files

    def _part_sizes(self, size: int | None, max_size: int | None) -> Iterator[int]:
        return repeat(self._part_size)

    async def _store(self, file: NewFile) -> str | None:
        file_info.check_metadata_size(file.metadata)
        described = {
            **object_options.described(file.options),
            "contentType": file.content_type,
            "metadata": file.metadata,
        }
        target, query = (self._bucket, file.key, described), object_options.parameters(file.options)
        if await file.parts.has_single_part():
            content = await file.parts.next_part()
            made = await self._client.insert(*target, content, query=query, overwrite=file.overwrite)
        else:
            made = await self._client.upload(*target, file.parts, query=query, overwrite=file.overwrite)
        return file_info.etag_of(made)

    def _check_options(self, options: UploadOptions) -> None:
        super()._check_options(options)
        object_options.check_encryption(options)

    def _chunks(self, key: str, offset: int, length: int | None, chunk_size: int) -> AsyncGenerator[bytes]:
        return self._client.read(self._bucket, key, offset, length, chunk_size=chunk_size)

    async def _find(self, key: str) -> StoredObject:
        return await self._client.find(self._bucket, key)

    def _info(self, file: FileId, found: StoredObject) -> FileBasicInfo:
        return file_info.info_of(file, found)

    async def _remove(self, key: str) -> None:
        await self._client.delete(self._bucket, key)

    async def _page(
        self, prefix: str, token: str | None = None, *, most: int = 1000, attempts: int | None = None
    ) -> Page:
        return await self._client.list(self._bucket, prefix, token, most=most, attempts=attempts)

    def _listed_info(self, file: FileId, listed: StoredObject) -> FileBasicInfo:
        return file_info.info_of(file, listed)

    # ---- on the server

    async def _copy(
        self, origin: FileId, found: StoredObject, target: FileId, *, overwrite: bool, is_fresh: bool
    ) -> None:
        options = self.upload_options
        described = object_options.copied(options, file_info.described_as(found))
        query = object_options.copy_parameters(options, found)
        await self._client.copy(self._bucket, found, target.key, described, query=query, overwrite=overwrite)

    async def set_metadata(self, name: FileName, metadata: Mapping[str, str]) -> None:
        """Replace the user's metadata: see `SupportsMetadata`."""
        with self.operation("set_metadata", name) as operation:
            wanted = check_metadata(metadata)
            file_info.check_metadata_size(wanted)
            await self._client.set_metadata(self._bucket, operation.file.key, wanted)

    # ---- URLs

    @property
    def _urls(self) -> GCSUrls:
        wire = self._client.wire
        url, sent = f"{self._public_origin}/{self._bucket}", object_options.sent_headers(self.upload_options)
        return GCSUrls(self._bucket, url, self._credentials, wire.billed, sent)

    async def _signed_url(self, file: FileId) -> str:
        [url] = await self._urls.presigned_urls([file])
        return url

    async def presigned_urls(
        self,
        names: Iterable[FileName],
        expires_in: float = 3600,
        method: PresignMethod = "GET",
        **options: Unpack[PresignOptions],
    ) -> builtins.list[str]:
        """Return presigned URLs in the order of the names. IAM signs them if the storage has no key."""
        with self.operation("presign"):
            files = [self.identify(name) for name in names]
            for file in files:
                self.check_presign(file, method)
            return await self._urls.presigned_urls(files, expires_in, method, **options)

    def presigned_headers(
        self, *, content_type: str | None = None, content_length: int | None = None
    ) -> dict[str, str]:
        """Return the headers that a presigned PUT must have: see `Storage.presigned_headers`."""
        return {**object_options.sent_headers(self.upload_options), **put_headers(content_type, content_length)}


def _origin(url: str, *, use_ssl: bool = True) -> str:
    return str(ServerAddress.parse(url, use_ssl=use_ssl))


def _checked_bucket(bucket_name: str) -> str:
    if not isinstance(bucket_name, str) or not _BUCKET.fullmatch(bucket_name):
        raise InvalidArgumentException(
            f"bucket_name is {bucket_name!a}: give 3 to 222 lower-case letters, digits, dots, - and _"
        )
    return bucket_name
