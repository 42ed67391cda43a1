"""Every error of this package, in one tree.

```
StorageException (500)
├── InvalidArgumentException (400, also ValueError)
├── InvalidFileTypeException (400)
├── ImageProcessingException (422)
├── FileTooLargeException (413)
├── FileNotFoundException (404, also the builtin FileNotFoundError)
├── FileExistsException (409)
├── FileGoneException (409)
├── FileArchivedException (409)
├── SweepRefusedException (409)
├── AccessDeniedException (403)
├── DeleteNotSupportedException (403)
├── RouteNotSupportedException (403)
├── OperationNotSupportedException (501)
├── StorageClosedException (500)
└── StorageOperationException (502)
    ├── StorageUnavailableException (503)
    └── ChecksumMismatchException (502)
```

InsecureConnectionWarning and CredentialsExpireWarning are warnings, and no errors.

Each error names the operation, the file id and the reason, carries them as attributes, and knows the HTTP
status it becomes. None of them ever holds a secret, a signature or a signed URL.
"""

from types import TracebackType
from typing import Any, ClassVar, Literal

__all__ = [
    "AccessDeniedException",
    "ChecksumMismatchException",
    "CredentialsExpireWarning",
    "DeleteNotSupportedException",
    "FileArchivedException",
    "FileExistsException",
    "FileGoneException",
    "FileNotFoundException",
    "FileTooLargeException",
    "ImageProcessingException",
    "InsecureConnectionWarning",
    "InvalidArgumentException",
    "InvalidFileTypeException",
    "OperationNotSupportedException",
    "RouteNotSupportedException",
    "StorageClosedException",
    "StorageException",
    "StorageOperationException",
    "StorageUnavailableException",
    "SweepRefusedException",
    "during",
]

_LONGEST_ID_SHOWN = 200

type ImageRefusal = Literal["image_format", "image_damaged", "image_too_large", "image_too_small", "image_animated"]
"""The rule by which an image is refused."""


class StorageException(Exception):
    """The root of the tree: catch it to catch everything this package raises on purpose.

    Args:
        reason: What went wrong, in words a developer can act on.
        operation: What was being done: ``"write"``, ``"stat"``, ``"delete"`` …; None while unknown.
        file_id: The file id, key or name it was done to; None where there is none.

    Example:
        >>> str(FileNotFoundException("no such file", operation="stat", file_id="mem:a.txt"))
        "stat 'mem:a.txt': no such file"
    """

    http_status: ClassVar[int] = 500

    def __init__(self, reason: str, *, operation: str | None = None, file_id: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.operation = operation
        self.file_id = file_id

    def complete(self, operation: str | None, file_id: str | None) -> None:
        """Say what was being done, and to which file, as far as the error does not say so yet."""
        self.operation = self.operation or operation
        if self.file_id is None:
            self.file_id = file_id

    def __str__(self) -> str:
        """``operation 'id': reason``, without the parts that are unknown; what cannot be printed is escaped."""
        where = []
        if self.operation is not None:
            where.append(self.operation)
        if self.file_id is not None:
            text = str(self.file_id)  # also when the error is that it is no str
            where.append(repr(text[:_LONGEST_ID_SHOWN]) + "…" * (len(text) > _LONGEST_ID_SHOWN))
        return f"{' '.join(where)}: {self.reason}" if where else self.reason

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled by class, reason and attributes, so that errors cross process boundaries whole."""
        return type(self), (self.reason,), self.__dict__


class InvalidArgumentException(StorageException, ValueError):
    """The caller passed something that cannot be right: a bad id, name, range, option or content."""

    http_status = 400


class InvalidFileTypeException(StorageException):
    """The file's name or content is of a type that is not allowed here.

    Args:
        reason: As for `StorageException`.
        operation: As for `StorageException`.
        file_id: As for `StorageException`.
        rule: The rule that refused an image: its format, damage, too many pixels or frames, too few pixels, or that it
            is animated; None for names and types.
    """

    http_status = 400

    def __init__(
        self,
        reason: str,
        *,
        operation: str | None = None,
        file_id: str | None = None,
        rule: ImageRefusal | None = None,
    ) -> None:
        super().__init__(reason, operation=operation, file_id=file_id)
        self.rule: ImageRefusal | None = rule


class ImageProcessingException(StorageException):
    """No image could be made of the file: that took too long, too much memory, or the process that did it died."""

    http_status = 422


class FileTooLargeException(StorageException):
    """The content is larger than the limit; whatever was written of it is gone again."""

    http_status = 413


class FileNotFoundException(StorageException, FileNotFoundError):
    """The storage holds no file under this id."""

    http_status = 404


class FileExistsException(StorageException):
    """A file is already there and `overwrite=False` was asked for, or the key is a folder of other files."""

    http_status = 409


class FileGoneException(StorageException):
    """The file was condemned or removed between its upload and the row that was to name it."""

    http_status = 409


class FileArchivedException(StorageException):
    """The file is archived, as in Glacier: it must be restored before it can be read or copied."""

    http_status = 409


class SweepRefusedException(StorageException):
    """A ledger would delete files that may be needed: see `FileLedger.sweep`."""

    http_status = 409


class AccessDeniedException(StorageException):
    """The backend refused: wrong credentials, missing permission, expired or altered signature."""

    http_status = 403


class DeleteNotSupportedException(StorageException):
    """The storage was opened `read_only=True`, or its backend is write-once."""

    http_status = 403


class RouteNotSupportedException(StorageException):
    """The id belongs to a backend or bucket that this storage or manager does not serve."""

    http_status = 403


class OperationNotSupportedException(StorageException):
    """The backend lacks the capability that was asked for, such as presigned URLs."""

    http_status = 501


class StorageClosedException(StorageException):
    """The storage was used after `aclose()`; `async with storage:` opens it again."""

    http_status = 500


class StorageOperationException(StorageException):
    """The backend failed: an error answer, a full disk, a broken transfer."""

    http_status = 502


class StorageUnavailableException(StorageOperationException):
    """The backend cannot be reached or is overloaded; trying again later may succeed.

    Attributes:
        retry_after: Seconds that the server asked to wait; None where it did not.
    """

    http_status = 503
    retry_after: float | None = None


class ChecksumMismatchException(StorageOperationException):
    """The bytes that arrived are not the bytes that were sent or promised."""

    http_status = 502


class InsecureConnectionWarning(UserWarning):
    """Certificates are not checked: whoever is on the way can read and change everything."""


class CredentialsExpireWarning(UserWarning):
    """A presigned URL stops working before it says so, as the temporary credentials that signed it end before."""


class during:  # noqa: N801 - it reads like a function
    """Complete errors that leave the block without saying what was being done, and to which file.

    A class, as entering and leaving a generator costs three times as much, and every operation does.
    """

    __slots__ = ("_file_id", "_operation")

    def __init__(self, operation: str, file_id: str | None) -> None:
        self._operation = operation
        self._file_id = file_id

    def __enter__(self) -> None:
        """Nothing is to be done before."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, StorageException):
            error.complete(self._operation, self._file_id)
