"""Errors of the operating system, as errors of storages."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from async_storages.errors import (
    AccessDeniedException,
    FileNotFoundException,
    InvalidArgumentException,
    StorageException,
    StorageOperationException,
)

__all__ = ["link_in_the_way", "translated", "without_path"]


@contextmanager
def translated(missing: type[StorageException] = FileNotFoundException) -> Iterator[None]:
    """Errors of the operating system as ours.

    Args:
        missing: Raised where a file or folder is missing; StorageOperationException for a write, as that is a folder
            of ours.
    """
    try:
        yield
    except FileNotFoundException:
        raise
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOTDIR}:
            raise missing("no such file") from without_path(error)
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise AccessDeniedException(f"the file system refused: {error.strerror}") from without_path(error)
        if error.errno == errno.ENAMETOOLONG:
            raise InvalidArgumentException("the key is too long for the file system") from without_path(error)
        raise StorageOperationException(f"the file system failed: {error.strerror}") from without_path(error)


def without_path(error: OSError) -> OSError:
    """The error without the path, which may be a pending upload's signed key, and without frames."""
    return OSError(error.errno, error.strerror)


def link_in_the_way() -> AccessDeniedException:
    """The error for a symbolic link below the root, none of which is followed."""
    return AccessDeniedException("a symbolic link is in the way")
