"""Writes that fail, are cancelled, or are not heard of; and what they leave."""

import asyncio
from dataclasses import replace
from hashlib import shake_256

import pytest

from async_storages.backends.gcs import upload_session
from async_storages.backends.transport.retries import Retries
from async_storages.errors import (
    AccessDeniedException,
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
from tests.support.gcs import FAST
from tests.support.patience import HANGS, Stall
from tests.support.streams import stream

PART = 2 * 256 * 1024
CONTENT = shake_256(b"content").digest(100_000)
LARGE = shake_256(b"large").digest(2 * PART) + CONTENT  # two parts, and another
METADATA = {"a": "合同"}

SIZES = pytest.mark.parametrize("content", [CONTENT, LARGE], ids=["at once", "in parts"])


@pytest.fixture
def part_size():
    return PART


@pytest.fixture
def left(gate, storage):
    """Tells keys, open uploads, and what a bucket keeps that keeps versions."""

    async def tell():
        there = [info.file_id.rpartition("/")[2] async for info in storage.list()]
        return there + gate.open_uploads + gate.noncurrent

    return tell


def by(*methods):
    return lambda method, path: method in methods and "/o" in path


# ---- cancelled


@SIZES
async def test_a_cancelled_write_of_a_new_file_leaves_nothing(storage, left, content):
    """Cancelled at each of its awaits, the last one included."""
    async for _ in every_cancellation(lambda: storage.upload(content, "new", overwrite=False)):
        assert await left() == []
    assert await left() == ["new"]


@SIZES
async def test_a_cancelled_write_over_a_file_leaves_one_of_them_whole(storage, left, content):
    await storage.upload(b"old", "file")
    async for _ in every_cancellation(lambda: storage.upload(content, "file")):
        assert await storage.read("file") in {b"old", content}
        assert await left() == ["file"]
        await storage.upload(b"old", "file")


@pytest.mark.parametrize("place", [request_body("middle"), response_header()], ids=["sending", "waiting"])
async def test_a_write_is_cancelled_in_time_though_the_server_hangs(proxied, proxy, place):
    behind = await proxied(options=replace(FAST, read_timeout=1000))
    stall = proxy.inject(Stall(), place, when=by("POST"))
    writing = asyncio.create_task(behind.upload(CONTENT, "new", overwrite=False))
    await stall.wait_fired()
    writing.cancel()
    async with asyncio.timeout(HANGS):
        with pytest.raises(asyncio.CancelledError):
            await writing


# ---- failed


async def test_what_cannot_be_given_up_does_not_hide_why(proxied, proxy, left):
    proxy.inject(Answer(403), request_header(), when=by("DELETE"))
    behind = await proxied(options=FAST)
    with pytest.raises(BrokenSourceError) as caught:
        await behind.upload(stream(LARGE, LARGE, BrokenSourceError()), "new")
    assert "could not be cleaned up either: GCS refused (403)" in caught.value.__notes__[0]
    assert await left() == ["new"]


async def test_a_part_that_keeps_failing_ends_the_upload(proxied, proxy, left):
    proxy.inject(Answer(503), request_header(), times=None, when=by("PUT"))
    behind = await proxied(options=FAST)
    with pytest.raises(StorageUnavailableException, match="503") as caught:
        await behind.upload(LARGE, "new")
    assert (caught.value.operation, caught.value.file_id) == ("write", f"gs:{behind.bucket}/new")
    assert await left() == []


async def test_a_server_that_takes_nothing_is_given_up(gate, gcs, left):
    gate.kept_at_once = 0
    with pytest.raises(StorageUnavailableException, match="no more than 0 bytes"):
        await (await gcs(options=FAST)).upload(LARGE, "new")
    assert await left() == []


async def test_a_server_that_forgot_the_upload_is_believed(gate, storage, left):
    async def forgotten():
        yield LARGE
        gate.uploads.clear()
        yield LARGE

    with pytest.raises(StorageOperationException, match="has expired"):
        await storage.upload(forgotten(), "new")
    assert await left() == []


@SIZES
async def test_what_is_stored_is_what_was_sent(gate, storage, left, content):
    """What arrives altered is refused by the server, what is stored altered removed by us."""
    gate.stored_as = lambda stored: stored[::-1]
    with pytest.raises(ChecksumMismatchException, match="md5 was sent as"):
        await storage.upload(content, "new")
    assert await left() == []


@SIZES
async def test_the_server_looks_at_the_checksum(gcs, left, monkeypatch, content):
    # in place of a network that alters what it carries
    monkeypatch.setattr(upload_session.Md5, "base64", "AAAAAAAAAAAAAAAAAAAAAA==")
    behind = await gcs(options=replace(FAST, retries=Retries(attempts=2, base=0)))
    with pytest.raises(ChecksumMismatchException, match="arrived altered"):
        await behind.upload(content, "new")
    assert await left() == []


@pytest.mark.parametrize("attempt", ["upload", "list", "ping"])
async def test_a_missing_bucket_is_not_a_missing_file(gcs, attempt):
    missing = (await gcs()).with_bucket("no-such-bucket")
    attempts = {
        "upload": lambda: missing.upload(CONTENT, "new"),
        "list": lambda: anext(missing.list()),
        "ping": missing.ping,
    }
    with pytest.raises(StorageOperationException, match="no such bucket"):
        await attempts[attempt]()


async def test_a_token_that_is_refused_is_renewed(gate, storage):
    """Revoked, or old by the server's clock: also in the middle of an upload or download."""

    async def revoked():
        yield LARGE
        gate.revoke()
        yield LARGE

    await storage.upload(revoked(), "new", overwrite=False)
    gate.revoke()
    assert await storage.read("new") == LARGE + LARGE
    gate.revoke()
    await storage.upload(CONTENT, "another", overwrite=False)


async def test_without_a_better_token_it_is_the_refusal_that_is_told(gate, storage):
    await storage.ping()
    gate.token = "another"
    with pytest.raises(AccessDeniedException, match="401"):
        await storage.upload(CONTENT, "new")


# ---- resumed


@pytest.mark.parametrize("fault", [Reset(), Truncate()], ids=["reset", "cut"])
async def test_what_the_server_has_is_not_sent_again(gate, proxied, proxy, fault):
    """The gate keeps what comes before a connection breaks; it refuses bytes that leave a gap."""
    for _ in range(3):
        proxy.inject(fault, request_body(PART * 3 // 4), when=by("PUT"))
    behind = await proxied(options=FAST)
    await behind.upload(pieces_later(LARGE), "new", metadata=METADATA)
    info = await behind.info("new")
    assert await behind.read("new") == LARGE
    assert (info.metadata, info.content_type) == (METADATA, "application/octet-stream")
    assert proxy.fired
    assert any(first % PART for first in gate.begun_at)


async def test_a_server_may_take_less_than_was_sent(gate, storage):
    gate.kept_at_once = 256 * 1024
    await storage.upload(LARGE, "new")
    assert await storage.read("new") == LARGE


# ---- not heard of


@SIZES
async def test_a_new_file_of_which_the_answer_was_lost_is_not_taken_for_anothers(proxied, proxy, content):
    behind = await proxied(options=FAST)
    puts = by("PUT" if content is LARGE else "POST")
    lost = proxy.inject(Reset(), response_header(), times=3, when=puts)
    await behind.upload(content, "new", overwrite=False, metadata=METADATA)
    assert lost.fired == 3
    assert await behind.read("new") == content
    with pytest.raises(FileExistsException):
        await behind.upload(content, "new", overwrite=False, metadata=METADATA)


@SIZES
async def test_anothers_file_is_anothers_though_the_answer_was_lost(proxied, proxy, storage, left, content):
    behind = await proxied(options=FAST)
    proxy.inject(Truncate(), response_header(), times=2, when=by("POST", "PUT"))
    await storage.upload(b"anothers", "new")
    with pytest.raises(FileExistsException):
        await behind.upload(content, "new", overwrite=False)
    assert await storage.read("new") == b"anothers"
    assert await left() == ["new"]


async def test_a_file_that_appears_during_the_upload_stays(gate, storage, left):
    async def overtaken():
        yield LARGE
        await storage.upload(b"anothers", "new")
        yield LARGE

    with pytest.raises(FileExistsException):
        await storage.upload(overtaken(), "new", overwrite=False)
    assert await storage.read("new") == b"anothers"
    assert await left() == ["new"]


async def test_of_many_who_create_one_file_one_succeeds_though_answers_are_lost(proxied, proxy):
    await check_that_one_succeeds(await proxied(options=FAST), proxy, by("POST"))


# ---- on the server


async def test_a_copy_is_made_in_as_many_steps_as_it_takes(gate, storage):
    gate.steps_of_copies = 3
    await storage.upload(CONTENT, "a", content_type="a/b", metadata=METADATA)
    await storage.copy("a", "b", overwrite=False)
    info = await storage.info("b")
    assert await storage.read("b") == CONTENT
    assert (info.content_type, info.metadata) == ("a/b", METADATA)


@pytest.mark.parametrize("overwrite", [True, False])
async def test_a_copy_of_a_file_that_is_replaced_meanwhile_is_none(storage, proxied, proxy, overwrite):
    await storage.upload(b"old", "a")
    held = proxy.inject(faults.Stall(), request_header(), when=by("POST"))
    copied = asyncio.ensure_future((await proxied()).copy("a", "b", overwrite=overwrite))
    await held.wait_fired()  # it has found the old file
    await storage.upload(b"new", "a")
    held.release()
    with pytest.raises(StorageOperationException, match="replaced while it was copied"):
        await copied
    with pytest.raises(FileNotFoundException):
        await storage.read("b")


@pytest.mark.parametrize(
    "trouble", [(Reset(), response_header()), (Answer(409), request_header())], ids=["answer lost", "conflict"]
)
async def test_metadata_is_set_in_spite_of_trouble(proxied, proxy, storage, trouble):
    await storage.upload(CONTENT, "file", metadata={"a": "1", "b": "2"})
    behind = await proxied(options=FAST)
    injected = proxy.inject(*trouble, when=by("PATCH"))
    await behind.set_metadata("file", {"b": "3"})
    assert injected.fired
    assert (await storage.info("file")).metadata == {"b": "3"}


async def test_metadata_is_limited(storage, left):
    """To 8 KiB of UTF-8, names included."""
    await storage.upload(CONTENT, "file", metadata={"a" * 10: "é" * 4091})
    for attempt in (
        lambda: storage.upload(CONTENT, "new", metadata={"a" * 11: "é" * 4091}),
        lambda: storage.set_metadata("file", {"a" * 64: "b" * 4096, "c": "d" * 4096}),
    ):
        with pytest.raises(InvalidArgumentException, match="at most 8192 bytes"):
            await attempt()
    assert await left() == ["file"]


async def test_metadata_of_many_at_once_is_that_of_one(gcs):
    storage = await gcs(options=replace(FAST, retries=Retries(attempts=50, base=0.01)))
    await storage.upload(CONTENT, "file")
    await asyncio.gather(*(storage.set_metadata("file", {f"key{n}": "1"}) for n in range(5)))
    assert len((await storage.info("file")).metadata) == 1
