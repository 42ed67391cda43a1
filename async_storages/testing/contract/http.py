"""HTTP requests that the tests make: to presigned URLs, and with forms."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from secrets import token_hex
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

__all__ = ["Answer", "form", "request"]

_REQUEST_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: Message
    body: bytes

    @property
    def is_refusal(self) -> bool:
        """True if the server understood the request and denied it."""
        return 400 <= self.status < 500


async def request(
    method: str,
    url: str,
    body: bytes | None = None,
    *,
    content_type: str = "application/octet-stream",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Make an HTTP request, off the loop and without a proxy."""
    sent = {} if body is None else {"Content-Type": content_type, **(headers or {})}
    return await asyncio.to_thread(_request, Request(url, body, sent, method=method))  # noqa: S310 - as presigned


def _request(asked: Request) -> Answer:
    answer: Any
    try:
        answer = build_opener(ProxyHandler({})).open(asked, timeout=_REQUEST_SECONDS)
    except HTTPError as refused:
        answer = refused
    with answer:
        return Answer(answer.status, answer.headers, answer.read())


def form(fields: dict[str, str], file: bytes, filename: str = "client.bin") -> tuple[bytes, str]:
    """Return a ``multipart/form-data`` body, with the file last, and its content type (RFC 7578)."""
    boundary = token_hex(16)
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    parts.append(
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    body = "".join(parts).encode() + file + f"\r\n--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"
