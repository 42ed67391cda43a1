"""The contract, on stubs of S3 servers."""

import pytest

from async_storages.testing import S3Stub
from async_storages.testing.s3_stub import Behaviours
from tests.integration.s3.test_contract import S3Contract
from tests.support.s3 import FAST

pytestmark = pytest.mark.matrix("classes")

UNLIKE_AWS = Behaviours(
    refuses=("x-amz-checksum-*",),
    ignores_encoding_type=True,
    has_equal_parts=True,
    empty_suffix=206,
    reports_missing_deletes=True,
    ignores_ranges=True,
    regions=(),
    has_strict_completion=True,
    has_strict_policies=True,
    ignores_acl_in_query=True,
    hides_form_etag=True,
)
"""All that may be different at once, but for conditions, and for what browsers see."""


class TestLikeAws(S3Contract):
    @pytest.fixture
    async def storage(self):
        async with S3Stub() as stub, stub.storage(options=FAST) as storage:
            yield storage


class TestUnlikeAws(S3Contract):
    @pytest.fixture
    async def storage(self):
        async with S3Stub(UNLIKE_AWS) as stub, stub.storage(options=FAST) as storage:
            yield storage
