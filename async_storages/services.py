"""The old path of `async_storages.manager.services`."""

from warnings import warn

from async_storages.manager.services import DeleteService, DownloadService, InfoService, UploadService, ZipDownload

__all__ = ["DeleteService", "DownloadService", "InfoService", "UploadService", "ZipDownload"]

warn(
    "async_storages.services has moved: import its services from async_storages",
    DeprecationWarning,
    stacklevel=2,
)
