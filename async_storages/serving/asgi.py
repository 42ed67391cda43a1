"""Types and helpers for ASGI: https://asgi.readthedocs.io/en/latest/specs/www.html."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any

__all__ = ["Message", "RawHeaders", "Receive", "Scope", "Send", "joined_headers", "merged_headers", "send_empty"]

type Scope = MutableMapping[str, Any]
"""A request without its body."""

type Message = MutableMapping[str, Any]
"""One message of a request or a response."""

type Receive = Callable[[], Awaitable[Message]]
"""Returns the next message from the client."""

type Send = Callable[[Message], Awaitable[None]]
"""Sends a message to the client."""

type RawHeaders = Sequence[tuple[bytes, bytes]]
"""Headers in ASGI's form: names and values, in order."""


def joined_headers(raw: RawHeaders) -> dict[str, str]:
    """Return headers by their names in lower case. Repeated headers are joined (RFC 9110 section 5.3)."""
    joined: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        joined[key] = f"{joined[key]}, {text}" if key in joined else text
    return joined


def merged_headers(
    own: RawHeaders, defaults: Mapping[str, str], fixed: Mapping[str, str] | None = None
) -> list[tuple[bytes, bytes]]:
    """Return the headers of a response.

    Args:
        own: Headers of the application. They override the defaults.
        defaults: Default headers, by their names in lower case.
        fixed: Headers that override all others, by their names in lower case.
    """
    fixed = fixed or {}
    kept = [(name.lower(), value) for name, value in own if name.lower().decode("latin-1") not in fixed]
    said = {name.decode("latin-1") for name, _ in kept}
    added = {**{name: value for name, value in defaults.items() if name not in said}, **fixed}
    return kept + [(name.encode("latin-1"), value.encode("latin-1")) for name, value in added.items()]


async def send_empty(status: int, headers: RawHeaders, send: Send) -> None:
    """Send a response without a body."""
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": b""})
