"""The headers of a proxied response that come from the stored file. No I/O.

The stored headers were meant for a bucket or a CDN. The application answers one user, by its own rules and from its own
domain. So it uses the stored headers only where this is safe.
"""

import re
from email.message import Message
from typing import Literal
from urllib.parse import unquote

from async_storages.models import FileBasicInfo

__all__ = ["cache_control", "representation", "stored_disposition"]

# RFC 9111 section 5.2
_DIRECTIVE = re.compile(r'\s*([\w!#$%&\'*+.^`|~-]+)(?:\s*=\s*("(?:[^"\\]|\\.)*"|[^\s,"]*))?\s*(?:,|$)', re.ASCII)
_FOR_SHARED_CACHES = frozenset({"public", "private", "s-maxage", "proxy-revalidate", "must-understand"})
_WITHOUT_END = frozenset({"immutable", "stale-while-revalidate", "stale-if-error"})

_EXTENDED_NAME = re.compile(r";\s*filename\*\s*=\s*utf-8'[A-Za-z0-9-]*'([^\s;]+)", re.IGNORECASE | re.ASCII)
_CODINGS = re.compile(r"[\w+.-]+(?:\s*,\s*[\w+.-]+)*", re.ASCII)
_LANGUAGES = re.compile(r"[A-Za-z0-9-]+(?:\s*,\s*[A-Za-z0-9-]+)*")


def cache_control(info: FileBasicInfo, max_age: int | None, fresh_for: float | None) -> str:
    """Return the Cache-Control of a response. It is private: other users of a shared cache may not see the file.

    Args:
        info: The facts of the file, with its stored headers.
        max_age: Seconds from the developer. None uses the stored header of the file.
        fresh_for: The longest time in seconds that the result may allow. None for no limit.
    """
    limit = None if fresh_for is None else max(0, int(fresh_for))
    if max_age is not None:
        seconds = max_age if limit is None else min(max_age, limit)
        return f"private, max-age={seconds}" if seconds else "private, no-cache"
    said = _directives(info.cache_control or "")
    if not said:
        return "private, no-cache"
    kept = [(name, value) for name, value in said if name not in _FOR_SHARED_CACHES]
    if limit is not None:
        kept = [(name, _capped(name, value, limit)) for name, value in kept if name not in _WITHOUT_END]
    return ", ".join(["private", *(name if value is None else f"{name}={value}" for name, value in kept)])


def _directives(header: str) -> list[tuple[str, str | None]]:
    """Return the directives. Empty if one of them is malformed, or if none tells how long to cache."""
    found, position = [], 0
    while position < len(header):
        match = _DIRECTIVE.match(header, position)
        if match is None:
            return []
        found.append((match[1].lower(), match[2]))
        position = match.end()
    return found if {"max-age", "no-cache", "no-store"} & {name for name, _ in found} else []


def _capped(name: str, value: str | None, limit: int) -> str | None:
    if name != "max-age":
        return value
    return str(min(int(value), limit) if value and value.isascii() and value.isdigit() else 0)


def representation(info: FileBasicInfo) -> dict[str, str]:
    """Return Content-Encoding and Content-Language of the stored bytes, without malformed ones."""
    said = {
        "content-encoding": (info.content_encoding, _CODINGS),
        "content-language": (info.content_language, _LANGUAGES),
    }
    return {name: value for name, (value, pattern) in said.items() if value and pattern.fullmatch(value)}


def stored_disposition(info: FileBasicInfo) -> tuple[str | None, Literal["attachment"] | None]:
    """Return the untrusted name in the stored Content-Disposition, and ``"attachment"`` if it requires saving."""
    if not info.content_disposition:
        return None, None
    message = Message()
    try:
        message["content-disposition"] = info.content_disposition
        kind, name = message.get_content_disposition(), message.get_filename()
    except (ValueError, LookupError):
        return None, None
    if found := _EXTENDED_NAME.search(info.content_disposition):  # goes before the other one: RFC 6266 section 4.3
        name = unquote(found[1], errors="replace")
    return name or None, "attachment" if kind == "attachment" else None
