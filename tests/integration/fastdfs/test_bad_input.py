"""What users do wrong and what clusters suffer from: each its own error, and nothing left on the server."""

import pytest

from async_storages import Content, errors
from async_storages.testing import FastDFSServer
from async_storages.testing.contract.sources import pieces_later
from async_storages.testing.fastdfs_server import Fault
from tests.support.fastdfs import FAST, fastdfs_storage, leaving

MISSING = "group1/M00/00/00/fwAAAWsCFuqAVke2AAGGoKVy0tA654.bin"
LARGE = bytes(1_000_000)


async def storage_down(server, storage):
    await server.stop(server.storages[0].address)
    await storage.upload(b"content", "file.txt")


async def tracker_down(server, storage):
    await server.stop(server.tracker)
    await storage.upload(b"content", "file.txt")


async def no_storage(server, storage):
    server.inject(Fault(status=2), 101, times=None)
    await storage.upload(b"content", "file.txt")


async def no_space(server, storage):
    server.inject(Fault(status=28), 11)
    await storage.upload(b"content", "file.txt")


async def no_space_for_metadata(server, storage):
    server.inject(Fault(status=28), 13)
    await storage.upload(b"content", "file.txt")


WRONG = {
    "storage down": (storage_down, errors.StorageUnavailableException, "Connection refused"),
    "tracker down": (tracker_down, errors.StorageUnavailableException, "no tracker answers"),
    "no storage": (no_storage, errors.StorageUnavailableException, "no storage server of any group is up"),
    "no space": (no_space, errors.StorageOperationException, "no space is left"),
    "no space for metadata": (no_space_for_metadata, errors.StorageOperationException, "no space is left"),
}

MISTAKES = {
    "missing file, read": (lambda s: s.read(MISSING), errors.FileNotFoundException, "no such file"),
    "missing file, stat": (lambda s: s.stat(MISSING), errors.FileNotFoundException, "no such file"),
    "wrong group": (
        lambda s: s.read(MISSING.replace("group1", "group9")),
        errors.RouteNotSupportedException,
        "the cluster has no group 'group9'; it has .*group1",
    ),
    "malformed id": (lambda s: s.read("group1/M00/../../etc/passwd"), errors.InvalidArgumentException, None),
    "id in lower case": (
        lambda s: s.read(MISSING.replace("M00/00/", "M00/ff/")),
        errors.InvalidArgumentException,
        None,
    ),
    "metadata of a file": (lambda s: s.read(MISSING + "-m"), errors.InvalidArgumentException, "metadata"),
    "oversized metadata": (
        lambda s: s.upload(b"content", "file.txt", metadata={"key": "x" * 257}),
        errors.InvalidArgumentException,
        "256",
    ),
    "separator in metadata": (
        lambda s: s.upload(b"content", "file.txt", metadata={"key": "a\x02b"}),
        errors.InvalidArgumentException,
        None,
    ),
    "too few bytes": (
        lambda s: s.upload(Content(pieces_later(LARGE), size=len(LARGE) + 1), "file.bin"),
        errors.InvalidArgumentException,
        "only 1000000 of the announced 1000001 bytes",
    ),
    "too many bytes": (
        lambda s: s.upload(Content(pieces_later(LARGE), size=len(LARGE) - 1), "file.bin"),
        errors.InvalidArgumentException,
        "more than the announced 999999 bytes",
    ),
}


@pytest.mark.parametrize(("work", "error", "reason"), WRONG.values(), ids=WRONG)
async def test_what_goes_wrong_is_told_and_leaves_nothing(work, error, reason):
    async with FastDFSServer() as server, fastdfs_storage(server, options=FAST) as storage:
        with pytest.raises(error, match=reason) as raised:
            await work(server, storage)
        assert type(raised.value) is error
        assert await server.files() == []


@pytest.mark.parametrize(("work", "error", "reason"), MISTAKES.values(), ids=MISTAKES)
async def test_a_mistake_is_told_and_leaves_nothing(fastdfs_server, work, error, reason):
    async with leaving(fastdfs_server), fastdfs_storage(fastdfs_server, options=FAST) as storage:
        with pytest.raises(error, match=reason) as raised:
            await work(storage)
        assert type(raised.value) is error
