"""Write new files on this computer, completely or not at all."""

import errno
import os
import secrets
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from io import BufferedWriter
from pathlib import Path

from async_storages._tasks import offload
from async_storages.errors import FileExistsException, InvalidArgumentException, StorageOperationException

__all__ = ["PartFile", "new_file", "path_errors"]

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}
"""Errors of file systems that have no hard links."""


@asynccontextmanager
async def new_file(path: Path, *, force: bool) -> AsyncGenerator["PartFile"]:
    """Yield a temporary file beside `path`. It becomes `path` if the block succeeds, and is deleted if it fails.

    Args:
        path: The path. Its folder exists.
        force: True replaces an existing file.

    Raises:
        FileExistsException: The file exists, or somebody has made it meanwhile.
        InvalidArgumentException: No file can be written there.
    """
    part = PartFile(path, force=force)
    try:
        await offload(part.create)
        yield part
        await offload(part.commit)
    except BaseException:
        await offload(part.discard)
        raise


class PartFile:
    """A file that is being written. All methods block.

    Args:
        path: The path of the finished file.
        force: True replaces an existing file.
    """

    _file: BufferedWriter

    def __init__(self, path: Path, *, force: bool) -> None:
        self._path = path
        self._part = path.parent / f".{secrets.token_hex(16)}.part"
        self._force = force
        self._open = ExitStack()

    def create(self) -> None:
        """Open the temporary file."""
        with path_errors(self._path):
            if self._path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            if not self._force and os.path.lexists(self._path):
                raise FileExistsError
            self._file = self._open.enter_context(self._part.open("xb"))

    def write(self, chunk: bytes) -> int:
        """Append bytes."""
        with path_errors(self._path):
            return self._file.write(chunk)

    def commit(self) -> None:
        """Move the file to its path."""
        with path_errors(self._path):
            self._file.close()
            if self._force:
                self._part.replace(self._path)
            else:
                self._link()

    def _link(self) -> None:
        """Give the file its name if the name is free. A rename would replace a file made meanwhile."""
        try:
            self._path.hardlink_to(self._part)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            if os.path.lexists(self._path):
                raise FileExistsError from None
            self._part.rename(self._path)
        else:
            self._part.unlink()

    def discard(self) -> None:
        """Delete the temporary file."""
        with suppress(OSError):  # closing flushes, which fails again where writing failed
            self._open.close()
        with suppress(OSError):  # it was never created
            self._part.unlink()


@contextmanager
def path_errors(path: Path) -> Iterator[None]:
    """Translate errors of the operating system into errors of this package."""
    try:
        yield
    except FileExistsError as error:
        raise FileExistsException(
            "there is a file already; --force replaces it", operation="copy", file_id=str(path)
        ) from error
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EIO}:
            raise StorageOperationException(f"{error.strerror}", operation="copy", file_id=str(path)) from error
        raise InvalidArgumentException(f"{error.strerror or error}", operation="copy", file_id=str(path)) from error
