"""The contract, on a real S3 server: directly, through a proxy, and with a first attempt that always fails."""

from functools import partial
from zlib import crc32

import pytest

from async_storages.testing import StorageContract
from async_storages.testing.contract.sources import CONTENT, pieces_later
from async_storages.testing.contract.tools import every_cancellation
from async_storages.testing.faults import Answer, Reset, request_header, response_body, response_header
from tests.support.s3 import FAST, proxy_to, s3_storage


class S3Contract(StorageContract):
    """Multipart uploads that nobody ended are left over."""

    async def leftovers(self, storage):
        return await storage._client.list_multipart_uploads(storage.bucket)

    async def test_write_cancelled_anywhere(self, storage):
        """Only of a new file it is known that nothing was there before, so that it may be removed again."""
        nothing = await self.state(storage, "file.bin")
        async for _ in every_cancellation(lambda: storage.upload(pieces_later(CONTENT), "file.bin", overwrite=False)):
            assert await self.state(storage, "file.bin") == nothing


class TestS3Storage(S3Contract):
    @pytest.fixture
    async def storage(self, s3_server, s3_bucket):
        async with s3_storage(s3_server, s3_bucket) as storage:
            yield storage


class TestS3StorageBehindProxy(S3Contract):
    @pytest.fixture
    async def storage(self, s3_server, s3_bucket):
        async with (
            proxy_to(s3_server) as proxy,
            s3_storage(s3_server, s3_bucket, endpoint_url=proxy.url) as storage,
        ):
            yield storage


class TestS3StorageInTrouble(S3Contract):
    """Each request of the storage fails the first time, in one of several ways; those of browsers do not."""

    @pytest.fixture
    async def storage(self, s3_server, s3_bucket):
        async with (
            proxy_to(s3_server) as proxy,
            s3_storage(s3_server, s3_bucket, endpoint_url=proxy.url, options=FAST) as storage,
        ):
            for way, (fault, place) in enumerate(WAYS):
                proxy.inject(fault, place, times=None, when=partial(self._is_first, way, set()))
            yield storage

    def _is_first(self, way, seen, method, path):
        if "X-Amz-" in path or (method == "POST" and "?" not in path):
            return False
        is_first = (method, path) not in seen
        seen.add((method, path))
        return is_first and crc32(f"{method} {path}".encode()) % len(WAYS) == way


WAYS = [
    (Answer.s3_error("SlowDown"), request_header()),
    (Reset(), request_header("middle")),
    (Reset(), response_header()),
    (Reset(), response_body()),
]
