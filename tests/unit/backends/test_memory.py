"""What MemoryStorage promises besides the contract."""

import pickle

import pytest

from async_storages import (
    AccessDeniedException,
    DeleteNotSupportedException,
    MemoryStorage,
    RouteNotSupportedException,
    StorageException,
    StoredFile,
    registry,
)


async def test_read_only_storage_refuses_changes_and_is_read():
    storage = MemoryStorage()
    await storage.upload(b"content", "a.txt")
    storage.read_only = True

    for change in (storage.upload(b"new", "a.txt"), storage.copy("a.txt", "b.txt"), storage.set_metadata("a.txt", {})):
        with pytest.raises(AccessDeniedException, match="read_only=True"):
            await change
    with pytest.raises(DeleteNotSupportedException):
        await storage.delete("a.txt")
    assert await storage.read("a.txt") == b"content"
    assert [info.file_id async for info in storage.list()] == ["mem:a.txt"]


async def test_a_name_registers_the_storage():
    with registry.override("default", MemoryStorage()):
        storage = MemoryStorage(name="thumbnails")
        try:
            await storage.upload(b"content", "a.txt")
            assert await StoredFile("mem:a.txt", "thumbnails").read() == b"content"
        finally:
            registry.unregister("thumbnails")


async def test_two_storages_share_nothing():
    one, other = MemoryStorage(), MemoryStorage()
    await one.upload(b"content", "a.txt")
    assert not await other.exists("a.txt")


async def test_url_is_a_uri_that_leads_nowhere():
    assert await MemoryStorage().url("a b/c#d?.txt") == "mem:a%20b/c%23d%3F.txt"


async def test_repr_counts_files_and_names_none():
    storage = MemoryStorage()
    await storage.upload(b"content", "confidential.txt")
    assert repr(storage) == "<MemoryStorage, 1 files>"


def test_options_that_do_not_exist_are_refused():
    with pytest.raises(TypeError):
        MemoryStorage(root="files")
    with pytest.raises(StorageException):
        MemoryStorage(name="")


def test_a_pickled_file_of_one_memory_is_not_served_by_another():
    with registry.override("default", MemoryStorage()):
        file = pickle.loads(pickle.dumps(StoredFile("mem:a", MemoryStorage())))
        with pytest.raises(RouteNotSupportedException):
            _ = file.storage
