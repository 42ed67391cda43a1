"""The client: what it does is done once, whole or not at all, on any server that is up; the next request is fine."""

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, replace
from hashlib import shake_256
from itertools import count

import pytest

from async_storages.backends.fastdfs.cluster import FastDFSCluster
from async_storages.backends.fastdfs.protocol import Command
from async_storages.backends.transport.retries import Retries
from async_storages.content import Content
from async_storages.errors import (
    ChecksumMismatchException,
    FileNotFoundException,
    FileTooLargeException,
    InvalidArgumentException,
    RouteNotSupportedException,
    StorageOperationException,
    StorageUnavailableException,
)
from async_storages.testing import FastDFSServer
from async_storages.testing.contract.cancellation import every_cancellation
from async_storages.testing.fastdfs_server import Fault
from tests.support.fastdfs import ASKING, FAST, ONCE, fastdfs_cluster, leaving, opened_by, place_of
from tests.support.patience import ONE_TIME_OUT, TIME_OUT, time_flies

CONTENT = shake_256(b"content").digest(100)
LARGE = shake_256(b"large").digest(1_000_000)
METADATA = {"author": "somebody"}
MISSING = "group1/M00/00/00/fwAAAWsCFuqAVke2AAGGoKVy0tA654.bin"
LOST = Fault(cut=0)
"""It is done, and the connection closes before the answer."""


@pytest.fixture
async def server():
    async with FastDFSServer() as server:
        yield server


@pytest.fixture
def place(request):
    return place_of(request)


@pytest.fixture
async def client(place):
    async with fastdfs_cluster(place) as client:
        yield client


async def downloaded(client, *arguments):
    async with aclosing(client.download(*arguments)) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def later(*chunks):
    for chunk in chunks:
        await asyncio.sleep(0)
        yield chunk


async def ids(server):
    return [file.file_id for file in await server.files()]


def path_of(server, file_id):
    return server.folder / file_id.replace("/M00/", "/M00/data/")


# ---- the next request is fine


@dataclass
class Prepared:
    """What the operations below are done to, by a client of its own."""

    client: FastDFSCluster
    file: str = ""
    appender: str = ""

    async def prepare(self):
        self.file = await self.client.upload(CONTENT, "bin")
        await self.client.set_metadata(self.file, METADATA)
        self.appender = await self.client.upload(CONTENT, "bin", appender=True)


async def upload(client, prepared, **options):
    return await downloaded(prepared.client, await client.upload(later(CONTENT), "bin", **options))


async def upload_appender(client, prepared):
    return await upload(client, prepared, appender=True)


async def upload_slave(client, prepared):
    master = await prepared.client.upload(b"")
    return await downloaded(prepared.client, await client.upload_slave(CONTENT, master, "-s", "bin"))


async def append(client, prepared):
    await prepared.client.truncate(prepared.appender, 10)
    await client.append(prepared.appender, CONTENT[10:])
    return await downloaded(prepared.client, prepared.appender)


async def modify(client, prepared):
    await client.modify(prepared.appender, 10, CONTENT[10:])
    return await downloaded(prepared.client, prepared.appender)


async def truncate(client, prepared):
    await prepared.client.modify(prepared.appender, 0, CONTENT)
    await client.truncate(prepared.appender, 5)
    return await downloaded(prepared.client, prepared.appender)


async def regenerate(client, prepared):
    appender = await prepared.client.upload(CONTENT, "bin", appender=True)
    return await downloaded(prepared.client, await client.regenerate(appender))


async def delete(client, prepared):
    file_id = await prepared.client.upload(CONTENT, "bin")
    await client.delete(file_id)
    with pytest.raises(FileNotFoundException):
        await prepared.client.info(file_id)


async def download(client, prepared):
    return await downloaded(client, prepared.file)


async def info(client, prepared):
    return (await client.info(prepared.file)).size


async def get_metadata(client, prepared):
    return await client.get_metadata(prepared.file)


async def describe(client, prepared):
    found, metadata = await client.describe(prepared.file)
    return found.size, metadata


async def set_metadata(client, prepared):
    await client.set_metadata(prepared.file, METADATA)
    return await prepared.client.get_metadata(prepared.file)


async def list_groups(client, prepared):
    return "group1" in [group.name for group in await client.list_groups()]


async def list_storages(client, prepared):
    return all(storage.is_active for storage in await client.list_storages("group1"))


async def ping(client, prepared):
    await client.ping()


RESULTS = {
    upload: CONTENT,
    upload_appender: CONTENT,
    upload_slave: CONTENT,
    append: CONTENT,
    modify: CONTENT,
    truncate: CONTENT[:5],
    regenerate: CONTENT,
    delete: None,
    download: CONTENT,
    info: len(CONTENT),
    get_metadata: METADATA,
    describe: (len(CONTENT), METADATA),
    set_metadata: METADATA,
    list_groups: True,
    list_storages: True,
    ping: None,
}
NAME = 16 + 44
REPLIES = {
    "query store": (upload, Command.QUERY_STORE, 40),
    "query fetch": (info, Command.QUERY_FETCH, 39),
    "query update": (set_metadata, Command.QUERY_UPDATE, 39),
    "groups": (list_groups, Command.LIST_GROUPS, 113),
    "storages": (list_storages, Command.LIST_STORAGES, 487),
    "upload": (upload, Command.UPLOAD, NAME),
    "appender": (upload_appender, Command.UPLOAD_APPENDER, NAME),
    "slave": (upload_slave, Command.UPLOAD_SLAVE, NAME),
    "append": (append, Command.APPEND, 0),
    "modify": (modify, Command.MODIFY, 0),
    "truncate": (truncate, Command.TRUNCATE, 0),
    "regenerate": (regenerate, Command.REGENERATE, NAME),
    "delete": (delete, Command.DELETE, 0),
    "download": (download, Command.DOWNLOAD, len(CONTENT)),
    "info": (info, Command.QUERY_FILE_INFO, 40),
    "metadata": (get_metadata, Command.GET_METADATA, len("author-somebody")),
    "set metadata": (set_metadata, Command.SET_METADATA, 0),
    "active test": (ping, Command.ACTIVE_TEST, 0),
}


@pytest.fixture
async def prepared(place):
    """Beside the client that is watched."""
    async with fastdfs_cluster(place) as client:
        prepared = Prepared(client)
        await prepared.prepare()
        yield prepared


@pytest.mark.parametrize(("run", "command", "length"), REPLIES.values(), ids=REPLIES)
async def test_a_reply_that_breaks_off_at_any_byte(server, prepared, run, command, length):
    async with fastdfs_cluster(server, options=ASKING) as client:
        for cut in range(10 + length):
            broken = server.inject(Fault(cut=cut), command)
            with pytest.raises(StorageUnavailableException):
                await run(client, prepared)
            assert broken.fired == 1
            assert await run(client, prepared) == RESULTS[run]
            opened, idle = await opened_by(client)
            assert opened == idle <= 2


@pytest.mark.parametrize("run", RESULTS, ids=lambda run: run.__name__)
async def test_cancelled_at_any_await(client, prepared, run):
    servers = 1 + sum(group.storage_count for group in await prepared.client.list_groups())
    async for _ in every_cancellation(lambda: run(client, prepared)):
        await prepared.prepare()
        assert await run(client, prepared) == RESULTS[run]
        opened, idle = await opened_by(client)
        assert opened == idle <= servers


@pytest.mark.parametrize("run", [info, download, set_metadata, ping], ids=lambda run: run.__name__)
async def test_an_answer_that_does_not_come_in_time(server, prepared, run):
    """It may still come: not to the next one who asks."""
    async with fastdfs_cluster(server, options=ONCE) as client:
        for command in [command for kind, command, _ in REPLIES.values() if kind is run]:
            stalled = server.inject(Fault(stall=True), command)
            with time_flies(), pytest.raises(StorageUnavailableException, match="nothing moved"):
                await run(client, prepared)
            stalled.release()
            assert await run(client, prepared) == RESULTS[run]


# ---- uploads


async def turns(number):
    for _ in range(number):
        await asyncio.sleep(0)


@pytest.mark.parametrize("metadata", [None, METADATA], ids=["", "described"])
@pytest.mark.parametrize("content", [lambda: CONTENT, lambda: LARGE, lambda: later(CONTENT, LARGE)], ids=range(3))
async def test_an_upload_cancelled_at_any_turn_of_the_loop_leaves_no_file(place, client, content, metadata):
    async with leaving(place, 1):
        for number in count():
            task = asyncio.create_task(client.upload(content(), "bin", metadata=metadata))
            await turns(number)
            if not task.cancel():
                break
            await asyncio.wait([task])
            assert task.cancelled()
            opened, idle = await opened_by(client)
            assert opened == idle
        await client.info(await task)


async def test_cancelled_while_the_server_stores_it(server, client):
    stalled = server.inject(Fault(stall=True), Command.UPLOAD)
    task = asyncio.create_task(client.upload(CONTENT))
    await stalled.wait_fired()
    task.cancel()
    await turns(10)
    stalled.release()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await ids(server) == []


async def test_cancelled_while_the_server_stands_still_ends_in_time(server):
    stalled = server.inject(Fault(stall=True), Command.UPLOAD)
    async with fastdfs_cluster(server, options=replace(FAST, network_timeout=1000 * TIME_OUT)) as client:
        task = asyncio.create_task(client.upload(CONTENT))
        await stalled.wait_fired()
        task.cancel()
        with time_flies(ONE_TIME_OUT), pytest.raises(asyncio.CancelledError):
            await task
        opened, idle = await opened_by(client)
        assert opened == idle
        stalled.release()


async def test_a_file_whose_source_cannot_be_closed_goes_again(server, client, monkeypatch):
    async def close(_content):
        raise OSError("the disk is gone")

    monkeypatch.setattr(Content, "aclose", close)  # of the Content that the client makes; it closes no other
    with pytest.raises(OSError, match="the disk is gone"):
        await client.upload(CONTENT)
    assert await ids(server) == []


async def test_cancelled_after_its_connection_is_someone_elses(server, monkeypatch):
    closing, may_close, may_send = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def close(_content):
        closing.set()
        await may_close.wait()

    async def slow():
        yield CONTENT
        await may_send.wait()
        yield CONTENT

    monkeypatch.setattr(Content, "aclose", close)  # of the Content that the client makes; it closes no other
    async with fastdfs_cluster(server, options=replace(FAST, max_connections=1)) as client:
        first = asyncio.create_task(client.upload(CONTENT, "one"))
        await closing.wait()
        second = asyncio.create_task(client.upload(Content(slow(), size=2 * len(CONTENT)), "two"))
        await turns(30)
        first.cancel()
        await turns(3)
        may_close.set()
        may_send.set()
        assert [await second] == [file for file in await ids(server) if file.endswith("two")]
        with pytest.raises(asyncio.CancelledError):
            await first
    assert await ids(server) == [second.result()]


async def test_what_was_sent_whole_is_not_sent_again(server, client):
    """Its id got lost: the one window in which a file stays that nobody knows."""
    lost = server.inject(LOST, Command.UPLOAD, times=None)
    with pytest.raises(StorageUnavailableException):
        await client.upload(CONTENT)
    assert (lost.fired, len(await ids(server))) == (1, 1)


async def test_what_cannot_be_read_again_is_not_sent_again(server, client):
    busy = server.inject(Fault(status=16), Command.UPLOAD, times=None)
    with pytest.raises(StorageUnavailableException):
        await client.upload(Content(later(LARGE), size=len(LARGE)))
    assert (busy.fired, await ids(server)) == (1, [])


@pytest.mark.parametrize(
    "make",
    {
        "bytes": lambda: LARGE,
        "of unknown size": lambda: later(LARGE),
        "to be read only once": lambda: Content(later(LARGE), size=len(LARGE)),
    }.values(),
)
async def test_what_was_not_begun_is_begun_again(server, client, make):
    busy = server.inject(Fault(status=16), Command.QUERY_STORE, times=2)
    assert await downloaded(client, await client.upload(make())) == LARGE
    assert busy.fired == 2


@pytest.mark.parametrize(
    ("content", "error"),
    {
        "shorter than declared": (lambda: Content(later(CONTENT), size=101), InvalidArgumentException),
        "longer than declared": (lambda: Content(later(CONTENT, CONTENT), size=150), InvalidArgumentException),
        "declared as empty": (lambda: Content(later(CONTENT), size=0), InvalidArgumentException),
        "too small and empty": (lambda: Content(b"", min_size=1), InvalidArgumentException),
        "too large": (lambda: Content(later(CONTENT), max_size=99), FileTooLargeException),
        "other than expected": (lambda: Content(CONTENT, expected={"crc32": "0" * 8}), ChecksumMismatchException),
    }.values(),
)
async def test_content_that_is_not_what_was_said(place, client, content, error):
    async with leaving(place):
        with pytest.raises(error):
            await client.upload(content())
    assert await downloaded(client, await client.upload(CONTENT)) == CONTENT


# ---- changes


async def test_append_is_never_doubled(server, client):
    file_id = await client.upload(b"a", appender=True)
    lost = server.inject(LOST, Command.APPEND, times=None)
    with pytest.raises(StorageUnavailableException):
        await client.append(file_id, b"b")
    assert (lost.fired, await downloaded(client, file_id)) == (1, b"ab")


async def test_regenerate_is_asked_for_once(server, client):
    file_id = await client.upload(CONTENT, appender=True)
    lost = server.inject(LOST, Command.REGENERATE, times=None)
    with pytest.raises(StorageUnavailableException):
        await client.regenerate(file_id)
    assert (lost.fired, len(await ids(server))) == (1, 1)


async def test_regenerate_waits_for_a_tracker(server, client):
    file_id = await client.upload(CONTENT, appender=True)
    server.inject(LOST, Command.QUERY_UPDATE)
    assert await downloaded(client, await client.regenerate(file_id)) == CONTENT


async def test_a_delete_whose_answer_got_lost(server, client):
    file_id = await client.upload(CONTENT)
    lost = server.inject(LOST, Command.DELETE)
    await client.delete(file_id)
    assert (lost.fired, await ids(server)) == (1, [])


async def test_a_missing_file_is_missing_though_the_storage_was_down_at_first(server):
    storage = server.storages[0].address
    await server.stop(storage)

    class Restarting(Retries):
        async def pause(self, failures):
            server.restart(storage)

    async with fastdfs_cluster(server, options=replace(FAST, retries=Restarting())) as client:
        with pytest.raises(FileNotFoundException):
            await client.delete(MISSING)


# ---- downloads


@pytest.mark.parametrize("at", [10, 11, 300_000, 1_000_009])
@pytest.mark.parametrize("arguments", [(), (100_000,), (100_000, 800_000)], ids=["whole", "rest", "range"])
async def test_a_download_goes_on_where_it_broke_off(server, client, at, arguments):
    file_id = await client.upload(LARGE)
    server.inject(Fault(cut=at), Command.DOWNLOAD)
    offset, length = (*arguments, 0, None)[:2] if len(arguments) != 1 else (arguments[0], None)
    assert await downloaded(client, file_id, *arguments) == LARGE[offset:][:length]


async def test_a_download_that_breaks_off_each_time(server, client):
    file_id = await client.upload(LARGE)
    broken = server.inject(Fault(cut=1000), Command.DOWNLOAD, times=None)
    with pytest.raises(StorageUnavailableException):
        await downloaded(client, file_id)
    assert broken.fired == FAST.retries.attempts


async def test_the_download_of_an_appender_does_not_go_on(server, client):
    """It may be another by then."""
    file_id = await client.upload(LARGE, appender=True)
    server.inject(Fault(cut=1000), Command.DOWNLOAD)
    with pytest.raises(StorageUnavailableException):
        await downloaded(client, file_id)


async def test_an_altered_byte(server, client):
    file_id = await client.upload(LARGE)
    await asyncio.to_thread(path_of(server, file_id).write_bytes, LARGE[:-1] + b"?")
    with pytest.raises(ChecksumMismatchException):
        await downloaded(client, file_id)
    assert await downloaded(client, file_id, 0, 1000) == LARGE[:1000]


async def test_a_file_that_was_cut_short(server, client):
    file_id = await client.upload(LARGE)
    await asyncio.to_thread(path_of(server, file_id).write_bytes, b"")
    with pytest.raises(ChecksumMismatchException):
        await downloaded(client, file_id)


@pytest.mark.parametrize("content", [b"", CONTENT, LARGE], ids=["empty", "small", "large"])
@pytest.mark.parametrize("appender", [False, True])
async def test_a_file_is_read_at_once(client, content, appender):
    assert await client.read(await client.upload(content, appender=appender)) == content


@pytest.mark.parametrize("at", [10, 11, 300_000, 1_000_009])
async def test_reading_at_once_goes_on_where_it_broke_off(server, client, at):
    file_id = await client.upload(LARGE)
    server.inject(Fault(cut=at), Command.DOWNLOAD)
    assert await client.read(file_id) == LARGE


async def test_reading_at_once_compares_the_checksum(server, client):
    file_id = await client.upload(LARGE)
    await asyncio.to_thread(path_of(server, file_id).write_bytes, LARGE[:-1] + b"?")
    with pytest.raises(ChecksumMismatchException):
        await client.read(file_id)


async def test_who_stops_reading_leaves_no_connection_in_use(client):
    file_id = await client.upload(LARGE)
    async with aclosing(client.download(file_id)) as chunks:
        await anext(chunks)
    opened, idle = await opened_by(client)
    assert opened == idle


async def test_chunks_are_no_larger_than_asked_for(client):
    file_id = await client.upload(LARGE)
    async with aclosing(client.download(file_id, chunk_size=999)) as chunks:
        assert max([len(chunk) async for chunk in chunks]) == 999


@pytest.mark.parametrize("arguments", [(-1,), (0, 0), (0, -1)])
async def test_no_range(client, arguments):
    with pytest.raises(InvalidArgumentException):
        await downloaded(client, MISSING, *arguments)


# ---- the cluster


async def test_trackers_that_are_down():
    async with FastDFSServer(trackers=3) as server, fastdfs_cluster(server, options=ASKING) as client:
        for address in server.trackers[:2]:
            await server.stop(address)
        file_id = await client.upload(CONTENT)
        asked = server.inject(Fault(stall=True), at=server.trackers[0])
        server.restart(server.trackers[0])
        assert await downloaded(client, file_id) == CONTENT  # the one that answered is remembered
        assert asked.fired == 0
        await server.stop(server.trackers[2])
        asked.release()
        assert await downloaded(client, file_id) == CONTENT
        await server.stop(server.trackers[0])
        with pytest.raises(StorageUnavailableException, match="no tracker answers"):
            await client.info(file_id)


async def test_a_tracker_that_knows_nothing_yet():
    async with FastDFSServer(trackers=2) as server, fastdfs_cluster(server) as client:
        server.inject(Fault(status=2), Command.QUERY_STORE, times=None, at=server.trackers[0])
        assert await downloaded(client, await client.upload(CONTENT)) == CONTENT


async def test_groups():
    async with FastDFSServer(groups=["one", "two"]) as server, fastdfs_cluster(server, group="two") as client:
        file_id = await client.upload(CONTENT)
        assert file_id.startswith("two/")
        assert sorted(group.name for group in await client.list_groups()) == ["one", "two"]
    async with FastDFSServer(groups=["one"]) as server, fastdfs_cluster(server, group="two") as client:
        with pytest.raises(RouteNotSupportedException):
            await client.upload(CONTENT)
        with pytest.raises(RouteNotSupportedException):
            await downloaded(client, MISSING)
        with pytest.raises(RouteNotSupportedException):
            await client.list_storages("three")


async def test_a_storage_that_is_down():
    """Trackers still name it; the other one takes and gives."""
    async with FastDFSServer(storages_per_group=2) as server, fastdfs_cluster(server) as client:
        file_id = await client.upload(CONTENT)
        await server.stop(server.storages[0].address)
        for _ in range(3):
            assert await downloaded(client, await client.upload(CONTENT)) == CONTENT
            assert await downloaded(client, file_id) == CONTENT
            assert (await client.info(file_id)).size == len(CONTENT)
            await client.ping()


@pytest.mark.parametrize("storages", [1, 2, 3])
async def test_a_missing_file(storages):
    async with FastDFSServer(storages_per_group=storages) as server, fastdfs_cluster(server) as client:
        for work in (downloaded, FastDFSCluster.info, FastDFSCluster.describe, FastDFSCluster.delete):
            with pytest.raises(FileNotFoundException):
                await work(client, MISSING)
        assert await client.get_metadata(MISSING) == {}


async def test_a_tracker_that_refuses(server, client):
    server.inject(Fault(status=5), Command.LIST_GROUPS)
    with pytest.raises(StorageOperationException, match="status 5"):
        await client.list_groups()
    assert len(await client.list_groups()) == 1


async def test_pauses_between_attempts(server):
    paused = []

    class Noted(Retries):
        async def pause(self, failures):
            paused.append(failures)

    async with fastdfs_cluster(server, options=replace(FAST, retries=Noted())) as client:
        server.inject(LOST, Command.QUERY_FETCH, times=None)
        with pytest.raises(StorageUnavailableException):
            await client.info(MISSING)
    assert paused == [1, 2, 3]


@pytest.mark.parametrize("index", [-2, 255, 1000])
def test_a_store_path_that_cannot_be(index):
    with pytest.raises(InvalidArgumentException):
        FastDFSCluster(["127.0.0.1"], store_path_index=index)


async def test_the_store_path_that_was_asked_for():
    async with FastDFSServer(store_paths=3) as server, fastdfs_cluster(server, store_path_index=2) as client:
        assert (await client.upload(b"")).startswith("group1/M02/")


class Altered(Content):
    """Content that arrives altered, as its checksum says."""

    def digest(self, algorithm):
        return b"\0\0\0\1"


async def test_what_fastdfs_stored_otherwise_than_it_was_sent_is_removed(server, client):
    """The checksum of what the server took in is in the id that it gives."""
    with pytest.raises(ChecksumMismatchException, match="crc32 is 00000001, but FastDFS has stored"):
        await client.upload(Altered(CONTENT), "bin")
    assert await server.files() == []
