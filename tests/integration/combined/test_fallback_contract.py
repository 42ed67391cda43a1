"""The contract, on two storages as one: the new one is empty, and so is the old one."""

import asyncio

import pytest

from async_storages import FallbackStorage, LocalStorage, MemoryStorage, OperationNotSupportedException
from async_storages.testing import StorageContract
from async_storages.testing.faults import Answer
from tests.integration.s3 import test_contract as s3
from tests.integration.test_contract import private_files
from tests.support.first_attempts import fail_first_attempts
from tests.support.local_server import served
from tests.support.s3 import s3_storage

pytestmark = pytest.mark.matrix("classes")


class FallbackContract(StorageContract):
    """No URL deletes, as that would be in one of the two alone."""

    async def test_presign_delete(self, storage):
        await self.refuses_delete(storage)

    async def test_presign_for_another_method(self, storage):
        await self.refuses_delete(storage)

    async def refuses_delete(self, storage):
        if hasattr(storage, "presign"):
            with pytest.raises(OperationNotSupportedException, match="delete"):
                storage.presign("file.txt", method="DELETE")
            with pytest.raises(OperationNotSupportedException, match="delete"):
                await storage.presigned_urls(["file.txt"], method="DELETE")


class TestFallbackInMemory(FallbackContract):
    @pytest.fixture
    def storage(self):
        return FallbackStorage(MemoryStorage(), MemoryStorage())


class LocalFallbackContract(FallbackContract):
    async def leftovers(self, storage):
        return [name for member in storage.members for name in await asyncio.to_thread(private_files, member.root)]


class TestFallbackInFolders(LocalFallbackContract):
    @pytest.fixture
    async def storage(self, tmp_path):
        async with FallbackStorage(LocalStorage(tmp_path / "new"), LocalStorage(tmp_path / "old")) as storage:
            yield storage


class TestFallbackInFoldersServed(LocalFallbackContract):
    @pytest.fixture
    async def storage(self, tmp_path):
        async with (
            served(tmp_path / "new") as new,
            served(tmp_path / "old") as old,
            FallbackStorage(new, old) as storage,
        ):
            yield storage


class S3FallbackContract(FallbackContract):
    """Multipart uploads that nobody ended are left over, in either bucket."""

    async def leftovers(self, storage):
        return [each for member in storage.members for each in await s3.S3Contract.leftovers(self, member)]

    test_write_cancelled_anywhere = s3.S3Contract.test_write_cancelled_anywhere
    create = s3.S3Contract.create


class TestFallbackInBuckets(S3FallbackContract):
    """SeaweedFS before moto: two makers, one name of the bucket."""

    @pytest.fixture
    async def storage(self, s3_server, s3_bucket, moto_server):
        old = s3_storage(moto_server, s3_bucket)
        async with FallbackStorage(s3_storage(s3_server, s3_bucket), old) as storage:
            await old.bucket_admin.create()
            yield storage


class TestFallbackInTrouble(S3FallbackContract):
    """Each request fails the first time, on both servers: see `TestS3StorageInTrouble`."""

    _is_ours = s3.TestS3StorageInTrouble._is_ours
    create = s3.TestS3StorageInTrouble.create

    @pytest.fixture
    async def storage(self, seaweedfs, moto):
        (one, proxy), (other, other_proxy) = seaweedfs, moto
        async with FallbackStorage(one, other) as storage:
            for each in (proxy, other_proxy):
                fail_first_attempts(each, Answer.s3_error("SlowDown"), concerns=self._is_ours)
            yield storage
