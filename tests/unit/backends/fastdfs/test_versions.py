"""What differs between the versions of FastDFS, and what the client makes of it: the same everywhere."""

import zlib
from contextlib import aclosing
from hashlib import shake_256

import pytest

from async_storages.backends.fastdfs.cluster import FastDFSCluster
from async_storages.backends.fastdfs.old_crc32 import OldCrc32
from async_storages.backends.fastdfs.protocol import Command
from async_storages.content import Content
from async_storages.errors import ChecksumMismatchException, FileNotFoundException, InvalidArgumentException
from async_storages.fastdfs_ids import FastDFSDetails
from async_storages.testing import FastDFSServer
from async_storages.testing.fastdfs_server import VERSIONS, Fault
from tests.support.fastdfs import GIVEN, fastdfs_cluster, opened_by, parametrize_versions

CONTENT = shake_256(b"content").digest(300_000)
METADATA = {"author": "somebody"}


def pytest_generate_tests(metafunc):
    parametrize_versions(metafunc, VERSIONS)


@pytest.fixture
async def server(version):
    async with FastDFSServer(version=version) as server:
        yield server


@pytest.fixture
def place(request, version):
    return request.getfixturevalue("fastdfs_server" if version == GIVEN else "server")


@pytest.fixture
async def old():
    async with FastDFSServer(version="5.11") as server:
        yield server


@pytest.fixture
async def client(place):
    async with fastdfs_cluster(place) as client:
        yield client


async def read(client, *arguments):
    async with aclosing(client.download(*arguments)) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def later(*chunks):
    for chunk in chunks:
        yield chunk


def path_of(server, file_id):
    return server.folder / file_id.replace("/M00/", "/M00/data/")


# ---- checksums


@pytest.mark.parametrize("content", [b"", b"a", CONTENT], ids=len)
async def test_what_is_stored_is_read(client, content):
    for source in (content, later(content)):
        file_id = await client.upload(source, "bin")
        assert await read(client, file_id) == content


async def test_ids_of_old_servers_hold_another_checksum_and_the_files_are_right(old):
    async with fastdfs_cluster(old) as client:
        file_id = await client.upload(CONTENT)
        assert FastDFSDetails.parse(file_id).crc32 != zlib.crc32(CONTENT)
    async with fastdfs_cluster(old) as other:
        assert await read(other, file_id) == CONTENT


async def test_a_file_is_read_twice_only_before_its_group_is_known_to_be_old(old):
    async with fastdfs_cluster(old) as client:
        downloads = old.inject(Fault(cut=1 << 40), Command.DOWNLOAD, times=None)  # which never happens
        file_id = await client.upload(CONTENT)
        assert downloads.fired == 1
        await client.upload(CONTENT)
        assert downloads.fired == 1
        assert await read(client, file_id) == CONTENT
        assert downloads.fired == 2
    async with fastdfs_cluster(old) as other:
        for fired in (4, 5):
            assert await read(other, file_id) == CONTENT
            assert downloads.fired == fired


async def test_files_from_before_the_change_are_read_once():
    async with FastDFSServer(version="5.11", clock=lambda: 1_500_000_000) as old, fastdfs_cluster(old) as client:
        file_id = await client.upload(CONTENT)
        downloads = old.inject(Fault(cut=1 << 40), Command.DOWNLOAD, times=None)
        async with fastdfs_cluster(old) as other:
            assert await read(other, file_id) == CONTENT
        assert downloads.fired == 1


async def test_damage_is_noticed_in_files_of_any_version(server, client):
    file_id = await client.upload(CONTENT)
    path_of(server, file_id).write_bytes(CONTENT[:-1] + b"?")
    for _ in range(2):
        with pytest.raises(ChecksumMismatchException):
            await read(client, file_id)


class Wrong(OldCrc32):
    def value(self):
        return 1


class Altered(Content):
    """Content that arrives altered, as its checksum says."""

    def digest(self, algorithm):
        return b"\0\0\0\1"


async def test_what_an_old_server_stored_otherwise_is_removed(server, client, monkeypatch):
    await client.upload(CONTENT)
    # the client itself computes the checksum of old servers, in place of a network that alters what it carries
    for module in ("writing", "download"):
        monkeypatch.setattr(f"async_storages.backends.fastdfs.{module}.OldCrc32", Wrong)
    with pytest.raises(ChecksumMismatchException, match="crc32 is 00000001, but FastDFS has stored"):
        await client.upload(Altered(CONTENT))
    assert len(await server.files()) == 1


# ---- status 22


async def test_reads_of_empty_files_leave_no_dead_connections(client):
    files = [await client.upload(b"", "bin"), await client.upload(b"", "bin", appender=True)]
    for file_id in files * 3:
        assert await read(client, file_id) == b""
        assert await read(client, await client.upload(CONTENT)) == CONTENT
    opened, idle = await opened_by(client)
    assert opened == idle


# ---- ranges


async def _slave(client, content):
    return await client.upload_slave(content, await client.upload(b"master"), "_small")


KINDS = {
    "normal": lambda client, content: client.upload(content),
    "appender": lambda client, content: client.upload(content, appender=True),
    "slave": _slave,
}


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
async def test_ranges(client, make):
    file_id = await make(client, CONTENT)
    size = len(CONTENT)
    for offset in (0, 1, size - 1, size, size + 1, 1 << 40):
        for length in (None, 1, size, size + 1, 1 << 40):
            assert await read(client, file_id, offset, length) == CONTENT[offset:][:length]


async def test_a_range_of_what_is_not_there(client):
    file_id = await client.upload(b"")
    await client.delete(file_id)
    for arguments in ((), (0, 10), (10,), (10, 10)):
        with pytest.raises(FileNotFoundException):
            await read(client, file_id, *arguments)


async def test_a_range_of_what_was_cut_short(server, client):
    file_id = await client.upload(CONTENT)
    path_of(server, file_id).write_bytes(CONTENT[:100])
    for arguments in ((), (0, 200), (50, 200), (99,), (200,), (200, 10)):
        with pytest.raises(ChecksumMismatchException):
            await read(client, file_id, *arguments)
    path_of(server, await client.upload(b"", "new")).write_bytes(b"more")
    empty = next(file.file_id for file in await server.files() if file.file_id.endswith("new"))
    with pytest.raises(ChecksumMismatchException, match="4 bytes, but was stored with 0"):
        await read(client, empty)


# ---- changes that change nothing


async def test_appenders_are_changed_by_nothing(client):
    file_id = await client.upload(b"12345", appender=True)
    await client.append(file_id, b"")
    await client.modify(file_id, 2, b"")
    await client.truncate(file_id, 5)
    assert await read(client, file_id) == b"12345"
    await client.truncate(file_id, 7)
    assert await read(client, file_id) == b"12345\0\0"
    gone = await client.upload(b"12345", appender=True)
    await client.delete(gone)
    with pytest.raises(FileNotFoundException):
        await client.append(gone, b"")
    normal = await client.upload(b"12345")
    with pytest.raises(InvalidArgumentException):
        await client.append(normal, b"")


async def test_a_truncate_whose_answer_got_lost(server, client):
    file_id = await client.upload(b"12345", appender=True)
    lost = server.inject(Fault(cut=0), Command.TRUNCATE)
    await client.truncate(file_id, 3)
    assert (lost.fired, await read(client, file_id)) == (1, b"123")


# ---- appenders that become normal files


async def test_a_regenerated_file_keeps_its_metadata(server, client):
    file_id = await client.upload(CONTENT, "bin", appender=True, metadata=METADATA)
    if server.version == "5.11":
        with pytest.raises(InvalidArgumentException):
            await client.regenerate(file_id)
        return
    new = await client.regenerate(file_id)
    assert await client.get_metadata(new) == METADATA
    assert await read(client, new) == CONTENT
    assert [file.file_id for file in await server.files()] == [new]


async def test_a_regenerated_file_without_metadata(server, client):
    if server.version == "5.11":
        return
    new = await client.regenerate(await client.upload(CONTENT, "bin", appender=True))
    assert await client.get_metadata(new) == {}


async def test_the_new_id_is_told_where_the_metadata_is_lost():
    async with FastDFSServer() as server, fastdfs_cluster(server) as client:
        file_id = await client.upload(CONTENT, "bin", appender=True, metadata=METADATA)
        server.inject(Fault(status=13), Command.SET_METADATA)
        with pytest.raises(Exception, match="refused") as failed:
            await client.regenerate(file_id)
        new = next(file.file_id for file in await server.files() if file.kind == "normal")
        assert failed.value.__notes__ == [f"{file_id} is now {new}; its metadata may still be at {file_id}-m"]


async def test_metadata_that_cannot_be_removed_is_left():
    async with FastDFSServer() as server, fastdfs_cluster(server) as client:
        file_id = await client.upload(CONTENT, "bin", appender=True, metadata=METADATA)
        refused = server.inject(Fault(status=22), Command.DELETE)
        assert await client.get_metadata(await client.regenerate(file_id)) == METADATA
        assert refused.fired == 1


# ---- metadata


TORN = {
    "nothing": Fault(body=b""),
    "a record that breaks off": Fault(body=b"author\x02somebody\x01au"),
    "a whole page": Fault(body=b"author\x02".ljust(4096, b"x")),
    "shorter than announced": Fault(status=5, announced=100),
    "an error": Fault(status=5),
}


@pytest.mark.parametrize("torn", TORN.values(), ids=TORN)
@pytest.mark.parametrize("ask", [FastDFSCluster.get_metadata, FastDFSCluster.describe])
async def test_metadata_that_is_being_written_is_read_again(server, client, torn, ask):
    file_id = await client.upload(CONTENT, metadata=METADATA)
    fault = server.inject(torn, Command.GET_METADATA)
    found = await ask(client, file_id)
    assert (found if isinstance(found, dict) else found[1]) == METADATA
    assert fault.fired == 1


async def test_metadata_of_exactly_a_page(client):
    metadata = {f"{number:04}": "v" * 250 for number in range(15)}
    metadata["last"] = "v" * (4096 - 15 * 256 - 5)
    file_id = await client.upload(CONTENT, metadata=metadata)
    assert await client.get_metadata(file_id) == metadata


async def test_the_largest_metadata(client):
    metadata = {f"{number:064}": "v" * 256 for number in range(813)}
    file_id = await client.upload(CONTENT, metadata=metadata)
    assert await client.get_metadata(file_id) == metadata
