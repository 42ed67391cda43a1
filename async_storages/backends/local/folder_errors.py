"""Translation of operating system errors into storage errors."""

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
    """Raise operating system errors as storage errors.

    Args:
        missing: The exception for a missing file or folder. It is StorageOperationException for a write, as the missing
            folder belongs to this library.
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
    """Return the error without frames and without the path, which may be the signed key of a pending upload."""
    return OSError(error.errno, error.strerror)


def link_in_the_way() -> AccessDeniedException:
    """Return the error for a symbolic link below the root. Such links are not followed."""
    return AccessDeniedException("a symbolic link is in the way")
