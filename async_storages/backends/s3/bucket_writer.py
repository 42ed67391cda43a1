"""Writes to one bucket: storing and copying files, in one request or in parts."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext, suppress
from functools import partial

from async_storages._cleanup import clean_up
from async_storages.backends.buckets.new_file import NewFile
from async_storages.backends.buckets.server_errors import FileChanged
from async_storages.backends.s3 import file_info, object_options
from async_storages.backends.s3.api_client import S3ApiClient
from async_storages.backends.s3.conditional_writes import Conditional, Creation, Support
from async_storages.backends.s3.conditions_probe import ConditionsProbe
from async_storages.backends.s3.copy_source import CopySource
from async_storages.backends.s3.multipart import Multipart
from async_storages.errors import FileExistsException, FileNotFoundException, StorageException
from async_storages.upload_options import CustomerKey, UploadOptions

__all__ = ["BucketWriter"]

_LOCK = "x-amz-object-lock"
"""The beginning of headers that lock an object. The server would refuse to delete a locked trial object."""

_LARGEST_AT_ONCE = 5 << 30
"""The largest number of bytes that one request can store or copy."""


class BucketWriter:
    """Stores and copies files in one bucket.

    Args:
        client: Sends the requests.
        bucket: The bucket.
        folder: The folder of objects that test the server: empty, or with a slash at its end.
        options: The storage's options for new files. Their `CustomerKey` also decrypts existing files.
    """

    def __init__(self, client: S3ApiClient, bucket: str, folder: str, options: UploadOptions) -> None:
        self._client = client
        self._bucket = bucket
        self._folder = folder
        self._options = options

    async def store(self, file: NewFile) -> str:
        """Store a file whole or not at all, and return its ETag without quotes. Empty if the answer has none.

        Raises:
            FileExistsException: The key is taken.
        """
        described = {"Content-Type": file.content_type, **file_info.metadata_headers(file.metadata)}
        headers = {**object_options.object_headers(file.options), **described}
        secret = object_options.customer_key(file.options)
        rules = {"overwrite": file.overwrite, "is_fresh": file.is_fresh}
        with object_options.naming(file.options) if file.options.said else nullcontext():
            if await file.parts.has_single_part():
                creation = await self._creation("put", file.key, **rules)
                content = await file.parts.next_pieces()
                return await self._client.put_object(
                    self._bucket, file.key, content, headers=headers, customer_key=secret, creation=creation
                )
            creation = await self._creation("complete", file.key, **rules)
            return await self._multipart(file.key, headers, secret, creation).upload(file.parts)

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
        """Copy the found version of a file on the server, with everything that describes it.

        Args:
            origin: The key of the file.
            found: The headers of the file.
            target: The key of the copy.
            overwrite: True replaces an existing file.
            is_fresh: True if no other file can have the key of the copy.
            metadata: The user's metadata of the copy. None takes the metadata of the file.

        Raises:
            FileExistsException: The key is taken.
            FileChanged: The file was replaced or deleted meanwhile.
        """
        secret = self._customer_key
        source = CopySource(self._bucket, origin, found.get("ETag"), secret)
        anew = object_options.copied_headers(self._options, found)
        size = file_info.size_of(found) if "Content-Length" in found else 0  # R2 and proxies may not tell
        described = file_info.described_headers(found, metadata)
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
            is_done_by=lambda made: file_info.is_copy(made, found, metadata),
        )
        is_same = file_info.is_copy_of_version(made.headers, made.etag, found)
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
        """Raise FileChanged if the file has another version than the copied one. AWS checks this itself."""
        if self._client.wire.endpoint(self._bucket).is_aws:
            return
        with suppress(FileNotFoundException):
            if file_info.is_unchanged(await self._find(key), found):
                return
        raise FileChanged("the file was replaced or removed while it was copied")

    async def _creation(self, request: Conditional, key: str, *, overwrite: bool, is_fresh: bool) -> Creation:
        """Return the way to create a file. Raise FileExistsException if a first check finds a file."""
        creation = await self._client.conditions.creation(
            self._bucket, request, self._support, overwrite=overwrite, is_fresh=is_fresh
        )
        if creation.should_look_first:
            await self._check_free(key)
        return creation

    async def _support(self, request: Conditional) -> Support:
        """Test the server's treatment of a condition."""
        described = object_options.object_headers(self._options)
        headers = {name: value for name, value in described.items() if not name.startswith(_LOCK)}
        return await ConditionsProbe(self._client.wire, self._bucket, self._folder, headers).creation(request)

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
        looks = [partial(self._check_free, key)] if creation.should_look_first else []
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
