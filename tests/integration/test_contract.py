"""The contract, on every storage of the package."""

import asyncio

import pytest

from async_storages import LocalStorage, MemoryStorage
from async_storages.testing import StorageContract
from tests.support.local_server import served


class TestMemoryStorage(StorageContract):
    @pytest.fixture
    def storage(self):
        return MemoryStorage()


class LocalContract(StorageContract):
    """Drafts and descriptions without a file are left over."""

    async def leftovers(self, storage):
        return await asyncio.to_thread(private_files, storage.root)


def private_files(root):
    return [path.name for folder in ("drafts", "meta") for path in (root / ".async_storages" / folder).glob("*")]


class TestLocalStorage(LocalContract):
    @pytest.fixture
    async def storage(self, tmp_path):
        async with LocalStorage(tmp_path / "files") as storage:
            yield storage


class TestLocalStorageServed(LocalContract):
    @pytest.fixture
    async def storage(self, tmp_path):
        async with served(tmp_path / "files") as storage:
            yield storage


class TestLocalStorageFlushed(LocalContract):
    @pytest.fixture
    async def storage(self, tmp_path):
        async with LocalStorage(tmp_path / "files", fsync=True) as storage:
            yield storage
