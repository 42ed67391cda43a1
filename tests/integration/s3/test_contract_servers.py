"""The contract, on the other S3 servers of the suite; what each of them cannot do is told by name."""

import pytest

from tests.integration.s3.test_contract import S3Contract
from tests.support.s3_kinds import storage_on

pytestmark = pytest.mark.matrix("classes")

NO_POLICIES = "it does not look at the policy of a form"
NO_SIGNATURES = "it does not look at signatures"

MOTO = {
    "test_presign_expired": NO_SIGNATURES,
    "test_write_two_at_once_without_overwriting": "it looks first and stores then, in threads that race",
    "test_presign_stable": NO_SIGNATURES,
    "test_presign_tampered": NO_SIGNATURES,
    "test_presign_of_another_key": NO_SIGNATURES,
    "test_presign_for_another_method": NO_SIGNATURES,
    "test_presign_put_of_another_size": NO_SIGNATURES,
    "test_presign_put_of_another_type": NO_SIGNATURES,
    "test_presign_put_of_size_zero": NO_SIGNATURES,
    "test_direct_upload_of_another_size": NO_POLICIES,
    "test_direct_upload_of_another_type": NO_POLICIES,
    "test_direct_upload_tampered": NO_POLICIES,
    "test_direct_upload_expired": NO_POLICIES,
}
MINIO_GATEWAY = {
    "test_write_two_at_once_without_overwriting": "it ignores conditions, so that looking first races",
    "test_list_of_no_place": "it refuses a prefix that holds ..",
}
MINISTACK = {
    "test_presign_tampered": "it takes URLs without X-Amz-Algorithm",
    "test_direct_upload_of_another_type": NO_POLICIES,
    "test_direct_upload_tampered": NO_POLICIES,
    "test_direct_upload_expired": NO_POLICIES,
}


class OtherServer(S3Contract):
    """A server that differs from AWS."""

    differences: dict[str, str]

    @pytest.fixture(autouse=True)
    def expect_differences(self, request):
        name = request.node.originalname
        if name in self.differences:
            is_race = name == "test_write_two_at_once_without_overwriting"
            request.applymarker(pytest.mark.xfail(reason=self.differences[name], strict=not is_race))


class TestMoto(OtherServer):
    differences = MOTO

    @pytest.fixture
    async def storage(self, moto_server):
        async with storage_on(moto_server) as storage:
            yield storage


class TestMinioGateway(OtherServer):
    differences = MINIO_GATEWAY

    @pytest.fixture
    async def storage(self, minio_gateway):
        async with storage_on(minio_gateway) as storage:
            yield storage


class TestMinistack(OtherServer):
    differences = MINISTACK

    @pytest.fixture
    async def storage(self, ministack_server):
        async with storage_on(ministack_server) as storage:
            yield storage
