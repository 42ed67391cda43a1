"""All errors of this package. `StorageException` is their base class.

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

InsecureConnectionWarning and CredentialsExpireWarning are warnings, not errors.

The message of an error contains the operation, the file id and the reason. They are also attributes. `http_status` is
the status of the HTTP response that the error handlers send. An error never contains a secret, a signature or a signed
URL.
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
"""The rule that refused an image."""


class StorageException(Exception):
    """The base class of all errors that this package raises on purpose.

    Args:
        reason: The reason of the error, in words that help a developer to correct it.
        operation: The operation that failed, for example ``"write"``, ``"stat"`` or ``"delete"``. None while unknown.
        file_id: The file id, key or name that the operation was about. None if there is none.

    Attributes:
        http_status: The HTTP status of a response to this error.

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
        """Set the operation and the file id, if the error does not have them yet."""
        self.operation = self.operation or operation
        if self.file_id is None:
            self.file_id = file_id

    def __str__(self) -> str:
        """Return ``operation 'id': reason``, without the unknown parts. Unprintable characters are escaped."""
        where = []
        if self.operation is not None:
            where.append(self.operation)
        if self.file_id is not None:
            text = str(self.file_id)  # also when the error is that it is no str
            where.append(repr(text[:_LONGEST_ID_SHOWN]) + "…" * (len(text) > _LONGEST_ID_SHOWN))
        return f"{' '.join(where)}: {self.reason}" if where else self.reason

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle class, reason and attributes, so that other processes receive the complete error."""
        return type(self), (self.reason,), self.__dict__


class InvalidArgumentException(StorageException, ValueError):
    """The caller passed a wrong argument: a bad id, name, range, option or content."""

    http_status = 400


class InvalidFileTypeException(StorageException):
    """The type of the file, by its name or content, is not allowed here.

    Args:
        reason: As for `StorageException`.
        operation: As for `StorageException`.
        file_id: As for `StorageException`.
        rule: The rule that refused an image: ``"image_format"``, ``"image_damaged"``, ``"image_too_large"``,
            ``"image_too_small"`` or ``"image_animated"``. None if a name or type was refused.
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
    """No image could be made from the file: it took too long or too much memory, or the image process died."""

    http_status = 422


class FileTooLargeException(StorageException):
    """The content is larger than the limit. The storage keeps no part of it."""

    http_status = 413


class FileNotFoundException(StorageException, FileNotFoundError):
    """The storage has no file with this id."""

    http_status = 404


class FileExistsException(StorageException):
    """The file already exists and `overwrite` is False, or the key is a folder of other files."""

    http_status = 409


class FileGoneException(StorageException):
    """A row cannot name this file: it does not exist, or it is deleted or about to be deleted."""

    http_status = 409


class FileArchivedException(StorageException):
    """The file is archived, for example in Glacier. Restore it before you read or copy it."""

    http_status = 409


class SweepRefusedException(StorageException):
    """A ledger or a migration refused to go on, because rows may need the files: see `FileLedger.sweep`."""

    http_status = 409


class AccessDeniedException(StorageException):
    """Access is refused: credentials, a permission, a signature or a token is wrong, or the storage is read-only."""

    http_status = 403


class DeleteNotSupportedException(StorageException):
    """The storage cannot delete: it was opened with `read_only=True`, or its backend is write-once."""

    http_status = 403


class RouteNotSupportedException(StorageException):
    """The id belongs to a backend, bucket or folder that this storage or manager does not serve."""

    http_status = 403


class OperationNotSupportedException(StorageException):
    """The backend lacks the capability, for example presigned URLs."""

    http_status = 501


class StorageClosedException(StorageException):
    """The storage was used after `aclose()`. `async with storage:` opens it again."""

    http_status = 500


class StorageOperationException(StorageException):
    """The backend failed, for example by an error response, a full disk or a broken transfer."""

    http_status = 502


class StorageUnavailableException(StorageOperationException):
    """The backend cannot be reached or is overloaded. Another attempt later may succeed.

    Attributes:
        retry_after: Seconds to wait, as the server requested. None if it did not.
    """

    http_status = 503
    retry_after: float | None = None


class ChecksumMismatchException(StorageOperationException):
    """The bytes that arrived do not have the expected checksum."""

    http_status = 502


class InsecureConnectionWarning(UserWarning):
    """Certificates are not checked: an attacker on the network can read and change everything."""


class CredentialsExpireWarning(UserWarning):
    """A presigned URL stops working before `expires_in` is over, because its temporary credentials expire first."""


class during:  # noqa: N801 - it reads like a function
    """Add the operation and the file id to errors that leave the block without them.

    It is a class because every operation uses it, and a generator-based context manager is three times slower.
    """

    __slots__ = ("_file_id", "_operation")

    def __init__(self, operation: str, file_id: str | None) -> None:
        self._operation = operation
        self._file_id = file_id

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, StorageException):
            error.complete(self._operation, self._file_id)
