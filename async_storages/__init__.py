"""Files behind SQLAlchemy columns, asynchronously.

```python
from async_storages import LocalStorage

storage = LocalStorage("files")
await storage.upload(b"hello", "notes/hello.txt")
```

Every name below is imported when it is first used, so that ``import async_storages`` costs next to nothing and asks
for no extra that the program does not use.
"""

from importlib import import_module

from async_storages._version import __version__

TYPE_CHECKING = False  # typing's own would triple the cost of this import

if TYPE_CHECKING:
    from typing import Any

    from async_storages import events, registry
    from async_storages.backends.fastdfs.storage import FastDFSStorage
    from async_storages.backends.gcs.storage import GCSStorage
    from async_storages.backends.local.storage import LocalStorage
    from async_storages.backends.memory import MemoryStorage
    from async_storages.backends.s3.cloudfront import CloudFrontSigner
    from async_storages.backends.s3.storage import S3Storage
    from async_storages.config import FastdfsConfig, GCSConfig, S3Config, StorageMode, StorageModeConfig
    from async_storages.content import Content, PendingFile
    from async_storages.errors import (
        AccessDeniedException,
        ChecksumMismatchException,
        CredentialsExpireWarning,
        DeleteNotSupportedException,
        FileArchivedException,
        FileExistsException,
        FileGoneException,
        FileNotFoundException,
        FileTooLargeException,
        InsecureConnectionWarning,
        InvalidArgumentException,
        InvalidFileTypeException,
        OperationNotSupportedException,
        RouteNotSupportedException,
        StorageClosedException,
        StorageException,
        StorageOperationException,
        StorageUnavailableException,
        SweepRefusedException,
    )
    from async_storages.files import StorageFile, StorageImage, StoredFile, StoredImage, prefetch
    from async_storages.ids import FileId
    from async_storages.listing import file_urls
    from async_storages.manager.manager import StorageManager
    from async_storages.manager.raw_clients import FastDFSClient, S3Client
    from async_storages.models import FileAttach, FileBasicInfo, FileDownload, FileInfo, PresignedUpload
    from async_storages.served_by import ServedBy
    from async_storages.storage import (
        BaseStorage,
        Storage,
        SupportsCopy,
        SupportsDirectUpload,
        SupportsList,
        SupportsMetadata,
        SupportsPing,
        SupportsPresign,
    )
    from async_storages.synchronous.background_loop import run_sync
    from async_storages.upload_options import CustomerKey, KmsEncryption, UploadOptions
    from async_storages.validation import FileTypeConfig, FileValidatorImpl
    from async_storages.zipping import ZipEntry, stream_zip, zip_size

__all__ = [
    "AccessDeniedException",
    "BaseStorage",
    "ChecksumMismatchException",
    "CloudFrontSigner",
    "Content",
    "CredentialsExpireWarning",
    "CustomerKey",
    "DeleteNotSupportedException",
    "FastDFSClient",
    "FastDFSStorage",
    "FastdfsConfig",
    "FileArchivedException",
    "FileAttach",
    "FileBasicInfo",
    "FileDownload",
    "FileExistsException",
    "FileGoneException",
    "FileId",
    "FileInfo",
    "FileNotFoundException",
    "FileTooLargeException",
    "FileTypeConfig",
    "FileValidatorImpl",
    "GCSConfig",
    "GCSStorage",
    "InsecureConnectionWarning",
    "InvalidArgumentException",
    "InvalidFileTypeException",
    "KmsEncryption",
    "LocalStorage",
    "MemoryStorage",
    "OperationNotSupportedException",
    "PendingFile",
    "PresignedUpload",
    "RouteNotSupportedException",
    "S3Client",
    "S3Config",
    "S3Storage",
    "ServedBy",
    "Storage",
    "StorageClosedException",
    "StorageException",
    "StorageFile",
    "StorageImage",
    "StorageManager",
    "StorageMode",
    "StorageModeConfig",
    "StorageOperationException",
    "StorageUnavailableException",
    "StoredFile",
    "StoredImage",
    "SupportsCopy",
    "SupportsDirectUpload",
    "SupportsList",
    "SupportsMetadata",
    "SupportsPing",
    "SupportsPresign",
    "SweepRefusedException",
    "UploadOptions",
    "ZipEntry",
    "__version__",
    "events",
    "file_urls",
    "prefetch",
    "registry",
    "run_sync",
    "stream_zip",
    "zip_size",
]

_HOMES = {
    "backends.fastdfs.storage": ["FastDFSStorage"],
    "backends.gcs.storage": ["GCSStorage"],
    "backends.local.storage": ["LocalStorage"],
    "backends.memory": ["MemoryStorage"],
    "backends.s3.cloudfront": ["CloudFrontSigner"],
    "backends.s3.storage": ["S3Storage"],
    "manager.raw_clients": ["FastDFSClient", "S3Client"],
    "config": ["FastdfsConfig", "GCSConfig", "S3Config", "StorageMode", "StorageModeConfig"],
    "content": ["Content", "PendingFile"],
    "errors": [name for name in __all__ if name.endswith(("Exception", "Warning"))],
    "files": ["StorageFile", "StorageImage", "StoredFile", "StoredImage", "prefetch"],
    "ids": ["FileId"],
    "listing": ["file_urls"],
    "manager.manager": ["StorageManager"],
    "models": ["FileAttach", "FileBasicInfo", "FileDownload", "FileInfo", "PresignedUpload"],
    "served_by": ["ServedBy"],
    "synchronous.background_loop": ["run_sync"],
    "upload_options": ["CustomerKey", "KmsEncryption", "UploadOptions"],
    "validation": ["FileTypeConfig", "FileValidatorImpl"],
    "zipping": ["ZipEntry", "stream_zip", "zip_size"],
    "storage": ["BaseStorage", "Storage", *(name for name in __all__ if name.startswith("Supports"))],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

_EXTRA_OF = {"backends.gcs.storage": "gcs", "backends.s3.cloudfront": "cloudfront", "backends.s3.storage": "s3"}


def __getattr__(name: str) -> "Any":
    """Import a public name when it is first asked for."""
    if name in {"events", "registry"}:
        return import_module(f"{__name__}.{name}")
    try:
        home = _HOME_OF[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    try:
        value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
    except ModuleNotFoundError as error:
        if home not in _EXTRA_OF or str(error.name).startswith(__name__):
            raise
        install = f'pip install "sqlalchemy-async-storages[{_EXTRA_OF[home]}]"'
        raise ImportError(f"{name} needs {error.name}: run  {install}") from error
    return value


def __dir__() -> list[str]:
    """The public names, imported or not."""
    return __all__
