"""The bucket that the scenarios are about."""

import pytest

from tests.support.s3 import s3_storage


@pytest.fixture
def on_s3(s3_server, s3_bucket):
    """A storage that is not open yet."""
    return s3_storage(s3_server, s3_bucket)


@pytest.fixture
async def storage(on_s3):
    async with on_s3 as storage:
        yield storage
