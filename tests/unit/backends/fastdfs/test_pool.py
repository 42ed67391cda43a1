"""The pool: bounded, last in first out, and nothing in it that is broken, or open after it was closed."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from async_storages.backends.fastdfs import protocol
from async_storages.backends.fastdfs.pool import FastDFSOptions, Pools
from async_storages.errors import InvalidArgumentException, StorageClosedException, StorageUnavailableException
from tests.support.fastdfs import FAST, Ending, Silence, reply, scripted, serving
from tests.support.patience import TIME_OUT, time_flies

ALWAYS_CHECK = replace(FAST, idle_check=-1.0)


def answer(command):
    return Ending() if command == protocol.Command.QUIT else reply()


async def ask(pools, server):
    async with pools.connection(server) as connection:
        await connection.ask(protocol.active_test())


async def held(pools, server, stack):
    return await stack.enter_async_context(pools.connection(server))


@pytest.mark.parametrize(
    "name", ["connect_timeout", "network_timeout", "pool_timeout", "cleanup_timeout", "max_connections"]
)
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_options_that_cannot_be(name, value):
    with pytest.raises(InvalidArgumentException, match=name):
        FastDFSOptions(**{name: value})


def test_an_idle_check_that_cannot_be():
    with pytest.raises(InvalidArgumentException, match="idle_check"):
        FastDFSOptions(idle_check=float("nan"))


async def test_the_bound():
    async with scripted(answer) as script, Pools(replace(FAST, max_connections=3)) as pools:
        await asyncio.gather(*(ask(pools, script.server) for _ in range(50)))
        assert (script.connections, script.most_open, pools.idle_connections()) == (3, 3, 3)


async def test_no_connection_becomes_free():
    async with scripted(answer) as script, Pools(replace(FAST, max_connections=1)) as pools:
        async with pools.connection(script.server):
            refused = pytest.raises(StorageUnavailableException, match=f"no connection became free in {TIME_OUT} s")
            with time_flies(), refused:
                await ask(pools, script.server)
        await ask(pools, script.server)


async def test_cancelled_while_waiting_for_one():
    async with scripted(answer) as script, Pools(replace(FAST, max_connections=1)) as pools:
        async with pools.connection(script.server):
            waiting = asyncio.create_task(ask(pools, script.server))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])
        await ask(pools, script.server)
        assert pools.idle_connections() == 1


async def test_the_last_one_used_is_used_first():
    async with scripted(answer) as script, Pools(FAST) as pools:
        async with AsyncExitStack() as stack:
            first, second = [await held(pools, script.server, stack) for _ in range(2)]
        async with pools.connection(script.server) as connection:
            assert connection is first  # given back after the second
        assert connection is not second


async def test_one_that_the_server_has_closed_is_not_used():
    async with scripted(lambda _: Ending(reply())) as script, Pools(FAST) as pools:
        async with pools.connection(script.server) as connection:
            await connection.ask(protocol.active_test())
        await asyncio.shield(connection._lost)
        await ask(pools, script.server)
        assert script.connections == 2


async def test_an_idle_one_is_checked():
    async with scripted(answer) as script, Pools(ALWAYS_CHECK) as pools:
        async with pools.connection(script.server):
            pass
        async with pools.connection(script.server):
            pass
        assert script.asked == [(0, protocol.Command.ACTIVE_TEST)]


@pytest.mark.parametrize("said", [Ending(), reply(status=22), reply(b"?"), None], ids=["end", "no", "odd", "silence"])
async def test_when_the_check_fails_those_idle_for_longer_go_too(said):
    """They are as dead, and each would take a time-out to tell."""
    async with scripted(Silence() if said is None else lambda _: said) as script, Pools(ALWAYS_CHECK) as pools:
        async with AsyncExitStack() as stack:
            for _ in range(5):
                await held(pools, script.server, stack)
        assert pools.idle_connections() == 5
        with time_flies():
            async with pools.connection(script.server):
                assert script.commands == [protocol.Command.ACTIVE_TEST]
                assert pools.idle_connections() == 0
        assert (script.connections, pools.idle_connections()) == (6, 1)


async def test_cancelled_while_checking():
    silence = Silence()
    async with scripted(silence) as script, Pools(ALWAYS_CHECK) as pools:
        async with pools.connection(script.server):
            pass
        checking = asyncio.create_task(ask(pools, script.server))
        await script.was_asked.wait()
        checking.cancel()
        await asyncio.wait([checking])
        assert pools.idle_connections() == 0
        silence.set()
        await script.ended.wait()


# ---- closing


async def test_closing_says_good_bye():
    async with scripted(answer) as script:
        async with Pools(FAST) as pools:
            await ask(pools, script.server)
        await script.ended.wait()
        assert script.commands == [protocol.Command.ACTIVE_TEST, protocol.Command.QUIT]


async def test_closing_ends_what_is_in_use():
    silence = Silence()
    async with scripted(silence) as script:
        async with Pools(FAST) as pools:
            asking = asyncio.create_task(ask(pools, script.server))
            await script.was_asked.wait()
        with pytest.raises(StorageClosedException):
            await asking
        silence.set()
        await script.ended.wait()


async def test_what_was_being_opened_is_not_kept():
    async with scripted(answer) as script:
        async with Pools(FAST) as pools:
            asking = asyncio.create_task(ask(pools, script.server))
            await asyncio.sleep(0)
        await asking
        await script.ended.wait()
        assert pools.idle_connections() == 0


async def test_a_server_that_takes_no_good_bye():
    """Closing does not wait for it."""

    async def converse(reader, writer):
        writer.transport.pause_reading()
        writer.write(reply())
        await asyncio.Event().wait()

    async with serving(converse) as server:
        async with Pools(FAST) as pools:
            await ask(pools, server)
            [connection] = pools._pools[server].open
        assert connection._lost.done()


async def test_a_server_that_cannot_be_reached_takes_no_room():
    async with serving(lambda *_: None) as server:
        pass
    async with Pools(replace(FAST, max_connections=1)) as pools:
        for _ in range(3):
            with pytest.raises(StorageUnavailableException):
                await ask(pools, server)
        assert not pools._pools[server].open
