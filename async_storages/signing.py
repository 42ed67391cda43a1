"""Signed, expiring tokens for what is handed to browsers (itsdangerous, HMAC-SHA-256)."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from itsdangerous import BadData, URLSafeSerializer
from itsdangerous.encoding import base64_decode, base64_encode

from async_storages.errors import AccessDeniedException, InvalidArgumentException

__all__ = ["LONGEST_EXPIRY", "TokenSigner", "check_expires_in", "secrets_of"]

LONGEST_EXPIRY = 604_800
"""Seconds: seven days, as for S3 (SigV4 query authentication)."""


def check_expires_in(expires_in: float) -> datetime:
    """When a signature made now ends.

    Args:
        expires_in: Seconds, 1 to 604,800.

    Raises:
        InvalidArgumentException: Out of range, or not a number.
    """
    if not isinstance(expires_in, int | float) or not 1 <= expires_in <= LONGEST_EXPIRY:
        raise InvalidArgumentException(
            f"expires_in must be 1 to {LONGEST_EXPIRY} seconds, not {expires_in!r}", operation="presign"
        )
    return datetime.fromtimestamp(time.time() + expires_in, UTC)


def secrets_of(secret_key: str | Sequence[str]) -> list[str]:
    """One secret or several as a list; the last one signs.

    Raises:
        InvalidArgumentException: No secret, or one that is empty or no str.
    """
    keys = [secret_key] if isinstance(secret_key, str) else list(secret_key)
    if not keys or not all(isinstance(key, str) and key for key in keys):
        raise InvalidArgumentException("a secret_key is a str, or several, and never empty")
    return keys


class TokenSigner:
    """Makes and checks tokens for one purpose; a token made for another purpose is refused.

    Args:
        secret_key: One secret, or several for rotation: the last one signs, all of them are accepted.
        purpose: What the tokens are for; part of the key.

    Raises:
        InvalidArgumentException: No secret, or one that is empty or no str.
    """

    def __init__(self, secret_key: str | Sequence[str], purpose: str) -> None:
        self._serializer = URLSafeSerializer(
            secrets_of(secret_key), salt=f"async_storages.{purpose}", signer_kwargs={"digest_method": hashlib.sha256}
        )

    def sign(self, payload: Mapping[str, Any], expires_at: datetime) -> str:
        """A URL-safe token that holds the payload (readable, not secret) until `expires_at`."""
        return str(self._serializer.dumps({**payload, "exp": expires_at.timestamp()}))

    def verify(self, token: str) -> dict[str, Any]:
        """The payload of a token.

        Raises:
            AccessDeniedException: It is malformed, altered, made for something else, or has expired.
        """
        return self.opened(token)[0]

    def opened(self, token: str) -> tuple[dict[str, Any], float]:
        """The payload of a token, and when it expires, in seconds since the epoch; raises as `verify` does."""
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
    """Base64 ignores padding, strange characters and the last bits: of all ways to write a signature one is good."""
    signature = token.rpartition(".")[2]
    if base64_encode(base64_decode(signature)).decode() != signature:
        raise ValueError("not the way it was written")
