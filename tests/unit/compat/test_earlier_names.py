"""Names of earlier versions are the classes of today."""

import async_storages
from async_storages.compat import earlier_names

RENAMED = {
    "BaseStorage": async_storages.Storage,
    "FileInfo": async_storages.FileBasicInfo,
    "FileValidatorImpl": async_storages.FileValidator,
    "StorageFile": async_storages.StoredFile,
    "StorageImage": async_storages.StoredImage,
}


def test_each_is_the_class_itself_here_and_at_the_top():
    assert {name: getattr(earlier_names, name) for name in earlier_names.__all__} == RENAMED
    assert {name: getattr(async_storages, name) for name in RENAMED} == RENAMED
