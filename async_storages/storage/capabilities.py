"""Capabilities that only some storages have. Each is a Protocol, so `isinstance` tests for it.

```python
if isinstance(storage, SupportsPresign):
    url = storage.presign("reports/q3.pdf", expires_in=600)
```
"""

import builtins
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Literal, Protocol, TypedDict, runtime_checkable

from async_storages.content_disposition import Disposition

if TYPE_CHECKING:
    from async_storages.models import FileBasicInfo, PresignedUpload
    from async_storages.storage.base import FileName, Storage

__all__ = [
    "PresignMethod",
    "PresignOptions",
    "SupportsCopy",
    "SupportsDirectUpload",
    "SupportsFolders",
    "SupportsList",
    "SupportsMetadata",
    "SupportsPing",
    "SupportsPresign",
]

type PresignMethod = Literal["GET", "HEAD", "PUT", "DELETE"]


class PresignOptions(TypedDict, total=False):
    """Options of a presigned URL besides name, time and method.

    Attributes:
        filename: The name of the downloaded file. It implies ``disposition="attachment"``.
        content_type: GET: the content type of the response. PUT: the only content type that clients may send.
        disposition: ``"inline"`` or ``"attachment"``.
        content_length: PUT: the only size in bytes that clients may send.
        stable: A time window of at least one second. All URLs made within one window are equal, so browsers and
            caches recognise them. Each URL works for at least `expires_in` seconds, and for up to `stable` longer. The
            sum of both is at most 604,800 seconds.
    """

    filename: str | None
    content_type: str | None
    disposition: Disposition | None
    content_length: int | None
    stable: timedelta | None


@runtime_checkable
class SupportsPresign(Protocol):
    """Presigned URLs: each allows one kind of request on one file until it expires."""

    def presign(
        self,
        name: "FileName",
        expires_in: float = 3600,
        method: PresignMethod = "GET",
        *,
        filename: str | None = None,
        content_type: str | None = None,
        disposition: Disposition | None = None,
        content_length: int | None = None,
        stable: timedelta | None = None,
    ) -> str:
        """Return a presigned URL. No I/O.

        A client that uses a URL for PUT must send the headers of `Storage.presigned_headers`.

        Args:
            name: The file. It need not exist.
            expires_in: Seconds from now, 1 to 604,800.
            method: GET, HEAD, PUT or DELETE. A URL for GET may also allow HEAD. On S3 and GCS it does not.
            filename: The name of the downloaded file. See `PresignOptions` for this and the next options.
            content_type: The content type of the response, or the only one that clients may send.
            disposition: ``"inline"`` or ``"attachment"``.
            content_length: The only size in bytes that clients may send.
            stable: A time window within which all URLs are equal.

        Raises:
            InvalidArgumentException: The name or an option is wrong.
            OperationNotSupportedException: The storage has no credentials or key to sign with.
        """
        ...

    def presign_many(
        self, names: Iterable["FileName"], expires_in: float = 3600, *, stable: timedelta | None = None
    ) -> builtins.list[str]:
        """Return presigned GET URLs for a listing, in the order of the names. No I/O."""
        ...


@runtime_checkable
class SupportsDirectUpload(Protocol):
    """Presigned forms, with which a browser uploads one file straight to the storage."""

    async def presign_post(
        self,
        name: "FileName",
        expires_in: float = 3600,
        *,
        max_size: int | None = None,
        min_size: int = 0,
        content_type: str | None = None,
    ) -> "PresignedUpload":
        """Return a presigned form for one key.

        Args:
            name: The key of the file. `upload` has the same rules for it.
            expires_in: Seconds from now, 1 to 604,800.
            max_size: Bytes. The server refuses larger files.
            min_size: Bytes. The server refuses smaller files.
            content_type: The only content type that the browser may send, in the form field ``Content-Type``.
        """
        ...


@runtime_checkable
class SupportsList(Protocol):
    """Listing files."""

    def list(self, prefix: str = "") -> AsyncIterator["FileBasicInfo"]:
        """Yield the files whose key begins with `prefix`, sorted by key."""
        ...


@runtime_checkable
class SupportsFolders(Protocol):
    """Limiting a storage to a folder, for example one per tenant."""

    def within(self, *folders: str) -> "Storage":
        """Return the same storage, limited to a folder. No I/O.

        Bare keys are relative to the folder. Ids outside it are refused. The returned storage has no name. It shares
        the connections of this storage: you need not close it, and closing it closes them.

        Args:
            *folders: The path of the folder, one name at a time. A name holds no slash, so the name of one tenant never
                leads into the folder of another.

        Raises:
            InvalidArgumentException: A name is empty, holds a slash, or is not clean.

        Example:
            >>> await storage.within("tenants", "acme").upload(b"hello", "hello.txt")
            'hello.txt'
            >>> await storage.exists("tenants/acme/hello.txt")
            True
        """
        ...


@runtime_checkable
class SupportsCopy(Protocol):
    """Copying files within the storage, without a download."""

    async def copy(self, source: "FileName", target: "FileName", *, overwrite: bool = True) -> str:
        """Copy a file with its content type and metadata to an exact key, and return the new file id.

        Raises:
            FileNotFoundException: The source is missing.
            FileExistsException: The target exists and `overwrite` is False.
        """
        ...


@runtime_checkable
class SupportsMetadata(Protocol):
    """Changing the metadata of a stored file."""

    async def set_metadata(self, name: "FileName", metadata: Mapping[str, str]) -> None:
        """Replace the user's metadata of a file. The content stays the same.

        Raises:
            FileNotFoundException: The file is missing.
        """
        ...


@runtime_checkable
class SupportsPing(Protocol):
    """A health check of the backend."""

    async def ping(self) -> None:
        """Check that the backend answers and accepts the credentials. It changes nothing there.

        Raises:
            StorageException: The backend does not answer, or refuses access.
        """
        ...
