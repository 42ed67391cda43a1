"""Examine a bucket: credentials, the server's clock, CORS, lifecycle rules, and abilities of the server."""

import time
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from async_storages.cli.expiry_rules import expiry_findings, expiry_rules_of_gcs, expiry_rules_of_s3
from async_storages.cli.findings import Finding, Level
from async_storages.cli.http_requests import request
from async_storages.cli.remedies import S3_CORS, S3_LIFECYCLE
from async_storages.errors import AccessDeniedException, FileNotFoundException, StorageException
from async_storages.storage.base import Storage

if TYPE_CHECKING:
    from async_storages.backends.gcs.storage import GCSStorage
    from async_storages.backends.s3.storage import S3Storage

__all__ = ["clock_finding", "examine_access", "examine_settings"]

_NOTED = 5.0
_TOO_FAR = 300.0
"""Seconds of difference between two clocks: S3 refuses requests from 15 minutes on."""

_BAD_BUT_WORKS = {
    "If-None-Match on PUT": "the library looks whether a key is taken before it writes, so that two writers of one key "
    "can both succeed: use keys that `save` makes",
    "checksums (CRC32)": "the server ignores checksums: what is damaged on the way is not noticed by it",
    "size limits of forms": "the server ignores the size limits of presigned forms: attach checks the sizes",
    "presigned forms": "the server takes no presigned forms: let browsers upload with presigned PUTs",
    "listing after write": "listings are late: a sweep with an inventory may see files only the next time",
}
_BAD = {"ignored", "no", "late", "refused"}


async def examine_access(storage: Storage) -> list[Finding]:
    """Examine the credentials, and the clock of the server."""
    if storage.scheme not in {"s3", "gs"}:
        return []
    return [await _credentials(storage), *await _clock(storage)]


async def _credentials(storage: Storage) -> Finding:
    try:
        await storage.prepare()
    except (StorageException, ImportError) as error:
        return Finding(
            "credentials", str(error), Level.PROBLEM, "give the keys, or set up the environment, a profile or a role"
        )
    source: Any = cast("Any", storage)._credentials  # noqa: SLF001 - of the same house
    provider = getattr(source, "_provider", None)
    if provider is not None:
        return Finding("credentials", f"found by boto3: {getattr(provider, 'method', 'unknown')}")
    if type(source).__name__ == "Anonymous":
        return Finding("credentials", "none: anonymous")
    if type(source).__name__ == "GoogleCredentials":
        given = getattr(source, "_info", None) is not None or getattr(source, "_file", None) is not None
        return Finding("credentials", f"{'given' if given else 'found as Google tools find them'}: {source!r}")
    return Finding("credentials", "given by the application or its settings")


async def _clock(storage: Storage) -> list[Finding]:
    parts = urlsplit(str(storage.location))
    if parts.scheme not in {"http", "https"}:
        return []
    try:
        answer = await request("HEAD", f"{parts.scheme}://{parts.netloc}/")
    except StorageException:
        return []  # whether it can be reached is tried with the storage's own connections
    return clock_finding(answer.headers.get("date"), time.time())


def clock_finding(date: str | None, now: float) -> list[Finding]:
    """Compare the server's clock with this one.

    Args:
        date: The header ``Date`` of an answer.
        now: Seconds since the epoch, by the clock of this computer.
    """
    try:
        theirs = parsedate_to_datetime(date or "").timestamp()
    except ValueError:
        return []
    apart = now - theirs
    if abs(apart) < _NOTED:
        return [Finding("clock", "the same as the server's")]
    level = Level.PROBLEM if abs(apart) >= _TOO_FAR else Level.NOTE
    shown = f"this clock is {abs(apart):.0f} s {'ahead of' if apart > 0 else 'behind'} the server's"
    return [Finding("clock", shown, level, "run NTP (chrony, systemd-timesyncd) on both machines")]


async def examine_settings(storage: Storage) -> list[Finding]:
    """Examine CORS, lifecycle rules and abilities of a bucket's server, as far as the credentials allow."""
    if storage.scheme == "s3":
        return await _of_s3(cast("S3Storage", storage))
    if storage.scheme == "gs":
        return await _of_gcs(cast("GCSStorage", storage))
    return []


async def _of_s3(storage: "S3Storage") -> list[Finding]:
    findings = [
        await _setting(storage, "CORS", "cors", "CORSRule", S3_CORS),
        await _setting(storage, "lifecycle", "lifecycle", "AbortIncompleteMultipartUpload", S3_LIFECYCLE),
    ]
    with suppress(StorageException):  # the finding about the lifecycle says why it cannot be read
        rules = await storage.bucket_admin.lifecycle_rules()
        findings += expiry_findings(expiry_rules_of_s3(xml for _, xml in rules), storage.prefix)
    if storage.read_only:
        return findings
    from async_storages.backends.s3.capabilities import capabilities  # noqa: PLC0415 - needs an extra

    try:
        found = await capabilities(storage)
    except StorageException as error:
        return [*findings, Finding("abilities", str(error), Level.PROBLEM, "see the steps above")]
    for each in found:
        remedy = _BAD_BUT_WORKS.get(each.name) if each.found in _BAD else None
        level = Level.PROBLEM if each.is_failure else Level.NOTE if remedy else Level.OK
        if each.is_failure:
            remedy = "the server cannot do this, or the credentials may not: see docs/providers/index.md"
        findings.append(Finding(each.name, each.found, level, remedy))
    return findings


async def _setting(storage: "S3Storage", check: str, query: str, wanted: str, remedy: str) -> Finding:
    """Examine a setting of the bucket. It is set if the answer has an element."""
    from async_storages.backends.s3.wire import Request  # noqa: PLC0415 - needs an extra

    wire = storage._client.wire  # noqa: SLF001 - of the same house
    try:
        answer = await wire.exchange(Request(method="GET", bucket=str(storage.bucket), query={query: ""}), attempts=1)
    except FileNotFoundException:
        return Finding(check, "none", Level.NOTE, remedy)
    except AccessDeniedException:
        return Finding(check, "the credentials may not read it", Level.NOTE, f"look yourself: {remedy}")
    except StorageException as error:
        if "NoSuch" in error.reason:  # NoSuchCORSConfiguration, NoSuchLifecycleConfiguration
            return Finding(check, "none", Level.NOTE, remedy)
        return Finding(check, f"cannot be read: {error.reason}", Level.NOTE, f"look yourself: {remedy}")
    if f"<{wanted}" in answer.body.decode(errors="replace"):
        return Finding(check, "ok")
    return Finding(check, "none", Level.NOTE, remedy)


async def _of_gcs(storage: "GCSStorage") -> list[Finding]:
    try:
        settings = await storage.bucket_admin._settings()  # noqa: SLF001 - of the same house
    except StorageException as error:
        return [Finding("CORS", f"cannot be read: {error.reason}", Level.NOTE, f"look yourself: {S3_CORS}")]
    has_cors = bool(settings.get("cors"))
    cors = Finding("CORS", "ok") if has_cors else Finding("CORS", "none", Level.NOTE, S3_CORS)
    return [cors, *expiry_findings(expiry_rules_of_gcs(settings), storage.prefix)]
