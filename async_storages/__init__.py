"""Files behind SQLAlchemy columns, with an asynchronous API.

```python
from async_storages import LocalStorage

storage = LocalStorage("files")
await storage.upload(b"hello", "notes/hello.txt")
```

Every public name is imported at its first use. So ``import async_storages`` is fast, and needs no extra that the
program does not use.
"""

from importlib import import_module

from async_storages._version import __version__

TYPE_CHECKING = False  # typing's own would triple the cost of this import

if TYPE_CHECKING:
    from typing import Any

    from async_storages import events, fastdfs_ids, registry
    from async_storages.backends.fallback.storage import FallbackStorage
    from async_storages.backends.fastdfs.cluster import FastDFSCluster
    from async_storages.backends.fastdfs.pool import FastDFSOptions
    from async_storages.backends.fastdfs.storage import FastDFSStorage
    from async_storages.backends.gcs.bucket import GCSBucketAdmin
    from async_storages.backends.gcs.storage import GCSStorage
    from async_storages.backends.local.storage import LocalStorage
    from async_storages.backends.memory import MemoryStorage
    from async_storages.backends.mirrored.resync import Resynced
    from async_storages.backends.mirrored.storage import MirroredStorage
    from async_storages.backends.s3.bucket import S3BucketAdmin
    from async_storages.backends.s3.cloudfront import CloudFrontSigner
    from async_storages.backends.s3.storage import S3Storage
    from async_storages.backends.transport.http import HttpOptions
    from async_storages.backends.transport.retries import Retries
    from async_storages.compat.earlier_names import BaseStorage, FileInfo, FileValidatorImpl, StorageFile, StorageImage
    from async_storages.config import FastdfsConfig, GCSConfig, S3Config, StorageMode, StorageModeConfig
    from async_storages.content import Content, PendingFile, check_metadata
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
        ImageProcessingException,
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
    from async_storages.fastdfs_ids import FastDFSDetails, FileKind
    from async_storages.files import StoredFile, StoredImage
    from async_storages.ids import FileId
    from async_storages.image_rules import ImageRules
    from async_storages.images.recipes import Variant, Variants
    from async_storages.images.size import ImageSize
    from async_storages.images.srcset import SrcSet
    from async_storages.imaging.engines import ImageEngine, Pixels, Previewer
    from async_storages.imaging.ffmpeg import FFmpegPreviewer
    from async_storages.imaging.limits import ImageLimits
    from async_storages.imaging.originals import Original
    from async_storages.imaging.pdf import PdfPreviewer
    from async_storages.imaging.pillow import PillowEngine
    from async_storages.imaging.pool import ImagePool, MadeImage
    from async_storages.imaging.vips import VipsEngine
    from async_storages.manager.manager import StorageManager
    from async_storages.manager.raw_clients import FastDFSClient, S3Client
    from async_storages.manager.services import DeleteService, DownloadService, InfoService, UploadService, ZipDownload
    from async_storages.many_files import FileUrls, file_urls, prefetch
    from async_storages.models import FileAttach, FileBasicInfo, FileDownload, PresignedUpload
    from async_storages.naming import clean_filename, original_filename
    from async_storages.scanning.clamd import ClamdScanner
    from async_storages.scanning.quarantine import QuarantineReview, review_quarantined_file
    from async_storages.scanning.verdicts import Clean, Infected, Scanner, Unscanned, Verdict
    from async_storages.served_by import ServedBy
    from async_storages.sniff import ACTIVE_TYPES
    from async_storages.storage.base import FileName, Storage
    from async_storages.storage.byte_ranges import byte_range
    from async_storages.storage.capabilities import (
        PresignMethod,
        PresignOptions,
        SupportsCopy,
        SupportsDirectUpload,
        SupportsFolders,
        SupportsList,
        SupportsMetadata,
        SupportsPing,
        SupportsPresign,
    )
    from async_storages.storage.folders import FolderStorage
    from async_storages.storage.part_uploads import PartUploads, StoredPart, SupportsPartUploads
    from async_storages.storage.presigning import PresigningStorage, check_presign_method
    from async_storages.synchronous.background_loop import allow_in_event_loop, run_sync
    from async_storages.upload_options import CustomerKey, KmsEncryption, UploadOptions
    from async_storages.validation import FileTypeConfig, FileValidator
    from async_storages.variants.links import VariantLinks
    from async_storages.variants.making import make_variants
    from async_storages.variants.removal import delete_variants
    from async_storages.zipping import ZipEntry, stream_zip, zip_size

__all__ = [
    "ACTIVE_TYPES",
    "AccessDeniedException",
    "BaseStorage",
    "ChecksumMismatchException",
    "ClamdScanner",
    "Clean",
    "CloudFrontSigner",
    "Content",
    "CredentialsExpireWarning",
    "CustomerKey",
    "DeleteNotSupportedException",
    "DeleteService",
    "DownloadService",
    "FFmpegPreviewer",
    "FallbackStorage",
    "FastDFSClient",
    "FastDFSCluster",
    "FastDFSDetails",
    "FastDFSOptions",
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
    "FileKind",
    "FileName",
    "FileNotFoundException",
    "FileTooLargeException",
    "FileTypeConfig",
    "FileUrls",
    "FileValidator",
    "FileValidatorImpl",
    "FolderStorage",
    "GCSBucketAdmin",
    "GCSConfig",
    "GCSStorage",
    "HttpOptions",
    "ImageEngine",
    "ImageLimits",
    "ImagePool",
    "ImageProcessingException",
    "ImageRules",
    "ImageSize",
    "Infected",
    "InfoService",
    "InsecureConnectionWarning",
    "InvalidArgumentException",
    "InvalidFileTypeException",
    "KmsEncryption",
    "LocalStorage",
    "MadeImage",
    "MemoryStorage",
    "MirroredStorage",
    "OperationNotSupportedException",
    "Original",
    "PartUploads",
    "PdfPreviewer",
    "PendingFile",
    "PillowEngine",
    "Pixels",
    "PresignMethod",
    "PresignOptions",
    "PresignedUpload",
    "PresigningStorage",
    "Previewer",
    "QuarantineReview",
    "Resynced",
    "Retries",
    "RouteNotSupportedException",
    "S3BucketAdmin",
    "S3Client",
    "S3Config",
    "S3Storage",
    "Scanner",
    "ServedBy",
    "SrcSet",
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
    "StoredPart",
    "SupportsCopy",
    "SupportsDirectUpload",
    "SupportsFolders",
    "SupportsList",
    "SupportsMetadata",
    "SupportsPartUploads",
    "SupportsPing",
    "SupportsPresign",
    "SweepRefusedException",
    "Unscanned",
    "UploadOptions",
    "UploadService",
    "Variant",
    "VariantLinks",
    "Variants",
    "Verdict",
    "VipsEngine",
    "ZipDownload",
    "ZipEntry",
    "__version__",
    "allow_in_event_loop",
    "byte_range",
    "check_metadata",
    "check_presign_method",
    "clean_filename",
    "delete_variants",
    "events",
    "fastdfs_ids",
    "file_urls",
    "make_variants",
    "original_filename",
    "prefetch",
    "registry",
    "review_quarantined_file",
    "run_sync",
    "stream_zip",
    "zip_size",
]

_MODULES = {"events", "fastdfs_ids", "registry"}

_POWERS = [name for name in __all__ if name.startswith("Supports") and name != "SupportsPartUploads"]

_HOMES = {
    "backends.fallback.storage": ["FallbackStorage"],
    "backends.fastdfs.cluster": ["FastDFSCluster"],
    "backends.fastdfs.pool": ["FastDFSOptions"],
    "backends.fastdfs.storage": ["FastDFSStorage"],
    "backends.gcs.bucket": ["GCSBucketAdmin"],
    "backends.gcs.storage": ["GCSStorage"],
    "backends.local.storage": ["LocalStorage"],
    "backends.memory": ["MemoryStorage"],
    "backends.mirrored.resync": ["Resynced"],
    "backends.mirrored.storage": ["MirroredStorage"],
    "backends.s3.bucket": ["S3BucketAdmin"],
    "backends.s3.cloudfront": ["CloudFrontSigner"],
    "backends.s3.storage": ["S3Storage"],
    "backends.transport.http": ["HttpOptions"],
    "backends.transport.retries": ["Retries"],
    "storage.byte_ranges": ["byte_range"],
    "storage.capabilities": ["PresignMethod", "PresignOptions", *_POWERS],
    "compat.earlier_names": ["BaseStorage", "FileInfo", "FileValidatorImpl", "StorageFile", "StorageImage"],
    "config": ["FastdfsConfig", "GCSConfig", "S3Config", "StorageMode", "StorageModeConfig"],
    "content": ["Content", "PendingFile", "check_metadata"],
    "errors": [name for name in __all__ if name.endswith(("Exception", "Warning"))],
    "fastdfs_ids": ["FastDFSDetails", "FileKind"],
    "files": ["StoredFile", "StoredImage"],
    "storage.folders": ["FolderStorage"],
    "ids": ["FileId"],
    "image_rules": ["ImageRules"],
    "images.recipes": ["Variant", "Variants"],
    "images.size": ["ImageSize"],
    "images.srcset": ["SrcSet"],
    "imaging.engines": ["ImageEngine", "Pixels", "Previewer"],
    "imaging.ffmpeg": ["FFmpegPreviewer"],
    "imaging.limits": ["ImageLimits"],
    "imaging.originals": ["Original"],
    "imaging.pdf": ["PdfPreviewer"],
    "imaging.pillow": ["PillowEngine"],
    "imaging.pool": ["ImagePool", "MadeImage"],
    "imaging.vips": ["VipsEngine"],
    "many_files": ["FileUrls", "file_urls", "prefetch"],
    "manager.manager": ["StorageManager"],
    "manager.raw_clients": ["FastDFSClient", "S3Client"],
    "manager.services": ["DeleteService", "DownloadService", "InfoService", "UploadService", "ZipDownload"],
    "models": ["FileAttach", "FileBasicInfo", "FileDownload", "PresignedUpload"],
    "naming": ["clean_filename", "original_filename"],
    "storage.part_uploads": ["PartUploads", "StoredPart", "SupportsPartUploads"],
    "storage.presigning": ["PresigningStorage", "check_presign_method"],
    "scanning.clamd": ["ClamdScanner"],
    "scanning.quarantine": ["QuarantineReview", "review_quarantined_file"],
    "scanning.verdicts": ["Clean", "Infected", "Scanner", "Unscanned", "Verdict"],
    "served_by": ["ServedBy"],
    "sniff": ["ACTIVE_TYPES"],
    "storage.base": ["FileName", "Storage"],
    "synchronous.background_loop": ["allow_in_event_loop", "run_sync"],
    "upload_options": ["CustomerKey", "KmsEncryption", "UploadOptions"],
    "validation": ["FileTypeConfig", "FileValidator"],
    "variants.links": ["VariantLinks"],
    "variants.making": ["make_variants"],
    "variants.removal": ["delete_variants"],
    "zipping": ["ZipEntry", "stream_zip", "zip_size"],
}
_NAMES = __all__
if not TYPE_CHECKING:
    del __all__  # `__getattr__` makes one of the names whose extras are installed, for ``import *``

_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

_EXTRA_OF = {
    "backends.gcs.bucket": "gcs",
    "backends.gcs.storage": "gcs",
    "backends.s3.bucket": "s3",
    "backends.s3.cloudfront": "cloudfront",
    "backends.s3.storage": "s3",
    "backends.transport.http": "s3",
}


def __getattr__(name: str) -> "Any":
    """Import a public name at its first use."""
    if name == "__all__":
        return list(filter(_can_be_imported, _NAMES))
    if name in _MODULES:
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
    """Return all public names, imported or not."""
    return _NAMES


def _can_be_imported(name: str) -> bool:
    try:
        return name in globals() or __getattr__(name) is not None
    except ImportError:  # its extra is missing
        return False
