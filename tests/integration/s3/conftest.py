"""Storages on the test server."""

from contextlib import AsyncExitStack
from functools import partial

import pytest

from async_storages.backends.buckets.part_splitter import PART_SIZE
from tests.support.s3 import proxy_to, s3_storage


@pytest.fixture
def part_size():
    """Bytes of a part of an upload; modules choose another size."""
    return PART_SIZE


@pytest.fixture
async def s3(s3_server, s3_bucket, part_size):
    """Makes storages on the bucket of the test, and closes them after it."""
    async with AsyncExitStack() as opened:

        async def make(bucket=s3_bucket, *, conditional_writes=True, **options):
            options["conditional_writes"] = conditional_writes  # known, so that faults do not meet the probe
            return await opened.enter_async_context(
                s3_storage(s3_server, bucket, **{"part_size": part_size, **options})
            )

        yield make


@pytest.fixture
async def storage(s3):
    return await s3()


@pytest.fixture
async def proxy(s3_server):
    async with proxy_to(s3_server) as proxy:
        yield proxy


@pytest.fixture
async def proxied(s3, proxy):
    """Makes storages behind the proxy."""
    return partial(s3, endpoint_url=proxy.url)
