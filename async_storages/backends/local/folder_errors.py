"""Errors of the operating system, as those of storages."""

import errno
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from async_storages.errors import (
    AccessDeniedException,
    FileNotFoundException,
    InvalidArgumentException,
    StorageException,
    StorageOperationException,
)

__all__ = ["bare", "link_in_the_way", "translated", "writing"]


@contextmanager
def translated(missing: type[StorageException] = FileNotFoundException) -> Iterator[None]:
    """Errors of the operating system as ours.

    Args:
        missing: Raised where a file or folder is missing.
    """
    try:
        yield
    except FileNotFoundException:
        raise
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOTDIR}:
            raise missing("no such file") from bare(error)
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise AccessDeniedException(f"the file system refused: {error.strerror}") from bare(error)
        if error.errno == errno.ENAMETOOLONG:
            raise InvalidArgumentException("the key is too long for the file system") from bare(error)
        raise StorageOperationException(f"the file system failed: {error.strerror}") from bare(error)


def writing() -> AbstractContextManager[None]:
    """As `translated`; what is missing is not the file, which is only being written, but a folder of ours."""
    return translated(StorageOperationException)


def bare(error: OSError) -> OSError:
    """The same without the path, which may be the signed key of a pending upload, and without frames."""
    return OSError(error.errno, error.strerror)


def link_in_the_way() -> AccessDeniedException:
    """The error for a symbolic link below the root, none of which is followed."""
    return AccessDeniedException("a symbolic link is in the way")
