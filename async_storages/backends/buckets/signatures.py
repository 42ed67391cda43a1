"""The common half of Amazon's and Google's version 4 signatures: canonical requests, policies of forms.

Pure. Specified in the Amazon S3 API Reference, "Authenticating Requests (AWS Signature Version 4)", and in Google's
https://cloud.google.com/storage/docs/authentication/canonical-requests
"""

import json
import re
from base64 import b64encode
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import lru_cache
from urllib.parse import quote

from async_storages import naming
from async_storages._media_types.well_formed import check_content_type
from async_storages.content import Content
from async_storages.content_disposition import Disposition, content_disposition
from async_storages.errors import InvalidArgumentException
from async_storages.signing import check_lifetime

__all__ = [
    "UNSIGNED_PAYLOAD",
    "PolicyCondition",
    "answer_query",
    "canonical_end",
    "check_form_key",
    "check_sent",
    "checked_expiry",
    "encode_path",
    "encode_query",
    "encode_value",
    "encoded_pairs",
    "encoded_policy",
    "form_sizes",
    "http_time",
    "joined",
    "signed_headers",
    "timestamp_of",
    "without_own",
]

UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
"""Stands for the payload hash where the body is not signed."""

type PolicyCondition = Mapping[str, str] | Sequence[str | int]
"""Part of a POST policy: ``{"acl": "private"}``, ``["starts-with", "$Content-Type", "image/"]`` …"""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# RFC 9110 section 5.6.2
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


# ---- URLs


def encode_path(path: str) -> str:
    """A key or path, percent-encoded as it is signed: UTF-8, once, slashes kept.

    Raises:
        InvalidArgumentException: It holds a lone surrogate.

    Example:
        >>> encode_path("a//b c/100%.txt")
        'a//b%20c/100%25.txt'
    """
    return _encode(path, "/")


def encode_value(text: str) -> str:
    """A name or value of a query percent-encoded; raises as `encode_path` does."""
    return _encode(text, "")


def encode_query(query: Mapping[str, str]) -> str:
    """A query string in the form and order in which it is signed.

    Raises:
        InvalidArgumentException: A name or value holds a lone surrogate.

    Example:
        >>> encode_query({"uploads": "", "prefix": "a/b"})
        'prefix=a%2Fb&uploads='
    """
    return joined(sorted(encoded_pairs(query)))


def encoded_pairs(query: Mapping[str, str]) -> list[tuple[str, str]]:
    """The parameters percent-encoded, in their order."""
    return [(_encode(name, ""), _encode(value, "")) for name, value in query.items()]


def joined(pairs: list[tuple[str, str]]) -> str:
    """Encoded parameters as a query string."""
    return "&".join(map("=".join, pairs))


def _encode(text: str, safe: str) -> str:
    try:
        return quote(text, safe)
    except UnicodeEncodeError:
        raise InvalidArgumentException("a lone surrogate cannot be part of a URL") from None


def without_own(query: Mapping[str, str], own: Collection[str]) -> Mapping[str, str]:
    """The parameters unchanged; refuses names that are the signature's `own`."""
    if clash := [name for name in query if name.lower() in own]:
        raise InvalidArgumentException(f"the parameter {clash[0]!a} is the signature's own", operation="presign")
    return query


# ---- canonical requests


def signed_headers(headers: Mapping[str, str], never: Collection[str] = ()) -> dict[str, str]:
    """The headers that are signed, in canonical form and order; of names that differ in case the last one counts."""
    values = {_lowered(name): _trimmed(name, value) for name, value in headers.items()}
    return {name: values[name] for name in sorted(values) if name not in never}


@lru_cache(maxsize=256)  # there are few names, and every request has the same
def _lowered(name: str) -> str:
    if not _HEADER_NAME.fullmatch(name):
        raise _unsendable(name)
    return name.lower()


def _trimmed(name: str, value: str) -> str:
    if not value.isprintable():
        raise _unsendable(name)
    return " ".join(value.split()) if " " in value else value


def _unsendable(name: str) -> InvalidArgumentException:
    return InvalidArgumentException(f"the header {name!a} cannot be sent: it holds control characters")


def canonical_end(query: str, signed: Mapping[str, str], payload_hash: str) -> str:
    """The canonical request from its query on, below method and path."""
    lines = "".join(f"{name}:{value}\n" for name, value in signed.items())
    return f"{query}\n{lines}\n{';'.join(signed)}\n{payload_hash}"


# ---- times


def timestamp_of(now: datetime) -> str:
    """The time as it is signed, such as ``"20190201T090000Z"``; it must have a time zone."""
    if now.tzinfo is None:
        raise InvalidArgumentException("the time to sign with has no time zone: give one such as datetime.now(UTC)")
    since = now - _EPOCH
    return _timestamp_since(since.days, since.seconds)


@lru_cache(maxsize=16)
def _timestamp_since(days: int, seconds: int) -> str:
    """Formatting costs ten times as much as finding the second's timestamp here."""
    shown = (_EPOCH + timedelta(days, seconds)).isoformat()
    return shown[:19].replace("-", "").replace(":", "") + "Z"


def http_time(value: datetime) -> str:
    """A time as headers have it (RFC 9110 section 5.6.7)."""
    return format_datetime(value.astimezone(UTC), usegmt=True)


def checked_expiry(expires_in: float) -> int:
    """The whole seconds of `expires_in`, 1 to 604,800."""
    check_lifetime(expires_in)
    return int(expires_in)


# ---- forms


def encoded_policy(expires_at: datetime, conditions: Iterable[PolicyCondition], *, is_ascii: bool) -> str:
    """The policy of a POST form, in base64.

    Args:
        expires_at: When the form ends.
        conditions: Of the policy.
        is_ascii: Escape other characters, as Google demands. Without it they are UTF-8, as Ceph demands, which takes
            an escaped emoji for two characters.

    Raises:
        InvalidArgumentException: A condition holds a lone surrogate.
    """
    expiration = expires_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    policy = json.dumps({"expiration": expiration, "conditions": [*conditions]}, ensure_ascii=is_ascii)
    try:
        return b64encode(policy.encode()).decode()
    except UnicodeEncodeError:
        raise InvalidArgumentException("a lone surrogate cannot be part of a form") from None


def form_sizes(min_size: int, max_size: int | None, largest: int) -> tuple[str, int, int]:
    """The condition on the size of what a form stores, of `largest` bytes at the most.

    Raises:
        InvalidArgumentException: There is no such size.
    """
    most = largest if max_size is None else max_size
    if not 0 <= min_size <= most:
        raise InvalidArgumentException(f"no file is {min_size} to {max_size} bytes large")
    return "content-length-range", min_size, most


def check_form_key(key: str) -> None:
    """Refuse a key with ``${filename}``: the server would put the uploaded file's own name there."""
    if "${filename}" in key:
        raise InvalidArgumentException("the server would replace the ${filename} in the key of a form", file_id=key)


# ---- options of presigned URLs


def check_sent(content_type: str | None, size: int | None) -> None:
    """Refuse a content type or a size that would fail when the URL is used."""
    if content_type is not None or size is not None:
        Content(b"", content_type=content_type, size=size)


def answer_query(
    key: str, filename: str | None, content_type: str | None, disposition: Disposition | None
) -> dict[str, str]:
    """The parameters that give a download this name and type.

    Raises:
        InvalidArgumentException: The type is not well-formed.
    """
    query: dict[str, str] = {}
    if filename or disposition:
        shown = filename or naming.original_filename(key)
        query["response-content-disposition"] = content_disposition(shown, disposition or "attachment")
    if content_type:
        check_content_type(content_type)
        query["response-content-type"] = content_type
    return query
