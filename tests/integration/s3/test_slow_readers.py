"""Readers who stand still: they starve nobody, and lose nothing."""

import asyncio
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from hashlib import shake_256

import pytest

from async_storages.backends.buckets.server_errors import FileChanged
from async_storages.errors import StorageClosedException
from tests.support.s3 import FAST

CONTENT = shake_256(b"content").digest(12_000_000)  # more than systems buffer
FOUR = replace(FAST, max_connections=4)  # three of them for downloads


@pytest.fixture
async def storage(s3):
    storage = await s3(options=FOUR)
    await storage.upload(CONTENT, "large.bin")
    return storage


async def standing_still(storage, opened, count):
    """Readers of the file who have taken its first piece."""
    readers = []
    for _ in range(count):
        chunks = await opened.enter_async_context(aclosing(storage.stream("large.bin")))
        readers.append((chunks, await anext(chunks)))
    return readers


async def rest(reader):
    chunks, first = reader
    return first + b"".join([chunk async for chunk in chunks])


async def test_uploads_questions_and_deletes_go_on(storage):
    async with AsyncExitStack() as opened:
        await standing_still(storage, opened, 3)
        await storage.upload(b"small", "small.txt")
        assert await storage.exists("small.txt")
        await storage.delete("small.txt")
        assert [info.file_name async for info in storage.list()] == ["large.bin"]


async def test_ten_readers_share_three_connections_and_all_get_all(storage):
    async with AsyncExitStack() as opened:
        readers = await standing_still(storage, opened, 10)
        assert await storage.read("large.bin") == CONTENT
        assert set(await asyncio.gather(*(rest(reader) for reader in readers))) == {CONTENT}


async def test_a_range_goes_on_where_it_was(storage):
    async with AsyncExitStack() as opened:
        chunks = await opened.enter_async_context(aclosing(storage.stream("large.bin", 1000, 5_000_000)))
        first = await anext(chunks)
        await standing_still(storage, opened, 3)
        assert await rest((chunks, first)) == CONTENT[1000:5_001_000]


async def test_of_a_file_that_was_replaced_meanwhile_nobody_gets_a_mixture(storage):
    async with AsyncExitStack() as opened:
        *_, reader = await standing_still(storage, opened, 4)  # the last of them had to wait, and has no connection
        await storage.upload(CONTENT[::-1], "large.bin")
        with pytest.raises(FileChanged):
            await rest(reader)


async def test_a_small_file_does_not_wait_for_readers_who_keep_up(storage):
    await storage.upload(b"small", "small.txt")
    async with AsyncExitStack() as opened:
        readers = await standing_still(storage, opened, 3)
        small = asyncio.create_task(storage.read("small.txt"))
        taken = [len(first) for _, first in readers]
        while not small.done():
            for number, (chunks, _) in enumerate(readers):
                taken[number] += len(await anext(chunks))
        assert await small == b"small"
    assert max(taken) < len(CONTENT) / 2


async def test_who_had_to_wait_keeps_nobody_waiting(storage):
    await storage.upload(CONTENT[:900_000], "middling.bin")
    async with AsyncExitStack() as opened:
        readers = await standing_still(storage, opened, 3)
        chunks = await opened.enter_async_context(aclosing(storage.stream("middling.bin", chunk_size=100_000)))
        waited = chunks, await anext(chunks)
        await storage.upload(b"other", "middling.bin")
        assert await rest(waited) == CONTENT[:900_000]  # it has all of it already
        assert await rest(readers[2]) == CONTENT


async def test_what_came_whole_keeps_no_connection(storage):
    await storage.upload(b"small", "small.txt")
    async with AsyncExitStack() as opened:
        for _ in range(3):
            chunks = await opened.enter_async_context(aclosing(storage.stream("small.txt")))
            assert await anext(chunks) == b"small"
        slots = await storage._client.wire.download_slots()
        assert slots.free_one() is not None


async def test_a_reader_who_comes_back_to_a_closed_storage_is_told(storage):
    async with AsyncExitStack() as opened:
        readers = await standing_still(storage, opened, 4)
        await storage.aclose()
        for reader in readers:
            with pytest.raises(StorageClosedException):
                await rest(reader)
