"""Lifecycle: close, reopen, use from many tasks, other loops and a child process. Nothing blocks the loop."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Any

import pytest

from async_storages.errors import StorageClosedException
from async_storages.storage.base import Storage
from async_storages.testing.contract.base import ContractGroup
from async_storages.testing.contract.operations import FIVE, uses_of
from async_storages.testing.contract.processes import in_child
from async_storages.testing.contract.sources import pieces_later

__all__ = ["LifecycleContract"]

_AT_ONCE = 200


class LifecycleContract(ContractGroup):
    """`aclose`, `async with`, and the use of a storage before, between and after them."""

    async def test_lifecycle_use_after_close(self, storage: Storage) -> None:
        """A closed storage refuses every operation, and names it. It neither hangs nor reopens itself."""
        key = await storage.upload(FIVE, "file.txt")
        uses = await uses_of(storage)
        await storage.aclose()
        for name, use in uses.items():
            with pytest.raises(StorageClosedException) as caught:
                await use.call(storage, key)
            assert caught.value.operation, name

    async def test_lifecycle_close_twice(self, storage: Storage) -> None:
        """A closed storage can be closed again."""
        await storage.upload(FIVE, "file.txt")
        await storage.aclose()
        await storage.aclose()

    async def test_lifecycle_close_unused(self, storage: Storage) -> None:
        """An unused storage can be closed."""
        await storage.aclose()

    async def test_lifecycle_reopen(self, storage: Storage) -> None:
        """A storage can be reopened any number of times, and still has its files."""
        key = await storage.upload(FIVE, "file.txt")
        for _ in range(3):
            await storage.aclose()
            async with storage as opened:
                assert opened is storage
                assert await storage.read(key) == FIVE
            with pytest.raises(StorageClosedException):
                await storage.read(key)

    async def test_lifecycle_many_at_once(self, storage: Storage) -> None:
        """200 concurrent tasks write, read, stat and delete, and each finds its own file."""

        async def work(n: int) -> None:
            content = n.to_bytes(2) * (n + 1)
            stored = await storage.save(pieces_later(content), f"{n}.bin")
            await asyncio.sleep(0)
            assert await stored.read() == content
            assert await stored.get_size() == len(content)
            await stored.delete()
            await asyncio.sleep(0)
            assert not await stored.exists()

        async with self.unchanged(storage):
            await asyncio.gather(*(work(n) for n in range(_AT_ONCE)))

    async def test_lifecycle_another_loop(self, storage: Storage) -> None:
        """A closed storage serves another event loop, and then the first one again."""
        key = await storage.upload(FIVE, "file.txt")
        await storage.aclose()
        await asyncio.to_thread(asyncio.run, _use(storage, key))
        await _use(storage, key)

    if hasattr(os, "fork"):

        async def test_lifecycle_child_after_fork(self, storage: Storage) -> None:
            """A child forked while the storage is open uses it, and the parent notices nothing."""
            key = await storage.upload(FIVE, "file.txt")
            assert await asyncio.to_thread(in_child, lambda: _use(storage, key)) == ""
            assert await storage.read(key) == FIVE
            await storage.upload(FIVE, "file.txt")

    if find_spec("blockbuster"):

        async def test_lifecycle_nothing_blocks_the_loop(self, storage: Storage) -> None:
            """No operation sleeps, or waits for a file or socket, while others could run."""
            from blockbuster import blockbuster_ctx  # noqa: PLC0415 - checked for above

            uses = await uses_of(storage)
            for use in uses.values():  # once before, for imports on first use
                await use.call(storage, await storage.upload(FIVE, "file.txt"))
            with blockbuster_ctx("async_storages"):
                for use in uses.values():
                    await use.call(storage, await storage.upload(FIVE, "file.txt"))
                async with _reopened(storage):
                    await storage.read(await storage.upload(FIVE, "file.txt"))


async def _use(storage: Storage, key: str) -> None:
    async with storage:
        assert await storage.read(key) == FIVE
        stored = await storage.save(b"content", "file.txt")
        assert await stored.read() == b"content"
        await stored.delete()


@asynccontextmanager
async def _reopened(storage: Any) -> AsyncIterator[None]:
    await storage.aclose()
    async with storage:
        yield
