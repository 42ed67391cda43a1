"""An old and a new storage as one, while files move: on folders, in memory, and on two S3 servers that fail."""

import asyncio
import copy
from collections import Counter
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from async_storages import (
    DeleteNotSupportedException,
    FallbackStorage,
    FastdfsConfig,
    FastDFSStorage,
    FileExistsException,
    FileNotFoundException,
    InvalidArgumentException,
    LocalStorage,
    MemoryStorage,
    S3Storage,
    StorageClosedException,
    StorageManager,
    StorageOperationException,
    StorageUnavailableException,
    SupportsCopy,
    SupportsDirectUpload,
    SupportsFolders,
    SupportsList,
    SupportsMetadata,
    SupportsPartUploads,
    SupportsPing,
    SupportsPresign,
    UploadOptions,
    events,
    file_urls,
    registry,
)
from async_storages.backends.fallback.known_files import KnownFiles
from async_storages.testing.faults import Reset, response_body
from tests.integration.s3.test_contract import S3Contract
from tests.support.local_server import served
from tests.support.patience import time_flies


@pytest.fixture
def new():
    return MemoryStorage()


@pytest.fixture
def old():
    return MemoryStorage()


@pytest.fixture
def storage(new, old):
    return FallbackStorage(new, old)


async def keys(storage):
    return [info.file_id.partition(":")[2] async for info in storage.list()]


# ---- reading and writing


async def test_files_of_both_are_read_and_listed(storage, new, old):
    await old.upload(b"from before", "b.txt", metadata={"from": "before"})
    await new.upload(b"from today", "a.txt")
    await new.upload(b"from today", "c.txt")
    assert [await storage.read(key) for key in "abc" for key in [f"{key}.txt"]] == [
        b"from today",
        b"from before",
        b"from today",
    ]
    assert (await storage.stat("b.txt")).metadata == {"from": "before"}
    assert [chunk async for chunk in storage.stream("b.txt", 5, 3)] == [b"bef"]
    assert await keys(storage) == ["a.txt", "b.txt", "c.txt"]
    assert await keys(new) == ["a.txt", "c.txt"]


async def test_what_was_replaced_is_never_read_from_the_old_storage(storage, new, old):
    await old.upload(b"before", "a.txt")
    await storage.upload(b"today", "a.txt")
    assert await storage.read("a.txt") == await storage.read("a.txt") == b"today"
    [listed] = [info async for info in storage.list()]
    assert listed == await new.stat("a.txt")
    await storage.delete("a.txt")
    assert await keys(old) == await keys(new) == []
    with pytest.raises(FileNotFoundException, match=r"stream 'mem:a\.txt'"):
        await storage.read("a.txt")


async def test_a_delete_that_fails_in_between_brings_nothing_back(storage, old):
    new = Troubled()
    storage = FallbackStorage(new, old)
    await old.upload(b"before", "a.txt")
    await storage.upload(b"today", "a.txt")
    new.fails = {"delete"}
    for _ in range(2):
        with pytest.raises(StorageUnavailableException):
            await storage.delete("a.txt")
        assert await storage.read("a.txt") == b"today"
    new.fails = set()
    await storage.delete("a.txt")
    assert not await storage.exists("a.txt")


async def test_a_storage_for_which_a_missing_file_cannot_be_deleted(storage):
    storage = FallbackStorage(Strict(), Strict())
    for member in storage.members:
        await member.upload(b"", "a.txt")
        await storage.delete("a.txt")
    with pytest.raises(FileNotFoundException):
        await storage.delete("a.txt")


async def test_a_key_is_taken_if_it_is_in_either(storage, old, new):
    await old.upload(b"before", "a.txt")
    with pytest.raises(FileExistsException, match=r"write 'mem:a\.txt': the key is taken"):
        await storage.upload(b"today", "a.txt", overwrite=False)
    await new.upload(b"source", "b.txt")
    with pytest.raises(FileExistsException):
        await storage.copy("b.txt", "a.txt", overwrite=False)
    assert await storage.read("a.txt") == b"before"


async def test_an_old_storage_that_must_not_change(new, tmp_path):
    old = LocalStorage(tmp_path / "old")
    await old.upload(b"before", "a.txt")
    storage = FallbackStorage(LocalStorage(tmp_path / "new"), LocalStorage(tmp_path / "old", read_only=True))
    await storage.upload(b"today", "b.txt")
    await storage.delete("b.txt")
    with pytest.raises(DeleteNotSupportedException, match=r"delete 'file:a\.txt': the old storage has the file"):
        await storage.delete("a.txt")
    await storage.upload(b"today", "a.txt")
    assert (await storage.read("a.txt"), await old.read("a.txt")) == (b"today", b"before")


async def test_a_copy_takes_all_that_describes_the_file(storage, new, old):
    options = UploadOptions(cache_control="max-age=60", content_language="de", expires=datetime(2030, 1, 1, tzinfo=UTC))
    await old.upload(b"before", "a.txt", content_type="text/x-mine", metadata={"a": "合同"}, options=options)
    assert await storage.copy("a.txt", "b.txt") == "mem:b.txt"
    told = {"content_type", "metadata", "cache_control", "content_language", "expires", "file_size"}
    assert (await new.stat("b.txt")).model_dump(include=told) == (await old.stat("a.txt")).model_dump(include=told)
    with pytest.raises(FileNotFoundException, match=r"copy 'mem:missing\.txt'"):
        await storage.copy("missing.txt", "c.txt")


async def test_metadata_of_an_old_file_is_set_in_the_new_storage(storage, new, old):
    await old.upload(b"before", "a.txt", content_type="text/x-mine", metadata={"a": "1"})
    await storage.set_metadata("a.txt", {"b": "2"})
    assert (await storage.stat("a.txt")).metadata == {"b": "2"}
    assert (await new.stat("a.txt")).content_type == "text/x-mine"
    assert (await old.stat("a.txt")).metadata == {"a": "1"}


async def test_metadata_that_only_other_tools_write_goes_along(storage, new, old):
    await old.upload(b"before", "a.txt")
    old._files["a.txt"][1].metadata["Not A Key"] = " blanks "
    await storage.copy("a.txt", "b.txt")
    assert (await new.stat("b.txt")).metadata == {"Not A Key": " blanks "}


# ---- that files move meanwhile


class Watched(MemoryStorage):
    """Calls a function before some operation."""

    def __init__(self):
        super().__init__()
        self.before = {}

    async def meet(self, operation):
        if operation in self.before:
            await self.before.pop(operation)()

    async def stat(self, name):
        await self.meet("stat")
        return await super().stat(name)

    async def exists(self, name):
        await self.meet("exists")
        return await super().exists(name)

    async def stream(self, name, offset=0, length=None, **options):
        await self.meet("stream")
        async with aclosing(super().stream(name, offset, length, **options)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def write(self, content, key, **options):
        await self.meet("write")
        return await super().write(content, key, **options)

    async def copy(self, source, target, **options):
        await self.meet("copy")
        return await super().copy(source, target, **options)


class Troubled(Watched):
    """Cannot be reached for some operations."""

    fails = frozenset()

    async def meet(self, operation):
        await super().meet(operation)
        if operation in self.fails:
            raise StorageUnavailableException("told to")

    async def delete(self, name):
        await self.meet("delete")
        await super().delete(name)


class Strict(MemoryStorage):
    async def delete(self, name):
        await self.stat(name)
        await super().delete(name)


@pytest.mark.parametrize("operation", ["stat", "exists", "stream", "copy"])
async def test_a_file_that_moves_between_two_looks_is_found(new, operation):
    old = Watched()
    storage = FallbackStorage(new, old)
    await old.upload(b"before", "a.txt")

    async def move():
        await new.upload(b"before", "a.txt")
        await old.delete("a.txt")

    old.before["stat" if operation == "copy" else operation] = move
    ways = {"stat": storage.stat, "exists": storage.exists, "stream": storage.read}
    found = await (storage.copy("a.txt", "b.txt") if operation == "copy" else ways[operation]("a.txt"))
    assert found
    assert not old.before


async def test_a_read_goes_on_in_the_new_storage(seaweedfs, moto):
    """The connection to the old server breaks when the file has moved; nothing is read twice or left out."""
    (new, _), (old, proxy) = seaweedfs, moto
    content = bytes(range(256)) * 8192
    storage = FallbackStorage(new, old)
    await old.upload(content, "film.bin")
    proxy.inject(Reset(), response_body("middle"), when=lambda method, _: method == "GET")
    async with aclosing(storage.stream("film.bin", 1000, 2_000_000, chunk_size=10_000)) as chunks:
        received = [await anext(chunks)]
        await storage.set_metadata("film.bin", {"moved": "yes"})
        await old.delete("film.bin")
        received += [chunk async for chunk in chunks]
    assert proxy.fired == 1
    assert b"".join(received) == content[1000:2_001_000]


@pytest.mark.parametrize("other", [b"another content", b"fi"], ids=["other", "shorter"])
async def test_a_read_does_not_go_on_in_another_file(new, other):
    class Breaks(MemoryStorage):
        async def stream(self, name, offset=0, length=None, **options):
            yield b"first"
            await new.upload(other, name)
            raise FileNotFoundException("it is gone")

    with pytest.raises(StorageOperationException, match=r"stream 'mem:a\.txt': the file was replaced"):
        await FallbackStorage(new, Breaks()).read("a.txt")


# ---- copy on read


@pytest.fixture
def copying(new, old):
    return FallbackStorage(new, old, copy_on_read=True)


async def test_what_is_read_is_copied(copying, new, old, caplog):
    content = bytes(3_000_000)
    await old.upload(content, "a.bin", content_type="text/x-mine", metadata={"a": "1"})
    await old.upload(b"", "empty.bin")
    assert [await copying.read(key) for key in ("a.bin", "empty.bin")] == [content, b""]
    assert await new.read("a.bin") == content
    info = await new.stat("a.bin")
    assert (info.content_type, info.metadata) == ("text/x-mine", {"a": "1"})
    assert await keys(new) == ["a.bin", "empty.bin"]
    assert not caplog.records


async def test_a_part_of_a_file_or_an_abandoned_read_copies_nothing(copying, new, old):
    await old.upload(bytes(3_000_000), "a.bin")
    assert [chunk async for chunk in copying.stream("a.bin", 5, 2)] == [b"\0\0"]
    async with aclosing(copying.stream("a.bin")) as chunks:
        await anext(chunks)
    assert await keys(new) == []


async def test_two_readers_at_once_copy_once(copying, new, old):
    await old.upload(bytes(3_000_000), "a.bin")
    found = await asyncio.gather(*(copying.read("a.bin") for _ in range(8)))
    assert {len(each) for each in found} == {3_000_000}
    assert (await new.stat("a.bin")).file_size == 3_000_000


async def test_a_copy_never_replaces_a_newer_file(old):
    new = Watched()
    await old.upload(b"before", "a.txt")
    new.before["write"] = lambda: MemoryStorage.upload(new, b"today", "a.txt")
    assert await FallbackStorage(new, old, copy_on_read=True).read("a.txt") == b"before"
    assert await new.read("a.txt") == b"today"


async def test_a_copy_that_fails_is_logged_and_the_read_goes_on(old, caplog):
    new = Troubled()
    new.fails = {"write"}
    await old.upload(bytes(3_000_000), "a.bin")
    assert len(await FallbackStorage(new, old, copy_on_read=True).read("a.bin")) == 3_000_000
    assert "'mem:a.bin' was read, but could not be copied: told to" in caplog.text


async def test_a_type_that_no_storage_takes_is_told_anew(copying, old, new, caplog):
    await old.upload(b"before", "a.txt")
    content, info = old._files["a.txt"]
    old._files["a.txt"] = content, info.model_copy(update={"content_type": "none"})
    assert await copying.read("a.txt") == b"before"
    assert (await new.stat("a.txt")).content_type == "text/plain"


async def test_a_copy_that_stands_still_is_given_up(old, caplog):
    new = Watched()
    new.before["write"] = asyncio.Event().wait
    await old.upload(bytes(3_000_000), "a.bin")
    with time_flies():
        assert len(await FallbackStorage(new, old, copy_on_read=True).read("a.bin")) == 3_000_000
    assert "'mem:a.bin' is read without being copied, as that takes too long" in caplog.text
    assert await keys(new) == []


async def test_a_copy_does_not_bring_a_deleted_file_back(new):
    old = Watched()
    storage = FallbackStorage(new, old, copy_on_read=True)
    await old.upload(b"before", "a.txt")

    old.before["exists"] = lambda: storage.delete("a.txt")  # asked for when the copy is written
    assert await storage.read("a.txt") == b"before"
    assert await keys(new) == await keys(old) == []


async def test_a_file_that_changed_under_the_reader_is_not_copied(new, caplog):
    class Lying(MemoryStorage):
        async def stat(self, name):
            return (await super().stat(name)).model_copy(update={"file_size": 7})

    old = Lying()
    await old.upload(b"before", "a.txt")
    assert await FallbackStorage(new, old, copy_on_read=True).read("a.txt") == b"before"
    assert await keys(new) == []
    assert "only 6 of the announced 7 bytes arrived" in caplog.text


async def test_copies_between_two_servers(seaweedfs, moto):
    (new, _), (old, _) = seaweedfs, moto
    content = bytes(range(256)) * 80_000  # in parts
    await old.upload(content, "film.bin", content_type="video/mp4", metadata={"a": "合同"})
    storage = FallbackStorage(new, old, copy_on_read=True)
    assert await storage.read("film.bin") == content
    assert await new.read("film.bin") == content
    info = await new.stat("film.bin")
    assert (info.content_type, info.metadata) == ("video/mp4", {"a": "合同"})
    assert [await S3Contract.leftovers(None, each) for each in (new, old)] == [[], []]


# ---- servers that are away


async def test_the_old_server_is_away(seaweedfs, moto):
    (new, _), (old, proxy) = seaweedfs, moto
    await old.upload(b"before", "old.txt")
    storage = FallbackStorage(new, old)
    await storage.upload(b"today", "new.txt")
    await proxy.aclose()
    assert await storage.read("new.txt") == b"today"
    assert (await storage.stat("new.txt")).file_size == 5
    saved = await storage.save(b"more", "more.txt")
    assert await saved.read() == b"more"
    assert await storage.presigned_urls(["old.txt", "new.txt"])
    for work in (storage.read, storage.stat, storage.exists):
        with pytest.raises(StorageUnavailableException, match=r"old\.txt"):
            await work("old.txt")
    with pytest.raises(StorageUnavailableException, match=r"delete 's3:.*/new\.txt'"):
        await storage.delete("new.txt")
    assert await storage.read("new.txt") == b"today"
    with pytest.raises(StorageUnavailableException):
        await keys(storage)
    with pytest.raises(StorageUnavailableException, match=f"ping .*{proxy.url}"):
        await storage.ping()
    await proxy.start()
    await storage.delete("new.txt")
    assert await storage.read("old.txt") == b"before"


async def test_the_new_server_is_away(seaweedfs, moto):
    (new, proxy), (old, _) = seaweedfs, moto
    await old.upload(b"before", "old.txt")
    storage = FallbackStorage(new, old)
    await storage.upload(b"today", "old.txt")
    await proxy.aclose()
    for work in (storage.read, storage.stat, storage.exists, FallbackStorage(new, old).url):
        with pytest.raises(StorageUnavailableException, match=rf"'s3:.*/old\.txt': .*, in S3Storage\(.*{proxy.url}"):
            await work("old.txt")
    with pytest.raises(StorageUnavailableException):
        await storage.upload(b"more", "more.txt")
    await proxy.start()
    assert await storage.read("old.txt") == b"today"


# ---- URLs


@asynccontextmanager
async def two_folders(tmp_path, **options):
    async with served(tmp_path / "new") as new, served(tmp_path / "old") as old:
        yield FallbackStorage(new, old, **options)


async def fetch(url):
    async with httpx.AsyncClient() as client:
        return (await client.get(url)).text


async def test_urls_are_those_of_the_storage_that_has_the_file(tmp_path):
    async with two_folders(tmp_path) as storage:
        await storage.old.upload(b"before", "old.txt")
        await storage.upload(b"today", "new.txt")
        files = [storage.file("old.txt"), storage.file("new.txt")]
        urls = await file_urls(files)
        assert [await fetch(urls[file]) for file in files] == ["before", "today"]
        assert [await fetch(await file.get_presigned_url()) for file in files] == ["before", "today"]
        assert await storage.url("old.txt") == await storage.old.url("old.txt")
        assert await storage.url("new.txt") == await storage.new.url("new.txt")

        await storage.upload(b"corrected", "old.txt")
        assert await fetch(await files[0].get_presigned_url()) == "corrected"
        await storage.delete("old.txt")
        assert "before" not in await fetch(await files[0].get_presigned_url())


async def test_urls_for_uploads_are_those_of_the_new_storage(tmp_path):
    async with two_folders(tmp_path) as storage:
        await storage.old.upload(b"before", "a.txt")
        [url] = await storage.presigned_urls(["a.txt"], method="PUT")
        form = await storage.presign_post("a.txt", max_size=10)
        assert url.startswith(new := str(storage.new._base_url))
        assert form.url.startswith(new)
        async with httpx.AsyncClient() as client:
            assert (await client.put(url, content=b"today")).is_success
        assert await storage.read("a.txt") == b"today"
        assert await fetch((await storage.presigned_urls(["a.txt"]))[0]) == "today"


async def test_urls_of_the_new_storage_alone_cost_no_question(tmp_path):
    async with two_folders(tmp_path, presign="new") as storage:
        await storage.old.upload(b"before", "old.txt")
        asked = []
        storage.new.exists = asked.append
        [url] = await storage.presigned_urls(["old.txt"])
        assert url.startswith(str(storage.new._base_url))
        assert await storage.url("old.txt") == await storage.new.url("old.txt")
        assert not asked


async def test_files_that_the_new_storage_has_are_asked_for_once(tmp_path):
    async with served(tmp_path / "new", make=Counting) as new, served(tmp_path / "old") as old:
        storage = FallbackStorage(new, old)
        await new.upload(b"today", "new.txt")
        await old.upload(b"before", "old.txt")
        for _ in range(5):
            await storage.presigned_urls(["new.txt", "old.txt"])
        assert new.asked == {"new.txt": 1, "old.txt": 5}
        await storage.within("folder").upload(b"", "a.txt")
        await storage.presigned_urls(["folder/a.txt"])
        assert "folder/a.txt" not in new.asked


class Counting(LocalStorage):
    """Counts the questions for each key."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.asked = Counter()

    async def exists(self, name):
        self.asked[self.identify(name).key] += 1
        return await super().exists(name)


def test_what_is_known_of_files_has_an_end():
    known = KnownFiles()
    for number in range(10_001):
        known.add(str(number))
        assert "0" in known
    assert "1" not in known
    assert {"0", "2", "10000"} <= {each for each in map(str, range(10_001)) if each in known}


# ---- what it is made of


def test_storages_that_cannot_be_one(tmp_path):
    s3 = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
    one = S3Storage("photos", endpoint_url="https://one.example.com", **s3)
    folder = LocalStorage(tmp_path)
    cases = [
        (one, S3Storage("films", endpoint_url="https://two.example.com", **s3), r"'s3:photos/…'.* has 's3:films/…'"),
        (one, S3Storage("photos", endpoint_url="https://two.example.com", prefix="a", **s3), "has 's3:photos/a/…'"),
        (folder, MemoryStorage(), "must be the same"),
        (folder, LocalStorage(tmp_path), "different places"),
        (folder, folder, "different places"),
        (folder, "files", "old of a FallbackStorage must be a storage, not str"),
        (FastDFSStorage(FastdfsConfig(tracker_servers=["127.0.0.1"])), folder, "chooses the ids"),
    ]
    for new, old, message in cases:
        with pytest.raises(InvalidArgumentException, match=message):
            FallbackStorage(new, old)
    with registry.isolated(), pytest.raises(InvalidArgumentException, match="registered as 'documents'"):
        FallbackStorage(MemoryStorage(name="documents"), MemoryStorage())
    with pytest.raises(InvalidArgumentException, match="presign is 'found' or 'new', not 'old'"):
        FallbackStorage(MemoryStorage(), MemoryStorage(), presign="old")
    with pytest.raises(TypeError):
        FallbackStorage(MemoryStorage())


def test_it_can_what_its_storages_can(tmp_path):
    bare = type("Bare", (MemoryStorage,), {"scheme": "mem", "list": None})
    always = {SupportsList, SupportsCopy, SupportsMetadata, SupportsFolders}
    all_of_them = always | {SupportsPresign, SupportsPing, SupportsPartUploads, SupportsDirectUpload}
    s3 = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
    buckets = [S3Storage("photos", endpoint_url=f"https://{host}.example.com", **s3) for host in ("one", "two")]
    expected = {
        FallbackStorage(MemoryStorage(), MemoryStorage()): always,
        FallbackStorage(LocalStorage(tmp_path / "a"), LocalStorage(tmp_path / "b")): all_of_them - {SupportsPing},
        FallbackStorage(*buckets): all_of_them,
        FallbackStorage(new=buckets[0], old=buckets[1]): all_of_them,
        FallbackStorage(MemoryStorage(), bare()): always - {SupportsList},
    }
    for storage, powers in expected.items():
        assert {power for power in all_of_them if isinstance(storage, power)} == powers
        assert isinstance(storage, FallbackStorage)
        assert type(copy.copy(storage)) is type(storage)
        assert not [power for power in all_of_them - powers for name in vars(power) if _has(storage, name)]


def _has(storage, name):
    return not name.startswith("_") and name != "ping" and callable(getattr(storage, name, None))


async def test_it_opens_and_closes_both(storage, new, old):
    async with storage:
        await storage.upload(b"", "a.txt")
    for each in (storage, new, old):
        with pytest.raises(StorageClosedException):
            await each.read("a.txt")
    async with storage:
        assert await new.exists("a.txt")
        assert await storage.exists("a.txt")


async def test_folders_keep_both(storage, old):
    await old.upload(b"before", "tenants/acme/a.txt")
    await old.upload(b"before", "tenants/other/b.txt")
    tenant = storage.within("tenants", "acme")
    await tenant.upload(b"today", "c.txt")
    assert await tenant.read("a.txt") == b"before"
    assert await keys(tenant) == ["tenants/acme/a.txt", "tenants/acme/c.txt"]
    assert not await tenant.exists("b.txt")


async def test_one_event_for_each_operation(storage, old):
    told = []
    await old.upload(b"before", "a.txt")
    events.hooks.append(told.append)
    try:
        await storage.read("a.txt")
        await storage.copy("a.txt", "b.txt")
        await storage.delete("a.txt")
        await old.exists("a.txt")  # of its own
    finally:
        events.hooks.remove(told.append)
    outcomes = [(event.operation, event.outcome) for event in told]
    assert outcomes == [("stream", "ok"), ("copy", "ok"), ("delete", "ok"), ("stat", "FileNotFoundException")]


def test_without_await(tmp_path):
    old = LocalStorage(tmp_path / "old")
    old.sync.upload(b"before", "a.txt")
    with FallbackStorage(LocalStorage(tmp_path / "new"), old, copy_on_read=True).sync as storage:
        assert storage.read("a.txt") == b"before"
        assert [info.file_name for info in storage.list()] == ["a.txt"]
    assert (tmp_path / "new" / "a.txt").read_bytes() == b"before"


async def test_a_manager_and_a_registry_have_it_as_one_storage(new, old):
    with registry.isolated():
        storage = FallbackStorage(new, old, name="documents")
        await old.upload(b"before", "a.txt")
        assert registry.find("mem:a.txt") is storage
        manager = StorageManager.from_storages(storage)
        assert await manager.download_service.download_bytes("mem:a.txt") == b"before"
        attached = await manager.upload_service.upload_bytes("b.txt", b"today")
        assert await new.exists(attached.file_id)
        await manager.delete_service.delete_files(["mem:a.txt"])
        assert not await old.exists("a.txt")
        assert await manager.within("folder").upload_service.upload_bytes("c.txt", b"")
        with pytest.raises(InvalidArgumentException, match="make them one with FallbackStorage"):
            StorageManager.from_storages(new, old)


async def test_a_storage_that_is_read_only_as_a_whole(new, old):
    storage = FallbackStorage(new, old, read_only=True, copy_on_read=True)
    await old.upload(b"before", "a.txt")
    assert await storage.read("a.txt") == b"before"
    assert await keys(new) == []
    with pytest.raises(DeleteNotSupportedException):
        await storage.delete("a.txt")


async def test_stable_urls_and_windows(tmp_path):
    async with two_folders(tmp_path) as storage:
        await storage.old.upload(b"before", "a.txt")
        window = timedelta(days=1)
        first, again = [(await storage.presigned_urls(["a.txt"], stable=window))[0] for _ in range(2)]
        assert first == again
