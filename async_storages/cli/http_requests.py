"""Send plain HTTP requests, as a browser or curl does: without credentials and retries."""

import http.client
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from async_storages._tasks import offload
from async_storages.errors import StorageUnavailableException

__all__ = ["Answer", "request"]

_TIME_OUT = 10.0
_MOST = 1 << 20
"""Bytes of an answer that are read."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer.

    Attributes:
        status: The HTTP status.
        headers: The headers, by their names in lower case.
        body: The content, at most 1 MiB.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


async def request(method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None) -> Answer:
    """Send a request, once.

    Raises:
        StorageUnavailableException: No answer came. The message holds no signature.
    """
    return await offload(_send, urllib.request.Request(url, body, dict(headers or {}), method=method))  # noqa: S310


def _send(prepared: urllib.request.Request) -> Answer:
    try:
        with urllib.request.urlopen(prepared, timeout=_TIME_OUT) as answer:  # noqa: S310 - the storage's own URL
            return _read(answer.status, answer)
    except urllib.error.HTTPError as error:
        with error:
            return _read(error.code, error)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise StorageUnavailableException(f"{urlsplit(prepared.full_url).netloc} cannot be reached: {reason}") from None


def _read(status: int, answer: "http.client.HTTPResponse | urllib.error.HTTPError") -> Answer:
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return Answer(status, headers, answer.read(_MOST))
