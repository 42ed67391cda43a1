"""Writes to one bucket: files that are stored or copied, in one request or in parts."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial

from async_storages._cleanup import clean_up
from async_storages.backends.buckets.errors import FileChanged
from async_storages.backends.buckets.part_splitter import PartSplitter
from async_storages.backends.s3 import object_options, objects
from async_storages.backends.s3.client import S3Requests
from async_storages.backends.s3.conditions import Conditional, Creation
from async_storages.backends.s3.copy_source import CopySource
from async_storages.backends.s3.multipart import Multipart
from async_storages.backends.s3.probe import ConditionsProbe
from async_storages.errors import FileExistsException, FileNotFoundException, StorageException
from async_storages.upload_options import CustomerKey, UploadOptions

__all__ = ["BucketWriter"]

_LOCK = "x-amz-object-lock"
"""What headers begin with that keep the server from deleting a file, such as one to try conditions on."""

_LARGEST_AT_ONCE = 5 << 30
"""Bytes that one request can store or copy."""


class BucketWriter:
    """Stores and copies files in one bucket.

    Args:
        client: Speaks to the server.
        bucket: The bucket.
        folder: What the keys of objects begin with by which the server is tried: empty, or a folder and a slash.
        options: Those of the storage for new files; its `CustomerKey` opens what is there.
    """

    def __init__(self, client: S3Requests, bucket: str, folder: str, options: UploadOptions) -> None:
        self._client = client
        self._bucket = bucket
        self._folder = folder
        self._options = options

    async def store(
        self,
        key: str,
        parts: PartSplitter,
        content_type: str,
        metadata: Mapping[str, str],
        options: UploadOptions,
        *,
        overwrite: bool,
        is_fresh: bool,
    ) -> None:
        """Store a file whole or not at all.

        Args:
            key: Its key.
            parts: The content.
            content_type: Its type.
            metadata: The user's metadata.
            options: Those of this file.
            overwrite: Replace a file that is there.
            is_fresh: Nobody else can have the key.

        Raises:
            FileExistsException: The key is taken.
        """
        described = {"Content-Type": content_type, **objects.metadata_headers(metadata)}
        headers = {**object_options.object_headers(options), **described}
        secret = object_options.customer_key(options)
        with object_options.naming(options):
            if await parts.are_one():
                creation = await self._creation("put", key, overwrite=overwrite, is_fresh=is_fresh)
                content = await parts.next()
                await self._client.put_object(
                    self._bucket, key, content, headers=headers, customer_key=secret, creation=creation
                )
            else:
                creation = await self._creation("complete", key, overwrite=overwrite, is_fresh=is_fresh)
                await self._multipart(key, headers, secret, creation).upload(parts)

    async def copy(
        self,
        origin: str,
        found: Mapping[str, str],
        target: str,
        *,
        overwrite: bool = True,
        is_fresh: bool = False,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Copy the version of a file that was found, on the server, with all that describes it.

        Args:
            origin: The key of the file.
            found: Its headers.
            target: The key of the copy.
            overwrite: Replace a file that is there.
            is_fresh: Nobody else can have the key of the copy.
            metadata: The user's metadata of the copy; None for that of the file.

        Raises:
            FileExistsException: The key is taken.
            FileChanged: The file was replaced or removed meanwhile.
        """
        secret = self._customer_key
        source = CopySource(self._bucket, origin, found.get("ETag"), secret)
        anew = object_options.copied_headers(self._options, found)
        size = objects.size_of(found) if "Content-Length" in found else 0  # R2 and proxies may not tell
        described = objects.described_headers(found, metadata)
        if size > _LARGEST_AT_ONCE:
            headers = {**described, **anew}
            creation = await self._creation("complete", target, overwrite=overwrite, is_fresh=is_fresh)
            check = partial(self._check_version, origin, found)
            await self._multipart(target, headers, secret, creation, check).copy(source, size)
            return
        creation = await self._creation("copy", target, overwrite=overwrite, is_fresh=is_fresh)
        replaced = {} if metadata is None else {"x-amz-metadata-directive": "REPLACE", **described}
        made = await self._client.copy_object(
            self._bucket,
            target,
            source,
            headers={**replaced, **anew},
            customer_key=secret,
            creation=creation,
            is_done_by=lambda made: objects.is_copy(made, found, metadata),
        )
        is_same = objects.is_copy_of_version(made.headers, made.etag, found)
        try:
            if is_same is None and origin != target:
                await self._check_version(origin, found)
            elif is_same is False:
                raise FileChanged("the file was replaced while it was copied")
        except StorageException as error:
            undo = self._client.undo(self._bucket, target, made, creation, customer_key=secret)
            await clean_up(undo, error, within=self._client.wire.options.cleanup_timeout)
            raise

    async def _check_version(self, key: str, found: Mapping[str, str]) -> None:
        """See that a file is the version that was copied, where the server may ignore which one was asked for."""
        if self._client.wire.endpoint(self._bucket).is_aws:
            return
        with suppress(FileNotFoundException):
            if objects.is_unchanged(await self._find(key), found):
                return
        raise FileChanged("the file was replaced or removed while it was copied")

    async def _creation(self, request: Conditional, key: str, *, overwrite: bool, is_fresh: bool) -> Creation:
        """How a file is created; raises FileExistsException where it is looked for first, and is there."""
        described = object_options.object_headers(self._options)
        headers = {name: value for name, value in described.items() if not name.startswith(_LOCK)}
        creation = await self._client.conditions.creation(
            self._bucket,
            request,
            ConditionsProbe(self._client.wire, self._bucket, self._folder, headers).creation,
            overwrite=overwrite,
            is_fresh=is_fresh,
        )
        if creation.looks:
            await self._check_free(key)
        return creation

    async def _check_free(self, key: str) -> None:
        with suppress(FileNotFoundException):
            await self._find(key)
            raise FileExistsException("the key is taken")

    def _multipart(
        self,
        key: str,
        headers: Mapping[str, str],
        secret: CustomerKey | None,
        creation: Creation,
        *checks: Callable[[], Awaitable[None]],
    ) -> Multipart:
        looks = [partial(self._check_free, key)] if creation.looks else []
        return Multipart(
            self._client,
            self._bucket,
            key,
            headers=headers,
            customer_key=secret,
            creation=creation,
            checks=[*checks, *looks],
        )

    async def _find(self, key: str) -> Mapping[str, str]:
        return await self._client.head_object(self._bucket, key, customer_key=self._customer_key)

    @property
    def _customer_key(self) -> CustomerKey | None:
        return object_options.customer_key(self._options)
