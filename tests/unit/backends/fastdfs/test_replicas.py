"""Groups of several servers that copy after a while: what one has not got yet is not missing, nor deleted."""

import asyncio
import math
from contextlib import aclosing
from dataclasses import replace

import pytest

from async_storages.backends.fastdfs.cluster import FastDFSCluster
from async_storages.backends.fastdfs.protocol import Command
from async_storages.errors import FileNotFoundException, StorageUnavailableException
from async_storages.testing import FastDFSServer
from async_storages.testing.fastdfs_server import Fault
from tests.support.fastdfs import FAST, fastdfs_cluster, fastdfs_storage

TWICE = replace(FAST, retries=replace(FAST.retries, attempts=2))
METADATA = {"author": "somebody"}
CONTENT = b"content" * 100


@pytest.fixture(params=["5.11", "6.16.1"])
async def server(request):
    """Two servers that copy only when they are told to; new files go to the first."""
    async with FastDFSServer(version=request.param, storages_per_group=2, copy_delay=math.inf) as server:
        yield server


@pytest.fixture
async def client(server):
    async with fastdfs_cluster(server, options=TWICE) as client:
        yield client


def addresses(server):
    return [storage.address for storage in server.storages]


async def stored_on_first(server, client, **options):
    """The id of a file that the second server has no copy of."""
    while True:
        file_id = await client.upload(CONTENT, "bin", **options)
        if file_id in [file.file_id for file in await server.files(addresses(server)[0])]:
            return file_id


async def read(client, *arguments):
    async with aclosing(client.download(*arguments)) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def sized(client, file_id):
    return (await client.info(file_id)).size


async def described(client, file_id):
    return (await client.describe(file_id))[1]


QUESTIONS = {
    "download": (read, CONTENT),
    "info": (sized, len(CONTENT)),
    "describe": (described, METADATA),
    "metadata": (FastDFSCluster.get_metadata, METADATA),
}


@pytest.mark.parametrize(("ask", "expected"), QUESTIONS.values(), ids=QUESTIONS)
async def test_a_copy_that_has_not_arrived_yet(server, client, ask, expected):
    file_id = await stored_on_first(server, client, metadata=METADATA)
    for _ in range(4):
        assert await ask(client, file_id) == expected


CHANGES = {
    "delete": FastDFSCluster.delete,
    "metadata": lambda client, file_id: client.set_metadata(file_id, METADATA),
    "slave": lambda client, file_id: client.upload_slave(b"small", file_id, "_small"),
}


@pytest.mark.parametrize("noticed", [True, False], ids=["noticed", "not noticed"])
@pytest.mark.parametrize(
    "run", [*(ask for ask, _ in QUESTIONS.values()), *CHANGES.values()], ids=[*QUESTIONS, *CHANGES]
)
async def test_what_only_a_dead_server_has_is_unavailable(server, client, run, noticed):
    file_id = await stored_on_first(server, client)
    await server.stop(addresses(server)[0], noticed=noticed)
    for _ in range(2):
        with pytest.raises(StorageUnavailableException):
            await run(client, file_id)
    server.restart(addresses(server)[0])
    await run(client, file_id)


async def test_an_appender_that_only_a_dead_server_has(server, client):
    file_id = await stored_on_first(server, client, appender=True)
    await server.stop(addresses(server)[0])
    with pytest.raises(StorageUnavailableException):
        await client.append(file_id, b"more")
    server.restart(addresses(server)[0])
    await client.append(file_id, b"more")
    for _ in range(3):
        assert await read(client, file_id) == CONTENT + b"more"


@pytest.mark.parametrize("noticed", [True, False], ids=["noticed", "not noticed"])
@pytest.mark.parametrize(("ask", "expected"), QUESTIONS.values(), ids=QUESTIONS)
async def test_a_replica_speaks_for_a_dead_server(server, client, ask, expected, noticed):
    file_id = await stored_on_first(server, client, metadata=METADATA)
    await server.copy()
    await server.stop(addresses(server)[0], noticed=noticed)
    for _ in range(3):
        assert await ask(client, file_id) == expected


async def test_what_was_deleted_on_a_replica_stays_deleted(server, client):
    file_id = await stored_on_first(server, client)
    await server.copy()
    await server.stop(addresses(server)[0])
    await client.delete(file_id)
    with pytest.raises(StorageUnavailableException):  # the dead one may have it
        await client.info(file_id)
    server.restart(addresses(server)[0])
    await server.copy()
    with pytest.raises(FileNotFoundException):
        await client.info(file_id)
    assert await server.files() == []


async def test_a_delete_that_got_lost_is_not_taken_for_done(server, client):
    """The source does it not, and dies; the replica knows nothing of the file: that is no success."""
    file_id = await stored_on_first(server, client)
    server.inject(Fault(status=16), Command.DELETE, at=addresses(server)[0])
    await server.stop(addresses(server)[0])
    with pytest.raises(StorageUnavailableException):
        await client.delete(file_id)
    assert [file.file_id for file in await server.files()] == [file_id]


async def test_a_missing_file_is_missing_by_the_word_of_its_source(server, client):
    file_id = await stored_on_first(server, client)
    await client.delete(file_id)
    for run in (read, sized, FastDFSCluster.describe, FastDFSCluster.delete):
        with pytest.raises(FileNotFoundException):
            await run(client, file_id)
    assert await client.get_metadata(file_id) == {}


async def test_ids_that_name_servers_by_number():
    options = {"storages_per_group": 2, "copy_delay": math.inf, "use_storage_id": True}
    async with FastDFSServer(**options) as server, fastdfs_cluster(server, options=TWICE) as client:
        file_id = await stored_on_first(server, client)
        assert [await read(client, file_id) for _ in range(2)] == [CONTENT] * 2
        await server.stop(addresses(server)[0])
        with pytest.raises(StorageUnavailableException, match=addresses(server)[0]):
            await client.delete(file_id)


async def test_the_server_of_a_file_has_left_the_cluster(server, client):
    """Its word cannot be had any more: that of all others counts, as long as all are up."""
    file_id = await stored_on_first(server, client)
    gone = file_id.replace(file_id[17:22], "CgAAA")  # 10.0.0.0
    with pytest.raises(FileNotFoundException):
        await client.info(gone)
    await server.stop(addresses(server)[1])
    client._directory._listings.clear()
    with pytest.raises(StorageUnavailableException, match="is down"):
        await client.info(gone)


async def test_metadata_is_read_where_it_is_changed(server, client):
    file_id = await stored_on_first(server, client, metadata={"state": "old"})
    await server.copy()
    for state in ("new", "newer"):
        await client.set_metadata(file_id, {"state": state})
        for _ in range(3):
            assert await client.get_metadata(file_id) == {"state": state}
            assert await described(client, file_id) == {"state": state}


async def test_a_young_copy_without_metadata_may_be_waiting_for_it(server, client):
    file_id = await stored_on_first(server, client)
    await server.copy()
    await client.set_metadata(file_id, METADATA)
    await server.stop(addresses(server)[0])
    for ask in (FastDFSCluster.get_metadata, FastDFSCluster.describe):
        with pytest.raises(StorageUnavailableException):
            await ask(client, file_id)
    assert await read(client, file_id) == CONTENT


async def test_an_old_copy_without_metadata_has_none():
    options = {"storages_per_group": 2, "copy_delay": math.inf, "clock": lambda: 1_600_000_000}
    async with FastDFSServer(**options) as server, fastdfs_cluster(server, options=TWICE) as client:
        file_id = await stored_on_first(server, client)
        await server.copy()
        await server.stop(addresses(server)[0])
        assert await described(client, file_id) == {}


async def test_a_slave_that_went_to_a_replica_is_found_there(server, client):
    """Its master's server was down, and is up again without having it yet."""
    master = await stored_on_first(server, client)
    await server.copy()
    await server.stop(addresses(server)[0])
    slave = await client.upload_slave(b"small", master, "_small", "bin")
    server.restart(addresses(server)[0])
    for _ in range(3):
        assert await read(client, slave) == b"small"
        assert await sized(client, slave) == 5
    await client.delete(slave)
    await server.copy()
    assert [file.kind for file in await server.files()] == ["normal"]


async def test_an_upload_whose_server_dies_before_it_is_described_names_the_file(server):
    """What may be left is told by its id."""
    first, second = addresses(server)
    await server.stop(second)
    storage = fastdfs_storage(server, options=TWICE)
    async with storage:
        server.inject(Fault(status=16), Command.SET_METADATA, Command.DELETE, times=None, at=first)
        with pytest.raises(StorageUnavailableException) as failed:
            await storage.save(CONTENT, "a.bin")
    (left,) = await server.files()
    assert any(f"{left.file_id}, which may be left," in note for note in failed.value.__notes__)


async def test_an_upload_whose_server_dies_is_described_elsewhere(server, client):
    """Its copy is there already: the metadata goes to that one."""
    first, second = addresses(server)
    await server.stop(second)
    broken = server.inject(Fault(stall=True), Command.SET_METADATA, at=first)
    task = asyncio.ensure_future(client.upload(CONTENT, "bin", metadata=METADATA))
    await broken.wait_fired()
    server.restart(second)
    await server.copy()
    await server.stop(first)
    file_id = await task
    assert await described(client, file_id) == METADATA
