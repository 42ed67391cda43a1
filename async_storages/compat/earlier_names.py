"""Names that fastapi-async-storages, s3py-helper and earlier versions gave to classes of this package.

They stay importable from `async_storages`. Each is the class itself, so `isinstance` holds under both names.
"""

from async_storages.files import StoredFile as StorageFile
from async_storages.files import StoredImage as StorageImage
from async_storages.models import FileBasicInfo as FileInfo
from async_storages.storage.base import Storage as BaseStorage
from async_storages.validation import FileValidator as FileValidatorImpl

__all__ = ["BaseStorage", "FileInfo", "FileValidatorImpl", "StorageFile", "StorageImage"]
