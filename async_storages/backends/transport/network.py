"""Network access of a storage: its proxies and trusted certificates."""

import os
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from async_storages.backends.transport.proxies import Proxies
from async_storages.backends.transport.tls import Trust
from async_storages.errors import AccessDeniedException, StorageException, StorageUnavailableException

if TYPE_CHECKING:
    from async_storages.backends.transport.http import HttpOptions

__all__ = ["Network", "proxy_failure"]


class Network:
    """The proxy and certificates for the requests of one storage. It reads the environment once, when it is created.

    Args:
        options: The options. Only `proxy`, `ca_bundle` and `verify` are used.
        ca_variable: The environment variable that names the trusted certificates, if the options do not.

    Raises:
        InvalidArgumentException: A proxy's URL is malformed.

    Warns:
        InsecureConnectionWarning: `verify` is False.
    """

    def __init__(self, options: "HttpOptions", ca_variable: str | None = None) -> None:
        self._proxies = Proxies.of(options.proxy, os.environ)
        self._trust = Trust(verify=options.verify, ca_bundle=options.ca_bundle, variable=ca_variable)
        self._is_direct = self._proxies.http is None and self._proxies.https is None
        self._is_plain = self._is_direct and self._trust.is_default

    async def towards(self, url: str) -> dict[str, Any]:
        """Return the arguments ``proxy`` and ``ssl`` of a request to a URL.

        Raises:
            InvalidArgumentException: The trusted certificates cannot be read.
        """
        if self._is_plain or (self._is_direct and url.startswith("http:")):
            return {}
        proxy = self._proxies.for_url(url)
        if not url.startswith("https:") and not (proxy or "").startswith("https:"):
            return {"proxy": proxy}
        return {"proxy": proxy, "ssl": await self._trust.context()}


def proxy_failure(status: int) -> StorageException:
    """Return the error for an answer that comes from the proxy instead of the server."""
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        return AccessDeniedException(
            'the proxy demands a user and password (407): give proxy="http://user:password@host:port", or set '
            "HTTPS_PROXY or HTTP_PROXY to such a URL"
        )
    return StorageUnavailableException(f"the proxy let nothing through ({status})")
