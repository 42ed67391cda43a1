"""AWS Signature Version 4 for S3: signed headers, presigned URLs, POST policies.

This module does no I/O. The clock is an argument. Signatures and URLs equal botocore's, byte for byte. Unlike other
services, S3 encodes the path once and does not normalise it, so that ``a//b`` and ``a/../b`` stay unchanged.

Specified in the Amazon S3 API Reference, "Authenticating Requests (AWS Signature Version 4)".
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from async_storages._secrets import Hidden, hidden
from async_storages.backends.buckets.signatures import (
    UNSIGNED_PAYLOAD,
    PolicyCondition,
    canonical_end,
    check_form_key,
    checked_expiry,
    encode_path,
    encode_query,
    encode_value,
    encoded_pairs,
    encoded_policy,
    joined,
    signed_headers,
    timestamp_of,
    without_own,
)
from async_storages.errors import InvalidArgumentException

__all__ = [
    "EMPTY_SHA256",
    "STREAMING_UNSIGNED_PAYLOAD_TRAILER",
    "UNSIGNED_PAYLOAD",
    "Credentials",
    "PolicyCondition",
    "Signer",
    "encode_path",
    "encode_query",
]

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
"""The payload hash of a request without a body."""

STREAMING_UNSIGNED_PAYLOAD_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
"""The payload hash of an unsigned body in `aws-chunked` coding that ends with a checksum."""

_ALGORITHM = "AWS4-HMAC-SHA256"

# Hop-by-hop, or changed on the way by proxies and HTTP libraries.
_NEVER_SIGNED = frozenset({"authorization", "expect", "transfer-encoding", "user-agent", "x-amzn-trace-id"})

_OWN_PARAMETERS = frozenset(
    f"x-amz-{name}"
    for name in ("algorithm", "credential", "date", "expires", "security-token", "signature", "signedheaders")
)

_VISIBLE_ASCII = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True, init=False)
class Credentials:
    """An access key. Its repr never holds the secret or the token. It refuses to be pickled.

    Args:
        access_key_id: The public part. For example ``"AKIAIOSFODNN7EXAMPLE"``.
        secret_access_key: The secret part.
        session_token: The session token of temporary credentials.

    Raises:
        InvalidArgumentException: A text is empty, or holds a forbidden character, such as a line break.
    """

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)

    def __init__(self, access_key_id: str, secret_access_key: str, session_token: str | None = None) -> None:
        secret_access_key, session_token = hidden(secret_access_key), hidden(session_token)
        _check_credential("access_key_id", access_key_id, _VISIBLE_ASCII.fullmatch)
        _check_credential("secret_access_key", secret_access_key, str.isprintable)
        if session_token is not None:
            _check_credential("session_token", session_token, _VISIBLE_ASCII.fullmatch)
        object.__setattr__(self, "access_key_id", access_key_id)
        object.__setattr__(self, "secret_access_key", secret_access_key)
        object.__setattr__(self, "session_token", session_token)

    def __reduce__(self) -> tuple[Any, ...]:
        """Refuse to be pickled: a pickle in a queue or a cache would hold the secret in plain text."""
        raise InvalidArgumentException("credentials are not pickled: give each process its own")


class Signer:
    """Signs requests to one region with one set of credentials.

    It derives the signing key once per day. Threads may share a signer.

    Args:
        credentials: The credentials of the requests.
        region: The bucket's region: see `Endpoint.region`. For example ``"eu-central-1"``.
    """

    def __init__(self, credentials: Credentials, region: str) -> None:
        self.credentials = credentials
        self.region = region
        self._latest_key: _SigningKey | None = None
        self._latest_presigner: tuple[tuple[object, ...], Callable[[str], str]] | None = None

    def __repr__(self) -> str:
        return f"Signer({self.credentials!r}, {self.region!r})"

    def sign(
        self,
        method: str,
        host: str,
        path: str,
        *,
        payload_hash: str,
        now: datetime,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, str]:
        """Return the headers that authenticate a request.

        Args:
            method: The method: ``"GET"``, ``"PUT"`` …
            host: The Host header: see `Endpoint.host`.
            path: The path as it is sent: see `Endpoint.path`.
            payload_hash: The body's SHA-256 in hex, `EMPTY_SHA256`, `UNSIGNED_PAYLOAD` or
                `STREAMING_UNSIGNED_PAYLOAD_TRAILER`.
            now: The time by the server's clock.
            query: The parameters. Send them in the form of `encode_query`. Flags such as ``uploads`` are empty.
            headers: Headers that must arrive unchanged. S3 demands ``x-amz-…`` and ``Content-Type``. Headers of an
                earlier `sign` are ignored, so that a request can be signed again.

        Returns:
            ``x-amz-date``, ``x-amz-content-sha256``, for temporary credentials ``x-amz-security-token``, and
            ``Authorization``: they replace those of the request.

        Raises:
            InvalidArgumentException: A header cannot be sent, or `now` has no time zone.
        """
        timestamp = timestamp_of(now)
        key = self._key(timestamp)
        added = {"x-amz-date": timestamp, "x-amz-content-sha256": payload_hash, **self._token("x-amz-security-token")}
        signed = signed_headers({**(headers or {}), "host": host, **added}, _NEVER_SIGNED)
        canonical = canonical_end(encode_query(query) if query else "", signed, payload_hash)
        signature = key.sign_request(timestamp, f"{method}\n{path}\n{canonical}")
        added["Authorization"] = Hidden(
            f"{_ALGORITHM} Credential={key.credential}, SignedHeaders={';'.join(signed)}, Signature={signature}"
        )
        return added

    def presigner(
        self,
        method: str,
        origin: str,
        *,
        expires_in: float,
        now: datetime,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Callable[[str], str]:
        """Return a function that presigns any number of paths. Everything except the path is computed once.

        The signer keeps the latest function, and returns it again for the same arguments within the same second.

        Args:
            method: The method that the URLs allow: ``"GET"``, ``"PUT"``, ``"HEAD"`` or ``"DELETE"``.
            origin: Scheme and host: see `Endpoint.origin`.
            expires_in: Seconds from `now`, 1 to 604,800. Fractions are dropped.
            now: The time by the server's clock.
            query: More parameters: ``response-content-disposition``, ``versionId``, ``partNumber`` and ``uploadId`` …
            headers: Headers that users of the URL must send with exactly these values: ``content-type``,
                ``content-length``, ``x-amz-acl``, ``x-amz-meta-…``

        Returns:
            A function from a path (see `Endpoint.path`) to its presigned URL.

        Raises:
            InvalidArgumentException: `expires_in` is out of range, or `now` has no time zone. Or a parameter or header
                cannot be sent, or is reserved for the signature.

        Example:
            >>> endpoint = Endpoint.for_bucket("photos", region_name="eu-central-1")
            >>> presign = signer.presigner("GET", endpoint.origin, expires_in=3600, now=datetime.now(UTC))
            >>> urls = [presign(endpoint.path(key)) for key in keys]
        """
        query, headers, timestamp, expiry = query or {}, headers or {}, timestamp_of(now), checked_expiry(expires_in)
        asked = (method, origin, expiry, timestamp, *query.items(), None, *headers.items())
        latest = self._latest_presigner
        if latest is None or latest[0] != asked:
            presign = self._new_presigner(method, origin, expiry, timestamp, query=query, headers=headers)
            self._latest_presigner = latest = (asked, presign)
        return latest[1]

    def _new_presigner(
        self,
        method: str,
        origin: str,
        expiry: int,
        timestamp: str,
        *,
        query: Mapping[str, str],
        headers: Mapping[str, str],
    ) -> Callable[[str], str]:
        key = self._key(timestamp)
        signed = signed_headers({**headers, "host": origin.partition("://")[2]}, _NEVER_SIGNED)
        pairs = [
            *encoded_pairs(without_own(query, _OWN_PARAMETERS)),
            ("X-Amz-Algorithm", _ALGORITHM),
            ("X-Amz-Credential", key.encoded_credential),
            ("X-Amz-Date", timestamp),
            ("X-Amz-Expires", str(expiry)),
            ("X-Amz-SignedHeaders", encode_value(";".join(signed))),
            *encoded_pairs(self._token("X-Amz-Security-Token")),
        ]
        sent = joined(pairs)
        payload_hash = signed.get("x-amz-content-sha256", UNSIGNED_PAYLOAD)
        canonical = canonical_end(joined(sorted(pairs)), signed, payload_hash)

        def presign(path: str) -> str:
            signature = key.sign_request(timestamp, f"{method}\n{path}\n{canonical}")
            return f"{origin}{path}?{sent}&X-Amz-Signature={signature}"

        return presign

    def presign_post(
        self,
        bucket: str,
        key: str,
        *,
        expires_in: float,
        now: datetime,
        fields: Mapping[str, str] | None = None,
        conditions: Iterable[PolicyCondition] = (),
    ) -> dict[str, str]:
        """Return the fields of an HTML form that uploads one file straight to the bucket.

        The browser posts the form to `Endpoint.bucket_url`. The file comes last, as ``file``. The policy fixes the
        bucket and the key.

        Args:
            bucket: The bucket.
            key: The key of the file, without ``${filename}``. S3 would replace that by the name of the uploaded file,
                and the form would be valid for more than one key.
            expires_in: Seconds from `now`, 1 to 604,800. Fractions are dropped.
            now: The time by the server's clock.
            fields: More fields, such as ``Content-Type`` or ``x-amz-meta-…``. Each gets a condition, as S3 demands.
            conditions: Further conditions on the upload. For example ``["content-length-range", 1, 1048576]``.

        Returns:
            All fields of the form but the file, in order.

        Raises:
            InvalidArgumentException: `expires_in` is out of range, `now` has no time zone, or the key holds
                ``${filename}``.
        """
        check_form_key(key)
        timestamp = timestamp_of(now)
        signing_key = self._key(timestamp)
        own_fields = {
            "x-amz-algorithm": _ALGORITHM,
            "x-amz-credential": signing_key.credential,
            "x-amz-date": timestamp,
            **{name: str(token) for name, token in self._token("x-amz-security-token").items()},
        }
        policy = encoded_policy(
            now + timedelta(seconds=checked_expiry(expires_in)),
            [
                *conditions,
                {"bucket": bucket},
                {"key": key},
                *({name: value} for name, value in own_fields.items()),
            ],
            is_ascii=False,
        )
        signature = signing_key.hmac_sha256(policy)
        return {**(fields or {}), "key": key, **own_fields, "policy": policy, "x-amz-signature": signature}

    def _key(self, timestamp: str) -> "_SigningKey":
        """Return the signing key of the day. The latest one is kept."""
        day = timestamp[:8]
        key = self._latest_key
        if key is None or key.day != day:
            self._latest_key = key = _SigningKey(self.credentials, day, self.region)
        return key

    def _token(self, name: str) -> dict[str, str]:
        """Return the session token under this name, if there is one."""
        token = self.credentials.session_token
        return {} if token is None else {name: token}


class _SigningKey:
    """The key for the signatures of one day in one region, as two prepared HMACs (RFC 2104).

    Copying them is three times as fast as `hmac.digest`, which processes the key each time.
    """

    __slots__ = ("_inner", "_outer", "credential", "day", "encoded_credential", "scope")

    def __init__(self, credentials: Credentials, day: str, region: str) -> None:
        self.day = day
        self.scope = f"{day}/{region}/s3/aws4_request"
        self.credential = f"{credentials.access_key_id}/{self.scope}"
        self.encoded_credential = quote(self.credential, "")
        key = f"AWS4{credentials.secret_access_key}".encode()
        for part in self.scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        block = key.ljust(64, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def hmac_sha256(self, text: str) -> str:
        """Return the HMAC of the text, in hex."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(text.encode())
        outer.update(inner.digest())
        return outer.hexdigest()

    def sign_request(self, timestamp: str, canonical_request: str) -> str:
        """Return the signature of a request, in hex."""
        digest = hashlib.sha256(canonical_request.encode()).hexdigest()
        return self.hmac_sha256(f"{_ALGORITHM}\n{timestamp}\n{self.scope}\n{digest}")


def _check_credential(name: str, value: object, is_valid: Callable[[str], object]) -> None:
    """Refuse a credential without showing it."""
    if not isinstance(value, str) or not value or not is_valid(value):
        raise InvalidArgumentException(
            f"{name} is empty, not a str, or holds spaces or control characters: give it as AWS shows it"
        )
