"""Storages on stubs of S3 servers."""

from contextlib import AsyncExitStack

import pytest

from async_storages.backends.buckets.part_splitter import PART_SIZE
from async_storages.testing import S3Stub
from tests.support.s3 import FAST


@pytest.fixture
async def stub_of():
    """Starts stubs with a behaviour, and closes them after the test."""
    async with AsyncExitStack() as opened:

        async def make(behaviour="aws", **options):
            return await opened.enter_async_context(S3Stub(behaviour, **options))

        yield make


@pytest.fixture
def part_size():
    """Bytes of a part of an upload; modules choose another size."""
    return PART_SIZE


@pytest.fixture
async def on(stub_of, part_size):
    """Makes a stub with a behaviour, and a storage on it."""
    async with AsyncExitStack() as opened:

        async def make(behaviour="aws", **options):
            stub = await stub_of(behaviour)
            return stub, await opened.enter_async_context(
                stub.storage(**{"options": FAST, "part_size": part_size, **options})
            )

        yield make
