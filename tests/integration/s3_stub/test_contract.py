"""The contract, on stubs of S3 servers."""

import pytest

from async_storages.testing import S3Stub
from tests.integration.s3.test_contract import S3Contract
from tests.support.s3 import FAST


class StubContract(S3Contract):
    behaviour = "aws"

    @pytest.fixture
    async def storage(self):
        async with S3Stub(self.behaviour) as stub, stub.storage(options=FAST) as storage:
            yield storage


class TestLikeAws(StubContract):
    behaviour = "aws"


class TestLikeR2(StubContract):
    behaviour = "r2-head"


class TestLikeR2In2025(StubContract):
    behaviour = "r2-early-2025"


class TestLikeCeph(StubContract):
    behaviour = "ceph16"


class TestLikeVersitygw(StubContract):
    behaviour = "versitygw"


class TestLikeSwift(StubContract):
    behaviour = "swift"


class TestLikeCos(StubContract):
    behaviour = "cos"


class TestBehindCdn(StubContract):
    behaviour = "cdn"
