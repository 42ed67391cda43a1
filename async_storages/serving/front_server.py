"""Web servers that send the files of a `LocalStorage` themselves. The application names the file in a header."""

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
        location: The path of nginx's internal location with the storage's root as its alias: ``"/stored-files"``.

    Raises:
        InvalidArgumentException: The location does not begin with a slash.

    Example:
        >>> XAccelRedirect("/stored-files")
        XAccelRedirect(location='/stored-files')
    """

    location: str

    def __post_init__(self) -> None:
        if not isinstance(self.location, str) or not self.location.startswith("/"):
            raise InvalidArgumentException(f"the location is a path that begins with a slash, not {self.location!r}")

    def header(self, storage: LocalStorage, key: str) -> tuple[str, str]:
        """Return name and value of the header for the file of a key."""
        del storage
        return "x-accel-redirect", f"{self.location.rstrip('/')}/{quote(key)}"


@dataclass(frozen=True, slots=True)
class XSendfile:
    """Apache with mod_xsendfile, or lighttpd, in front of the application: ``X-Sendfile`` with a percent-encoded path.

    Allow the root of the storage in the server's settings: ``XSendFilePath``, or ``x-sendfile-docroot``.
    """

    def header(self, storage: LocalStorage, key: str) -> tuple[str, str]:
        """Return name and value of the header for the file of a key."""
        return "x-sendfile", quote(str(storage.root / key))


type FrontServer = XAccelRedirect | XSendfile
"""A web server that sends files for the application."""


def local_file(file: StoredFile) -> tuple[LocalStorage, str] | None:
    """Return the storage and the key of a file in a `LocalStorage`. None for files of other storages."""
    storage = file.storage
    return (storage, storage.identify(file.file_id).key) if isinstance(storage, LocalStorage) else None
