"""A primary and its mirrors: in memory, in folders, and on two S3 servers that fail."""

import asyncio
import os
from contextlib import aclosing

import httpx
import pytest

from async_storages import (
    FileNotFoundException,
    InvalidArgumentException,
    LocalStorage,
    MemoryStorage,
    MirroredStorage,
    OperationNotSupportedException,
    Resynced,
    Storage,
    StorageClosedException,
    StorageException,
    StorageOperationException,
    StorageUnavailableException,
    SupportsList,
    SupportsPartUploads,
    SupportsPing,
    SupportsPresign,
    events,
)
from async_storages.testing.contract.sources import BROKEN, BrokenSourceError
from async_storages.testing.faults import Reset, response_body
from tests.integration.combined.test_fallback import Troubled, keys
from tests.support.local_server import served


@pytest.fixture
def primary():
    return Troubled()


@pytest.fixture
def mirror():
    return Troubled()


@pytest.fixture
def storage(primary, mirror):
    return MirroredStorage(primary, mirror)


@pytest.fixture
def told():
    told = []
    events.hooks.append(told.append)
    yield told
    events.hooks.remove(told.append)


async def facts(storage):
    """All that is in a storage, but for what each tells in its own way."""
    return {
        info.file_id: (await storage.read(info.file_id), info.content_type, info.metadata)
        async for info in storage.list()
    }


# ---- in the same call


async def test_the_mirror_has_what_the_primary_has(storage, primary, mirror):
    await storage.upload(b"one", "a.txt", content_type="text/x-mine", metadata={"a": "1"})
    await storage.upload(b"two", "a.txt", metadata={"a": "2"})
    await storage.save(b"three", "b.txt")
    await storage.copy("a.txt", "c.txt")
    await storage.set_metadata("a.txt", {"b": "3"})
    assert await facts(mirror) == await facts(primary)
    assert len(await keys(mirror)) == 3
    await storage.delete_many(await keys(storage))
    assert await keys(mirror) == await keys(primary) == []


async def test_one_event_for_each_operation(storage, told):
    await storage.upload(b"one", "a.txt")
    await storage.copy("a.txt", "b.txt")
    await storage.resync()
    await storage.delete("a.txt")
    assert [(event.operation, event.outcome, event.bytes) for event in told] == [
        ("write", "ok", 3),
        ("copy", "ok", 0),
        ("resync", "ok", 0),
        ("delete", "ok", 0),
    ]


async def test_what_fails_in_the_primary_changes_no_mirror(storage, primary, mirror):
    await storage.upload(b"one", "a.txt")
    primary.fails = {"write", "delete"}
    with pytest.raises(StorageUnavailableException):
        await storage.upload(b"two", "a.txt")
    with pytest.raises(StorageUnavailableException):
        await storage.delete("a.txt")
    primary.fails = set()
    with pytest.raises(FileNotFoundException, match=r"copy 'mem:missing\.txt'"):
        await storage.copy("missing.txt", "b.txt")
    with pytest.raises(BrokenSourceError):
        await storage.upload(BROKEN["iterator"](), "c.txt")
    assert await mirror.read("a.txt") == b"one"
    assert await keys(mirror) == ["a.txt"]


async def test_a_mirror_that_fails_is_an_event_and_a_warning(storage, primary, mirror, told, caplog):
    mirror.fails = {"write", "delete"}
    await storage.upload(b"one", "a.txt")
    await storage.upload(b"two", "b.txt")
    await storage.delete("b.txt")
    assert await keys(primary) == ["a.txt"]
    failed = [(event.operation, event.outcome) for event in told if event.operation == "mirror"]
    assert failed == [("mirror", "StorageUnavailableException")] * 3
    assert "'mem:a.txt' could not be mirrored in <MemoryStorage" in caplog.text


async def test_a_mirror_may_fail_in_any_way(primary, caplog):
    class Broken(MemoryStorage):
        async def write(self, content, key, *, overwrite=True):
            raise RuntimeError("no such thing")

    await MirroredStorage(primary, Broken()).upload(b"one", "a.txt")
    assert "no such thing" in caplog.text


async def test_strict_mirrors(primary, mirror):
    storage = MirroredStorage(primary, mirror, strict=True)
    await storage.upload(b"one", "a.txt")
    mirror.fails = {"write"}
    for work in (storage.save(b"two", "b.txt"), storage.upload(b"two", "b.txt", overwrite=False)):
        with pytest.raises(StorageUnavailableException):
            await work
    assert await keys(primary) == await keys(mirror) == ["a.txt"]
    with pytest.raises(StorageUnavailableException):
        await storage.upload(b"two", "a.txt")
    assert await storage.read("a.txt") == b"two"
    mirror.fails = {"delete"}
    with pytest.raises(StorageUnavailableException):
        await storage.delete("a.txt")
    mirror.fails = set()
    await storage.delete("a.txt")
    assert await keys(primary) == await keys(mirror) == []


async def test_a_file_that_changes_while_it_is_mirrored(storage, primary, mirror):
    """The mirror has the later content, whichever of the two is mirrored first."""
    mirror.before["write"] = lambda: Storage.upload(primary, b"two", "a.txt")
    await storage.upload(b"one", "a.txt")
    assert await mirror.read("a.txt") == b"two"
    mirror.before["write"] = lambda: primary.delete("a.txt")
    await storage.upload(b"three", "a.txt")
    assert await keys(mirror) == []


async def test_a_file_that_others_keep_changing(primary, mirror):
    class Restless(Troubled):
        async def write(self, content, key, *, overwrite=True):
            await primary.upload(os.urandom(8), key)
            return await super().write(content, key, overwrite=overwrite)

    with pytest.raises(StorageOperationException, match=r"'mem:a\.txt': others keep changing the file"):
        await MirroredStorage(primary, Restless(), strict=True).upload(b"one", "a.txt")


async def test_many_at_once_to_one_key(storage, primary, mirror):
    await asyncio.gather(*(storage.upload(bytes([n]) * 100_000, "a.bin") for n in range(20)))
    assert await facts(mirror) == await facts(primary)


# ---- resync


async def test_resync_brings_all_mirrors_up(primary, mirror, caplog):
    second = MemoryStorage()
    storage = MirroredStorage(primary, mirror, second)
    for number in range(600):
        await primary.upload(b"%d" % number, f"{number}.txt", metadata={"n": f"{number}"})
    assert await storage.resync() == Resynced(copied=1200)
    assert await facts(mirror) == await facts(second) == await facts(primary)
    assert await storage.resync() == Resynced(unchanged=1200)

    await primary.delete("5.txt")
    await primary.upload(b"other", "6.txt")
    await mirror.delete("7.txt")
    assert await storage.resync() == Resynced(unchanged=1195, copied=3, extra=2)
    assert await mirror.exists("5.txt")
    assert await storage.resync("5", delete=True) == Resynced(unchanged=220, deleted=2)
    assert await facts(mirror) == await facts(second) == await facts(primary)

    mirror.fails = {"write"}
    await primary.upload(b"new", "new.txt")
    assert await storage.resync("new") == Resynced(copied=1, failed=1)
    assert "'mem:new.txt' could not be mirrored" in caplog.text


async def test_resync_deletes_nothing_that_has_come_meanwhile(storage, primary, mirror):
    """Listings are of different moments: what is missing in one is looked for again."""
    await mirror.upload(b"one", "a.txt")
    primary.before["stat"] = lambda: Storage.upload(primary, b"two", "a.txt")
    assert await storage.resync(delete=True) == Resynced(copied=1)
    assert await mirror.read("a.txt") == b"two"


async def test_resync_that_reads_finds_what_times_hide(storage, primary, mirror):
    await storage.upload(b"one", "a.txt")
    await mirror.upload(b"two", "a.txt")
    assert await storage.resync() == Resynced(unchanged=1)
    assert await storage.resync(verify=True) == Resynced(copied=1)
    assert await storage.resync(verify=True) == Resynced(unchanged=1)
    assert await mirror.read("a.txt") == b"one"


async def test_resync_sees_metadata_and_types(tmp_path):
    primary, mirror = LocalStorage(tmp_path / "primary"), LocalStorage(tmp_path / "mirror")
    storage = MirroredStorage(primary, mirror)
    await storage.upload(b"one", "a.txt", metadata={"a": "1"})
    await primary.upload(b"two", "a.txt", metadata={"a": "2"})
    assert await storage.resync() == Resynced(copied=1)
    assert (await mirror.stat("a.txt")).metadata == {"a": "2"}


async def test_resync_between_two_servers(seaweedfs, moto):
    (primary, _), (mirror, proxy) = seaweedfs, moto
    storage = MirroredStorage(primary, mirror)
    await proxy.aclose()
    await storage.upload(b"while it was away", "a.txt", metadata={"a": "合同"})
    large = bytes(range(256)) * 80_000  # in parts, whose ETags differ between servers
    await storage.upload(large, "folder/b.bin")
    await proxy.start()
    assert await storage.resync() == Resynced(copied=2)
    assert await storage.resync() == Resynced(unchanged=2)
    assert await facts_of_both(primary, mirror)
    await mirror.upload(b"while it was AWAY", "a.txt", metadata={"a": "合同"})  # as long, and newer
    assert await storage.resync() == Resynced(unchanged=1, copied=1)
    assert await mirror.read("a.txt") == b"while it was away"


async def facts_of_both(one, other):
    return await facts(one) == await facts(other)


async def test_resync_needs_listings(primary):
    class Bare(MemoryStorage):
        list = None

    with pytest.raises(OperationNotSupportedException, match=r"resync: .* cannot list"):
        await MirroredStorage(primary, Bare()).resync()


# ---- reading mirrors


async def test_a_mirror_is_read_while_the_primary_is_away(seaweedfs, moto):
    (primary, proxy), (mirror, _) = seaweedfs, moto
    content = bytes(range(256)) * 8192
    storage = MirroredStorage(primary, mirror, read_mirrors=True)
    await storage.upload(content, "a.bin")
    proxy.inject(Reset(), response_body("middle"), when=lambda method, _: method == "GET")
    async with aclosing(storage.stream("a.bin", 1000, 2_000_000, chunk_size=10_000)) as chunks:
        received = [await anext(chunks)]
        await proxy.aclose()
        received += [chunk async for chunk in chunks]
    assert b"".join(received) == content[1000:2_001_000]
    assert await storage.read("a.bin") == content
    assert (await storage.stat("a.bin")).file_size == len(content)
    assert await storage.exists("a.bin")
    for work in (storage.read, storage.stat, storage.exists):  # the mirror may be behind
        with pytest.raises(StorageUnavailableException, match=r"missing\.bin"):
            await work("missing.bin")
    with pytest.raises(StorageUnavailableException):
        await storage.upload(b"", "b.bin")
    with pytest.raises(StorageUnavailableException):
        await storage.delete("a.bin")
    with pytest.raises(StorageUnavailableException):
        await MirroredStorage(primary, mirror).read("a.bin")
    assert await mirror.exists("a.bin")


async def test_what_the_primary_does_not_have_is_not_there(primary, mirror):
    storage = MirroredStorage(primary, mirror, read_mirrors=True)
    await mirror.upload(b"one", "a.txt")
    for work in (storage.read, storage.stat):
        with pytest.raises(FileNotFoundException):
            await work("a.txt")
    assert not await storage.exists("a.txt")
    assert await keys(storage) == []


# ---- URLs and parts


async def test_uploads_in_parts_are_mirrored_when_they_are_complete(tmp_path):
    mirror = LocalStorage(tmp_path / "mirror")
    async with served(tmp_path / "primary") as primary, MirroredStorage(primary, mirror) as storage:
        uploads = storage.part_uploads
        upload_id = await uploads.begin("film.mp4", content_type="video/mp4")
        url = await uploads.presign_part("film.mp4", upload_id, 1, size=4)
        async with httpx.AsyncClient() as client:
            assert (await client.put(url, content=b"film")).is_success
        assert await uploads.unfinished("")
        [part] = await uploads.parts("film.mp4", upload_id)
        await uploads.complete("film.mp4", upload_id, {1: part.etag}, max_size=None)
        assert await mirror.read("film.mp4") == b"film"
        other = await uploads.begin("other.mp4", content_type="video/mp4")
        await uploads.abort("other.mp4", other)
        assert await keys(mirror) == ["film.mp4"]


async def test_urls_are_those_of_the_primary(tmp_path):
    async with served(tmp_path / "primary") as primary:
        storage = MirroredStorage(primary, LocalStorage(tmp_path / "mirror"))
        await storage.upload(b"one", "a.txt")
        [url] = await storage.presigned_urls(["a.txt"])
        async with httpx.AsyncClient() as client:
            assert (await client.get(url)).text == "one"
        assert await storage.url("a.txt") == await primary.url("a.txt")


# ---- what it is made of


def test_storages_that_cannot_be_one(tmp_path):
    with pytest.raises(InvalidArgumentException, match="a mirror at least"):
        MirroredStorage(MemoryStorage())
    with pytest.raises(InvalidArgumentException, match="the same in all its storages"):
        MirroredStorage(MemoryStorage(), MemoryStorage(), LocalStorage(tmp_path))
    with pytest.raises(InvalidArgumentException, match="mirror 2 of a MirroredStorage must be a storage"):
        MirroredStorage(MemoryStorage(), MemoryStorage(), "files")
    with pytest.raises(InvalidArgumentException, match="different places"):
        MirroredStorage(LocalStorage(tmp_path / "a"), LocalStorage(tmp_path / "b"), LocalStorage(tmp_path / "b"))
    with pytest.raises(TypeError):
        MirroredStorage()


async def test_it_can_what_its_primary_can(storage, primary, mirror):
    assert isinstance(storage, SupportsList)
    assert not [power for power in (SupportsPresign, SupportsPing, SupportsPartUploads) if isinstance(storage, power)]
    assert (storage.primary, storage.mirrors) == (primary, (mirror,))
    tenant = storage.within("acme")
    await tenant.upload(b"one", "a.txt")
    assert await keys(mirror) == ["acme/a.txt"]
    assert await tenant.resync() == Resynced(unchanged=1)


async def test_it_opens_and_closes_all(storage, primary, mirror):
    async with storage:
        await storage.upload(b"", "a.txt")
    for each in (storage, primary, mirror):
        with pytest.raises(StorageClosedException):
            await each.read("a.txt")


async def test_a_mirror_that_is_read_only(primary, tmp_path):
    folder = LocalStorage(tmp_path / "mirror", read_only=True)
    storage = MirroredStorage(LocalStorage(tmp_path / "primary"), folder, strict=True)
    with pytest.raises(StorageException, match="read_only=True"):
        await storage.save(b"one", "a.txt")
    assert await keys(storage) == []
