"""Two S3 servers of two makers, which have a bucket of one name, each behind a proxy that can be switched off."""

from contextlib import asynccontextmanager

import pytest

from tests.support.s3 import FAST, proxy_to, s3_storage


@pytest.fixture
async def bucket_behind_proxy(s3_bucket):
    """Opens a storage on the test's bucket of a server, with the proxy before it."""

    @asynccontextmanager
    async def opened(server):
        async with (
            proxy_to(server) as proxy,
            s3_storage(server, s3_bucket, endpoint_url=proxy.url, options=FAST) as storage,
        ):
            yield storage, proxy

    return opened


@pytest.fixture
async def seaweedfs(bucket_behind_proxy, s3_server):
    async with bucket_behind_proxy(s3_server) as opened:
        yield opened


@pytest.fixture
async def moto(bucket_behind_proxy, moto_server):
    async with bucket_behind_proxy(moto_server) as (storage, proxy):
        await storage.bucket_admin.create()
        yield storage, proxy
