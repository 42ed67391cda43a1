"""What servers of objects refuse, where more is known than the errors that users tell apart."""

from async_storages.errors import InvalidArgumentException, StorageOperationException

__all__ = ["FileChanged", "NoSuchUpload", "RangeBeyondEnd"]


class FileChanged(StorageOperationException):
    """The file was replaced while it was read or copied."""


class NoSuchUpload(StorageOperationException):
    """The upload in parts was completed, aborted, or has expired."""


class RangeBeyondEnd(InvalidArgumentException):
    """The range begins behind the file's last byte (416)."""
