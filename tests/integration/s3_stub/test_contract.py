"""The contract, on stubs of S3 servers."""

import pytest

from async_storages.testing import S3Stub
from tests.integration.s3.test_contract import S3Contract
from tests.support.s3 import FAST


class TestStubLikeAws(S3Contract):
    @pytest.fixture
    async def storage(self):
        async with S3Stub() as stub, stub.storage(options=FAST) as storage:
            yield storage
