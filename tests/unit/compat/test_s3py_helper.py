"""Every name that s3py-helper's documentation imports is in the flat module, and is the one of this package."""

import pytest

import async_storages
from async_storages.compat import s3py_helper
from async_storages.compat.s3py_helper import S3Client, S3Config, S3RawUploadServiceImpl
from async_storages.manager import services

SAME = [
    "StorageManager",
    "StorageModeConfig",
    "StorageMode",
    "S3Config",
    "FastdfsConfig",
    "FileTypeConfig",
    "S3Client",
    "FileDownload",
    "FileAttach",
    "FileBasicInfo",
    "StorageException",
    "FileNotFoundException",
    "InvalidArgumentException",
    "InvalidFileTypeException",
    "DeleteNotSupportedException",
    "RouteNotSupportedException",
    "StorageOperationException",
]
RENAMED = {
    "FileValidatorImpl": async_storages.FileValidator,
    "FastdfsClient": async_storages.FastDFSClient,
    "S3RawUploadServiceImpl": services.UploadService,
    "S3RawDownloadServiceImpl": services.DownloadService,
    "S3RawDeleteServiceImpl": services.DeleteService,
    "S3RawInfoServiceImpl": services.InfoService,
    "FusionUploadService": services.UploadService,
    "FusionDownloadService": services.DownloadService,
    "FusionDeleteService": services.DeleteService,
    "FusionInfoService": services.InfoService,
}


@pytest.mark.parametrize("name", SAME)
def test_a_name_means_what_it_means_here(name):
    assert getattr(s3py_helper, name) is getattr(async_storages, name)


@pytest.mark.parametrize("name", RENAMED)
def test_a_renamed_class_is_one_of_ours(name):
    assert issubclass(getattr(s3py_helper, name), RENAMED[name])


def test_there_is_nothing_else():
    assert sorted(s3py_helper.__all__) == sorted([*SAME, *RENAMED])


@pytest.mark.parametrize("bucket", ["default", "of-the-service"])
def test_the_upload_service_takes_the_default_bucket_from_its_settings(bucket):
    client = S3Client(S3Config(endpoint="localhost:9000", default_bucket="default"))
    service = S3RawUploadServiceImpl(client, S3Config(endpoint="localhost:9000", default_bucket=bucket))
    assert service._door.storage_for_new(None).bucket == bucket
