"""The base class of storages that presign URLs. A subclass only signs; this class does the rest."""

from abc import abstractmethod
from collections.abc import Iterable
from datetime import timedelta

from async_storages import naming
from async_storages.content_disposition import Disposition
from async_storages.errors import AccessDeniedException, InvalidArgumentException
from async_storages.ids import FileId
from async_storages.storage.base import FileName, Storage
from async_storages.storage.capabilities import PresignMethod, PresignOptions

__all__ = ["PresigningStorage", "check_presign_method"]


class PresigningStorage(Storage):
    """The base class of storages that implement `SupportsPresign`. A subclass implements `sign_url`."""

    @abstractmethod
    def sign_url(self, file: FileId, expires_in: float, method: PresignMethod, options: PresignOptions) -> str:
        """Return a signed URL of a file. No I/O.

        The caller has checked name and method. Check the time with `signing.check_expires_in` and
        `signing.signing_time`.

        Args:
            file: The file.
            expires_in: Seconds from now, not checked yet. Allowed are 1 to 604,800.
            method: GET, HEAD, PUT or DELETE.
            options: See `PresignOptions`. Every option is present; None means that the caller did not set it.

        Raises:
            InvalidArgumentException: The time or an option is wrong.
            OperationNotSupportedException: The storage cannot sign this request.
        """

    def presign(
        self,
        name: FileName,
        expires_in: float = 3600,
        method: PresignMethod = "GET",
        *,
        filename: str | None = None,
        content_type: str | None = None,
        disposition: Disposition | None = None,
        content_length: int | None = None,
        stable: timedelta | None = None,
    ) -> str:
        """Return a presigned URL: see `SupportsPresign`."""
        with self.operation("presign", name) as operation:
            self.check_presign(operation.file, method)
            options: PresignOptions = {
                "filename": filename,
                "content_type": content_type,
                "disposition": disposition,
                "content_length": content_length,
                "stable": stable,
            }
            return self.sign_url(operation.file, expires_in, method, options)

    def presign_many(
        self, names: Iterable[FileName], expires_in: float = 3600, *, stable: timedelta | None = None
    ) -> list[str]:
        """Return presigned GET URLs in the order of the names: see `SupportsPresign`."""
        return [self.presign(name, expires_in, stable=stable) for name in names]

    def check_presign(self, file: FileId, method: str) -> None:
        """Refuse to presign a request that this storage does not allow.

        Raises:
            InvalidArgumentException: The method is unknown, or the request writes and the key is not clean.
            AccessDeniedException: The storage is read-only and the method changes something.
        """
        check_presign_method(method, read_only=self.read_only)
        if method in {"PUT", "POST"}:
            naming.check_key(self.bare_key(file))


def check_presign_method(method: str, *, read_only: bool) -> str:
    """Check the method of a presigned request, and return it.

    Args:
        method: GET, HEAD, PUT, POST (a form) or DELETE.
        read_only: True if the storage is read-only.

    Raises:
        InvalidArgumentException: The method is unknown.
        AccessDeniedException: The storage is read-only and the method changes something.
    """
    if method not in {"GET", "HEAD", "PUT", "POST", "DELETE"}:
        raise InvalidArgumentException(
            f"{method!r} is not a method that can be presigned: use GET, HEAD, PUT or DELETE"
        )
    if read_only and method not in {"GET", "HEAD"}:
        raise AccessDeniedException(f"the storage was opened with read_only=True, which allows no {method}")
    return method
