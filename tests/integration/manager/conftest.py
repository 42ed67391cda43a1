"""Managers of a bucket on the S3 test server, and of a FastDFS server, or of the cluster of ``FASTDFS_TRACKER``."""

import pytest

from async_storages import StorageManager, StorageModeConfig
from async_storages.testing.fastdfs_server import FastDFSServer
from tests.support.fastdfs import place_of
from tests.support.managers import fastdfs_config, s3_config
from tests.support.s3 import proxy_to


@pytest.fixture
async def own_fastdfs():
    """A FastDFS server of the test alone, to be told what to do."""
    async with FastDFSServer() as server:
        yield server


@pytest.fixture
def fastdfs(request):
    """`own_fastdfs`, if the test asks for it; else a real cluster, or any server."""
    return place_of(request, "own_fastdfs")


@pytest.fixture
def make(s3_server, s3_bucket, fastdfs):
    """Makes managers of the test's bucket and of `fastdfs`."""

    def make(mode="hybrid", *, s3=None, fastdfs_settings=None, **options):
        return StorageManager(
            StorageModeConfig(mode=mode),
            s3_config(s3_server, s3_bucket, **(s3 or {})),
            fastdfs_config(fastdfs, **(fastdfs_settings or {})),
            **options,
        )

    return make


@pytest.fixture
async def manager(make):
    async with make() as manager:
        yield manager


@pytest.fixture
async def proxy(s3_server):
    async with proxy_to(s3_server) as proxy:
        yield proxy


@pytest.fixture
def other_bucket(s3_server, s3_bucket):
    """Another bucket, whose name begins like that of the test."""
    name = f"{s3_bucket}-other"
    s3_server.create_bucket(name)
    yield name
    s3_server.drop_bucket(name)
