"""Storages and clients on the FastDFS test server, or on a real cluster, and servers that say what they are told to."""

import asyncio
import os
import struct
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace

from async_storages.backends.fastdfs.cluster import FastDFSCluster
from async_storages.backends.fastdfs.pool import FastDFSOptions
from async_storages.backends.fastdfs.protocol import Server
from async_storages.backends.fastdfs.storage import FastDFSStorage
from async_storages.backends.transport.retries import Retries
from async_storages.testing.faults import FaultProxy
from async_storages.testing.fixtures import RealFastDFSCluster
from tests.support.patience import TIME_OUT

FAST = FastDFSOptions(
    connect_timeout=TIME_OUT,
    network_timeout=TIME_OUT,
    pool_timeout=TIME_OUT,
    cleanup_timeout=TIME_OUT,
    retries=Retries(base=0.001, cap=0.01),
)
"""Options with which nothing takes long that goes wrong, and nothing times out that goes on."""

ONCE = replace(FAST, retries=Retries(attempts=1))
"""Options with which nothing is tried again."""

ASKING = replace(ONCE, answers_kept_for=0)
"""Those with which trackers are asked each time, too."""


GIVEN = "given"
"""Stands among versions for the real cluster of ``FASTDFS_TRACKER``, whatever its version is."""


def parametrize_versions(metafunc, versions, own="server"):
    """Run what uses `version` for each, and on the real cluster if there is one, unless it asks for `own`."""
    if "version" in metafunc.fixturenames:
        is_given = "FASTDFS_TRACKER" in os.environ and own not in metafunc.fixturenames
        metafunc.parametrize("version", [*versions, *([GIVEN] if is_given else [])])


def place_of(request, own="server"):
    """The server of a test: the one that it asks for by `own`, to tell it what to do; else a real one, or any."""
    return request.getfixturevalue(own if own in request.fixturenames else "fastdfs_server")


async def files_in(server):
    """How many files a server holds; None if it is a real cluster whose servers report that seldom."""
    if not isinstance(server, RealFastDFSCluster):
        return len(await server.files())
    return await server.count() if server.report_interval <= 1 else None


@asynccontextmanager
async def leaving(server, files=0):
    """Check that the block leaves so many files more than there were."""
    before = await files_in(server)
    yield
    assert before is None or await files_in(server) == before + files


def fastdfs_storage(server, **options):
    """A storage on the server."""
    return FastDFSStorage(**{"tracker_servers": [server.tracker], "url_base": "http://files.example", **options})


def fastdfs_cluster(server, **options):
    """A client of all trackers of a server."""
    trackers = getattr(server, "trackers", [server.tracker])
    return FastDFSCluster(trackers, **{"options": FAST, **options})


async def opened_by(client):
    """How many connections of the running loop are open, and how many of them are idle."""
    pools = await client._calls.pools.get()
    return sum(len(pool.open) for pool in pools._pools.values()), pools.idle_connections()


def address_of(server):
    """Host and port out of ``host:port``."""
    host, _, port = server.rpartition(":")
    return Server(host, int(port))


# ---- proxies


@dataclass
class Proxies:
    """Proxies in front of a server's tracker and of its first storage server."""

    tracker: FaultProxy
    storage: FaultProxy

    @property
    def tracker_servers(self):
        return ["{}:{}".format(*self.tracker.address)]


@asynccontextmanager
async def proxies_to(server):
    """Proxies that count bytes, in front of a server in this process; its tracker names the one of the storage."""
    storage = server.storages[0].address
    async with (
        FaultProxy(*address_of(server.tracker), raw=True) as tracker_proxy,
        FaultProxy(*address_of(storage), raw=True) as storage_proxy,
    ):
        server.advertise({storage: "{}:{}".format(*storage_proxy.address)})
        yield Proxies(tracker_proxy, storage_proxy)


# ---- servers that are told what to say


def reply(body=b"", status=0, command=100):
    """A packet."""
    return struct.pack(">QBB", len(body), command, status) + body


class Ending(bytes):
    """What is said before the connection ends."""


class Silence(asyncio.Event):
    """Nothing is said until it is set."""

    def __call__(self, _command):
        return self._broken()

    async def _broken(self):
        await self.wait()
        return b""


@dataclass
class Scripted:
    """A running server.

    Attributes:
        server: Its address.
        asked: The commands so far, by the number of their connection.
        was_asked: Is set with the first one.
        ended: Is set when a client has gone.
        connections: How many clients have connected.
        open: How many are connected.
        most_open: How many were at once.
    """

    server: Server | None = None
    asked: list[tuple[int, int]] = field(default_factory=list)
    was_asked: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    connections: int = 0
    open: int = 0
    most_open: int = 0

    @property
    def commands(self):
        return [command for _, command in self.asked]


@asynccontextmanager
async def scripted(answer):
    """Serve the bytes that `answer` gives, or the awaitable of them, for each command."""
    state = Scripted()

    async def converse(reader, writer):
        number = state.connections
        state.connections += 1
        state.open += 1
        state.most_open = max(state.most_open, state.open)
        try:
            while True:
                length, command, _ = struct.unpack(">QBB", await reader.readexactly(10))
                state.asked.append((number, command))
                state.was_asked.set()
                said = answer(command)
                said = said if isinstance(said, bytes) else await said
                if not isinstance(said, Ending) or not said:
                    await reader.readexactly(length)
                writer.write(said)
                await writer.drain()
                if isinstance(said, Ending):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            state.open -= 1
            state.ended.set()

    async with serving(converse) as state.server:
        yield state


@asynccontextmanager
async def serving(converse):
    """A server whose connections are dealt with by a coroutine function, and closed after it; its address."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader, writer):
        try:
            await converse(reader, writer)
            writer.close()
            await writer.wait_closed()
        finally:
            writer.transport.abort()

    def begin(reader, writer):
        task = asyncio.get_running_loop().create_task(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.remove)

    listener = await asyncio.start_server(begin, "127.0.0.1", 0)
    async with AsyncExitStack() as ended:

        @ended.push_async_callback
        async def _end():
            listener.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await listener.wait_closed()

        yield Server("127.0.0.1", listener.sockets[0].getsockname()[1])
