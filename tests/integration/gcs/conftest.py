"""Storages on the test server, behind the gate."""

from contextlib import AsyncExitStack
from functools import partial

import pytest

from tests.support.gcs import gate_to, gcs_storage, proxy_to


@pytest.fixture
async def gate(gcs_server):
    async with gate_to(gcs_server) as gate:
        yield gate


@pytest.fixture
async def gcs(gate, gcs_bucket):
    """Makes storages on the bucket of the test, and closes them after it."""
    async with AsyncExitStack() as opened:

        async def make(bucket=gcs_bucket, **options):
            return await opened.enter_async_context(gcs_storage(gate, bucket, **options))

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
