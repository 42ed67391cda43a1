"""The FastDFS test server behaves as each version does, in all that clients can see."""

import math
from zlib import crc32

import pytest

from async_storages.backends.fastdfs.old_crc32 import OldCrc32
from async_storages.testing import FastDFSServer
from async_storages.testing.fastdfs_server import VERSIONS
from tests.unit.testing.test_fastdfs_server import G, connected, decoded, slave

OLDEST, NEWEST = "5.11", "6.16.1"


@pytest.fixture(params=VERSIONS)
async def server(request):
    async with FastDFSServer(version=request.param) as server:
        yield server


@pytest.fixture
async def storage(server):
    async with connected(server.storages[0].address) as storage:
        yield storage


def ranged(name, offset, count):
    return offset.to_bytes(8) + count.to_bytes(8) + G + name


async def test_ids_hold_the_checksum_of_their_version(server, storage):
    old = OldCrc32()
    old.update(b"content")
    expected = old.value() if server.version == OLDEST else crc32(b"content")
    assert decoded(await storage.upload(b"content"))[3] == expected


@pytest.mark.parametrize(("offset", "count"), [(0, 8), (5, 3)])
async def test_only_the_newest_takes_ranges_beyond_the_end(offset, count, server, storage):
    name = await storage.upload(b"content")
    expected = (0, b"content"[offset:]) if server.version == NEWEST else (22, b"")
    assert await storage.ask(14, ranged(name, offset, count)) == expected


async def test_beyond_the_end_old_ones_announce_a_negative_length(server, storage):
    name = await storage.upload(b"content")
    await storage.send(14, ranged(name, 9, 0))
    header = await storage.reader.readexactly(10)
    length = 0 if server.version == NEWEST else -2
    assert header == length.to_bytes(8, signed=True) + bytes([100, 22 if server.version == NEWEST else 14])


async def test_an_empty_file_is_22_and_then_the_connection_is_dead(server, storage):
    name = await storage.upload(b"")
    assert await storage.ask(14, ranged(name, 0, 0)) == (22, b"")
    await storage.send(111)
    if server.version != "6.12.2":
        assert await storage.ended()
        return
    storage.writer.write_eof()  # it says nothing, and ends when the client does
    assert await storage.ended()


async def test_the_checksum_of_a_slave_is_its_masters_in_old_versions(server, storage):
    master = await storage.upload(b"master")
    made = (await storage.done(21, slave(master, b"slave")))[16:]
    told = int.from_bytes((await storage.done(22, G + made))[20:24])
    assert (told == decoded(master)[3]) == (server.version != NEWEST)


async def test_statistics_have_the_size_of_their_version(server):
    async with connected(server.tracker) as tracker:
        groups, storages = await tracker.done(91), await tracker.done(92, G)
    expected = {"6.12.2": (105, 644), "6.16.1": (113, 487)}.get(server.version, (105, 612))
    assert (len(groups), len(storages)) == expected


async def test_old_versions_give_one_port_for_all():
    for version, size in ((OLDEST, 16 + 15 + 8 + 15), (NEWEST, 16 + 2 * (15 + 8))):
        async with (
            FastDFSServer(version=version, storages_per_group=2, copy_delay=math.inf) as server,
            connected(server.storages[0].address) as storage,
            connected(server.tracker) as tracker,
        ):
            assert len(await tracker.done(105, G + await storage.upload(b"x"))) == size


async def test_appenders_become_normal_files_since_version_6(server, storage):
    name = await storage.upload(b"x", appender=True)
    assert (await storage.ask(38, name))[0] == (22 if server.version == OLDEST else 0)


# ---- replicas


@pytest.fixture
async def pair():
    async with FastDFSServer(storages_per_group=2, copy_delay=math.inf) as server:
        yield server


async def test_a_replica_has_a_file_once_it_is_copied(pair):
    source, replica = (storage.address for storage in pair.storages)
    async with connected(source) as first, connected(replica) as second:
        name = await first.upload(b"content")
        assert await second.ask(22, G + name) == (2, b"")
        await pair.copy()
        assert await second.download(name) == b"content"
        await second.done(12, G + name)
        await pair.copy()
        assert await first.ask(22, G + name) == (2, b"")
    assert await pair.files(source) == await pair.files(replica) == await pair.files() == []


async def test_copies_are_made_after_a_while():
    async with FastDFSServer(storages_per_group=2, copy_delay=0.01) as server:
        source, replica = (storage.address for storage in server.storages)
        async with connected(source) as first, connected(replica) as second:
            name = await first.upload(b"content")
            while (await second.ask(22, G + name))[0]:
                continue
            assert await second.download(name) == b"content"


async def test_a_stopped_source_is_not_named_and_copies_when_it_is_back(pair):
    source, replica = (storage.address for storage in pair.storages)
    async with connected(source) as first, connected(pair.tracker) as tracker:
        name = await first.upload(b"content")
        updates = [await tracker.done(103, G + name) for _ in range(3)]
        assert {answer[16:25] for answer in updates} == {b"127.0.0.1"}
        await pair.stop(source)
        assert {(await tracker.done(command, G + name))[16:25] for command in (102, 103, 105)} == {b"127.0.0.2"}
        await pair.copy()
        assert await pair.files(replica) == []
        pair.restart(source)
        await pair.copy()
        assert [file.size for file in await pair.files(replica)] == [7]
        assert (await tracker.done(103, G + name))[16:25] == b"127.0.0.1"
