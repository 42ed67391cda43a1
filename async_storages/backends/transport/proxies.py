"""Proxies of requests, from options and environment variables. No I/O.

There is no specification. The rules are common to curl, requests and botocore.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from async_storages._secrets import Hidden, hidden
from async_storages.errors import InvalidArgumentException

__all__ = ["Proxies"]

_PORTS = {"http": 80, "https": 443}

_METADATA = ("metadata.google.internal", "metadata.goog", "169.254.0.0/16")
"""Hosts that only this machine reaches. They give it its credentials."""


@dataclass(frozen=True, slots=True)
class Proxies:
    """Proxies by the scheme of the URL, and hosts without a proxy.

    Attributes:
        http: The proxy of ``http:`` URLs. None is no proxy.
        https: The proxy of ``https:`` URLs. None is no proxy.
        bypassed: Hosts without a proxy, as in ``NO_PROXY``.
    """

    http: str | None = field(default=None, repr=False)  # they may hold a password
    https: str | None = field(default=None, repr=False)
    bypassed: tuple[str, ...] = ()

    @classmethod
    def of(cls, proxy: str | None, environment: Mapping[str, str]) -> "Proxies":
        """Return the proxies of an option, or of the environment.

        Args:
            proxy: The proxy for every request. For example ``"http://user:password@proxy.example.com:3128"``. ``""`` is
                no proxy. None takes the proxies of the environment.
            environment: The variables ``HTTPS_PROXY``, ``HTTP_PROXY`` and ``NO_PROXY``. Lower-case names take
                precedence.

        Raises:
            InvalidArgumentException: A proxy is not the URL of an HTTP proxy.
        """
        proxy = hidden(proxy)
        if proxy is not None:
            checked = _checked("proxy", proxy)
            return cls(checked, checked)
        # in a CGI script HTTP_PROXY is the client's header "Proxy": https://httpoxy.org
        of_http = "http_proxy" if "REQUEST_METHOD" in environment else "HTTP_PROXY"
        names = {"http": of_http, "https": "HTTPS_PROXY"}
        found = {scheme: _checked(name, _variable(environment, name)) for scheme, name in names.items()}
        said = re.split(r"[,\s]+", _variable(environment, "NO_PROXY").strip())
        return cls(**found, bypassed=(*filter(None, said), *_METADATA))

    def for_url(self, url: str) -> str | None:
        """Return the proxy for a URL. None is a direct connection."""
        scheme = url.partition(":")[0]
        proxy = self.https if scheme == "https" else self.http
        if proxy is None:
            return None
        asked = urlsplit(url)
        return None if any(_covers(entry, asked) for entry in self.bypassed) else proxy


def _variable(environment: Mapping[str, str], name: str) -> str:
    return environment.get(name.lower(), environment.get(name, ""))


def _checked(name: str, proxy: str) -> str | None:
    """Return the URL of a proxy, with a scheme. Errors leave it out, as it may hold a password."""
    proxy = hidden(proxy)
    if not proxy:
        return None
    url = Hidden(proxy if "://" in proxy else f"http://{proxy}")
    if not _is_proxy(url):
        raise InvalidArgumentException(
            f"{name} is not the URL of an HTTP proxy: give http[s]://[user:password@]host[:port]"
        )
    return url


def _is_proxy(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in _PORTS and bool(parts.hostname) and parts.path in {"", "/"} and parts.port != 0
    except ValueError:
        return False


def _covers(entry: str, asked: SplitResult) -> bool:
    """Return True if an entry of ``NO_PROXY`` covers a host: by name, domain, address or network, maybe a port."""
    host = (asked.hostname or "").rstrip(".").lower()
    if entry == "*":
        return True
    name, port = _split(entry.lower())
    if port is not None and port != str(asked.port or _PORTS[asked.scheme]):
        return False
    if "/" in name:
        return _is_within(host, name)
    domain = name.removeprefix("*").removeprefix(".").rstrip(".")
    return bool(domain) and (host == domain or host.endswith(f".{domain}"))


def _split(entry: str) -> tuple[str, str | None]:
    found = re.fullmatch(r"\[?(.*?)\]?(?::(\d+))?", entry) if entry.count(":") < 2 or "]" in entry else None
    return (found[1], found[2]) if found else (entry, None)


def _is_within(host: str, network: str) -> bool:
    try:
        return ip_address(host) in ip_network(network, strict=False)
    except ValueError:
        return False
