"""FastDFS's statuses, which are errno values of Linux, and the errors for them."""

import os

from async_storages.errors import (
    AccessDeniedException,
    FileExistsException,
    FileNotFoundException,
    InvalidArgumentException,
    StorageException,
    StorageOperationException,
    StorageUnavailableException,
)

__all__ = ["EFAULT", "EINVAL", "EIO", "ENOENT", "ProtocolError", "Refusal", "TimedOutException"]

ENOENT = 2
EIO = 5
EFAULT = 14
EINVAL = 22

_ERRORS: dict[int, tuple[type[StorageException], str]] = {
    ENOENT: (FileNotFoundException, "no such file"),
    EINVAL: (InvalidArgumentException, "FastDFS refused the id or a parameter"),
    17: (FileExistsException, "the file is already there"),
    28: (StorageOperationException, "no space is left on the storage server"),
    **dict.fromkeys((1, 13), (AccessDeniedException, "FastDFS refused")),
    **dict.fromkeys((4, 11, 12, 16, 110, 114), (StorageUnavailableException, "FastDFS cannot do it now")),
}


class ProtocolError(StorageOperationException):
    """The bytes do not follow FastDFS's protocol, or do not answer the request."""


class TimedOutException(StorageUnavailableException):
    """A server accepted a request or a connection and did not answer in time."""


class Refusal(Exception):
    """A server answered with an error status. The caller knows the matching error.

    Attributes:
        status: The status. It is not 0.
    """

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status

    def error(self) -> StorageException:
        """Return the error for a storage server's status on a file."""
        kind, reason = _ERRORS.get(self.status, (StorageOperationException, "FastDFS failed"))
        return kind(f"{reason} (status {self.status}: {os.strerror(self.status)})")
