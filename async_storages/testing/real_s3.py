"""A running S3 server, such as Ceph, that the environment names. The tests use it instead of starting one."""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn

import pytest

from async_storages.backends.s3.storage import S3Storage

__all__ = ["RealS3Server"]


@dataclass(frozen=True, slots=True)
class RealS3Server:
    """A running server on which tests may create buckets.

    Tests that need a second identity or `kill`, as `S3Server` has them, skip.

    Attributes:
        endpoint_url: Its address.
        access_key_id: The access key of an identity that may create buckets.
        secret_access_key: The secret of `access_key_id`.
        region_name: The region of the buckets. None for the default.
    """

    endpoint_url: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    region_name: str | None = None

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ) -> "RealS3Server | None":
        """Return the server that ``S3_ENDPOINT`` names, with the keys of ``AWS_…``. None if the variable is not set."""
        endpoint = environment.get("S3_ENDPOINT")
        if not endpoint:
            return None
        missing = [name for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") if not environment.get(name)]
        if missing:
            pytest.fail(f"S3_ENDPOINT is set, but not {' and '.join(missing)}", pytrace=False)
        keys = environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"]
        return cls(endpoint, *keys, environment.get("AWS_REGION"))

    def create_bucket(self, name: str) -> None:
        """Create a bucket."""
        asyncio.run(self._create(name))

    def drop_bucket(self, name: str) -> None:
        """Delete a bucket with all its files."""
        asyncio.run(self._drop(name))

    async def _create(self, name: str) -> None:
        async with self._storage(name) as storage:
            await storage.bucket_admin.create()

    async def _drop(self, name: str) -> None:
        async with self._storage(name) as storage:
            for file_id, upload_id in await storage.part_uploads.unfinished(""):
                await storage.part_uploads.abort(file_id, upload_id)
            await storage.delete_many([info.file_id async for info in storage.list("")])
            await storage.bucket_admin.delete()

    def _storage(self, name: str) -> S3Storage:
        return S3Storage(
            name,
            endpoint_url=self.endpoint_url,
            aws_access_key_id=self.access_key_id,
            aws_secret_access_key=self.secret_access_key,
            region_name=self.region_name,
        )

    def __getattr__(self, name: str) -> NoReturn:
        if name in {"bucket", "reader_access_key_id", "reader_secret_access_key", "kill", "start"}:
            pytest.skip(f"{self.endpoint_url} is not ours: it has no {name}")
        raise AttributeError(name)
