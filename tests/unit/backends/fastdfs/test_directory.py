"""Uploads that do not fit are refused before they are sent, by what a tracker told in the last seconds."""

import asyncio

import pytest

from async_storages.backends.fastdfs.protocol import Command
from async_storages.errors import StorageOperationException
from async_storages.testing import FastDFSServer
from async_storages.testing.fastdfs_server import Fault
from tests.support.fastdfs import fastdfs_cluster
from tests.support.patience import time_flies

MIB = 1 << 20


@pytest.fixture(params=["5.11", "6.12.2", "6.16.1"])
async def server(request):
    async with FastDFSServer(version=request.param, free_mb=2) as server:
        yield server


@pytest.fixture
async def client(server):
    async with fastdfs_cluster(server) as client:
        yield client


async def test_what_does_not_fit_is_not_sent(server, client):
    uploads = server.inject(Fault(status=28), Command.UPLOAD, Command.UPLOAD_SLAVE, Command.UPLOAD_APPENDER, times=None)
    for work in (
        client.upload(bytes(2 * MIB + 1)),
        client.upload(bytes(2 * MIB + 1), appender=True),
        client.upload_slave(bytes(2 * MIB + 1), "group1/M00/00/00/fwAAAWsCFuqAVke2AAGGoKVy0tA654.bin", "_small"),
    ):
        with pytest.raises(StorageOperationException, match="2097153 bytes, and 2097152 are free"):
            await work
    assert uploads.fired == 0


async def test_what_was_sent_since_counts(server, client):
    await client.upload(bytes(MIB))
    await client.upload(bytes(MIB))
    with pytest.raises(StorageOperationException, match="no space is left"):
        await client.upload(b"x")
    server.set_free(3)
    with time_flies(11.0):
        await asyncio.sleep(11.0)
    await client.upload(bytes(3 * MIB))


async def test_it_is_asked_once_in_a_while(server, client):
    asked = server.inject(Fault(cut=1 << 40), Command.LIST_STORAGES, times=None)  # which never happens
    for _ in range(5):
        await client.upload(b"x")
    assert asked.fired == 1


@pytest.mark.parametrize("fault", [Fault(status=22), Fault(status=2), Fault(body=b"?"), Fault(cut=5)])
async def test_where_nobody_tells_the_upload_shows(server, client, fault):
    asked = server.inject(fault, Command.LIST_STORAGES, times=None)
    for _ in range(3):
        assert await client.upload(b"x")
    assert asked.fired == 1
    server.set_free(0)
    with pytest.raises(StorageOperationException, match="no space is left on the storage server"):
        await client.upload(b"x")


async def test_hostile_content_meets_no_full_disk(server, client):
    """Of an upload that finds the disk full, 6.16.1 takes the rest for requests."""
    victim = await client.upload(b"of somebody")
    name = victim.encode().partition(b"/")[2]
    body = b"group1".ljust(16, b"\0") + name
    request = len(body).to_bytes(8, "big") + bytes([Command.DELETE, 0]) + body
    with pytest.raises(StorageOperationException):
        await client.upload(request.ljust(3 * MIB, b"\0"))
    assert [file.file_id for file in await server.files()] == [victim]
