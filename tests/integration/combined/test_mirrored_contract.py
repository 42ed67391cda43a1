"""The contract, on a primary with a mirror, and what the mirror has at the end of each test."""

import asyncio

import pytest

from async_storages import LocalStorage, MemoryStorage, MirroredStorage
from async_storages.testing import StorageContract
from async_storages.testing.faults import Answer
from tests.integration.s3 import test_contract as s3
from tests.integration.test_contract import private_files
from tests.support.first_attempts import fail_first_attempts
from tests.support.local_server import served
from tests.support.s3 import s3_storage

pytestmark = pytest.mark.matrix("classes")


class MirroredContract(StorageContract):
    """That nothing was there before is known only of a new file, so that it may be removed again."""

    test_write_cancelled_anywhere = s3.S3Contract.test_write_cancelled_anywhere
    create = s3.S3Contract.create


class TestMirroredInMemory(MirroredContract):
    @pytest.fixture
    def storage(self):
        return MirroredStorage(MemoryStorage(), MemoryStorage())


class LocalMirroredContract(MirroredContract):
    async def leftovers(self, storage):
        return [name for member in storage.members for name in await asyncio.to_thread(private_files, member.root)]


class TestMirroredInFolders(LocalMirroredContract):
    @pytest.fixture
    async def storage(self, tmp_path):
        mirrors = LocalStorage(tmp_path / "mirror"), LocalStorage(tmp_path / "second mirror")
        async with MirroredStorage(LocalStorage(tmp_path / "primary"), *mirrors, strict=True) as storage:
            yield storage


class TestMirroredInFoldersServed(LocalMirroredContract):
    @pytest.fixture
    async def storage(self, tmp_path):
        async with (
            served(tmp_path / "primary") as primary,
            MirroredStorage(primary, LocalStorage(tmp_path / "mirror"), read_mirrors=True) as storage,
        ):
            yield storage


class S3MirroredContract(MirroredContract):
    """Multipart uploads that nobody ended are left over, in either bucket."""

    async def leftovers(self, storage):
        return [each for member in storage.members for each in await s3.S3Contract.leftovers(self, member)]


class TestMirroredInBuckets(S3MirroredContract):
    """SeaweedFS before moto: two makers, one name of the bucket."""

    @pytest.fixture
    async def storage(self, s3_server, s3_bucket, moto_server):
        mirror = s3_storage(moto_server, s3_bucket)
        async with MirroredStorage(s3_storage(s3_server, s3_bucket), mirror) as storage:
            await mirror.bucket_admin.create()
            yield storage


class TestMirroredInTrouble(S3MirroredContract):
    """Each request fails the first time, on both servers: see `TestS3StorageInTrouble`."""

    _is_ours = s3.TestS3StorageInTrouble._is_ours
    create = s3.TestS3StorageInTrouble.create

    @pytest.fixture
    async def storage(self, seaweedfs, moto):
        (one, proxy), (other, other_proxy) = seaweedfs, moto
        async with MirroredStorage(one, other) as storage:
            for each in (proxy, other_proxy):
                fail_first_attempts(each, Answer.s3_error("SlowDown"), concerns=self._is_ours)
            yield storage
