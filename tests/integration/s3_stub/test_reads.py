"""Reading, as several servers answer it."""

from contextlib import aclosing
from dataclasses import replace

import pytest

from async_storages import StoredImage
from async_storages.backends.buckets import download
from async_storages.backends.transport.retries import Retries
from async_storages.errors import (
    FileArchivedException,
    FileNotFoundException,
    StorageOperationException,
)
from async_storages.testing import FaultProxy
from async_storages.testing.faults import Truncate, response_body
from async_storages.testing.s3_stub import PRESETS, Behaviours, StubAnswer
from tests.support.corpus import image
from tests.support.s3 import FAST

CONTENT = bytes(range(256)) * 4096
"""A MiB, in which each position is recognised by its neighbours."""


async def collected(chunks):
    return b"".join([chunk async for chunk in chunks])


def methods(stub):
    return [request.method for request in stub.requests]


# ---- a suffix of an empty file


@pytest.mark.parametrize("status", [206, 416])
@pytest.mark.parametrize("asked", [(-5,), (-5, 3), (0,), (5,), (5, 3), (0, 3)], ids=str)
async def test_a_range_of_an_empty_file_is_nothing(on, status, asked):
    stub, storage = await on(Behaviours(empty_suffix=status))
    stub.put("empty.txt", b"")
    assert await collected(storage.stream("empty.txt", *asked)) == b""


async def test_a_suffix_of_an_empty_file_may_be_answered_with_an_unsatisfied_range(on):
    stub, storage = await on()
    stub.put("empty.txt", b"")
    stub.answer(StubAnswer(206, {"Content-Range": "bytes */0", "ETag": '"e"'}))
    assert await collected(storage.stream("empty.txt", -5)) == b""


# ---- HEAD without Content-Length


async def test_a_head_without_a_length_is_enough_to_see_and_to_copy_a_file(on):
    stub, storage = await on("r2-head")
    stub.put("a.txt", CONTENT)
    assert await storage.exists("a.txt")
    await storage.copy("a.txt", "b.txt")
    assert methods(stub) == ["HEAD", "HEAD", "PUT"]
    assert stub.object("b.txt").data == CONTENT


@pytest.mark.parametrize("content", [b"", b"1", CONTENT], ids=len)
@pytest.mark.parametrize("ignores_ranges", [False, True])
async def test_the_size_that_a_head_does_not_tell_is_asked_for_by_a_range_of_one_byte(on, content, ignores_ranges):
    stub, storage = await on(replace(PRESETS["r2-head"], ignores_ranges=ignores_ranges))
    stub.put("a.txt", content, content_type="text/x-mine")
    info = await storage.stat("a.txt")
    assert (info.file_size, info.content_type) == (len(content), "text/x-mine")
    assert methods(stub) == ["HEAD", "GET"]
    assert stub.requests[1].headers["range"] == "bytes=0-0"
    assert await storage.get_size("a.txt") == len(content)
    assert await collected(storage.stream("a.txt", -5, 3)) == content[-5:][:3]


async def test_a_head_with_a_length_is_all_that_is_asked(on):
    stub, storage = await on()
    stub.put("a.txt", CONTENT)
    assert (await storage.stat("a.txt")).file_size == len(CONTENT)
    assert methods(stub) == ["HEAD"]


# ---- Range ignored


RANGES = [(5,), (5, 10), (0, 10), (-5,), (-5, 3), (len(CONTENT) - 5,), (len(CONTENT),), (len(CONTENT) + 5, 5), (2, 0)]


@pytest.mark.parametrize("asked", RANGES, ids=str)
@pytest.mark.parametrize("behaviour", ["aws", "cdn"])
async def test_what_is_needed_is_taken_where_a_range_is_ignored(on, behaviour, asked):
    stub, storage = await on(behaviour)
    stub.put("a.bin", CONTENT)
    offset, length = (*asked, None)[:2]
    expected = CONTENT[offset:] if length is None else CONTENT[offset:][:length]
    assert await collected(storage.stream("a.bin", *asked, chunk_size=1000)) == expected
    assert await storage.read("a.bin") == CONTENT


async def test_the_rest_is_not_read_where_a_range_is_ignored(stub_of):
    stub = await stub_of("cdn")
    stub.put("large.bin", bytes(64 << 20))
    passed = 0
    async with FaultProxy(*stub.address) as proxy, stub.storage(endpoint_url=proxy.url, options=FAST) as storage:
        proxy.inject(Truncate(), response_body(16 << 20))
        async for chunk in storage.stream("large.bin", 5, 1000):
            passed += len(chunk)
        assert proxy.fired == 0
    assert passed == 1000


async def test_who_is_slow_is_not_sent_all_for_each_piece_where_ranges_are_ignored(on, monkeypatch):
    monkeypatch.setattr(download, "_SLOW", 0)  # seconds, else the test would have to wait so long
    stub, storage = await on("cdn", options=replace(FAST, max_connections=1))
    large = CONTENT * 24
    stub.put("large.bin", large)
    async with aclosing(storage.stream("large.bin")) as chunks:
        first = await anext(chunks)
        assert await storage.read("large.bin") == large
        assert first + await collected(chunks) == large
    assert len(stub.requests) < 10  # of 24 pieces


async def test_dimensions_are_read_where_a_range_is_ignored(on):
    stub, storage = await on("cdn")
    stub.put("a.png", image("PNG", (30, 20)))
    assert await StoredImage("s3:test/a.png", storage).get_dimensions() == (30, 20)


async def test_a_download_that_broke_is_resumed_where_ranges_are_ignored(stub_of):
    stub = await stub_of("cdn")
    stub.put("a.bin", CONTENT)
    async with FaultProxy(*stub.address) as proxy, stub.storage(endpoint_url=proxy.url, options=FAST) as storage:
        proxy.inject(Truncate(), response_body("middle"))
        assert await storage.read("a.bin") == CONTENT
        proxy.inject(Truncate(), response_body("middle"))
        assert await collected(storage.stream("a.bin", 100, 1_000_000)) == CONTENT[100:1_000_100]
    assert proxy.fired == 2


# ---- archived


async def test_an_archived_file_is_told_from_one_that_may_not_be_read(on):
    stub, storage = await on("glacier")
    stub.put("a.txt", CONTENT)
    assert (await storage.stat("a.txt")).file_size == len(CONTENT)
    with pytest.raises(FileArchivedException, match="restore it first"):
        await storage.read("a.txt")
    with pytest.raises(FileArchivedException, match="restore it first"):
        await storage.copy("a.txt", "b.txt")
    assert methods(stub) == ["HEAD", "GET", "HEAD", "PUT"]


async def test_a_storage_class_archives_one_file(on):
    stub, storage = await on()
    stub.put("a.txt", CONTENT, x_amz_storage_class="GLACIER")
    stub.put("b.txt", CONTENT)
    with pytest.raises(FileArchivedException):
        await storage.read("a.txt")
    assert await storage.read("b.txt") == CONTENT


# ---- refusals without a reason


@pytest.mark.parametrize("checksums", ["auto", "required", "never"])
async def test_a_400_to_a_head_is_told_as_it_is_and_not_tried_again(on, checksums):
    stub, storage = await on(checksums=checksums)
    stub.put("a.txt", CONTENT, x_amz_server_side_encryption_customer_key_md5="of a key")
    for ask in (storage.stat, storage.exists, lambda name: storage.copy(name, "b.txt")):
        stub.requests.clear()
        with pytest.raises(StorageOperationException, match=r"400 to a HEAD.*SSE-C"):
            await ask("a.txt")
        assert methods(stub) == ["HEAD"]


# ---- who is no S3


async def test_a_web_page_is_no_file_and_no_success(on):
    _, storage = await on("website", options=replace(FAST, retries=Retries(attempts=1)))
    for attempt in (
        lambda: storage.exists("a.txt"),
        lambda: storage.stat("a.txt"),
        lambda: storage.save(b"content", "a.txt"),
        lambda: storage.upload(b"content", "a.txt"),
        lambda: storage.copy("a.txt", "b.txt"),
        lambda: storage.delete("a.txt"),
        lambda: storage.delete_many(["a.txt"]),
        lambda: anext(storage.list()),
        storage.ping,
        storage.bucket_admin.create,
    ):
        with pytest.raises(StorageOperationException, match=r"web page|no ETag"):
            await attempt()


async def test_a_success_without_an_etag_stores_nothing(on):
    stub, storage = await on()
    stub.answer(StubAnswer(200))
    with pytest.raises(StorageOperationException, match="no ETag"):
        await storage.save(b"content", "a.txt")
    assert not stub.objects()


REDIRECTS = [301, 302, 307, 308]


@pytest.mark.parametrize("status", REDIRECTS)
async def test_a_redirect_to_another_host_is_named_and_never_followed(on, stub_of, status):
    elsewhere = await stub_of()
    target = elsewhere.endpoint_url.replace("127.0.0.1", "localhost")
    _, storage = await on(Behaviours(redirects_to=f"{target}/evil?X-Amz-Signature=", redirect_status=status))
    for attempt in (
        lambda: storage.read("a.txt"),
        lambda: storage.save(b"content", "a.txt"),
        lambda: anext(storage.list()),
        lambda: storage.exists("a.txt"),
    ):
        with pytest.raises(StorageOperationException, match=rf"{status}.*localhost:\d+.*endpoint_url") as caught:
            await attempt()
        assert "evil" not in str(caught.value)
        assert "Signature" not in str(caught.value)
    assert elsewhere.requests == []


async def test_a_missing_file_is_missing_on_every_server(on):
    for name in PRESETS.keys() - {"website"}:
        _, storage = await on(name)
        assert not await storage.exists("missing.txt")
        with pytest.raises(FileNotFoundException):
            await storage.read("missing.txt")
