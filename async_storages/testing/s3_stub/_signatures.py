"""Check the signatures of requests and forms, as S3 does.

It follows the Amazon S3 API Reference, "Authenticating Requests (AWS Signature Version 4)". It shares no code with this
package's signer, because it tests the signer.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from async_storages.testing.s3_stub._messages import StubError, StubRequest

__all__ = ["check_form", "check_request", "is_signed"]

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^,\s]+), ?SignedHeaders=([^,\s]+), ?Signature=([0-9a-f]{64})"
)
_HASH = re.compile(r"[0-9a-f]{64}")
_SKEW = timedelta(minutes=15)
_NOT_SIGNED = frozenset({"x-amz-content-sha256", "x-amzn-trace-id"})


def is_signed(request: StubRequest) -> bool:
    """True if a request has a signature, valid or not."""
    return "authorization" in request.headers or "X-Amz-Signature" in request.query


def check_request(request: StubRequest, keys: Mapping[str, str]) -> None:
    """Check a signature in the header or in the query. `keys` are the secrets by access key."""
    path, _, query = request.target.partition("?")
    if "authorization" in request.headers:
        found = _AUTHORIZATION.fullmatch(request.headers["authorization"])
        if found is None:
            raise StubError(400, "AuthorizationHeaderMalformed")
        credential, names, signature = found.groups()
        timestamp = request.headers.get("x-amz-date", "")
        if abs(datetime.now(UTC) - _time(timestamp)) > _SKEW:
            raise StubError(403, "RequestTimeTooSkewed")
        payload_hash = request.headers.get("x-amz-content-sha256", "")
    else:
        credential, names, signature = (
            request.query.get(f"X-Amz-{name}", "") for name in ("Credential", "SignedHeaders", "Signature")
        )
        timestamp = request.query.get("X-Amz-Date", "")
        if datetime.now(UTC) > _time(timestamp) + timedelta(seconds=int(request.query.get("X-Amz-Expires", "0"))):
            raise StubError(403, "AccessDenied")
        query = "&".join(pair for pair in query.split("&") if not pair.startswith("X-Amz-Signature="))
        payload_hash = request.headers.get("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
    signed = names.split(";")
    _check_headers(request, signed)
    pairs = sorted(pair if "=" in pair else f"{pair}=" for pair in query.split("&") if pair)
    lines = "".join(f"{name}:{' '.join(request.headers.get(name, '').split())}\n" for name in signed)
    canonical = f"{request.method}\n{path}\n{'&'.join(pairs)}\n{lines}\n{names}\n{payload_hash}"
    scope = credential.partition("/")[2]
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    _compare(f"AWS4-HMAC-SHA256\n{timestamp}\n{scope}\n{digest}", credential, signature, keys)
    if _HASH.fullmatch(payload_hash) and hashlib.sha256(request.body).hexdigest() != payload_hash:
        raise StubError(400, "XAmzContentSHA256Mismatch")


def check_form(fields: Mapping[str, str], keys: Mapping[str, str]) -> None:
    """Check the signature of a form's policy."""
    credential = fields.get("x-amz-credential", "")
    _compare(fields.get("policy", ""), credential, fields.get("x-amz-signature", ""), keys)


def _check_headers(request: StubRequest, signed: list[str]) -> None:
    needed = {name for name in request.headers if name.startswith("x-amz-")} - _NOT_SIGNED
    if missing := needed - {*signed}:
        raise StubError(403, "AccessDenied", HeadersNotSigned=", ".join(sorted(missing)))
    if "host" not in signed:
        raise StubError(403, "SignatureDoesNotMatch")


def _compare(text: str, credential: str, signature: str, keys: Mapping[str, str]) -> None:
    access_key, *scope = credential.split("/")
    if access_key not in keys:
        raise StubError(403, "InvalidAccessKeyId")
    key = f"AWS4{keys[access_key]}".encode()
    for part in scope:
        key = hmac.digest(key, part.encode(), "sha256")
    if not hmac.compare_digest(hmac.digest(key, text.encode(), "sha256").hex(), signature):
        raise StubError(403, "SignatureDoesNotMatch")


def _time(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise StubError(403, "AccessDenied") from None
