"""Storages on the test server, behind the gate."""

from contextlib import AsyncExitStack
from functools import partial

import pytest

from async_storages.backends.buckets.part_splitter import PART_SIZE
from tests.support.gcs import gate_to, gcs_storage, proxy_to


@pytest.fixture
async def gate(gcs_server):
    async with gate_to(gcs_server) as gate:
        yield gate


@pytest.fixture
def part_size():
    """Bytes of a part of an upload; modules choose another size."""
    return PART_SIZE


@pytest.fixture
async def gcs(gate, gcs_bucket, part_size):
    """Makes storages on the bucket of the test, and closes them after it."""
    async with AsyncExitStack() as opened:

        async def make(bucket=gcs_bucket, **options):
            return await opened.enter_async_context(gcs_storage(gate, bucket, **{"part_size": part_size, **options}))

        yield make


@pytest.fixture
async def storage(gcs):
    return await gcs()


@pytest.fixture
async def proxy(gate):
    async with proxy_to(gate) as proxy:
        yield proxy


@pytest.fixture
async def proxied(gcs, proxy):
    """Makes storages behind the proxy."""
    return partial(gcs, endpoint_url=proxy.url)
