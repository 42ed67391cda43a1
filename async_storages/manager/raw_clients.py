"""The raw clients. Each reaches one system, in every bucket, without validation. Their S3 ids have no ``s3:``."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self

from async_storages.backends.fastdfs.storage import FastDFSStorage
from async_storages.backends.s3.file_info import metadata_headers
from async_storages.backends.s3.xml_messages import UploadedPart
from async_storages.config import FastdfsConfig, S3Config
from async_storages.content import check_metadata
from async_storages.errors import InvalidArgumentException, during
from async_storages.ids import FileId, is_fusion_id
from async_storages.manager.services import DeleteService, DownloadService, InfoService, UploadService
from async_storages.storage.base import Storage
from async_storages.storage.part_uploads import check_number

if TYPE_CHECKING:
    from async_storages.backends.s3.storage import S3Storage

__all__ = ["FastDFSClient", "S3Client", "s3_storage_class"]


def s3_storage_class() -> "type[S3Storage]":
    """Import and return `S3Storage`.

    FastDFS needs no aiohttp. If aiohttp is missing, the ImportError names the extra to install.
    """
    try:
        from async_storages.backends.s3.storage import S3Storage  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ImportError(f'S3 needs {error.name}: run  pip install "sqlalchemy-async-storages[s3]"') from error
    return S3Storage


class _Client(UploadService, DownloadService, DeleteService, InfoService):
    """The four services in one object, for one system. It can be used alone, as an async context manager."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(self)
        self.storage = storage

    def storage_for_new(self, bucket: str | None) -> Storage:
        """Return the storage for a new file."""
        return self.storage

    def storage_for(self, file_id: str) -> Storage:
        """Return the storage of a file."""
        return self.storage

    def fusion_id(self, file_id: str) -> str:
        """Return the fusion id for an id of this client."""
        return file_id

    def shown_id(self, fusion_id: str) -> str:
        """Return this client's id for a fusion id."""
        return fusion_id

    async def aclose(self) -> None:
        """Close the connections."""
        await self.storage.aclose()

    async def __aenter__(self) -> Self:
        await self.storage.__aenter__()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.aclose()


class FastDFSClient(_Client):
    """Uploads, downloads, deletes and describes files in a FastDFS cluster.

    Args:
        config: The settings, a list of trackers, or a storage.

    Attributes:
        storage: The storage. `storage.cluster` has the features of FastDFS alone: appenders, slaves, groups.

    Example:
        >>> async with FastDFSClient(FastdfsConfig(tracker_servers=["10.0.0.1:22122"])) as client:
        ...     await client.upload_bytes("a.txt", b"hello")
    """

    def __init__(self, config: FastdfsConfig | list[str] | tuple[str, ...] | FastDFSStorage) -> None:
        super().__init__(config if isinstance(config, FastDFSStorage) else FastDFSStorage(config))


class S3Client(_Client):
    """Uploads, downloads, deletes and describes files on an S3 server, in any bucket that the credentials reach.

    Args:
        config: The settings, or a storage.

    Attributes:
        storage: The storage of the default bucket.

    Example:
        >>> async with S3Client(S3Config(endpoint="localhost:9000", default_bucket="photos")) as client:
        ...     (await client.upload_bytes("a.txt", b"hello")).file_id
        'photos/5f0c7a4be11c9d20_a.txt'
    """

    storage: "S3Storage"

    def __init__(self, config: "S3Config | S3Storage") -> None:
        storage = s3_storage_class().from_config(config) if isinstance(config, S3Config) else config
        super().__init__(storage)
        self._prefix = f"{storage.scheme}:"

    def storage_for_new(self, bucket: str | None) -> "S3Storage":
        """Return the storage of a bucket, for a new file."""
        return self.storage if bucket in {None, self.storage.bucket} else self.storage.with_bucket(str(bucket))

    def storage_for(self, file_id: str) -> "S3Storage":
        """Return the storage of the bucket in an id."""
        return self.storage_for_new(FileId.parse(file_id).bucket)

    def fusion_id(self, file_id: str) -> str:
        """Return the fusion id for an id of this client: ``bucket/key`` with the scheme."""
        if is_fusion_id(file_id):
            raise InvalidArgumentException("an id has no scheme here: it is bucket/key", file_id=file_id)
        return f"{self._prefix}{file_id}"

    def shown_id(self, fusion_id: str) -> str:
        """Return this client's id for a fusion id: ``bucket/key`` without the scheme."""
        return fusion_id.removeprefix(self._prefix)

    # ---- multipart uploads by hand

    async def create_multipart_upload(
        self,
        bucket: str,
        key: str,
        *,
        content_type: str = "application/octet-stream",
        metadata: Mapping[str, str] | None = None,
    ) -> dict[str, str]:
        """Begin a multipart upload. Complete or abort it later.

        Args:
            bucket: The bucket.
            key: The exact key.
            content_type: The type of the object.
            metadata: The user's key-value pairs.

        Returns:
            ``{"UploadId": …}``, as boto3 returns it.
        """
        with during("create_multipart_upload", f"{bucket}/{key}"):
            described = {
                **self.storage._object_headers,  # noqa: SLF001 - of the same house
                "Content-Type": content_type,
                **metadata_headers(check_metadata(metadata)),
            }
            secret = self.storage._customer_key  # noqa: SLF001
            upload_id = await self._api(bucket, key).create_multipart_upload(
                bucket, key, headers=described, customer_key=secret, checksum=False
            )
            return {"UploadId": upload_id}

    async def upload_part(self, bucket: str, key: str, upload_id: str, part_number: int, body: bytes) -> dict[str, str]:
        """Upload one part and return ``{"ETag": …}``.

        Part numbers are 1 to 10,000. A part has 5 MiB to 5 GiB, and the last part may be smaller.
        """
        with during("upload_part", f"{bucket}/{key}"):
            check_number(part_number)
            if not isinstance(body, bytes | bytearray | memoryview):
                raise InvalidArgumentException(f"a part is bytes, not {type(body).__name__}")
            api = self._api(bucket, key)
            secret = self.storage._customer_key  # noqa: SLF001
            part = await api.upload_part(
                bucket, key, upload_id, part_number, bytes(body), checksum=False, customer_key=secret
            )
            return {"ETag": part.etag}

    async def complete_multipart_upload(
        self, bucket: str, key: str, upload_id: str, parts: Iterable[Mapping[str, Any]]
    ) -> None:
        """Put the parts together.

        Each part is ``{"PartNumber": …, "ETag": …}``, with the ETag that `upload_part` returned.
        """
        with during("complete_multipart_upload", f"{bucket}/{key}"):
            secret = self.storage._customer_key  # noqa: SLF001
            await self._api(bucket, key).complete_multipart_upload(
                bucket, key, upload_id, _parts(parts), customer_key=secret
            )

    async def abort_multipart_upload(self, bucket: str, key: str, upload_id: str) -> None:
        """Abort an upload and free its parts. It is not an error if the upload does not exist."""
        with during("abort_multipart_upload", f"{bucket}/{key}"):
            await self._api(bucket, key).abort_multipart_upload(bucket, key, upload_id)

    def _api(self, bucket: str, key: str) -> Any:
        storage = self.storage_for_new(bucket)
        storage._check_usable("write")  # noqa: SLF001 - of the same house
        storage.check_key(storage.identify(FileId(storage.scheme, bucket, key)))
        return storage._client  # noqa: SLF001


def _parts(parts: Iterable[Mapping[str, Any]]) -> list[UploadedPart]:
    try:
        found = [UploadedPart(check_number(part["PartNumber"]), str(part["ETag"]), None) for part in parts]
    except (KeyError, TypeError) as error:
        raise InvalidArgumentException('each part is {"PartNumber": 1, "ETag": "…"}') from error
    if not found or len({part.number for part in found}) < len(found):
        raise InvalidArgumentException("there is at least one part, and each has its own number")
    return found
