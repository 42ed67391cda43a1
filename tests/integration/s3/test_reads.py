"""Reads that are cut, raced, falsified, or never finished."""

from contextlib import aclosing, suppress
from dataclasses import replace
from hashlib import shake_256
from io import BytesIO

import pytest

from async_storages.errors import (
    ChecksumMismatchException,
    FileNotFoundException,
    StorageClosedException,
    StorageOperationException,
)
from async_storages.testing.contract.cancellation import every_cancellation
from async_storages.testing.faults import Answer, Reset, Truncate, response_body, response_header
from tests.support.s3 import FAST
from tests.support.streams import collect

OLD, NEW = (shake_256(seed).digest(300_000) for seed in (b"old", b"new"))


# ---- cut


RANGES = {
    "whole": (0, None, OLD),
    "inside": (1_000, 200_000, OLD[1_000:201_000]),
    "to the end": (1_000, None, OLD[1_000:]),
    "suffix": (-200_000, None, OLD[-200_000:]),
    "part of a suffix": (-200_000, 150_000, OLD[-200_000:-50_000]),
}


@pytest.mark.parametrize(("offset", "length", "expected"), RANGES.values(), ids=RANGES)
async def test_a_read_that_is_cut_again_and_again_gives_the_right_bytes(
    proxied, proxy, storage, offset, length, expected
):
    await storage.upload(OLD, "file")
    behind = await proxied(options=FAST)
    for fault, place in ((Truncate(), "middle"), (Reset(), "middle"), (Truncate(), -1)):
        proxy.inject(fault, response_body(place))
    assert await collect(behind.stream("file", offset, length)) == expected
    assert proxy.fired == 3


CHANGES = {
    "another version": (lambda storage: storage.upload(NEW, "file"), StorageOperationException, "was replaced"),
    "a shorter one": (lambda storage: storage.upload(b"new", "file"), StorageOperationException, "was replaced"),
    "deleted": (lambda storage: storage.delete("file"), FileNotFoundException, "no such file"),
}


@pytest.mark.parametrize(("change", "kind", "reason"), CHANGES.values(), ids=CHANGES)
async def test_a_file_that_changes_while_it_is_read_is_never_mixed(proxied, proxy, storage, change, kind, reason):
    await storage.upload(OLD, "file")
    behind = await proxied(options=FAST)
    proxy.inject(Truncate(), response_body("middle"))
    received = bytearray()

    async def read_on(chunks):
        async for chunk in chunks:
            received.extend(chunk)

    async with aclosing(behind.stream("file", chunk_size=1_000)) as chunks:
        received += await anext(chunks)
        await change(storage)
        with pytest.raises(kind, match=reason) as caught:
            await read_on(chunks)
    assert OLD.startswith(received)
    assert (caught.value.operation, caught.value.file_id) == ("stream", f"s3:{behind.bucket}/file")


# ---- falsified


@pytest.mark.parametrize("way", ["read", "open", "download_to file", "download_to path"])
async def test_other_bytes_than_were_stored_are_noticed(proxied, proxy, storage, way, tmp_path):
    await storage.upload(OLD, "file")
    await storage.read("file")  # now it is known that the server gives checksums
    found = await storage._client.head_object(storage.bucket, "file")
    kept = {name: found[name] for name in ("ETag", "x-amz-checksum-crc32")}
    proxy.inject(Answer(200, OLD[:-1] + b"?", kept), response_header())
    method, _, target = way.partition(" ")
    targets = {"file": [BytesIO()], "path": [tmp_path / "file"], "": []}[target]
    with pytest.raises(ChecksumMismatchException, match="crc32"):
        await getattr(await proxied(options=FAST), method)("file", *targets)
    assert list(tmp_path.iterdir()) == []


# ---- not finished


LARGE = bytes(8 << 20)  # more than fits into the buffers on the way


async def leave(stream):
    async for _ in stream:
        break


async def close(stream):
    await anext(stream)
    await stream.aclose()


async def fail(stream):
    with suppress(ZeroDivisionError):
        async with aclosing(stream):
            await anext(stream)
            raise ZeroDivisionError


@pytest.fixture
async def single(s3):
    """A storage with no more than one connection."""
    storage = await s3(options=replace(FAST, max_connections=1))
    await storage.upload(LARGE, "file")
    return storage


@pytest.mark.parametrize("abandon", [leave, close, fail], ids=lambda way: way.__name__)
async def test_an_abandoned_read_gives_its_connection_back(single, abandon):
    for _ in range(3):
        await abandon(single.stream("file", chunk_size=4_096))
    assert await single.get_size("file") == len(LARGE)


async def test_a_cancelled_read_gives_its_connection_back(single):
    async for suspension in every_cancellation(lambda: single.read("file")):
        assert await single.get_size("file") == len(LARGE)
        if suspension == 10:  # then one chunk is as the other
            break


async def test_a_read_ends_in_our_error_when_the_storage_is_closed(storage):
    await storage.upload(bytes(20 << 20), "a.bin")
    async with aclosing(storage.stream("a.bin")) as chunks:
        await anext(chunks)
        await storage.aclose()
        with pytest.raises(StorageClosedException):
            async for _ in chunks:
                pass
