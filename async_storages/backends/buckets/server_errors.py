"""Refusals of a bucket's server. The backends distinguish more of them than users need to."""

from async_storages.errors import InvalidArgumentException, StorageOperationException

__all__ = ["FileChanged", "HeaderRefused", "NoSuchUpload", "RangeBeyondEnd"]


class FileChanged(StorageOperationException):
    """The file was replaced while it was read or copied."""


class HeaderRefused(StorageOperationException):
    """The server does not implement a header or another part of the request.

    Args:
        reason: The server's answer, as text.
        header: The header in lower case. Empty if the answer does not name it.
    """

    def __init__(self, reason: str, header: str = "") -> None:
        super().__init__(reason)
        self.header = header


class NoSuchUpload(StorageOperationException):
    """The upload in parts was completed or aborted, or has expired."""


class RangeBeyondEnd(InvalidArgumentException):
    """The range begins behind the file's last byte (416)."""
