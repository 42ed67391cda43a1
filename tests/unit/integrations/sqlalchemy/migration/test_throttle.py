"""A speed that is kept to."""

import asyncio

import pytest

from async_storages import InvalidArgumentException
from async_storages.integrations.sqlalchemy.migration.throttle import Throttle
from tests.support.patience import time_flies


async def test_files_and_bytes_wait_for_each_other():
    throttle = Throttle(files=1, bytes_=1000)
    loop = asyncio.get_running_loop()
    with time_flies():
        begun = loop.time()
        await asyncio.gather(*(throttle.take_file() for _ in range(4)))
        assert 2.5 < loop.time() - begun < 4
        begun = loop.time()
        for _ in range(3):
            await throttle.take_bytes(2000)
        assert 3.5 < loop.time() - begun < 6


async def test_without_a_speed_nothing_waits():
    throttle = Throttle()
    await throttle.take_file()
    await throttle.take_bytes(10**12)


@pytest.mark.parametrize(("files", "bytes_"), [(0, None), (-1, None), (None, 0), (1, -1)])
def test_a_speed_is_above_zero(files, bytes_):
    with pytest.raises(InvalidArgumentException):
        Throttle(files, bytes_)
