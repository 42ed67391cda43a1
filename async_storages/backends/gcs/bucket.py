"""Setup of a bucket: creation, CORS, lifecycle rules."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from async_storages.backends.gcs.error_responses import Conflict, NoSuchBucket
from async_storages.backends.gcs.resources import parsed
from async_storages.backends.gcs.wire import JSON, Request, Wire, bucket_path
from async_storages.errors import (
    AccessDeniedException,
    FileExistsException,
    FileNotFoundException,
    InvalidArgumentException,
    StorageOperationException,
    during,
)

__all__ = ["GCSBucketAdmin"]

_METHODS = ["GET", "HEAD", "PUT", "POST"]
_HEADERS = [
    *("Content-Disposition", "Content-Length", "Content-Range", "Content-Type", "ETag", "Location"),
    *("x-goog-content-length-range", "x-goog-resumable"),
]
"""Headers that browsers may send and read."""


class GCSBucketAdmin:
    """Sets up one bucket, for deployment scripts and tests.

    Specified in the JSON API reference of Cloud Storage: Buckets.

    Args:
        bucket: The bucket.
        wire: Sends the requests. Its credentials must be allowed to set up buckets.
    """

    def __init__(self, bucket: str, wire: Wire) -> None:
        self._bucket = bucket
        self._wire = wire
        self._id = f"gs:{bucket}"

    async def exists(self) -> bool:
        """Return True if the bucket exists.

        Raises:
            AccessDeniedException: The credentials may not look for the bucket.
        """
        try:
            await self._send("exists", "GET")
        except NoSuchBucket:
            return False
        return True

    async def create(self, *, project: str | None = None, location: str | None = None) -> None:
        """Create the bucket. It is not an error if it exists and the credentials can see it.

        Args:
            project: The id of the project that owns the bucket. GCS demands one, emulators do not.
            location: The location. For example ``"EU"`` or ``"europe-west3"``. None is the default of GCS, ``"US"``.

        Raises:
            StorageOperationException: Another account's bucket has this name.
        """
        query = {} if project is None else {"project": project}
        settings = {"name": self._bucket, **({} if location is None else {"location": location})}
        try:
            await self._send("create", "POST", settings, path="/storage/v1/b", query=query)
        except Conflict:
            await self._check_known()

    async def _check_known(self) -> None:
        with during("bucket.create", self._id):
            try:
                await self._send("create", "GET")
            except AccessDeniedException as error:
                raise StorageOperationException("somebody else has a bucket of this name") from error

    async def delete(self) -> None:
        """Delete the bucket, which must be empty."""
        await self._send("delete", "DELETE")

    async def allow_origins(self, origins: Sequence[str], *, max_age: int = 3600) -> None:
        """Allow browsers on these sites to upload to the bucket and download from it directly (CORS).

        Args:
            origins: The allowed sites. For example ``"https://app.example.com"``, or ``"*"`` for all. They replace
                earlier ones.
            max_age: Seconds for which browsers may cache the permission.
        """
        rule = {"origin": [*origins], "method": _METHODS, "responseHeader": _HEADERS, "maxAgeSeconds": max_age}
        await self._send("allow_origins", "PATCH", {"cors": [rule]})

    async def expire(self, prefix: str, *, days: int) -> None:
        """Add a rule by which the server deletes files below a prefix after some days.

        GCS deletes unfinished uploads after 7 days without a rule.

        Args:
            prefix: The beginning of the keys. For example ``"exports/"``, or ``""`` for the whole bucket. Rules for
                other prefixes stay.
            days: The age in days at which the server deletes a file, at least 1.

        Raises:
            InvalidArgumentException: `days` is below 1.
            StorageOperationException: Other clients keep changing the bucket.
        """
        if days < 1:
            raise InvalidArgumentException(f"days is {days!r}: give 1 or more", operation="bucket.expire")
        below = {"matchesPrefix": [prefix]} if prefix else {}
        rule = {"action": {"type": "Delete"}, "condition": {"age": days, **below}}
        for _ in range(self._wire.options.retries.attempts):
            bucket = await self._settings()
            rules = bucket.get("lifecycle", {}).get("rule", [])
            if rule in rules:  # also after a lost answer
                return
            wanted = [*(other for other in rules if not _is_same_but_for_age(other, rule)), rule]
            query = {"ifMetagenerationMatch": str(bucket.get("metageneration", "1"))}
            with suppress(FileExistsException, Conflict):  # somebody else changed the rules, which must not be lost
                await self._send("expire", "PATCH", {"lifecycle": {"rule": wanted}}, query=query)
                return
        raise StorageOperationException(
            "others keep changing the bucket: try again later", operation="bucket.expire", file_id=self._id
        )

    async def _settings(self) -> dict[str, Any]:
        body = await self._send("expire", "GET")
        with during("bucket.expire", self._id):
            return parsed(body, lambda answer: {**answer})

    async def _send(
        self,
        operation: str,
        method: str,
        settings: Mapping[str, Any] | None = None,
        *,
        path: str | None = None,
        query: Mapping[str, str] | None = None,
    ) -> bytes:
        request = Request(
            method=method,
            path=path or bucket_path(self._bucket),
            query=query or {},
            headers={} if settings is None else JSON,
            body=None if settings is None else self._wire.json(settings),
        )
        with during(f"bucket.{operation}", self._id):
            try:
                return (await self._wire.exchange(request)).body
            except FileNotFoundException as error:
                raise NoSuchBucket("no such bucket") from error


def _is_same_but_for_age(rule: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return _ageless(rule) == _ageless(other)


def _ageless(rule: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**rule, "condition": {**rule.get("condition", {}), "age": 0}}


BucketAdmin = GCSBucketAdmin
"""The name of `GCSBucketAdmin` in earlier versions."""
