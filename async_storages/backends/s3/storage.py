"""Files in an S3 bucket: AWS, MinIO, Ceph, SeaweedFS, R2 and whatever else speaks S3."""

import builtins
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import aclosing
from copy import copy
from itertools import batched
from typing import Any, Self

from async_storages import naming
from async_storages._tasks import map_bounded
from async_storages.backends.http import HttpOptions
from async_storages.backends.s3 import objects
from async_storages.backends.s3.answers import RangeBeyondEnd
from async_storages.backends.s3.bucket import BucketAdmin
from async_storages.backends.s3.client import CopySource, S3Client
from async_storages.backends.s3.credentials import CredentialSource, FoundCredentials, StaticCredentials
from async_storages.backends.s3.endpoint import AddressingStyle, Endpoint
from async_storages.backends.s3.multipart import Multipart, Parts
from async_storages.backends.s3.sigv4 import Credentials, encode_path
from async_storages.config import S3Config
from async_storages.content import Content, check_metadata
from async_storages.errors import InvalidArgumentException, StorageException, during
from async_storages.ids import FileId
from async_storages.models import FileBasicInfo, PresignedUpload
from async_storages.naming import Disposition
from async_storages.signing import check_expires_in
from async_storages.sources import CHUNK_SIZE
from async_storages.storage import FileName, PresignMethod, Storage, byte_range, check_presign_method

__all__ = ["S3Storage"]

_LARGEST_AT_ONCE = 5 << 30
"""Bytes that one request can store or copy."""

_DELETED_AT_ONCE = 1000

_RENAMED = ("endpoint", "access_key_id", "secret_access_key", "session_token", "default_bucket", "region")
"""The settings of `S3Config` whose parameters have other names here."""

_TOKEN = re.compile(r"[A-Za-z0-9_-]+")
_DOMAIN = re.compile(r"(https?://)?([\w.-]+(?::[0-9]{1,5})?(?:/[\w./~%-]*)?)", re.IGNORECASE | re.ASCII)


class S3Storage(Storage, has_bucket=True):
    """Keeps files in one bucket. Ids are ``s3:bucket/key``.

    Args:
        bucket_name: The bucket.
        endpoint_url: The server, with or without scheme: ``"localhost:9000"``; None for AWS.
        aws_access_key_id: The access key; without one boto3 finds credentials as every AWS tool does.
        aws_secret_access_key: Its secret.
        aws_session_token: For temporary credentials.
        region_name: The bucket's region; by default that of the profile in which credentials were found.
        use_ssl: For an `endpoint_url` without a scheme.
        addressing_style: ``"path"`` or ``"virtual"``; ``"auto"`` is virtual on AWS and path elsewhere.
        default_acl: A canned ACL for new objects, such as ``"public-read"``.
        custom_domain: A CDN's domain, with or without scheme and path, that `get_path` then begins with.
        querystring_auth: Whether `get_path` presigns.
        public_url: The server as browsers reach it, where that is not `endpoint_url`; URLs are signed for it.
        prefix: A folder that this storage keeps to: bare keys are relative to it, and ids elsewhere are refused.
        storage_class: For new objects, such as ``"STANDARD_IA"``.
        session: A `boto3.Session` or `aioboto3.Session` to take credentials from.
        name: Registers the storage under this name.
        read_only: Refuse every write and delete.
        options: Time-outs, pool and retries.

    Raises:
        InvalidArgumentException: An option that cannot be right.

    Example:
        >>> storage = S3Storage("photos", endpoint_url="localhost:9000", aws_access_key_id="…",
        ...                     aws_secret_access_key="…", use_ssl=False)
    """

    scheme = "s3"

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
        querystring_auth: bool = False,
        public_url: str | None = None,
        prefix: str = "",
        storage_class: str | None = None,
        session: Any = None,
        name: str | None = None,
        read_only: bool = False,
        options: HttpOptions | None = None,
    ) -> None:
        self._bucket = self.bucket = bucket_name
        self._credentials = _credentials(aws_access_key_id, aws_secret_access_key, aws_session_token, session)
        self._client = S3Client(
            self._credentials,
            endpoint_url=endpoint_url,
            region_name=region_name,
            addressing_style=addressing_style,
            use_ssl=use_ssl,
            options=options,
        )
        self._public_url = public_url
        self._custom_domain = _checked_domain(custom_domain)
        self._querystring_auth = querystring_auth
        self._prefix = f"{naming.check_key(prefix.strip('/'))}/" if prefix.strip("/") else ""
        self._object_headers = _object_headers(default_acl, storage_class)
        self.location = self._client.wire.endpoint(bucket_name).bucket_url
        self._public  # noqa: B018 - wrong ones are refused now
        super().__init__(name=name, read_only=read_only)

    def __repr__(self) -> str:
        return f"S3Storage({self.bucket!r}, location={self.location!r})"

    @property
    def _public(self) -> Endpoint:
        """The bucket's address in URLs."""
        return self._client.wire.endpoint(self._bucket, endpoint_url=self._public_url)

    @classmethod
    def from_config(cls, config: S3Config, **options: Any) -> "S3Storage":
        """A storage on the default bucket of the settings; `options` as for the class go first."""
        return cls(**{"bucket_name": config.default_bucket, **_options(config), **options})

    def with_bucket(self, bucket_name: str) -> "S3Storage":
        """The same for another bucket, on the same connections; without name, prefix and custom domain."""
        other = copy(self)
        location = self._client.wire.endpoint(bucket_name).bucket_url
        vars(other).update(_bucket=bucket_name, bucket=bucket_name, location=location)
        vars(other).update(_prefix="", _custom_domain=None, name=None)
        return other

    def within(self, *folders: str) -> Self:
        """The same storage, kept to a folder: see `SupportsFolders`."""
        return self._within(folders)

    @property
    def bucket_admin(self) -> BucketAdmin:
        """Creating the bucket, CORS and lifecycle rules."""
        return BucketAdmin(self._bucket, self._client.wire)

    async def prepare(self) -> None:
        """Resolve the credentials, so that `presign` can work without I/O."""
        await self._client.wire.prepare()

    async def ping(self) -> None:
        """Whether the server answers, knows the bucket and lets us list it: see `SupportsPing`."""
        with self._operation("ping"), during("ping", self._bucket):
            await self._client.list_objects(self._bucket, f"{self._prefix}ping", most=1)

    async def aclose(self) -> None:
        """Close the connections of the running loop; see `Storage.aclose`."""
        await super().aclose()
        await self._client.aclose()

    # ---- files

    async def write(self, content: Content, key: FileName, *, overwrite: bool = True) -> str:
        """Store the content under the key, from 8 MiB on in parts: see `Storage.write`.

        A failed write leaves nothing. One that is cancelled in the very end, with `overwrite`, may have been stored.
        """
        with self._operation("write", key) as operation:
            target = (self._bucket, operation.file.key)
            parts = Parts(content, await content.measure())
            described = {"Content-Type": await content.content_type(), **objects.metadata_headers(content.metadata)}
            headers = {**self._object_headers, **described}
            async with aclosing(parts):
                if await parts.are_one():
                    await self._client.put_object(*target, await parts.next(), headers=headers, overwrite=overwrite)
                else:
                    await Multipart(self._client, *target, headers=headers, overwrite=overwrite).upload(parts)
            operation.bytes = content.size or 0
            return str(operation.file)

    async def stream(
        self, name: FileName, offset: int = 0, length: int | None = None, *, chunk_size: int = CHUNK_SIZE
    ) -> AsyncGenerator[bytes]:
        """The bytes of a file, or of a range of it: see `Storage.stream`."""
        with self._operation("stream", name) as operation:
            target = (self._bucket, operation.file.key)
            byte_range(0, offset, length, chunk_size)  # refuses what cannot be
            if length == 0 or (offset < 0 and length is not None):  # which HTTP cannot say
                size = objects.size_of(await self._client.head_object(*target))
                positions = byte_range(size, offset, length, chunk_size)
                offset, length = positions.start, positions.stop - positions.start
            if length == 0:
                return
            try:
                async with aclosing(self._client.get_object(*target, offset, length, chunk_size=chunk_size)) as chunks:
                    async for chunk in chunks:
                        operation.bytes += len(chunk)
                        yield chunk
            except RangeBeyondEnd:
                return

    async def stat(self, name: FileName) -> FileBasicInfo:
        """Size, type, etag, time and metadata: see `Storage.stat`."""
        with self._operation("stat", name) as operation:
            return objects.info_of(operation.file, await self._client.head_object(self._bucket, operation.file.key))

    async def delete(self, name: FileName) -> None:
        """Delete a file; a missing one is not an error."""
        with self._operation("delete", name) as operation:
            await self._client.delete_object(self._bucket, operation.file.key)

    async def delete_many(self, names: Iterable[FileName], *, concurrency: int = 4) -> None:
        """Delete up to 1000 files per request, missing ones included; all are tried before a failure surfaces."""
        keys: list[str] = []
        failures: list[StorageException] = []

        async def delete_batch(batch: tuple[str, ...]) -> None:
            try:
                await self._delete_batch(batch)
            except StorageException as error:
                failures.append(error)

        for name in names:
            try:
                with during("delete", str(name)):
                    keys.append(self.identify(name).key)
            except StorageException as error:
                failures.append(error)
        await map_bounded(delete_batch, batched(keys, _DELETED_AT_ONCE), limit=concurrency)
        if failures:
            raise failures[0]

    async def _delete_batch(self, keys: tuple[str, ...]) -> None:
        with self._operation("delete"):
            failures = await self._client.delete_objects(self._bucket, keys)
            for key, error in failures.items():
                error.file_id = str(FileId(self.scheme, self._bucket, key))
                raise error

    async def list(self, prefix: str = "") -> AsyncIterator[FileBasicInfo]:
        """The files whose key begins with `prefix`, sorted by key: see `SupportsList`."""
        with self._operation("list"):
            beginning = self._prefix + prefix
            token: str | None = None
            while True:
                page = await self._client.list_objects(self._bucket, beginning, token)
                for listed in sorted(page.objects, key=lambda found: found.key):  # SeaweedFS goes folder by folder
                    file_id = FileId(self.scheme, self._bucket, listed.key)
                    if listed.key.startswith(beginning) and self._is_usable(file_id):
                        yield objects.listed_info(file_id, listed)
                if (token := page.token) is None:
                    return

    def _is_usable(self, file_id: FileId) -> bool:
        """Whether it names a file: other tools put objects such as ``folder/`` into buckets."""
        try:
            self.identify(file_id)
        except StorageException:
            return False
        return True

    # ---- on the server

    async def copy(self, source: FileName, target: FileName, *, overwrite: bool = True) -> str:
        """Copy a file with all that describes it, on the server, and only the version found: see `SupportsCopy`."""
        with self._operation("copy", target) as operation:
            origin = self.identify(source)
            with during("copy", str(origin)):
                found = await self._client.head_object(self._bucket, origin.key)
            await self._copy(origin, found, operation.file, overwrite=overwrite)
            return str(operation.file)

    async def set_metadata(self, name: FileName, metadata: Mapping[str, str]) -> None:
        """Replace the user's metadata, by a copy onto itself: see `SupportsMetadata`."""
        with self._operation("set_metadata", name) as operation:
            checked = check_metadata(metadata)
            found = await self._client.head_object(self._bucket, operation.file.key)
            await self._copy(operation.file, found, operation.file, metadata=checked)

    async def _copy(
        self,
        origin: FileId,
        found: Mapping[str, str],
        target: FileId,
        *,
        overwrite: bool = True,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        source = CopySource(self._bucket, origin.key, found.get("ETag"))
        size = objects.size_of(found)
        described = objects.described_headers(found, metadata)
        if size > _LARGEST_AT_ONCE:
            headers = {**described, **self._object_headers}
            upload = Multipart(self._client, self._bucket, target.key, headers=headers, overwrite=overwrite)
            await upload.copy(source, size)
            return
        replaced = {} if metadata is None else {"x-amz-metadata-directive": "REPLACE", **described}
        await self._client.copy_object(
            self._bucket,
            target.key,
            source,
            headers={**replaced, **self._object_headers},
            overwrite=overwrite,
            is_done_by=lambda made: objects.is_copy(made, found, metadata),
        )

    # ---- URLs

    async def url(self, name: FileName) -> str:
        """The URL: of the `custom_domain`, else presigned if `querystring_auth`, else the public one."""
        with self._operation("url", name) as operation:
            if self._custom_domain is not None:
                return f"{self._custom_domain}/{encode_path(operation.file.key)}"
            if not self._querystring_auth:
                return self._public.url(operation.file.key)
            await self.prepare()
            return self._presigner("GET")(operation.file)

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
    ) -> str:
        """A presigned URL: see `SupportsPresign`. On S3 one for GET does not allow HEAD.

        One for PUT stores the file with the storage's `default_acl` and `storage_class`.
        """
        with self._operation("presign", name) as operation:
            check_presign_method(method, read_only=self.read_only)
            _check_options(content_type, content_length)
            if method == "PUT":
                naming.check_key(self._bare_key(operation.file))
                query, headers = self._object_headers, _sent_headers(content_type, content_length)
            else:
                query, headers = _answer_query(operation.file, filename, content_type, disposition), {}
            return self._presigner(method, expires_in, query, headers)(operation.file)

    def presign_many(self, names: Iterable[FileName], expires_in: float = 3600) -> builtins.list[str]:
        """Presigned GET URLs in the order of the names: see `SupportsPresign`."""
        with self._operation("presign"):
            presign = self._presigner("GET", expires_in)
            return [presign(self.identify(name)) for name in names]

    def _presigner(
        self,
        method: str,
        expires_in: float = 3600,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Callable[[FileId], str]:
        wire, public = self._client.wire, self._public
        presign = wire.signer(public.region).presigner(
            method, public.origin, expires_in=expires_in, now=wire.now, query=query, headers=headers
        )
        return lambda file_id: presign(public.path(file_id.key))

    async def presign_post(
        self,
        name: FileName,
        expires_in: float = 3600,
        *,
        max_size: int | None = None,
        min_size: int = 0,
        content_type: str | None = None,
    ) -> PresignedUpload:
        """A form to post to the bucket: see `SupportsDirectUpload`."""
        with self._operation("presign_post", name) as operation:
            check_presign_method("POST", read_only=self.read_only)
            naming.check_key(self._bare_key(operation.file))
            _check_options(content_type, max_size)
            if not 0 <= min_size <= (_LARGEST_AT_ONCE if max_size is None else max_size):
                raise InvalidArgumentException(f"no file is {min_size} to {max_size} bytes large")
            await self.prepare()
            expires_at = check_expires_in(expires_in)
            wire, public = self._client.wire, self._public
            fields = {**self._object_headers, **_sent_headers(content_type, None)}
            sizes = ("content-length-range", min_size, _LARGEST_AT_ONCE if max_size is None else max_size)
            signed = wire.signer(public.region).presign_post(
                self._bucket,
                operation.file.key,
                expires_in=expires_in,
                now=wire.now,
                fields=fields,
                conditions=[*({field: value} for field, value in fields.items()), sizes],
            )
            return PresignedUpload(
                file_id=str(operation.file), url=public.bucket_url, fields=signed, expires_at=expires_at
            )


def _options(config: S3Config) -> dict[str, Any]:
    """The settings by the names of the parameters that they are for."""
    secret, token = config.secret_access_key, config.session_token
    same = config.model_dump(exclude={*_RENAMED})
    return {
        "endpoint_url": config.endpoint,
        "aws_access_key_id": config.access_key_id,
        "aws_secret_access_key": None if secret is None else secret.get_secret_value(),
        "aws_session_token": None if token is None else token.get_secret_value(),
        "region_name": config.region,
        **same,
    }


def _credentials(key_id: str | None, secret: str | None, token: str | None, session: Any) -> CredentialSource:
    if (key_id is None) != (secret is None) or (token is not None and key_id is None):
        raise InvalidArgumentException("aws_access_key_id and aws_secret_access_key go together")
    if key_id is None or secret is None:
        return FoundCredentials(session)
    if session is not None:
        raise InvalidArgumentException("either an access key or a session: there can be but one")
    return StaticCredentials(Credentials(key_id, secret, token))


def _object_headers(default_acl: str | None, storage_class: str | None) -> dict[str, str]:
    given = {"x-amz-acl": default_acl, "x-amz-storage-class": storage_class}
    for name, value in given.items():
        if value is not None and not _TOKEN.fullmatch(value):
            raise InvalidArgumentException(f"{value!a} is no value of {name}")
    return {name: value for name, value in given.items() if value is not None}


def _checked_domain(domain: str | None) -> str | None:
    if not domain:
        return None
    found = _DOMAIN.fullmatch(domain)
    if found is None:  # not repeated, as it may hold a password
        raise InvalidArgumentException("the custom_domain must be [http[s]://]host[:port][/path]")
    return f"{found[1] or 'https://'}{found[2].rstrip('/')}"


def _check_options(content_type: str | None, size: int | None) -> None:
    """Refuse now what would fail when the URL is used."""
    if content_type is not None or size is not None:
        Content(b"", content_type=content_type, size=size)


def _answer_query(
    file_id: FileId, filename: str | None, content_type: str | None, disposition: Disposition | None
) -> dict[str, str]:
    """What makes a download have this name and type."""
    query: dict[str, str] = {}
    if filename or disposition:
        shown = filename or naming.original_filename(file_id.key)
        query["response-content-disposition"] = naming.content_disposition(shown, disposition or "attachment")
    if content_type:
        query["response-content-type"] = content_type
    return query


def _sent_headers(content_type: str | None, content_length: int | None) -> dict[str, str]:
    """What an upload must come with."""
    given = {"Content-Type": content_type, "Content-Length": content_length}
    return {name: str(value) for name, value in given.items() if value is not None}
