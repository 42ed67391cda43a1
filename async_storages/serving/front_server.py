"""Web servers that send the files of a `LocalStorage` in the application's place: it says which, by a header."""

from dataclasses import dataclass
from urllib.parse import quote

from async_storages.backends.local.storage import LocalStorage
from async_storages.errors import InvalidArgumentException
from async_storages.files import StoredFile

__all__ = ["FrontServer", "XAccelRedirect", "XSendfile", "local_file"]


@dataclass(frozen=True, slots=True)
class XAccelRedirect:
    """nginx in front of the application: ``X-Accel-Redirect``.

    Attributes:
        location: The path of the internal location whose alias is the storage's root: ``"/stored-files"``.

    Raises:
        InvalidArgumentException: The location is no absolute path.

    Example:
        >>> XAccelRedirect("/stored-files")
        XAccelRedirect(location='/stored-files')
    """

    location: str

    def __post_init__(self) -> None:
        if not isinstance(self.location, str) or not self.location.startswith("/"):
            raise InvalidArgumentException(f"the location is a path that begins with a slash, not {self.location!r}")

    def header(self, storage: LocalStorage, key: str) -> tuple[str, str]:
        """The header, name and value, for the file of a key."""
        del storage
        return "x-accel-redirect", f"{self.location.rstrip('/')}/{quote(key)}"


@dataclass(frozen=True, slots=True)
class XSendfile:
    """Apache with mod_xsendfile, or lighttpd, in front of the application: ``X-Sendfile``, the percent-encoded path.

    The server must allow the storage's root: ``XSendFilePath``, or ``x-sendfile-docroot``.
    """

    def header(self, storage: LocalStorage, key: str) -> tuple[str, str]:
        """The header, name and value, for the file of a key."""
        return "x-sendfile", quote(str(storage.root / key))


type FrontServer = XAccelRedirect | XSendfile
"""A web server that sends files for the application."""


def local_file(file: StoredFile) -> tuple[LocalStorage, str] | None:
    """The storage and the key of a file in a folder; None for a file elsewhere."""
    storage = file.storage
    return (storage, storage.identify(file.file_id).key) if isinstance(storage, LocalStorage) else None
