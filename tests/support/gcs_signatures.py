"""Judges V4 signatures of requests to Google Cloud Storage: what its servers check and the emulators do not.

Written from Google's documentation, without the signer that it judges:
https://cloud.google.com/storage/docs/authentication/signatures and …/canonical-requests for URLs,
https://cloud.google.com/storage/docs/xml-api/post-object-forms for forms.
"""

import hashlib
import json
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote, unquote_to_bytes

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

ALGORITHM = "GOOG4-RSA-SHA256"
WEEK = 604_800
SKEW = timedelta(minutes=15)
UNCONDITIONED = {"policy", "x-goog-signature", "file"}


class Refused(Exception):
    """What the server would say instead."""

    def __init__(self, status: int, code: str, reason: str) -> None:
        super().__init__(f"{status} {code}: {reason}")
        self.status = status
        self.code = code


def is_signed(query: str) -> bool:
    """Whether a query string claims to hold a V4 signature."""
    return any(name.lower().startswith("x-goog-") for name, _ in parse_qsl(query, keep_blank_values=True))


def verify_url(
    method: str,
    path: str,
    query: str,
    headers: Iterable[tuple[str, str]],
    *,
    keys: Mapping[str, RSAPublicKey],
    now: datetime | None = None,
) -> None:
    """Accept a request to a presigned URL, or raise `Refused`.

    Args:
        method: Of the request.
        path: As it was sent, percent-encoded.
        query: As it was sent.
        headers: All that were sent, Host and, if there is a body, Content-Length among them.
        keys: The public key of each account by its e-mail address.
        now: The server's clock.
    """
    parameters = parse_qsl(query, keep_blank_values=True)
    given = {name.lower(): value for name, value in parameters}
    sent = _canonical_headers(headers)
    signed = given.get("x-goog-signedheaders", "").split(";")
    _check_headers(sent, signed)
    canonical = "\n".join(
        [
            method,
            quote(unquote_to_bytes(path), safe="/~"),
            "&".join(sorted(f"{_quoted(n)}={_quoted(v)}" for n, v in parameters if n.lower() != "x-goog-signature")),
            *(f"{name}:{sent[name]}" for name in signed),
            "",
            ";".join(signed),
            sent.get("x-goog-content-sha256", "UNSIGNED-PAYLOAD"),
        ]
    )
    email, scope = _credential(given)
    date, digest = given["x-goog-date"], hashlib.sha256(canonical.encode()).hexdigest()
    message = f"{ALGORITHM}\n{date}\n{scope}\n{digest}"
    _check_signature(message.encode(), given.get("x-goog-signature", ""), keys.get(email))
    _check_time(date, given.get("x-goog-expires", ""), now or datetime.now(UTC))
    _check_size(sent)


def verify_form(
    bucket: str,
    fields: Iterable[tuple[str, str]],
    size: int,
    *,
    keys: Mapping[str, RSAPublicKey],
    now: datetime | None = None,
) -> None:
    """Accept a form posted to a bucket, or raise `Refused`.

    Args:
        bucket: To which it was posted.
        fields: Those before the file, in order.
        size: Of the file, in bytes.
        keys: The public key of each account by its e-mail address.
        now: The server's clock.
    """
    given = {name.lower(): value for name, value in fields}
    email, _ = _credential(given)
    encoded = given.get("policy", "")
    _check_signature(encoded.encode(), given.get("x-goog-signature", ""), keys.get(email))
    policy = _policy(encoded)
    if datetime.fromisoformat(policy["expiration"]) < (now or datetime.now(UTC)):
        raise Refused(400, "ExpiredToken", "the policy has expired")
    covered = {_check_condition(condition, {**given, "bucket": bucket}, size) for condition in policy["conditions"]}
    for name in given:
        if name not in covered | UNCONDITIONED and not name.startswith("x-ignore-"):
            raise Refused(403, "AccessDenied", f"the policy says nothing of the field {name}")


def _policy(encoded: str) -> dict[str, Any]:
    try:
        return dict(json.loads(b64decode(encoded, validate=True)))
    except (Base64Error, ValueError, TypeError):
        raise Refused(400, "InvalidPolicyDocument", "no JSON in base64") from None


def _check_condition(condition: Any, given: Mapping[str, str], size: int) -> str:
    """The field that it is about."""
    if isinstance(condition, dict):
        [(name, value)] = condition.items()
        kind, name = "eq", f"${name}"
    else:
        kind, name, value = condition
    if kind == "content-length-range":
        _check_range(size, int(name), int(value))
        return ""
    name = name.removeprefix("$").lower()
    found = given.get(name)
    if found is None or (found != value if kind == "eq" else not found.startswith(value)):
        raise Refused(403, "AccessDenied", f"the field {name} does not meet its condition")
    return str(name)


def _canonical_headers(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for name, value in headers:
        found.setdefault(name.lower(), []).append(" ".join(value.split()))
    joined = {name: ",".join(values) for name, values in found.items()}
    host, _, port = joined.get("host", "").rpartition(":")
    return {**joined, "host": host if port.isdigit() else joined.get("host", "")}


def _check_headers(sent: Mapping[str, str], signed: list[str]) -> None:
    if "host" not in signed or signed != sorted(signed):
        raise Refused(400, "InvalidArgument", "X-Goog-SignedHeaders lacks host, or is not sorted")
    for name in signed:
        if name not in sent:
            raise Refused(400, "MalformedSecurityHeader", f"the header {name} was signed, and is missing")
    for name in sent:
        if name.startswith(("x-goog-", "x-amz-")) and name not in signed:
            raise Refused(400, "MalformedSecurityHeader", f"the header {name} was not signed")


def _credential(given: Mapping[str, str]) -> tuple[str, str]:
    """The account, and the scope."""
    email, _, scope = given.get("x-goog-credential", "").partition("/")
    day, _location, *service = [*scope.split("/"), ""]
    fits = service == ["storage", "goog4_request", ""] and day and day == given.get("x-goog-date", "")[:8]
    if not fits or given.get("x-goog-algorithm") != ALGORITHM:
        raise Refused(400, "InvalidArgument", "algorithm, credential and date do not fit")
    return email, scope


def _check_signature(message: bytes, signature: str, key: RSAPublicKey | None) -> None:
    if key is None:
        raise Refused(403, "AccessDenied", "there is no such account")
    try:
        key.verify(bytes.fromhex(signature), message, PKCS1v15(), SHA256())
    except (InvalidSignature, ValueError):
        raise Refused(403, "SignatureDoesNotMatch", "the signature does not fit") from None


def _check_time(date: str, expires: str, now: datetime) -> None:
    begin = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    if not expires.isdigit() or not 1 <= int(expires) <= WEEK:
        raise Refused(400, "AuthorizationQueryParametersError", "X-Goog-Expires must be 1 to 604800 seconds")
    if begin - SKEW > now:
        raise Refused(403, "RequestTimeTooSkewed", "signed in the future")
    if begin + timedelta(seconds=int(expires)) < now:
        raise Refused(400, "ExpiredToken", "the signature has expired")


def _check_size(sent: Mapping[str, str]) -> None:
    if "x-goog-content-length-range" in sent:
        smallest, largest = map(int, sent["x-goog-content-length-range"].split(","))
        _check_range(int(sent.get("content-length", 0)), smallest, largest)


def _check_range(size: int, smallest: int, largest: int) -> None:
    if size < smallest:
        raise Refused(400, "EntityTooSmall", f"{size} bytes are less than {smallest}")
    if size > largest:
        raise Refused(400, "EntityTooLarge", f"{size} bytes are more than {largest}")


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~")
