"""The base class of storages that presign URLs: they sign, all else is done here."""

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
    """A storage that presigns URLs, as `SupportsPresign` says; a subclass implements `sign_url`."""

    @abstractmethod
    def sign_url(self, file: FileId, expires_in: float, method: PresignMethod, options: PresignOptions) -> str:
        """A signed URL of a file; no I/O.

        Name and method are checked before; `signing.check_expires_in` and `signing.signing_time` check the time.

        Args:
            file: The file.
            expires_in: Seconds from now, as the caller said it: 1 to 604,800 are allowed.
            method: GET, HEAD, PUT or DELETE.
            options: See `PresignOptions`; each is there, None where it was not said.

        Raises:
            InvalidArgumentException: A bad time or option.
            OperationNotSupportedException: The storage cannot sign this.
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
        """A presigned URL: see `SupportsPresign`."""
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
        """Presigned GET URLs in the order of the names: see `SupportsPresign`."""
        return [self.presign(name, expires_in, stable=stable) for name in names]

    def check_presign(self, file: FileId, method: str) -> None:
        """Refuse a presigned request that this storage would not allow.

        Raises:
            InvalidArgumentException: The method is unknown, or the key is one that nothing can be written to.
            AccessDeniedException: The method changes something, and the storage is read-only.
        """
        check_presign_method(method, read_only=self.read_only)
        if method in {"PUT", "POST"}:
            naming.check_key(self.bare_key(file))


def check_presign_method(method: str, *, read_only: bool) -> str:
    """Check the method of a presigned request, and return it.

    Args:
        method: GET, HEAD, PUT, POST (a form) or DELETE.
        read_only: Whether the storage is.

    Raises:
        InvalidArgumentException: The method is another.
        AccessDeniedException: The method changes something, and the storage is read-only.
    """
    if method not in {"GET", "HEAD", "PUT", "POST", "DELETE"}:
        raise InvalidArgumentException(
            f"{method!r} is not a method that can be presigned: use GET, HEAD, PUT or DELETE"
        )
    if read_only and method not in {"GET", "HEAD"}:
        raise AccessDeniedException(f"the storage was opened with read_only=True, which allows no {method}")
    return method
