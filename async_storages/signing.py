"""Signed tokens for browsers, most of which expire (itsdangerous, HMAC-SHA-256)."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from itsdangerous import BadData, Signer, URLSafeSerializer
from itsdangerous.encoding import base64_decode, base64_encode

from async_storages._secrets import hidden
from async_storages.errors import AccessDeniedException, InvalidArgumentException

__all__ = [
    "LONGEST_EXPIRY",
    "LastingSigner",
    "TokenSigner",
    "check_expires_in",
    "check_lifetime",
    "secrets_of",
    "signing_time",
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

LONGEST_EXPIRY = 604_800
"""The longest lifetime in seconds: seven days, the limit of S3 (SigV4 query authentication)."""


def check_lifetime(expires_in: float) -> None:
    """Check that a lifetime is 1 to 604,800 seconds.

    Raises:
        InvalidArgumentException: The lifetime is out of range, or not a number.
    """
    if not isinstance(expires_in, int | float) or not 1 <= expires_in <= LONGEST_EXPIRY:
        raise InvalidArgumentException(
            f"expires_in must be 1 to {LONGEST_EXPIRY} seconds, not {expires_in!r}", operation="presign"
        )


def check_expires_in(expires_in: float, stable: timedelta | None = None) -> datetime:
    """Return the time at which a signature made now expires.

    Args:
        expires_in: Seconds, 1 to 604,800.
        stable: See `signing_time`.

    Raises:
        InvalidArgumentException: `expires_in` is out of range, or not a number.
    """
    if stable is not None:
        begins_at, lasts = signing_time(datetime.fromtimestamp(time.time(), UTC), expires_in, stable)
        return begins_at + timedelta(seconds=lasts)
    check_lifetime(expires_in)
    return datetime.fromtimestamp(time.time() + expires_in, UTC)


def signing_time(now: datetime, expires_in: float, stable: timedelta | None) -> tuple[datetime, float]:
    """Return the time to sign with, and the lifetime of the signature in seconds from that time.

    With `stable`, the time is rounded down to the beginning of a window, and the lifetime is one window longer. So all
    signatures made within a window are equal, and each lasts at least `expires_in` from now. The windows are counted
    from 1970.

    Args:
        now: The current time.
        expires_in: Seconds, 1 to 604,800.
        stable: The length of a window, at least one second. None signs with `now`.

    Raises:
        InvalidArgumentException: `expires_in` is out of range, `stable` is below one second, or both together exceed
            604,800 seconds.
    """
    if stable is None:
        return now, expires_in
    check_lifetime(expires_in)
    if not isinstance(stable, timedelta) or not 1 <= stable.total_seconds() <= LONGEST_EXPIRY - expires_in:
        raise InvalidArgumentException(
            f"stable must be a timedelta of at least a second, and with expires_in at most {LONGEST_EXPIRY} seconds, "
            f"not {stable!r}",
            operation="presign",
        )
    window = int(stable.total_seconds())
    since = int((now - _EPOCH).total_seconds())
    return _EPOCH + timedelta(seconds=since - since % window), int(expires_in) + window


def secrets_of(secret_key: str | Sequence[str]) -> list[str]:
    """Return one secret or several as a list. The last one signs.

    Raises:
        InvalidArgumentException: There is no secret, or one is empty or not a str.
    """
    secret_key = hidden(secret_key)
    keys = [secret_key] if isinstance(secret_key, str) else list(secret_key)
    if not keys or not all(isinstance(key, str) and key for key in keys):
        raise InvalidArgumentException("a secret_key is a str, or several, and never empty")
    return keys


class TokenSigner:
    """Makes and checks tokens for one purpose. It refuses tokens made for another purpose.

    Args:
        secret_key: One secret, or several for rotation: the last one signs, all of them are accepted.
        purpose: The purpose of the tokens. It is part of the signing key.

    Raises:
        InvalidArgumentException: There is no secret, or one is empty or not a str.
    """

    def __init__(self, secret_key: str | Sequence[str], purpose: str) -> None:
        secret_key = hidden(secret_key)
        self._serializer = URLSafeSerializer(
            secrets_of(secret_key), salt=f"async_storages.{purpose}", signer_kwargs={"digest_method": hashlib.sha256}
        )

    def sign(self, payload: Mapping[str, Any], expires_at: datetime) -> str:
        """Return a URL-safe token with the payload, valid until `expires_at`. Everybody can read the payload."""
        return str(self._serializer.dumps({**payload, "exp": expires_at.timestamp()}))

    def verify(self, token: str) -> dict[str, Any]:
        """Return the payload of a token.

        Raises:
            AccessDeniedException: The token is malformed, altered, made for another purpose, or has expired.
        """
        token = hidden(token)
        return self.opened(token)[0]

    def opened(self, token: str) -> tuple[dict[str, Any], float]:
        """Return the payload of a token and its expiry in seconds since 1970. Raises as `verify` does."""
        token = hidden(token)
        try:
            _check_spelling(token)
            payload = self._serializer.loads(token)
            expires_at = float(payload.pop("exp"))
            expired = expires_at < time.time()
        except (BadData, AttributeError, KeyError, TypeError, ValueError):
            raise AccessDeniedException("the signature does not fit") from None
        if expired:
            raise AccessDeniedException("the signature has expired")
        return dict(payload), expires_at


def _check_spelling(token: str) -> None:
    """Accept only one spelling of a signature: Base64 ignores padding, foreign characters and the last bits."""
    signature = token.rpartition(".")[2]
    if base64_encode(base64_decode(signature)).decode() != signature:
        raise ValueError("not the way it was written")


class LastingSigner:
    """Signs texts with signatures that never expire, for URLs that caches keep. The text is not in the signature.

    Args:
        secret_key: As for `TokenSigner`.
        purpose: As for `TokenSigner`.

    Raises:
        InvalidArgumentException: There is no secret, or one is empty or not a str.
    """

    def __init__(self, secret_key: str | Sequence[str], purpose: str) -> None:
        secret_key = hidden(secret_key)
        self._signer = Signer(
            secrets_of(secret_key),
            salt=f"async_storages.{purpose}",
            key_derivation="hmac",
            digest_method=hashlib.sha256,
        )

    def sign(self, text: str) -> str:
        """Return the signature: 43 characters that are safe in URLs. A text always has the same signature."""
        return self._signer.get_signature(text).decode()

    def is_signed(self, text: str, signature: str) -> bool:
        """Return True if the signature belongs to the text. Other spellings of a signature are refused."""
        signature = hidden(signature)
        try:
            _check_spelling(signature)
            return self._signer.verify_signature(text, signature)
        except (BadData, ValueError):
            return False
