"""A server that does not answer in time costs one time-out, not one of each operation."""

import asyncio
from contextlib import suppress
from dataclasses import replace

import pytest

from async_storages.backends.fastdfs import protocol
from async_storages.backends.fastdfs.pool import FastDFSOptions, Pools
from async_storages.errors import InvalidArgumentException, StorageUnavailableException
from async_storages.testing import FastDFSServer
from async_storages.testing.fastdfs_server import Fault
from tests.support.fastdfs import FAST, address_of, fastdfs_cluster
from tests.support.patience import TIME_OUT, time_flies

OPTIONS = replace(FAST, passed_over_for=10.0)


async def ask(pools, server, count=1):
    async with pools.connection(server) as connection:
        for _ in range(count):
            await connection.ask(protocol.query_store())


@pytest.fixture
async def server():
    async with FastDFSServer() as server:
        yield server


async def seconds(work):
    """How long it takes until it fails, while time flies."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    with time_flies(), pytest.raises(StorageUnavailableException) as failed:
        await work
    return round(loop.time() - began), str(failed.value)


async def test_a_frozen_server_is_asked_whether_it_is_alive_and_then_passed_over(server):
    frozen = server.inject(Fault(stall=True), times=None)
    tracker = address_of(server.tracker)
    async with Pools(OPTIONS) as pools:
        assert (await seconds(ask(pools, tracker)))[0] == TIME_OUT
        waited, reason = await seconds(ask(pools, tracker))  # by a question that is answered at once
        assert (waited, frozen.fired) == (TIME_OUT, 2)
        for _ in range(20):
            waited, reason = await seconds(ask(pools, tracker))
            assert waited == 0
            assert "passed over for the next" in reason
        assert frozen.fired == 2


async def test_it_is_asked_again_after_a_while_by_one_only(server):
    frozen = server.inject(Fault(stall=True), times=None)
    tracker = address_of(server.tracker)
    async with Pools(replace(OPTIONS, connect_timeout=1.0)) as pools:
        for _ in range(2):
            await seconds(ask(pools, tracker))
        for turn in (3, 4):
            with time_flies(11.0):
                await asyncio.sleep(11.0)
            with time_flies():
                results = await asyncio.gather(*(ask(pools, tracker) for _ in range(10)), return_exceptions=True)
            assert {type(result) for result in results} == {StorageUnavailableException}
            assert frozen.fired == turn
        frozen.release()
        with time_flies(11.0):
            await asyncio.sleep(11.0)
        await ask(pools, tracker)
        await asyncio.gather(*(ask(pools, tracker) for _ in range(10)))


async def test_who_is_cancelled_while_asking_leaves_no_verdict(server):
    frozen = server.inject(Fault(stall=True), times=None)
    tracker = address_of(server.tracker)
    async with Pools(OPTIONS) as pools:
        await seconds(ask(pools, tracker))
        task = asyncio.ensure_future(ask(pools, tracker))
        await frozen.wait_fired(2)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        frozen.release()
        await ask(pools, tracker)


async def test_a_server_that_answers_others_is_not_passed_over(server):
    stalled = server.inject(Fault(stall=True), protocol.Command.QUERY_FETCH, times=None)
    tracker = address_of(server.tracker)
    async with Pools(OPTIONS) as pools:

        async def stall():
            async with pools.connection(tracker) as connection:
                await connection.ask(protocol.query_fetch(protocol.Name("group1", "M00/00/00/" + "a" * 34)))

        for _ in range(3):
            task = asyncio.ensure_future(stall())
            await stalled.wait_fired(stalled.fired + 1)
            await ask(pools, tracker)
            with time_flies(), suppress(StorageUnavailableException):
                await task
            await ask(pools, tracker)


async def test_it_may_be_waited_for_each_time(server):
    server.inject(Fault(stall=True), times=None)
    async with Pools(replace(OPTIONS, passed_over_for=0.0)) as pools:
        for _ in range(4):
            assert (await seconds(ask(pools, address_of(server.tracker))))[0] == TIME_OUT


async def test_a_frozen_storage_costs_reads_no_time():
    """The other one has the file as well."""
    async with FastDFSServer(storages_per_group=2) as server, fastdfs_cluster(server, options=OPTIONS) as client:
        file_id = await client.upload(b"content")
        server.inject(Fault(stall=True), times=None, at=server.storages[0].address)
        loop = asyncio.get_running_loop()
        began = loop.time()
        with time_flies():
            for _ in range(20):
                assert (await client.info(file_id)).size == 7
        assert loop.time() - began < 3.5 * TIME_OUT


@pytest.mark.parametrize("value", [-1, float("nan")])
def test_a_time_that_cannot_be(value):
    with pytest.raises(InvalidArgumentException, match="passed_over_for"):
        FastDFSOptions(passed_over_for=value)
