"""The names of s3py-helper, in one module. You change only the import lines of your program.

``from s3py_helper.storage… import X`` becomes ``from async_storages.compat.s3py_helper import X``. The names are
aliases. `docs/how-to/coming-from-s3py-helper.md` lists the differences.
"""

from async_storages.config import FastdfsConfig, S3Config, StorageMode, StorageModeConfig
from async_storages.errors import (
    DeleteNotSupportedException,
    FileNotFoundException,
    InvalidArgumentException,
    InvalidFileTypeException,
    RouteNotSupportedException,
    StorageException,
    StorageOperationException,
)
from async_storages.manager.manager import StorageManager
from async_storages.manager.raw_clients import FastDFSClient as FastdfsClient
from async_storages.manager.raw_clients import S3Client
from async_storages.manager.services import DeleteService, DownloadService, InfoService, UploadService
from async_storages.models import FileAttach, FileBasicInfo, FileDownload
from async_storages.validation import FileTypeConfig
from async_storages.validation import FileValidator as FileValidatorImpl

__all__ = [
    "DeleteNotSupportedException",
    "FastdfsClient",
    "FastdfsConfig",
    "FileAttach",
    "FileBasicInfo",
    "FileDownload",
    "FileNotFoundException",
    "FileTypeConfig",
    "FileValidatorImpl",
    "FusionDeleteService",
    "FusionDownloadService",
    "FusionInfoService",
    "FusionUploadService",
    "InvalidArgumentException",
    "InvalidFileTypeException",
    "RouteNotSupportedException",
    "S3Client",
    "S3Config",
    "S3RawDeleteServiceImpl",
    "S3RawDownloadServiceImpl",
    "S3RawInfoServiceImpl",
    "S3RawUploadServiceImpl",
    "StorageException",
    "StorageManager",
    "StorageMode",
    "StorageModeConfig",
    "StorageOperationException",
]

# what a manager hands out, for annotations
FusionUploadService = UploadService
FusionDownloadService = DownloadService
FusionDeleteService = DeleteService
FusionInfoService = InfoService

S3RawDownloadServiceImpl = DownloadService
S3RawDeleteServiceImpl = DeleteService
S3RawInfoServiceImpl = InfoService


class S3RawUploadServiceImpl(UploadService):
    """Stores new files of any type and size. It uses the default bucket of `config` unless you name another."""

    def __init__(self, client: S3Client, config: S3Config) -> None:
        super().__init__(S3Client(client.storage_for_new(config.default_bucket)))
