"""The words of ASGI: https://asgi.readthedocs.io/en/latest/specs/www.html."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any

__all__ = ["Message", "RawHeaders", "Receive", "Scope", "Send", "joined_headers", "merged_headers", "send_empty"]

type Scope = MutableMapping[str, Any]
"""A request, but for its body."""

type Message = MutableMapping[str, Any]
"""One step of a request or an answer."""

type Receive = Callable[[], Awaitable[Message]]
"""Gives what the client sends."""

type Send = Callable[[Message], Awaitable[None]]
"""Takes what the client is sent."""

type RawHeaders = Sequence[tuple[bytes, bytes]]
"""Headers as ASGI has them: names and values, in order."""


def joined_headers(raw: RawHeaders) -> dict[str, str]:
    """The headers of a request by their names in lower case, lines of one name as one (RFC 9110 section 5.3)."""
    joined: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        joined[key] = f"{joined[key]}, {text}" if key in joined else text
    return joined


def merged_headers(
    own: RawHeaders, defaults: Mapping[str, str], fixed: Mapping[str, str] | None = None
) -> list[tuple[bytes, bytes]]:
    """The headers of an answer.

    Args:
        own: Headers of the application, which go before the defaults.
        defaults: Headers that stand where the application says nothing, by their names in lower case.
        fixed: Headers that stand in any case, likewise.
    """
    fixed = fixed or {}
    kept = [(name.lower(), value) for name, value in own if name.lower().decode("latin-1") not in fixed]
    said = {name.decode("latin-1") for name, _ in kept}
    added = {**{name: value for name, value in defaults.items() if name not in said}, **fixed}
    return kept + [(name.encode("latin-1"), value.encode("latin-1")) for name, value in added.items()]


async def send_empty(status: int, headers: RawHeaders, send: Send) -> None:
    """Send an answer without a body."""
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": b""})
