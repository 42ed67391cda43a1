"""Version 4 signatures of Google Cloud Storage with an RSA key: presigned URLs and POST policies.

This module does no I/O. The clock is an argument, and a local key or IAM signs the messages elsewhere. Messages and
URLs equal those of Google's libraries, byte for byte.

Specified in https://cloud.google.com/storage/docs/authentication/signatures (canonical requests, string to sign) and
https://cloud.google.com/storage/docs/authentication/signatures#policy-document (forms).
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from async_storages.backends.buckets.signatures import (
    UNSIGNED_PAYLOAD,
    PolicyCondition,
    canonical_end,
    check_form_key,
    checked_expiry,
    encode_query,
    encoded_policy,
    signed_headers,
    timestamp_of,
    without_own,
)

__all__ = ["Unsigned", "form", "presigned"]

_ALGORITHM = "GOOG4-RSA-SHA256"

_OWN_PARAMETERS = frozenset(
    f"x-goog-{name}" for name in ("algorithm", "credential", "date", "expires", "signature", "signedheaders")
)

_PORT = re.compile(r":[0-9]+$")


@dataclass(frozen=True, slots=True)
class Unsigned[Signed]:
    """A URL or form that lacks its signature.

    Attributes:
        message: The bytes to sign: RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, section 8.2).
        with_signature: Returns the URL or form with the signature.
    """

    message: bytes
    with_signature: Callable[[bytes], Signed]


def presigned(
    email: str,
    method: str,
    origin: str,
    path: str,
    *,
    expires_in: float,
    now: datetime,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Unsigned[str]:
    """Return a presigned URL.

    Args:
        email: The e-mail address of the signing service account.
        method: The method that the URL allows: ``"GET"``, ``"PUT"``, ``"HEAD"`` or ``"DELETE"``.
        origin: Scheme and host of the URL. A port is not signed.
        path: The encoded path: see `encode_path`.
        expires_in: Seconds from `now`, 1 to 604,800. Fractions are dropped.
        now: The time by the server's clock.
        query: More parameters: ``response-content-disposition``, ``generation`` …
        headers: Headers that users of the URL must send with exactly these values: ``Content-Type``,
            ``x-goog-content-length-range``, ``x-goog-meta-…``

    Raises:
        InvalidArgumentException: `expires_in` is out of range, or `now` has no time zone. Or a parameter or header
            cannot be sent, or is reserved for the signature.
    """
    timestamp, signed = timestamp_of(now), signed_headers({**(headers or {}), "host": _host(origin)})
    scope = _scope(timestamp)
    sent = encode_query(
        {
            **without_own(query or {}, _OWN_PARAMETERS),
            "X-Goog-Algorithm": _ALGORITHM,
            "X-Goog-Credential": f"{email}/{scope}",
            "X-Goog-Date": timestamp,
            "X-Goog-Expires": str(checked_expiry(expires_in)),
            "X-Goog-SignedHeaders": ";".join(signed),
        }
    )
    canonical = canonical_end(sent, signed, signed.get("x-goog-content-sha256", UNSIGNED_PAYLOAD))
    digest = hashlib.sha256(f"{method}\n{path}\n{canonical}".encode()).hexdigest()
    message = f"{_ALGORITHM}\n{timestamp}\n{scope}\n{digest}".encode()
    return Unsigned(message, lambda signature: f"{origin}{path}?{sent}&X-Goog-Signature={signature.hex()}")


def form(
    email: str,
    bucket: str,
    key: str,
    *,
    expires_in: float,
    now: datetime,
    fields: Mapping[str, str] | None = None,
    conditions: Iterable[PolicyCondition] = (),
) -> Unsigned[dict[str, str]]:
    """Return the fields of an HTML form that uploads one file straight to the bucket.

    The file comes last in the form, as ``file``.

    Args:
        email: The e-mail address of the signing service account.
        bucket: The bucket. The browser posts the form to its URL.
        key: The key of the file.
        expires_in: Seconds from `now`, 1 to 604,800. Fractions are dropped.
        now: The time by the server's clock.
        fields: More fields, such as ``Content-Type`` or ``x-goog-meta-…``. The upload must have exactly these values.
        conditions: Further conditions on the upload. For example ``["content-length-range", 1, 1048576]``.

    Returns:
        All fields of the form except the file, in order, without the signature.

    Raises:
        InvalidArgumentException: `expires_in` is out of range, `now` has no time zone, or the key holds
            ``${filename}``. The server would replace that by the name of the uploaded file.
    """
    check_form_key(key)
    timestamp = timestamp_of(now)
    fixed = {
        **(fields or {}),
        "key": key,
        "x-goog-algorithm": _ALGORITHM,
        "x-goog-credential": f"{email}/{_scope(timestamp)}",
        "x-goog-date": timestamp,
    }
    policy = encoded_policy(
        now + timedelta(seconds=checked_expiry(expires_in)),
        [*conditions, {"bucket": bucket}, *({name: value} for name, value in fixed.items())],
        is_ascii=True,
    )
    return Unsigned(policy.encode(), lambda signature: {**fixed, "policy": policy, "x-goog-signature": signature.hex()})


def _scope(timestamp: str) -> str:
    return f"{timestamp[:8]}/auto/storage/goog4_request"


def _host(origin: str) -> str:
    return _PORT.sub("", origin.partition("://")[2])
