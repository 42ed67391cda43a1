"""The contract, on a real S3 server: directly, through a proxy, and with a first attempt that always fails."""

import pytest

from async_storages.backends.transport.http import HttpOptions
from async_storages.content import as_content
from async_storages.naming import UniqueKey
from async_storages.testing import StorageContract
from async_storages.testing.contract.cancellation import every_cancellation
from async_storages.testing.contract.sources import CONTENT, pieces_later
from async_storages.testing.faults import Answer
from tests.support.first_attempts import fail_first_attempts
from tests.support.s3 import FAST, proxy_to, s3_storage

pytestmark = pytest.mark.matrix("classes")


class S3Contract(StorageContract):
    """Multipart uploads that nobody ended are left over."""

    async def leftovers(self, storage):
        return await storage._client.list_multipart_uploads(storage.bucket)

    async def test_write_cancelled_anywhere(self, storage):
        """Only of a new file it is known that nothing was there before, so that it may be removed again."""
        nothing = await self.state(storage, "file.bin")
        async for _ in every_cancellation(lambda: self.create(storage)):
            assert await self.state(storage, "file.bin") == nothing

    def create(self, storage):
        return storage.upload(pieces_later(CONTENT), "file.bin", overwrite=False)


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
        options = HttpOptions(retries=FAST.retries)
        async with (
            proxy_to(s3_server) as proxy,
            s3_storage(s3_server, s3_bucket, endpoint_url=proxy.url, options=options) as storage,
        ):
            fail_first_attempts(proxy, Answer.s3_error("SlowDown"), concerns=self._is_ours)
            yield storage

    async def create(self, storage):
        """As `save` does: where answers are lost, nobody knows whose file is under another key, and it stays."""
        async with as_content(pieces_later(CONTENT), None, {}) as content:
            return await storage.write(content, UniqueKey("file.bin"), overwrite=False)

    def _is_ours(self, method, path):
        return "X-Amz-" not in path and (method != "POST" or "?" in path)
