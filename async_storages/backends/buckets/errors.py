"""What servers of objects refuse, where more is known than the errors that users tell apart."""

from async_storages.errors import InvalidArgumentException, StorageOperationException

__all__ = ["FileChanged", "HeaderRefused", "NoSuchUpload", "RangeBeyondEnd"]


class FileChanged(StorageOperationException):
    """The file was replaced while it was read or copied."""


class HeaderRefused(StorageOperationException):
    """The server does not implement something that was asked of it, such as a header.

    Args:
        reason: What it said.
        header: The header in lower case, if it said so.
    """

    def __init__(self, reason: str, header: str = "") -> None:
        super().__init__(reason)
        self.header = header


class NoSuchUpload(StorageOperationException):
    """The upload in parts was completed, aborted, or has expired."""


class RangeBeyondEnd(InvalidArgumentException):
    """The range begins behind the file's last byte (416)."""
