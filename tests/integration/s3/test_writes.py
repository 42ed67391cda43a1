"""Writes that fail, are cancelled, or are not heard of; and what they leave."""

import asyncio
import subprocess
import sys
from dataclasses import replace
from hashlib import shake_256
from pathlib import Path

import pytest

from async_storages.backends.s3 import multipart
from async_storages.backends.transport.http import HttpOptions
from async_storages.backends.transport.retries import Retries
from async_storages.errors import (
    ChecksumMismatchException,
    FileExistsException,
    FileNotFoundException,
    InvalidArgumentException,
    StorageOperationException,
    StorageUnavailableException,
)
from async_storages.testing import faults
from async_storages.testing.contract.cancellation import every_cancellation
from async_storages.testing.contract.sources import BrokenSourceError, pieces_later
from async_storages.testing.faults import Answer, Reset, Truncate, request_body, request_header, response_header
from tests.support.creators import check_that_one_succeeds
from tests.support.patience import HANGS, TIME_OUT, Stall
from tests.support.s3 import FAST, copy_in_parts
from tests.support.streams import stream

PART = 5 << 20  # bytes, the fewest that S3 takes
CONTENT = shake_256(b"content").digest(100_000)
LARGE = shake_256(b"large").digest(1 << 20) * 5 + CONTENT  # a part, and another


@pytest.fixture
def part_size():
    return PART


async def left_in(storage):
    """Keys, and open uploads."""
    keys = [info.file_id.rpartition("/")[2] async for info in storage.list()]
    return keys + await storage._client.list_multipart_uploads(storage.bucket)


def asks(method, *flags):
    return lambda asked, path: asked == method and all(flag in path for flag in flags)


# ---- cancelled


SIZES = pytest.mark.parametrize("content", [CONTENT, LARGE], ids=["put", "multipart"])


@SIZES
async def test_a_cancelled_write_of_a_new_file_leaves_nothing(storage, content):
    """Cancelled at each of its awaits, the last one included."""
    async for _ in every_cancellation(lambda: storage.upload(content, "new", overwrite=False)):
        assert await left_in(storage) == []
    assert await left_in(storage) == ["new"]


@SIZES
async def test_a_cancelled_write_over_a_file_leaves_one_of_them_whole(storage, content):
    await storage.upload(b"old", "file")
    async for _ in every_cancellation(lambda: storage.upload(content, "file")):
        assert await storage.read("file") in {b"old", content}
        assert await left_in(storage) == ["file"]
        await storage.upload(b"old", "file")


async def test_a_write_is_cancelled_in_time_though_the_server_hangs(proxied, proxy, storage):
    """Before all was sent at once, and after that when the clean-up has taken as long as it may."""
    options = HttpOptions(read_timeout=1000, cleanup_timeout=TIME_OUT)
    for place in (request_body("middle"), response_header()):
        behind = await proxied(options=options)
        stall = proxy.inject(Stall(), place, when=asks("PUT"))
        writing = asyncio.create_task(behind.upload(CONTENT, "new", overwrite=False))
        await stall.wait_fired()
        writing.cancel()
        async with asyncio.timeout(HANGS):
            with pytest.raises(asyncio.CancelledError):
                await writing
        proxy.release()


# ---- failed


async def test_what_cannot_be_aborted_does_not_hide_why(proxied, proxy, storage):
    proxy.inject(Answer.s3_error("AccessDenied", 403), request_header(), when=asks("DELETE", "uploadId"))
    behind = await proxied(options=FAST)
    with pytest.raises(BrokenSourceError) as caught:
        await behind.upload(stream(LARGE, LARGE, BrokenSourceError()), "new")
    assert "could not be cleaned up either: S3 refused (403 AccessDenied)" in caught.value.__notes__[0]
    [(key, upload_id)] = await left_in(storage)
    await storage._client.abort_multipart_upload(storage.bucket, key, upload_id)


async def test_a_part_that_keeps_failing_ends_the_upload(proxied, proxy, storage):
    proxy.inject(Answer.s3_error("SlowDown"), request_header(), times=None, when=asks("PUT", "partNumber=2"))
    behind = await proxied(options=FAST)
    with pytest.raises(StorageUnavailableException, match="503 SlowDown") as caught:
        await behind.upload(LARGE, "new")
    assert (caught.value.operation, caught.value.file_id) == ("write", f"s3:{behind.bucket}/new")
    assert await left_in(storage) == []


@pytest.mark.parametrize("size", [len(LARGE) - 1, len(LARGE) + 1], ids=["longer", "shorter"])
async def test_a_body_of_another_size_than_declared_is_not_stored(storage, size):
    with pytest.raises(InvalidArgumentException):
        await storage.upload(pieces_later(LARGE), "new", size=size)
    assert await left_in(storage) == []


@SIZES
async def test_a_body_of_another_checksum_than_expected_is_not_stored(storage, content):
    with pytest.raises(ChecksumMismatchException):
        await storage.upload(content, "new", expected={"crc32": "0" * 8})
    assert await left_in(storage) == []


async def test_the_server_looks_at_the_checksum(s3, storage, monkeypatch):
    """Of every body: what is altered on the way is refused, and tried again."""
    # in place of a network that alters the body, whose signature would be noticed first
    monkeypatch.setattr("async_storages.backends.s3.checksums.crc32", lambda body: "AAAAAA==")
    impatient = await s3(options=replace(FAST, retries=Retries(attempts=1)))
    for content in (CONTENT, LARGE):
        with pytest.raises(ChecksumMismatchException, match=r"400 (BadDigest|XAmz)"):
            await impatient.upload(content, "new")
        assert await left_in(storage) == []


# ---- not heard of


@SIZES
async def test_a_new_file_of_which_the_answer_was_lost_is_not_taken_for_anothers(proxied, proxy, content):
    behind = await proxied(options=FAST)
    is_last = asks("POST", "uploadId") if content is LARGE else asks("PUT")
    lost = proxy.inject(Reset(), response_header(), when=is_last)
    await behind.upload(content, "new", overwrite=False, metadata={"a": "合同"})
    assert lost.fired
    assert await behind.read("new") == content
    with pytest.raises(FileExistsException):
        await behind.upload(content, "new", overwrite=False, metadata={"a": "合同"})


@SIZES
async def test_anothers_file_is_anothers_though_the_answer_was_lost(proxied, proxy, storage, content):
    await storage.upload(b"anothers", "new")
    behind = await proxied(options=FAST)
    is_last = asks("POST", "uploadId") if content is LARGE else asks("PUT")
    proxy.inject(Truncate(), response_header(), when=is_last)
    with pytest.raises(FileExistsException):
        await behind.upload(content, "new", overwrite=False)
    assert await storage.read("new") == b"anothers"
    assert await left_in(storage) == ["new"]


async def test_of_many_who_create_one_file_one_succeeds_though_answers_are_lost(proxied, proxy):
    await check_that_one_succeeds(await proxied(options=FAST), proxy, asks("PUT"))


# ---- metadata, on the server


async def test_metadata_is_set_though_the_answer_was_lost(proxied, proxy, storage):
    """Of a file of parts, whose ETag the copy changes."""
    await storage.upload(LARGE, "file", metadata={"a": "1"})
    behind = await proxied(options=FAST)
    lost = proxy.inject(Reset(), response_header(), when=asks("PUT"))
    await behind.set_metadata("file", {"b": "2"})
    assert lost.fired
    assert (await storage.info("file")).metadata == {"b": "2"}
    assert await storage.read("file") == LARGE


async def test_a_copy_of_a_file_that_is_replaced_meanwhile_is_none(storage, proxied, proxy):
    await storage.upload(b"old", "a")
    held = proxy.inject(faults.Stall(), request_header(), when=asks("PUT"))
    copied = asyncio.ensure_future((await proxied()).copy("a", "b"))
    await held.wait_fired()  # it has found the old file
    await storage.upload(b"new", "a")
    held.release()
    with pytest.raises(StorageOperationException, match="replaced while it was copied"):
        await copied
    with pytest.raises(FileNotFoundException):
        await storage.read("b")


async def test_large_files_are_copied_in_parts(storage, monkeypatch):
    copy_in_parts(monkeypatch, PART, PART)
    await storage.upload(LARGE, "a", content_type="a/b", metadata={"a": "合同"})
    await storage.copy("a", "b", overwrite=False)
    info = await storage.info("b")
    assert await storage.read("b") == LARGE
    assert (info.content_type, info.metadata, info.etag[-2:]) == ("a/b", {"a": "合同"}, "-2")
    with pytest.raises(FileExistsException):
        await storage.copy("a", "b", overwrite=False)
    assert await left_in(storage) == ["a", "b"]


# ---- memory


MEASURE = """
import asyncio, hashlib, sys
from pathlib import Path
from async_storages import S3Storage

async def produced(size):
    chunk = bytes(range(256)) * 1024
    for _ in range(size // len(chunk)):
        yield chunk

def peak():
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024

def reset():
    Path("/proc/self/clear_refs").write_text("5")
    return peak()

async def main(endpoint_url, bucket, key, secret):
    storage = S3Storage(bucket, endpoint_url=endpoint_url, aws_access_key_id=key, aws_secret_access_key=secret)
    async with storage:
        await storage.upload(produced(1 << 20), "warm")
        await storage.read("warm")
        idle = reset()
        await storage.upload(produced(256 << 20), "large")
        up = peak() - idle
        idle = reset()
        size = 0
        async for chunk in storage.stream("large"):
            size += len(chunk)
        print(f"{up:.1f} {peak() - idle:.1f} {size >> 20}")

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells the peak of a while")
def test_a_large_file_needs_little_memory(s3_server, s3_bucket):
    """256 MiB of unknown size: no more than the parts in flight and two."""
    keys = (s3_server.access_key_id, s3_server.secret_access_key)
    command = [sys.executable, "-W", "error", "-c", MEASURE, s3_server.endpoint_url, s3_bucket, *keys]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    up, down, size = map(float, done.stdout.split())
    assert size == 256
    assert up <= (multipart.IN_FLIGHT + 2) * 8
    assert down <= 8
