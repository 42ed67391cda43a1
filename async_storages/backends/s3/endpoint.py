"""Where a bucket is: scheme, host and path, worked out from what a user configures.

The rules are botocore's (its endpoint rule set for S3, and what its signer makes of the Host header), except that URLs
are presigned for the same regional host that requests go to. By default botocore presigns for the global one, which
redirects for buckets younger than a day and refuses for regions launched since 2019.
"""

import re
from dataclasses import dataclass
from typing import Literal, get_args

from async_storages.backends.s3.sigv4 import encode_path
from async_storages.backends.transport.addresses import ServerAddress
from async_storages.errors import InvalidArgumentException

__all__ = ["AddressingStyle", "Endpoint"]

AddressingStyle = Literal["auto", "path", "virtual"]
"""``https://host/bucket/key`` or ``https://bucket.host/key``."""

_DEFAULT_REGION = "us-east-1"

_LABEL = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
_HOST_LABELS = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_ADDRESS = re.compile(r"\[|[0-9]{1,3}(\.[0-9]{1,3}){3}(:|$)")
_REGION = re.compile(_LABEL, re.IGNORECASE | re.ASCII)

# Names that old buckets and other servers have, with Ceph's ``tenant:``; stricter ones are a matter of the server.
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
    """The address of one bucket. Holds no secret.

    Attributes:
        origin: Scheme, host and, if it is not the scheme's own, port: ``"https://photos.s3.eu-west-1.amazonaws.com"``.
        prefix: What the path of every key begins with: ``""``, ``"/photos"`` …
        region: What requests are signed for.
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
        """The address of a bucket.

        Args:
            bucket_name: The bucket, on Ceph also ``tenant:bucket``; not an ARN, nor a directory bucket (S3 Express),
                which are signed otherwise.
            endpoint_url: The server, None for AWS: ``"https://minio.example.com/s3"``, or ``"localhost:9000"`` with the
                scheme left to `use_ssl`.
            region_name: By default ``"us-east-1"``, which on AWS is the legacy global host ``s3.amazonaws.com``.
            addressing_style: ``"auto"`` is ``"virtual"`` on AWS and ``"path"`` elsewhere. Bucket names that cannot be
                part of a host name, or with dots would not fit its TLS certificate, are put in the path regardless.
            use_ssl: Whether an `endpoint_url` without a scheme, or AWS, is spoken to over TLS.

        Raises:
            InvalidArgumentException: A malformed bucket, URL, region or style; or a URL that holds a password.

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
        """Whether it is AWS itself, by its name."""
        return f".{self.host.partition(':')[0]}".endswith(_AWS)

    @property
    def bucket_path(self) -> str:
        """The path of the bucket itself: for listings, deletes of several objects, and POST forms."""
        return self.prefix or "/"

    @property
    def bucket_url(self) -> str:
        """The URL of the bucket itself."""
        return self.origin + self.bucket_path

    def path(self, key: str) -> str:
        """The path of an object, percent-encoded.

        Raises:
            InvalidArgumentException: The key is empty, which would name the bucket, or holds a lone surrogate.
        """
        if not key:
            raise InvalidArgumentException("an empty key would name the bucket itself", file_id=key)
        return f"{self.prefix}/{encode_path(key)}"

    def url(self, key: str) -> str:
        """The URL of an object, unsigned; raises as `path` does."""
        return self.origin + self.path(key)


@dataclass(frozen=True, slots=True)
class _Server:
    """A server that buckets are on; its host with the port."""

    scheme: str
    host: str
    path: str
    is_aws: bool

    def takes(self, bucket: str, style: AddressingStyle) -> bool:
        """Whether the bucket becomes part of the host name."""
        if style not in get_args(AddressingStyle):
            raise InvalidArgumentException(f"the addressing_style must be auto, path or virtual, not {style!a}")
        prefers_virtual = self.is_aws or self.host.startswith("s3-accelerate.")
        if style == "path" or (style == "auto" and not prefers_virtual):
            return False
        return not _ADDRESS.match(self.host) and self._can_prefix(bucket)

    def _can_prefix(self, bucket: str) -> bool:
        """Whether the bucket is made of host labels that a wildcard certificate, if there is one, covers."""
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
