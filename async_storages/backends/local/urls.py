"""Presigned URLs and forms of a local folder: their limits, and the tokens that hold the limits."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from async_storages._secrets import hidden
from async_storages.content import Content
from async_storages.content_disposition import Disposition
from async_storages.errors import AccessDeniedException, InvalidArgumentException, OperationNotSupportedException
from async_storages.signing import TokenSigner

__all__ = ["PresignedRequest", "PresignedTokens", "checked_base_url"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PresignedRequest:
    """The limits of a presigned URL or form. The route that serves it enforces them.

    Attributes:
        method: GET (HEAD as well), HEAD, PUT, POST or DELETE.
        key: The only valid key.
        filename: GET: the download's name.
        disposition: GET: ``"inline"`` or ``"attachment"``.
        content_type: GET: the type of the response. PUT, POST: the only allowed type.
        content_length: PUT: the exact size in bytes.
        min_size: POST: the smallest allowed size in bytes.
        max_size: PUT, POST: the largest allowed size in bytes.
        lasts: Seconds until the token expires. None if the limits were not read from a token.
    """

    method: str
    key: str
    filename: str | None = None
    disposition: Disposition | None = None
    content_type: str | None = None
    content_length: int | None = None
    min_size: int = 0
    max_size: int | None = None
    lasts: float | None = None

    def check_declared(self, content_type: str | None, content_length: int | None) -> None:
        """Refuse a body whose declared type or size differs from the signed one.

        Raises:
            AccessDeniedException: The type or size differs.
        """
        if self.content_type not in {None, content_type}:
            raise AccessDeniedException(f"the signature is not good for the type {content_type!r}")
        if None not in {self.content_length, content_length} and content_length != self.content_length:
            raise AccessDeniedException(f"the signature is not good for {content_length} bytes")


class PresignedTokens:
    """Signs the limits of presigned URLs and forms, and reads them again.

    Args:
        base_url: The URL at which the application serves the folder. None if it does not.
        secret_key: The secret that signs, or several secrets for rotation. The last one signs. None for a storage that
            signs nothing.

    Raises:
        InvalidArgumentException: The secret is empty.
    """

    def __init__(self, base_url: str | None, secret_key: str | Sequence[str] | None) -> None:
        secret_key = hidden(secret_key)
        self._is_served = base_url is not None
        # one secret may sign for several storages, whose tokens differ by the base_url
        self._signer = None if secret_key is None else TokenSigner(secret_key, f"LocalStorage {base_url}")

    def sign(self, request: PresignedRequest, expires_at: datetime) -> str:
        """Return a token for a request.

        Raises:
            InvalidArgumentException: The limits contradict each other.
            OperationNotSupportedException: The storage has no secret or no `base_url`.
        """
        if self._signer is None or not self._is_served:
            raise OperationNotSupportedException("LocalStorage(…) needs a base_url and a secret_key to presign")
        _check_limits(request)
        said = {name: value for name, value in asdict(request).items() if value is not None}
        return self._signer.sign(said, expires_at)

    def verify(self, method: str, key: str, token: str) -> PresignedRequest:
        """Return the limits in a token: see `LocalStorage.verify_presigned`."""
        token = hidden(token)
        if self._signer is None:
            raise AccessDeniedException("this storage signs nothing")
        allowed, expires_at = self._signer.opened(token)
        request = PresignedRequest(**allowed, lasts=expires_at - time.time())
        if request.key != key:
            raise AccessDeniedException("the signature is good for another key")
        if method != request.method and (method, request.method) != ("HEAD", "GET"):
            raise AccessDeniedException(f"the signature is not good for {method}")
        return request


def checked_base_url(base_url: str | None) -> str | None:
    """Return the URL without a slash at its end.

    Raises:
        InvalidArgumentException: The URL is not an http or https URL.
    """
    if base_url is None:
        return None
    if not base_url.startswith(("http://", "https://", "/")):
        raise InvalidArgumentException(f"base_url is {base_url!r}: give one that begins with http://, https:// or /")
    return base_url.rstrip("/")


def _check_limits(request: PresignedRequest) -> None:
    """Refuse limits that no request could meet."""
    Content(b"", content_type=request.content_type, size=request.content_length, max_size=request.max_size)
    if not 0 <= request.min_size <= (request.min_size if request.max_size is None else request.max_size):
        raise InvalidArgumentException(f"no file is {request.min_size} to {request.max_size} bytes large")
