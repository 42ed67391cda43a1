"""Signed URLs and cookies for private content of Amazon CloudFront.

No I/O. Specified in the CloudFront Developer Guide, "Serve private content with signed URLs and signed cookies".
CloudFront demands RSASSA-PKCS1-v1_5 with SHA-1.
"""

import json
import re
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from async_storages.errors import InvalidArgumentException
from async_storages.signing import check_expires_in

__all__ = ["CloudFrontSigner"]

_KEY_PAIR_ID = re.compile(r"[A-Za-z0-9]{1,64}")
_RESOURCE = re.compile(r"http(?:s|\*)?://[!#-\[\]-~]+")
_OWN = re.compile(r"[?&](?:Expires|Policy|Signature|Key-Pair-Id|Hash-Algorithm)=")
_IN_URLS = str.maketrans("+=/", "-_~")


class CloudFrontSigner:
    """Signs URLs and cookies for a CloudFront distribution that trusts the key's key group.

    A signature with an expiry alone uses a canned policy, and the URL stays short. With a start time, an address or a
    wildcard the URL holds a custom policy.

    Args:
        key_pair_id: The id of the public key in CloudFront. For example ``"K2JCJMDEHXQW5F"``.
        private_key: The RSA private key in PEM, without a password.

    Raises:
        InvalidArgumentException: The id or the key is malformed.

    Example:
        >>> signer = CloudFrontSigner("K2JCJMDEHXQW5F", private_key)
        >>> signer.signed_url("https://cdn.example.com/film.mp4", expires_in=600)
        'https://cdn.example.com/film.mp4?Expires=…&Signature=…&Key-Pair-Id=K2JCJMDEHXQW5F'
    """

    def __init__(self, key_pair_id: str, private_key: str | bytes) -> None:
        if not isinstance(key_pair_id, str) or not _KEY_PAIR_ID.fullmatch(key_pair_id):
            raise InvalidArgumentException(f"{key_pair_id!a} is not the id of a key in CloudFront")
        self._key_pair_id = key_pair_id
        key = _loaded(private_key)
        del private_key  # no traceback is to show it
        if key is None:
            raise InvalidArgumentException("the private_key is not an RSA key in PEM without a password")
        self._key = key

    def __repr__(self) -> str:
        return f"CloudFrontSigner({self._key_pair_id!r})"

    def signed_url(
        self,
        url: str,
        expires_in: float = 3600,
        *,
        starts_at: datetime | None = None,
        ip: str | None = None,
        resource: str | None = None,
        stable: timedelta | None = None,
    ) -> str:
        """Return a signed URL, without I/O. This takes about 1 ms.

        Args:
            url: The URL to sign, percent-encoded, with its own parameters.
            expires_in: Seconds from now, 1 to 604,800.
            starts_at: The time from which the signature is valid, with a time zone.
            ip: The only address or network that may use it. For example ``"192.0.2.0/24"``.
            resource: The URLs for which the signature is valid, with wildcards ``*`` and ``?``. The default is `url`.
            stable: The window of time within which calls return the same URL: see `SupportsPresign.presign`.

        Raises:
            InvalidArgumentException: An option is wrong.
        """
        if _OWN.search(url):
            raise InvalidArgumentException("the URL has a parameter of the signature's own", operation="presign")
        said = self._said(resource or url, expires_in, starts_at, ip, stable, is_canned=resource is None)
        return f"{url}{'&' if '?' in url else '?'}" + "&".join(f"{name}={value}" for name, value in said.items())

    def signed_cookies(
        self,
        resource: str,
        expires_in: float = 3600,
        *,
        starts_at: datetime | None = None,
        ip: str | None = None,
        stable: timedelta | None = None,
    ) -> dict[str, str]:
        """Return cookies with which a browser can get many files under their plain URLs, without I/O.

        This takes about 1 ms. Set the cookies for the distribution's domain, ``Secure`` and ``HttpOnly``.

        Args:
            resource: The URLs for which the cookies are valid. For example ``"https://cdn.example.com/films/*"``.
            expires_in: Seconds from now, 1 to 604,800.
            starts_at: The time from which the signature is valid, with a time zone.
            ip: The only address or network that may use them.
            stable: The window of time within which calls return the same cookies.

        Raises:
            InvalidArgumentException: An option is wrong.
        """
        said = self._said(resource, expires_in, starts_at, ip, stable, is_canned=not {*resource} & {*"*?"})
        return {f"CloudFront-{name}": value for name, value in said.items()}

    def _said(
        self,
        resource: str,
        expires_in: float,
        starts_at: datetime | None,
        ip: str | None,
        stable: timedelta | None,
        *,
        is_canned: bool,
    ) -> dict[str, str]:
        """Return the signature's parameters, by their names without a prefix."""
        if not isinstance(resource, str) or not _RESOURCE.fullmatch(resource):
            raise InvalidArgumentException(
                f"{resource!a} is not an http URL, percent-encoded, that CloudFront can sign", operation="presign"
            )
        ends_at = int(check_expires_in(expires_in, stable).timestamp())
        conditions: dict[str, Any] = {"DateLessThan": {"AWS:EpochTime": ends_at}}
        if starts_at is not None:
            conditions["DateGreaterThan"] = {"AWS:EpochTime": _seconds(starts_at, before=ends_at)}
        if ip is not None:
            conditions["IpAddress"] = {"AWS:SourceIp": _network(ip)}
        policy = _policy(resource, conditions)
        signed = {"Signature": _encoded(self._sign(policy)), "Key-Pair-Id": self._key_pair_id}
        if is_canned and len(conditions) == 1:
            return {"Expires": str(ends_at), **signed}
        return {"Policy": _encoded(policy), **signed}

    def _sign(self, message: bytes) -> bytes:
        return self._key.sign(message, PKCS1v15(), SHA1())  # noqa: S303 - CloudFront takes no other


def _loaded(private_key: str | bytes) -> RSAPrivateKey | None:
    """Return the key. None if it is malformed."""
    pem = private_key.encode() if isinstance(private_key, str) else private_key
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, RSAPrivateKey) else None


def _policy(resource: str, conditions: Mapping[str, Any]) -> bytes:
    """Return the policy. CloudFront makes canned policies itself, so each byte must be the same."""
    statement = {"Resource": resource, "Condition": conditions}
    return json.dumps({"Statement": [statement]}, separators=(",", ":")).encode()


def _encoded(value: bytes) -> str:
    return b64encode(value).decode().translate(_IN_URLS)


def _seconds(moment: datetime, *, before: int) -> int:
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise InvalidArgumentException("starts_at is a datetime with a time zone", operation="presign")
    seconds = int(moment.timestamp())
    if seconds >= before:
        ends_at = datetime.fromtimestamp(before, UTC)
        raise InvalidArgumentException(f"starts_at is not before the end, {ends_at:%Y-%m-%d %H:%M:%S} UTC")
    return seconds


def _network(ip: str) -> str:
    try:
        return str(ip_network(ip))
    except ValueError:
        raise InvalidArgumentException(f"{ip!a} is neither an address nor a network", operation="presign") from None
