"""Addresses of buckets: scheme, host and path, from a user's configuration.

The rules are the same as in botocore: its endpoint rule set for S3, and its signer's Host header. The exception is
presigned URLs, which use the regional host. Botocore uses the global host by default. That host redirects for buckets
younger than a day, and refuses regions launched since 2019.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from async_storages.backends.s3.sigv4 import encode_path
from async_storages.backends.transport.addresses import ServerAddress
from async_storages.errors import InvalidArgumentException

__all__ = ["AddressingStyle", "Endpoint", "endpoint_of_environment", "endpoint_of_profile"]

AddressingStyle = Literal["auto", "path", "virtual"]
"""``https://host/bucket/key`` or ``https://bucket.host/key``."""

_DEFAULT_REGION = "us-east-1"

_LABEL = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
_HOST_LABELS = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_ADDRESS = re.compile(r"\[|[0-9]{1,3}(\.[0-9]{1,3}){3}(:|$)")
_REGION = re.compile(_LABEL, re.IGNORECASE | re.ASCII)

# Names of old buckets and other servers too, with Ceph's ``tenant:``; the server may be stricter.
_BUCKET = re.compile(r"([A-Za-z0-9_-]{1,64}:)?[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}")

# https://github.com/boto/botocore/blob/develop/botocore/data/partitions.json
_DOMAINS = {
    "cn-": "amazonaws.com.cn",
    "eusc-": "amazonaws.eu",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "eu-isoe-": "cloud.adc-e.uk",
    "us-isof-": "csp.hci.ic.gov",
}

_AWS = tuple(f".{domain}" for domain in ("amazonaws.com", *_DOMAINS.values()))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address of one bucket. It holds no secret.

    Attributes:
        origin: The scheme and host, with the port if it is not the default. For example
            ``"https://photos.s3.eu-west-1.amazonaws.com"``.
        prefix: The beginning of every key's path. For example ``""`` or ``"/photos"``.
        region: The region for which requests are signed.
    """

    origin: str
    prefix: str
    region: str

    @classmethod
    def for_bucket(
        cls,
        bucket_name: str,
        *,
        endpoint_url: str | None = None,
        region_name: str | None = None,
        addressing_style: AddressingStyle = "auto",
        use_ssl: bool = True,
    ) -> "Endpoint":
        """Return the address of a bucket.

        Args:
            bucket_name: The bucket, on Ceph also ``tenant:bucket``. ARNs and directory buckets (S3 Express) need other
                signatures and are not supported.
            endpoint_url: The server. For example ``"https://minio.example.com/s3"``, or ``"localhost:9000"`` with the
                scheme from `use_ssl`. None is AWS.
            region_name: The region. The default is ``"us-east-1"``, which on AWS is the legacy global host
                ``s3.amazonaws.com``.
            addressing_style: ``"path"``, ``"virtual"`` or ``"auto"``, which is virtual on AWS and path elsewhere. A
                bucket name is always put into the path if it cannot be part of a host name, or has dots that the TLS
                certificate does not cover.
            use_ssl: True uses TLS for AWS, and for an `endpoint_url` without a scheme.

        Raises:
            InvalidArgumentException: The bucket, URL, region or style is malformed, or the URL holds a password.

        Example:
            >>> Endpoint.for_bucket("photos", endpoint_url="localhost:9000", use_ssl=False).url("a b.jpg")
            'http://localhost:9000/photos/a%20b.jpg'
            >>> Endpoint.for_bucket("photos", region_name="eu-west-1").url("a b.jpg")
            'https://photos.s3.eu-west-1.amazonaws.com/a%20b.jpg'
        """
        _check("bucket name", bucket_name, _BUCKET)
        region = _check("region", region_name or _DEFAULT_REGION, _REGION)
        server = _aws(region, use_ssl) if endpoint_url is None else _other(endpoint_url, use_ssl)
        if server.takes(bucket_name, addressing_style):
            return cls(f"{server.scheme}://{bucket_name}.{server.host}", server.path, region)
        return cls(f"{server.scheme}://{server.host}", f"{server.path}/{encode_path(bucket_name)}", region)

    @property
    def host(self) -> str:
        """The Host header."""
        return self.origin.partition("://")[2]

    @property
    def is_aws(self) -> bool:
        """True if the host name belongs to AWS."""
        return f".{self.host.partition(':')[0]}".endswith(_AWS)

    @property
    def bucket_path(self) -> str:
        """The path of the bucket, for listings, deletes of several objects and POST forms."""
        return self.prefix or "/"

    @property
    def bucket_url(self) -> str:
        """The URL of the bucket."""
        return self.origin + self.bucket_path

    def path(self, key: str) -> str:
        """Return the percent-encoded path of an object.

        Raises:
            InvalidArgumentException: The key is empty, or holds a lone surrogate.
        """
        if not key:
            raise InvalidArgumentException(
                "the key is empty, which would name the bucket itself: give the key of a file", file_id=key
            )
        return f"{self.prefix}/{encode_path(key)}"

    def url(self, key: str) -> str:
        """Return the unsigned URL of an object. Raises as `path` does."""
        return self.origin + self.path(key)


@dataclass(frozen=True, slots=True)
class _Server:
    """A server of buckets. Its host includes the port."""

    scheme: str
    host: str
    path: str
    is_aws: bool

    def takes(self, bucket: str, style: AddressingStyle) -> bool:
        """Return True if the bucket becomes part of the host name."""
        if style not in get_args(AddressingStyle):
            raise InvalidArgumentException(f"the addressing_style is {style!a}: give auto, path or virtual")
        prefers_virtual = self.is_aws or self.host.startswith("s3-accelerate.")
        if style == "path" or (style == "auto" and not prefers_virtual):
            return False
        return not _ADDRESS.match(self.host) and self._can_prefix(bucket)

    def _can_prefix(self, bucket: str) -> bool:
        """Return True if the bucket consists of host labels, and a wildcard certificate covers them."""
        dots_fit = self.scheme == "http" and not self.is_aws and not _ADDRESS.match(bucket)
        return len(bucket) >= 3 and bool(_HOST_LABELS.fullmatch(bucket)) and (dots_fit or "." not in bucket)


def _aws(region: str, use_ssl: bool) -> _Server:
    domain = next((domain for start, domain in _DOMAINS.items() if region.startswith(start)), "amazonaws.com")
    host = f"s3.{domain}" if region == _DEFAULT_REGION else f"s3.{region.lower()}.{domain}"
    return _Server("https" if use_ssl else "http", host, "", is_aws=True)


def _other(endpoint_url: str, use_ssl: bool) -> _Server:
    return _Server(*ServerAddress.parse(endpoint_url, use_ssl=use_ssl), is_aws=False)


def _check(what: str, value: str, pattern: re.Pattern[str]) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise InvalidArgumentException(f"{value!a} is not a {what}")
    return value


# ---- servers that an environment or a profile names: AWS SDKs and Tools Reference Guide, "Service-specific endpoints"


def endpoint_of_environment(environment: Mapping[str, str]) -> str | None:
    """Return the server in ``AWS_ENDPOINT_URL_S3``, or else in ``AWS_ENDPOINT_URL``.

    Return None if neither is set, or if ``AWS_IGNORE_CONFIGURED_ENDPOINT_URLS`` is ``true``.
    """
    if environment.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return None
    return environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL") or None


def endpoint_of_profile(session: Any) -> str | None:
    """Return the server in a session's profile: for S3 in its ``services`` section, else for every service.

    Args:
        session: A botocore session. This reads its files, so call it in a thread.
    """
    if session.get_config_variable("ignore_configured_endpoint_urls"):
        return None
    profile = session.get_scoped_config()
    services = session.full_config.get("services", {}).get(profile.get("services"), {})
    return _endpoint_in(services.get("s3")) or _endpoint_in(profile)


def _endpoint_in(section: Any) -> str | None:
    found = section.get("endpoint_url") if isinstance(section, Mapping) else None
    return str(found) if found else None
