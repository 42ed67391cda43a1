"""Earlier names of classes of this package, from fastapi-async-storages, s3py-helper and earlier versions.

You can still import them from `async_storages`. Each name is the class itself, so `isinstance` works with both names.
"""

from async_storages.files import StoredFile as StorageFile
from async_storages.files import StoredImage as StorageImage
from async_storages.models import FileBasicInfo as FileInfo
from async_storages.storage.base import Storage as BaseStorage
from async_storages.validation import FileValidator as FileValidatorImpl

__all__ = ["BaseStorage", "FileInfo", "FileValidatorImpl", "StorageFile", "StorageImage"]
