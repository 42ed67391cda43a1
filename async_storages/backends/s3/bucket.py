"""Setup of a bucket: creation, CORS, lifecycle rules."""

import base64
import hashlib
from collections.abc import Sequence
from contextlib import suppress
from xml.sax.saxutils import escape

from async_storages.backends.s3.error_responses import BucketIsOwn, NoSuchRegion
from async_storages.backends.s3.wire import Answer, Request, Wire
from async_storages.backends.s3.xml_messages import NAMESPACE, parse_lifecycle_rules
from async_storages.errors import FileNotFoundException, InvalidArgumentException, during

__all__ = ["S3BucketAdmin"]

_METHODS = ("GET", "HEAD", "PUT", "POST")
_EXPOSED = ("ETag", "Location", "Content-Length", "Content-Range", "Content-Disposition")

_LONGEST_UPLOAD = 7
"""Days after which the server deletes an unfinished multipart upload at the latest."""


class S3BucketAdmin:
    """Sets up one bucket, for deployment scripts and tests.

    Specified in the Amazon S3 API reference: HeadBucket, CreateBucket, DeleteBucket, PutBucketCors,
    GetBucketLifecycleConfiguration, PutBucketLifecycleConfiguration.

    Args:
        bucket: The bucket.
        wire: Sends the requests. Its credentials must be allowed to set up buckets.
    """

    def __init__(self, bucket: str, wire: Wire) -> None:
        self._bucket = bucket
        self._wire = wire

    async def exists(self) -> bool:
        """Return True if the bucket exists.

        Raises:
            AccessDeniedException: The credentials may not look for the bucket.
        """
        try:
            await self._send("exists", "HEAD")
        except FileNotFoundException:
            return False
        return True

    async def create(self) -> None:
        """Create the bucket, in the storage's region if the server has regions.

        It is not an error if the bucket exists and is your own.

        Raises:
            StorageOperationException: Another account's bucket has this name.
        """
        with during("bucket.create", f"s3:{self._bucket}"):
            await self._wire.prepare()  # the region may come with the credentials
        region = self._wire.endpoint(self._bucket).region
        where = _element("LocationConstraint", region)
        body = "" if region == "us-east-1" else _root("CreateBucketConfiguration", where)
        with suppress(BucketIsOwn):
            try:
                await self._send("create", "PUT", body=body)
            except NoSuchRegion:  # Ceph has zone groups instead of regions
                if not body:
                    raise
                await self._send("create", "PUT")

    async def delete(self) -> None:
        """Delete the bucket. It must be empty, except on SeaweedFS, which deletes the files with the bucket."""
        await self._send("delete", "DELETE")

    async def allow_origins(self, origins: Sequence[str], *, max_age: int = 3600) -> None:
        """Allow browsers on these sites to upload to the bucket and download from it directly (CORS).

        Args:
            origins: The allowed sites. For example ``"https://app.example.com"``, or ``"*"`` for all. They replace
                earlier ones.
            max_age: Seconds for which browsers may cache the permission.
        """
        rule = [
            *(_element("AllowedOrigin", origin) for origin in origins),
            *(_element("AllowedMethod", method) for method in _METHODS),
            _element("AllowedHeader", "*"),
            *(_element("ExposeHeader", name) for name in _EXPOSED),
            _element("MaxAgeSeconds", max_age),
        ]
        body = _root("CORSConfiguration", f"<CORSRule>{''.join(rule)}</CORSRule>")
        await self._send("allow_origins", "PUT", "cors", body)

    async def expire(self, prefix: str, *, days: int) -> None:
        """Add a rule by which the server deletes files below a prefix after some days.

        The server also deletes unfinished multipart uploads below the prefix, after 7 days at the latest.

        Args:
            prefix: The beginning of the keys. For example ``"exports/"``, or ``""`` for the whole bucket. Rules for
                other prefixes stay.
            days: The age in days at which the server deletes a file, at least 1.

        Raises:
            InvalidArgumentException: `days` is below 1.
        """
        ended = _element("Days", _checked_days("expire", days))
        actions = f"<Expiration>{ended}</Expiration>{_abort(min(days, _LONGEST_UPLOAD))}"
        await self._add_rule("expire", f"async-storages:{prefix}", prefix, actions)

    async def expire_uploads(self, prefix: str = "", *, days: int = 7) -> None:
        """Add a rule by which the server deletes unfinished multipart uploads after some days. Files stay.

        A process that is killed leaves such uploads. They cost as much as files, and listings do not show them.

        Args:
            prefix: The beginning of the keys. By default the whole bucket. Rules for other prefixes stay.
            days: The age in days at which the server deletes an upload, at least 1.

        Raises:
            InvalidArgumentException: `days` is below 1.
        """
        actions = _abort(_checked_days("expire_uploads", days))
        await self._add_rule("expire_uploads", f"async-storages-uploads:{prefix}", prefix, actions)

    async def _add_rule(self, operation: str, name: str, prefix: str, actions: str) -> None:
        """Add a lifecycle rule, or replace the one with this name."""
        described = f"{_element('ID', name)}<Status>Enabled</Status><Filter>{_element('Prefix', prefix)}</Filter>"
        others = [other for other_name, other in await self._rules(operation) if other_name != name]
        rules = "".join([*others, f"<Rule>{described}{actions}</Rule>"])
        await self._send(operation, "PUT", "lifecycle", _root("LifecycleConfiguration", rules))

    async def lifecycle_rules(self) -> list[tuple[str | None, str]]:
        """Return the lifecycle rules of the bucket: the id of each rule, or None, and its XML. Empty without rules.

        Raises:
            StorageException: The server refuses, or cannot be reached.
        """
        return await self._rules("lifecycle_rules")

    async def _rules(self, operation: str) -> list[tuple[str | None, str]]:
        try:
            answer = await self._send(operation, "GET", "lifecycle")
        except FileNotFoundException:
            return []
        with during(f"bucket.{operation}", f"s3:{self._bucket}"):
            return parse_lifecycle_rules(answer.body)

    async def _send(self, operation: str, method: str, about: str | None = None, body: str = "") -> Answer:
        data = body.encode()
        digest = hashlib.md5(data, usedforsecurity=False).digest()
        request = Request(
            method=method,
            bucket=self._bucket,
            query={} if about is None else {about: ""},
            headers={"Content-MD5": base64.b64encode(digest).decode("ascii")} if data else {},
            body=self._wire.body(data) if method == "PUT" else None,
        )
        with during(f"bucket.{operation}", f"s3:{self._bucket}"):
            return await self._wire.exchange(request)


def _checked_days(operation: str, days: int) -> int:
    if days < 1:
        raise InvalidArgumentException(f"days is {days!r}: give 1 or more", operation=f"bucket.{operation}")
    return days


def _abort(days: int) -> str:
    """Return the action that deletes unfinished multipart uploads."""
    after = _element("DaysAfterInitiation", days)
    return f"<AbortIncompleteMultipartUpload>{after}</AbortIncompleteMultipartUpload>"


def _element(name: str, text: object) -> str:
    return f"<{name}>{escape(str(text))}</{name}>"


def _root(name: str, content: str) -> str:
    return f"<{name} {NAMESPACE}>{content}</{name}>"


BucketAdmin = S3BucketAdmin
"""The name of `S3BucketAdmin` in earlier versions."""
