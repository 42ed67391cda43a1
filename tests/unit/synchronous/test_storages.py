"""Storages without await."""

import inspect

import pytest

from async_storages import (
    FileExistsException,
    FileNotFoundException,
    LocalStorage,
    OperationNotSupportedException,
    Storage,
    StorageClosedException,
)
from async_storages.synchronous.storages import SyncStorage


@pytest.fixture
def storage(tmp_path):
    return LocalStorage(tmp_path / "files", base_url="http://files.example", secret_key="secret")


def test_all_that_a_storage_can_do(storage, tmp_path):
    sync = storage.sync
    assert sync.upload(b"hello", "notes/hello.txt") == "notes/hello.txt"
    assert (sync.read("notes/hello.txt"), sync.get_size("notes/hello.txt")) == (b"hello", 5)
    assert sync.stat("notes/hello.txt").file_size == 5
    assert b"".join(sync.stream("notes/hello.txt", chunk_size=2)) == b"hello"
    assert sync.copy("notes/hello.txt", "copy.txt") == "file:copy.txt"
    assert [info.file_name for info in sync.list()] == ["copy.txt", "hello.txt"]
    assert len(sync.presigned_urls(["copy.txt"])) == 1
    with pytest.raises(FileExistsException):
        sync.upload(b"other", "copy.txt", overwrite=False)
    sync.delete_many(["copy.txt", "notes/hello.txt"])
    with pytest.raises(FileNotFoundException):
        sync.read("copy.txt")


def test_an_open_file_and_an_iterable(storage, tmp_path):
    (tmp_path / "source.txt").write_bytes(b"from a file")
    with (tmp_path / "source.txt").open("rb") as file:
        assert storage.sync.save(file, "a.txt").sync.read() == b"from a file"
    assert storage.sync.save(iter([b"1", b"2"]), "b.txt").sync.read() == b"12"


def test_with_closes_it(storage):
    with storage.sync as sync:
        sync.upload(b"", "a.txt")
    with pytest.raises(StorageClosedException):
        storage.sync.read("a.txt")


class Minimal(Storage):
    scheme = "minimal"

    async def write(self, content, key, *, overwrite=True):
        raise NotImplementedError

    async def stream(self, name, offset=0, length=None, *, chunk_size=1):
        yield b"content"

    async def stat(self, name):
        raise NotImplementedError

    async def delete(self, name):
        raise NotImplementedError

    async def url(self, name):
        return "http://files.example/"


def test_a_method_that_the_storage_lacks():
    with pytest.raises(OperationNotSupportedException, match=r"Minimal has no list\(\)"):
        list(Minimal().sync.list())
    with pytest.raises(OperationNotSupportedException, match=r"Minimal has no copy\(\)"):
        Minimal().sync.copy("a", "b")
    assert Minimal().sync.read("a") == b"content"


def test_each_coroutine_of_a_storage_has_its_synchronous_method():
    methods = {
        name
        for name, method in inspect.getmembers(Storage)
        if not name.startswith("_") and (inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method))
    }
    assert methods - {"write"} <= set(dir(SyncStorage))  # which is for backends
