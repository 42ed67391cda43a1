"""The contract, behind the gate: directly, and with a first attempt that always fails."""

import pytest

from async_storages.testing import StorageContract
from async_storages.testing.contract.base import ContractGroup
from async_storages.testing.contract.cancellation import every_cancellation
from async_storages.testing.contract.capabilities import CopyContract, ListContract, MetadataContract
from async_storages.testing.contract.read import ReadContract
from async_storages.testing.contract.sources import CONTENT, pieces_later
from async_storages.testing.contract.stat import DeleteContract, StatContract
from async_storages.testing.contract.write import WriteContract
from async_storages.testing.faults import Answer
from tests.support.first_attempts import fail_first_attempts
from tests.support.gcs import FAST, gate_to, gcs_storage, proxy_to


class Behind(ContractGroup):
    """Resumable uploads that nobody ended are left over."""

    @pytest.fixture
    async def gate(self, gcs_server):
        async with gate_to(gcs_server) as self.gate:
            yield self.gate

    async def leftovers(self, storage):
        return self.gate.open_uploads


class NewFiles(WriteContract):
    async def test_write_cancelled_anywhere(self, storage):
        """Only of a new file it is known that nothing was there before, so that it may be removed again."""
        nothing = await self.state(storage, "file.bin")
        async for _ in every_cancellation(lambda: storage.upload(pieces_later(CONTENT), "file.bin", overwrite=False)):
            assert await self.state(storage, "file.bin") == nothing


class TestGCSStorage(Behind, NewFiles, StorageContract):
    @pytest.fixture
    async def storage(self, gate, gcs_bucket):
        async with gcs_storage(gate, gcs_bucket) as storage:
            yield storage


class TestGCSStorageInTrouble(
    Behind, MetadataContract, CopyContract, ListContract, DeleteContract, StatContract, NewFiles, ReadContract
):
    """Each request of the storage fails the first time, in one of several ways; those of browsers are not concerned."""

    @pytest.fixture
    async def storage(self, gate, gcs_bucket):
        async with (
            proxy_to(gate) as proxy,
            gcs_storage(gate, gcs_bucket, endpoint_url=proxy.url, options=FAST) as storage,
        ):
            fail_first_attempts(proxy, Answer(503), concerns=lambda method, path: "/storage/v1/" in path)
            yield storage
