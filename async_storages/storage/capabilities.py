"""Powers that only some storages have, each a Protocol: `isinstance` tells if a storage has it.

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
    """Options of a presigned URL beside name, time and method.

    Attributes:
        filename: The name the download is to have; implies ``disposition="attachment"``.
        content_type: GET: the answer's type. PUT: the only type that may be sent.
        disposition: ``"inline"`` or ``"attachment"``.
        content_length: PUT: the only size in bytes that may be sent.
        stable: A window of time, from a second: all URLs that are made within one are equal to the byte, so that
            browsers and caches know them again. Each is good for at least `expires_in`, and for up to `stable`
            longer; together they are at most 604,800 seconds.
    """

    filename: str | None
    content_type: str | None
    disposition: Disposition | None
    content_length: int | None
    stable: timedelta | None


@runtime_checkable
class SupportsPresign(Protocol):
    """URLs that let whoever holds them do one thing to one file for a while."""

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
        """A presigned URL; no I/O. A PUT must come with the headers of `Storage.presigned_headers`.

        Args:
            name: The file; it need not exist.
            expires_in: Seconds from now, 1 to 604,800.
            method: GET (which allows HEAD), HEAD, PUT or DELETE.
            filename: See `PresignOptions` for this and the next ones.
            content_type: The answer's type, or the only one that may be sent.
            disposition: ``"inline"`` or ``"attachment"``.
            content_length: The only size in bytes that may be sent.
            stable: A window of time within which all URLs are equal.

        Raises:
            InvalidArgumentException: A bad name or option.
            OperationNotSupportedException: There is nothing to sign with.
        """
        ...

    def presign_many(
        self, names: Iterable["FileName"], expires_in: float = 3600, *, stable: timedelta | None = None
    ) -> builtins.list[str]:
        """Presigned GET URLs for a listing, in the order of the names; no I/O."""
        ...


@runtime_checkable
class SupportsDirectUpload(Protocol):
    """Forms that let a browser upload one file straight to the backend."""

    async def presign_post(
        self,
        name: "FileName",
        expires_in: float = 3600,
        *,
        max_size: int | None = None,
        min_size: int = 0,
        content_type: str | None = None,
    ) -> "PresignedUpload":
        """A form for one key.

        Args:
            name: The key the file will have; as strict as `upload`.
            expires_in: Seconds from now, 1 to 604,800.
            max_size: Bytes; larger files are refused by the backend.
            min_size: Bytes; smaller files are refused by the backend.
            content_type: The only type that may be sent, as the form field ``Content-Type``.
        """
        ...


@runtime_checkable
class SupportsList(Protocol):
    """Listing what is there."""

    def list(self, prefix: str = "") -> AsyncIterator["FileBasicInfo"]:
        """The files whose key begins with `prefix`, sorted by key."""
        ...


@runtime_checkable
class SupportsFolders(Protocol):
    """Keeping to a folder, such as that of a tenant."""

    def within(self, *folders: str) -> "Storage":
        """The same storage, kept to a folder: bare keys are relative to it, ids elsewhere are refused; no I/O.

        It has no name, and uses the connections of this storage: it need not be closed, and closes them if it is.

        Args:
            *folders: The path of the folder, each without slashes: no tenant's name leads into another's folder.

        Raises:
            InvalidArgumentException: A folder that is empty, holds a slash, or is no clean name.

        Example:
            >>> await storage.within("tenants", "acme").upload(b"hello", "hello.txt")
            'hello.txt'
            >>> await storage.exists("tenants/acme/hello.txt")
            True
        """
        ...


@runtime_checkable
class SupportsCopy(Protocol):
    """Copying without the bytes passing through here."""

    async def copy(self, source: "FileName", target: "FileName", *, overwrite: bool = True) -> str:
        """Copy a file with its type and metadata to an exact key; returns the new fusion id.

        Raises:
            FileNotFoundException: There is no source.
            FileExistsException: The target exists and `overwrite` is False.
        """
        ...


@runtime_checkable
class SupportsMetadata(Protocol):
    """Changing the metadata of a file that is already there."""

    async def set_metadata(self, name: "FileName", metadata: Mapping[str, str]) -> None:
        """Replace the user's metadata; the content stays.

        Raises:
            FileNotFoundException: There is no such file.
        """
        ...


@runtime_checkable
class SupportsPing(Protocol):
    """Telling whether the backend is there, for health checks."""

    async def ping(self) -> None:
        """Nothing, if it answers and lets us in; changes nothing there.

        Raises:
            StorageException: It does not.
        """
        ...
