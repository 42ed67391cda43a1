"""Checksum headers, on servers that take, ignore and refuse them."""

import asyncio
import base64
import hashlib
from dataclasses import replace

import pytest

from async_storages import S3Config
from async_storages.backends.s3.storage import S3Storage
from async_storages.errors import (
    ChecksumMismatchException,
    FileNotFoundException,
    InvalidArgumentException,
    StorageOperationException,
)
from async_storages.sources import CHUNK_SIZE
from async_storages.testing.s3_stub import Behaviours
from tests.support.streams import stream

CHECKSUMS = ("x-amz-checksum-*",)
REFUSALS = {
    "501": Behaviours(refuses=CHECKSUMS),
    "400": Behaviours(refuses=CHECKSUMS, refusal=(400, "InvalidArgument")),
    "only of bodies": Behaviours(refuses=("x-amz-checksum-crc32",)),
    "only of parts": Behaviours(refuses=("x-amz-checksum-algorithm",)),
    "only of reads": Behaviours(refuses=("x-amz-checksum-mode",), refusal=(400, "InvalidArgument")),
}


def checksums_in(request):
    return [name for name in request.headers if name.startswith("x-amz-checksum-")]


def is_refused(stub, request):
    return any(name.startswith(pattern.rstrip("*")) for pattern in stub.behaviour.refuses for name in request.headers)


@pytest.fixture
def part_size():
    return CHUNK_SIZE


async def use(storage):
    """Write, read, copy and look, in one request and in parts."""
    content = [bytes([n]) * CHUNK_SIZE for n in range(3)]
    await storage.upload(b"small", "small.txt")
    await storage.upload(stream(*content), "large.bin")
    await storage.copy("large.bin", "copy.bin")
    assert await storage.read("small.txt") == b"small"
    assert await storage.read("copy.bin") == b"".join(content)
    assert (await storage.stat("large.bin")).file_size == 3 * CHUNK_SIZE


@pytest.mark.parametrize("behaviour", REFUSALS.values(), ids=REFUSALS)
async def test_a_server_that_refuses_checksums_is_used_without_them_from_the_first_refusal_on(on, behaviour):
    stub, storage = await on(replace(behaviour, smallest_part=1))
    await use(storage)
    assert sum(is_refused(stub, request) for request in stub.requests) == 1
    stub.requests.clear()
    await use(storage)
    assert not any(checksums_in(request) for request in stub.requests)


async def test_bodies_carry_an_md5_in_place_of_a_refused_checksum(on):
    stub, storage = await on(REFUSALS["501"], part_size=4 << 20)
    for size in (5, 2 << 20):
        await storage.upload(bytes(size), "a.txt")
        sent = stub.requests[-1]
        assert len(sent.body) == size
        assert sent.headers["content-md5"] == base64.b64encode(hashlib.md5(bytes(size)).digest()).decode()


async def test_requests_that_are_refused_together_all_succeed(on):
    stub, storage = await on(REFUSALS["501"])
    await asyncio.gather(*(storage.upload(b"content", f"{n}.txt") for n in range(20)))
    assert len(stub.objects()) == 20


async def test_what_is_learnt_holds_for_other_buckets_of_the_storage(stub_of):
    stub = await stub_of(REFUSALS["501"], buckets=("test", "other"))
    async with stub.storage() as storage:
        await storage.upload(b"content", "a.txt")
        stub.requests.clear()
        await storage.with_bucket("other").upload(b"content", "a.txt")
    assert len(stub.requests) == 1


async def test_a_head_asks_for_checksums_only_where_they_are_known_to_be_given(on):
    stub, storage = await on()
    for use in (
        storage.exists,
        lambda key: storage.upload(b"content", key),
        storage.exists,
        storage.read,
        storage.exists,
    ):
        await use("a.txt")
    assert [checksums_in(request) for request in stub.requests if request.method == "HEAD"] == [
        [],
        [],
        ["x-amz-checksum-mode"],
    ]


async def test_required_checksums_are_always_sent(on):
    stub, storage = await on(REFUSALS["501"], checksums="required")
    for _ in range(2):
        with pytest.raises(StorageOperationException, match="501 NotImplemented"):
            await storage.upload(b"content", "a.txt")
    assert [checksums_in(request) for request in stub.requests] == [["x-amz-checksum-crc32"]] * 2


async def test_checksums_that_are_not_wanted_are_never_sent(on):
    stub, storage = await on(Behaviours(smallest_part=1), checksums="never")
    await use(storage)
    assert not any(checksums_in(request) for request in stub.requests)


async def test_another_refusal_is_not_taken_for_one_of_checksums(on):
    stub, storage = await on(Behaviours(refuses=("content-type",)))
    with pytest.raises(StorageOperationException, match="501 NotImplemented"):
        await storage.upload(b"content", "a.txt")
    stub.behaviour = "aws"
    await storage.upload(b"content", "a.txt")
    assert checksums_in(stub.requests[-1]) == ["x-amz-checksum-crc32"]


async def test_what_a_refusal_hid_is_told(on):
    stub, storage = await on(REFUSALS["400"])
    with pytest.raises(FileNotFoundException):
        await storage.read("missing.txt")
    with pytest.raises(FileNotFoundException):
        await storage.read("missing.txt")
    assert len(stub.requests) == 3


@pytest.mark.parametrize("behaviour", ["aws", "cos"])
async def test_bytes_that_arrive_altered_are_seen_with_and_without_checksums(on, monkeypatch, behaviour):
    stub, storage = await on(behaviour)
    with monkeypatch.context() as altering:
        altering.setattr("async_storages.backends.s3.checksums.crc32", lambda _: "AAAAAA==")
        altering.setattr("async_storages.backends.s3.checksums.content_md5", lambda _: "AAAAAAAAAAAAAAAAAAAAAA==")
        with pytest.raises(ChecksumMismatchException):
            await storage.upload(b"content", "a.txt")
    assert not stub.objects()
    await storage.upload(b"content", "a.txt")
    assert bool(checksums_in(stub.requests[-1])) is (behaviour == "aws")


def test_only_these_are_ways_to_send_checksums():
    with pytest.raises(InvalidArgumentException, match="checksums is 'always': give auto, required or never"):
        S3Storage("photos", checksums="always")
    config = S3Config(default_bucket="photos", checksums="never")
    assert not S3Storage.from_config(config)._client.wire._checksums.are_sent
