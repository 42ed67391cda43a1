"""Addresses of servers, as users configure them. No I/O."""

import re
from ipaddress import AddressValueError, IPv6Address
from typing import NamedTuple

from async_storages.errors import InvalidArgumentException

__all__ = ["ServerAddress"]

_DEFAULT_PORTS = {"http": 80, "https": 443}

_URL = re.compile(
    r"((?P<scheme>https?)://)?(?P<host>[\w-][\w.-]*|\[[0-9a-f:.]+\])(:(?P<port>[0-9]{1,5}))?(?P<path>/[\w./~-]*)?",
    re.IGNORECASE | re.ASCII,
)


class ServerAddress(NamedTuple):
    """The address of a server.

    Attributes:
        scheme: ``"http"`` or ``"https"``.
        host: The host. It includes the port if that is not the scheme's default port.
        path: The beginning of all paths, without a slash at its end.
    """

    scheme: str
    host: str
    path: str

    @classmethod
    def parse(cls, url: str, *, use_ssl: bool) -> "ServerAddress":
        """Parse an address of the form ``[http[s]://]host[:port][/path]``.

        Args:
            url: The URL.
            use_ssl: True takes ``https``, False ``http``, for a URL without a scheme.

        Raises:
            InvalidArgumentException: The URL has another form. The error leaves out the URL, as it may hold a password.
        """
        found = _URL.fullmatch(url) if isinstance(url, str) else None
        if found is None or int(found["port"] or 0) > 65535:
            raise _bad_endpoint()
        scheme = (found["scheme"] or ("https" if use_ssl else "http")).lower()
        port = int(found["port"] or _DEFAULT_PORTS[scheme])
        host = _host(found["host"].lower()) + ("" if port == _DEFAULT_PORTS[scheme] else f":{port}")
        return cls(scheme, host, (found["path"] or "").rstrip("/"))

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}{self.path}"


def _host(name: str) -> str:
    """Return the name as HTTP libraries send it: without a final dot, and IPv6 addresses in their shortest form."""
    if not name.startswith("["):
        return name.rstrip(".")
    try:
        return f"[{IPv6Address(name[1:-1])}]"
    except AddressValueError:
        raise _bad_endpoint() from None


def _bad_endpoint() -> InvalidArgumentException:
    return InvalidArgumentException(
        "the endpoint_url must be [http[s]://]host[:port][/path], without user, password, query and fragment"
    )
