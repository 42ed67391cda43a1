"""Who is asked where files are, and what the answers mean."""

from contextlib import asynccontextmanager

import pytest

from async_storages.backends.fastdfs.pool import Pools
from async_storages.backends.fastdfs.protocol import Name, Server, list_groups, query_store
from async_storages.backends.fastdfs.statuses import Refusal
from async_storages.backends.fastdfs.trackers import Trackers, parse_servers
from async_storages.backends.transport.per_loop import PerLoop
from async_storages.errors import (
    InvalidArgumentException,
    RouteNotSupportedException,
    StorageUnavailableException,
)
from async_storages.testing import FastDFSServer
from async_storages.testing.fastdfs_server import Fault
from tests.support.fastdfs import FAST
from tests.support.patience import time_flies

QUERY_STORE, LIST_GROUPS = 101, 91
NAME = Name("group1", "M00/00/1E/fwAAAWsCFuqAVke2AAGGoKVy0tA654.bin")
ELSEWHERE = Name("group9", NAME.path)

# ---- addresses


@pytest.mark.parametrize(
    ("address", "server"),
    [
        ("10.0.0.1", ("10.0.0.1", 22122)),
        ("10.0.0.1:1", ("10.0.0.1", 1)),
        ("tracker-1.example.com:65535", ("tracker-1.example.com", 65535)),
        ("tracker_1", ("tracker_1", 22122)),
        ("[::1]", ("::1", 22122)),
        ("[2001:db8::1]:22123", ("2001:db8::1", 22123)),
    ],
)
def test_an_address(address, server):
    assert parse_servers([address]) == (server,)


@pytest.mark.parametrize(
    "address",
    ["", ":22122", "a:", "a:0", "a:65536", "a:123456", "a:-1", "a:b", "a:1:2", "::1", "[::1", "[a]", "a b", "a/b",
     "http://a", "a,b", "a\n", "ä", "user@a", "a:٣"],
)  # fmt: skip
def test_what_is_no_address(address):
    with pytest.raises(InvalidArgumentException, match="is no address of a tracker"):
        parse_servers(["10.0.0.1", address])


@pytest.mark.parametrize("addresses", [[], (), "10.0.0.1:22122", b"10.0.0.1:22122", None, 22122, [b"a"], [1], [None]])
def test_there_must_be_a_list(addresses):
    with pytest.raises(InvalidArgumentException):
        parse_servers(addresses)


def test_each_tracker_counts_once_in_its_place():
    assert parse_servers(iter(["b", "a", "b:22122"])) == (Server("b", 22122), Server("a", 22122))


# ---- fail-over


@asynccontextmanager
async def cluster(**options):
    """A server, and its trackers as a client sees them."""
    async with FastDFSServer(**options) as server:
        pools = PerLoop(lambda: Pools(FAST))
        try:
            yield server, Trackers(parse_servers(server.trackers), pools)
        finally:
            await pools.aclose()


def asked(server):
    """How many connections each tracker has."""
    return [server.connections[address] for address in server.trackers]


async def test_one_is_enough():
    async with cluster(trackers=3) as (server, trackers):
        for _ in range(3):
            await trackers.ask(query_store())
        assert asked(server) == [1, 0, 0]


async def test_the_next_is_asked_when_one_is_down_and_remembered():
    async with cluster(trackers=3) as (server, trackers):
        await server.stop(server.trackers[0])
        await server.stop(server.trackers[1])
        await trackers.ask(query_store())
        server.restart(server.trackers[0])
        server.restart(server.trackers[1])
        await trackers.ask(query_store())
        assert asked(server) == [0, 0, 1]
        await server.stop(server.trackers[2])  # from there it goes on with the first
        await trackers.ask(query_store())
        assert asked(server) == [1, 0, 0]


FAULTS = {
    "busy": Fault(status=16),
    "knows no storage": Fault(status=2),
    "closes": Fault(cut=0),
    "closes in the header": Fault(cut=5),
    "closes in the body": Fault(cut=30),
    "stalls": Fault(stall=True),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_the_next_is_asked_when_one_fails(fault):
    async with cluster(trackers=2) as (server, trackers):
        injection = server.inject(fault, QUERY_STORE, at=server.trackers[0])
        with time_flies():
            assert (await trackers.ask(query_store())).group == "group1"
        assert (injection.fired, asked(server)[1]) == (1, 1)
        server.release()


async def test_what_one_says_goes_before_that_another_is_down():
    async with cluster(trackers=2) as (server, trackers):
        server.inject(Fault(status=5), QUERY_STORE, at=server.trackers[0])
        await server.stop(server.trackers[1])
        with pytest.raises(Refusal) as caught:
            await trackers.ask(query_store())
        assert caught.value.status == 5


async def test_all_are_down():
    async with cluster(trackers=2) as (server, trackers):
        for address in server.trackers:
            await server.stop(address)
        with pytest.raises(StorageUnavailableException, match=r"no tracker answers: .*refused.*; .*refused") as caught:
            await trackers.store_target(None, avoiding=set())
        assert all(address in str(caught.value) for address in server.trackers)
        server.restart(server.trackers[1])
        await trackers.store_target(None, avoiding=set())


# ---- which server


async def test_servers_that_failed_are_avoided_while_there_are_others():
    async with cluster(storages_per_group=3) as (server, trackers):
        all_of_them = parse_servers(storage.address for storage in server.storages)
        for avoided in range(3):
            failed = set(all_of_them) - {all_of_them[avoided]}
            target = await trackers.store_target(None, avoiding=failed)
            in_group = await trackers.store_target("group1", avoiding=failed)
            reader = await trackers.reader_of(NAME, avoiding=failed)
            assert {target.server, in_group.server, reader} == {all_of_them[avoided]}
        assert await trackers.reader_of(NAME, avoiding=set(all_of_them)) in all_of_them
        assert (await trackers.store_target(None, avoiding=set(all_of_them))).server in all_of_them


@pytest.mark.parametrize("address_size", [15, 45])
async def test_the_group_is_as_asked(address_size):
    async with cluster(groups=("a", "b"), store_paths=2, address_size=address_size) as (server, trackers):
        targets = [await trackers.store_target("b", avoiding=set()) for _ in range(2)]
        assert {(target.group, target.path_index) for target in targets} == {("b", 0), ("b", 1)}
        assert await trackers.writer_of(Name("b", NAME.path)) == parse_servers([server.storages[1].address])[0]


ASKING = {
    "to store": lambda trackers, name: trackers.store_target(name.group, avoiding=set()),
    "to store, avoiding": lambda trackers, name: trackers.store_target(name.group, avoiding={Server("a", 1)}),
    "to read": lambda trackers, name: trackers.reader_of(name, avoiding=set()),
    "to read, avoiding": lambda trackers, name: trackers.reader_of(name, avoiding={Server("a", 1)}),
    "to write": lambda trackers, name: trackers.writer_of(name),
}
each_question = pytest.mark.parametrize("ask", ASKING.values(), ids=ASKING)


@each_question
async def test_an_unknown_group_is_not_one_that_is_down(ask):
    async with cluster(groups=("group1", "group2")) as (_, trackers):
        with pytest.raises(RouteNotSupportedException, match="no group 'group9'; it has group1, group2"):
            await ask(trackers, ELSEWHERE)


@each_question
async def test_a_group_without_a_server_is_unavailable(ask):
    async with cluster() as (server, trackers):
        server.inject(Fault(status=2), 101, 102, 103, 104, 105, 106, 107)
        with pytest.raises(StorageUnavailableException, match="no storage server of group1 is up"):
            await ask(trackers, NAME)


@each_question
async def test_a_tracker_that_knows_no_group_has_just_been_started(ask):
    async with cluster() as (server, trackers):
        server.inject(Fault(status=2), times=None)
        with pytest.raises(StorageUnavailableException, match="no storage server of group9 is up"):
            await ask(trackers, ELSEWHERE)


async def test_no_server_at_all():
    async with cluster() as (server, trackers):
        server.inject(Fault(status=2), QUERY_STORE)
        with pytest.raises(StorageUnavailableException, match="no storage server of any group is up"):
            await trackers.store_target(None, avoiding=set())


@each_question
@pytest.mark.parametrize(("status", "kind"), [(22, InvalidArgumentException), (16, StorageUnavailableException)])
async def test_every_other_status_is_what_it_is(ask, status, kind):
    async with cluster() as (server, trackers):
        server.inject(Fault(status=status))
        with pytest.raises(kind, match=f"status {status}"):
            await ask(trackers, NAME)
        assert [group.name for group in await trackers.ask(list_groups())] == ["group1"]
