"""Reads that are cut, raced or falsified."""

from contextlib import aclosing
from hashlib import shake_256

import pytest

from async_storages.backends.gcs.download import GCSDownload
from async_storages.errors import ChecksumMismatchException, FileNotFoundException, StorageOperationException
from async_storages.testing.faults import Answer, Reset, Truncate, response_body, response_header
from tests.support.gcs import FAST
from tests.support.streams import collect, until_failure

OLD, NEW = (shake_256(seed).digest(300_000) for seed in (b"old", b"new"))

RANGES = {
    "whole": (0, None),
    "inside": (1_000, 200_000),
    "suffix": (-200_000, None),
    "part of a suffix": (-200_000, 150_000),
}


@pytest.mark.parametrize(("offset", "length"), RANGES.values(), ids=RANGES)
async def test_a_read_that_is_cut_again_and_again_gives_the_right_bytes(proxied, proxy, storage, offset, length):
    await storage.upload(OLD, "file")
    behind = await proxied(options=FAST)
    for fault, place in ((Truncate(), "middle"), (Reset(), "middle"), (Truncate(), -1)):
        proxy.inject(fault, response_body(place), when=lambda method, path: "alt=media" in path)
    assert await collect(behind.stream("file", offset, length)) == OLD[offset:][:length]
    assert proxy.fired == 3


CHANGES = {
    "another version": (lambda storage: storage.upload(NEW, "file"), StorageOperationException, "was replaced"),
    "a shorter one": (lambda storage: storage.upload(b"new", "file"), StorageOperationException, "was replaced"),
    "the same content again": (lambda storage: storage.upload(OLD, "file"), StorageOperationException, "was replaced"),
    "deleted": (lambda storage: storage.delete("file"), FileNotFoundException, "no such file"),
}


@pytest.mark.parametrize(("change", "kind", "reason"), CHANGES.values(), ids=CHANGES)
async def test_a_file_that_changes_while_it_is_read_is_never_mixed(proxied, proxy, storage, change, kind, reason):
    await storage.upload(OLD, "file")
    behind = await proxied(options=FAST)
    proxy.inject(Truncate(), response_body("middle"), when=lambda method, path: "alt=media" in path)
    async with aclosing(behind.stream("file", chunk_size=1_000)) as chunks:
        first = await anext(chunks)
        await change(storage)
        rest, failure = await until_failure(chunks)
    assert OLD.startswith(first + rest)
    assert isinstance(failure, kind)
    assert reason in failure.reason
    assert (failure.operation, failure.file_id) == ("stream", f"gs:{behind.bucket}/file")


async def test_other_bytes_than_were_stored_are_noticed(proxied, proxy, storage):
    await storage.upload(OLD, "file")
    found = await storage._client.find(storage.bucket, "file")
    said = {"X-Goog-Generation": found.generation, "X-Goog-Hash": f"crc32c=AAAAAA==,md5={found.md5}"}
    proxy.inject(Answer(200, OLD[:-1] + b"?", said), response_header(), when=lambda method, path: "alt=media" in path)
    with pytest.raises(ChecksumMismatchException, match="md5"):
        await (await proxied(options=FAST)).read("file")


async def test_what_is_stored_packed_comes_packed(proxied, proxy, storage):
    """GCS would unpack it for who does not say that he takes gzip, and tell neither size nor range then."""
    await storage.upload(OLD, "file")
    assert GCSDownload(0, None).headers() == {"Accept-Encoding": "gzip"}
    packed = {"Content-Encoding": "gzip", "X-Goog-Generation": "1"}
    proxy.inject(Answer(200, b"packed", packed), response_header(), when=lambda method, path: "alt=media" in path)
    assert await (await proxied(options=FAST)).read("file") == b"packed"
