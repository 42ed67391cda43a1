"""Uploads in parts, as several servers want them."""

import asyncio
from dataclasses import replace

import pytest

from async_storages.backends.s3 import part_sizes
from async_storages.errors import FileTooLargeException
from async_storages.sources import CHUNK_SIZE
from async_storages.testing.s3_stub import PRESETS
from tests.support.streams import stream

SMALL_PARTS = {name: replace(PRESETS[name], smallest_part=CHUNK_SIZE) for name in ("aws", "r2", "swift", "ceph16")}


@pytest.fixture
def part_size():
    return CHUNK_SIZE


def pieces(count):
    return [bytes([n]) * CHUNK_SIZE for n in range(count)]


@pytest.fixture
def _four_parts(monkeypatch):
    """As many parts as an upload may have; to send 10,000 would take minutes."""
    monkeypatch.setattr(part_sizes, "MAX_PARTS", 4)


@pytest.mark.usefixtures("_four_parts")
@pytest.mark.parametrize("behaviour", SMALL_PARTS.values(), ids=SMALL_PARTS)
async def test_streams_are_stored_in_parts_of_one_length(on, behaviour):
    stub, storage = await on(behaviour)
    content = [*pieces(3), b"rest"]
    await storage.upload(stream(*content), "a.bin")
    assert stub.object("a.bin").data == b"".join(content)
    assert not stub.uploads()


@pytest.mark.usefixtures("_four_parts")
@pytest.mark.parametrize("behaviour", SMALL_PARTS.values(), ids=SMALL_PARTS)
async def test_a_stream_that_fills_all_parts_is_stored(on, behaviour):
    stub, storage = await on(behaviour)
    await storage.upload(stream(*pieces(4)), "a.bin")
    assert stub.object("a.bin").data == b"".join(pieces(4))


@pytest.mark.usefixtures("_four_parts")
async def test_a_stream_of_unknown_size_that_is_too_large_fails_before_its_end_with_the_remedy(on):
    stub, storage = await on(SMALL_PARTS["r2"])
    taken = []

    async def content():
        for piece in pieces(20):
            taken.append(piece)
            yield piece

    with pytest.raises(FileTooLargeException, match="max_size"):
        await storage.upload(content(), "a.bin")
    assert len(taken) < 8
    assert not stub.objects()
    assert not stub.uploads()


@pytest.mark.usefixtures("_four_parts")
async def test_a_stream_with_a_limit_has_parts_that_hold_it(on):
    stub, storage = await on(SMALL_PARTS["r2"])
    await storage.upload(stream(*pieces(20)), "a.bin", max_size=8 << 20)
    assert stub.object("a.bin").data == b"".join(pieces(20))


async def test_a_completion_names_the_checksums_that_were_answered_and_no_others(on):
    for name in ("aws", "swift"):
        stub, storage = await on(SMALL_PARTS[name])
        await storage.upload(stream(*pieces(3)), "a.bin")
        [body] = [request.body for request in stub.requests if request.query.keys() == {"uploadId"}]
        assert body.count(b"<ChecksumCRC32>") == {"aws": 3, "swift": 0}[name]


def is_part(request):
    return "partNumber" in request.query


async def test_a_part_that_arrives_after_the_abort_leaves_nothing_open(on):
    """S3 may store a part that is under way when its upload is aborted; the upload is then open again."""
    stub, storage = await on(replace(SMALL_PARTS["aws"], keeps_late_parts=True))
    go_on, arrived = asyncio.Event(), asyncio.Event()

    async def hold(_):
        arrived.set()
        await go_on.wait()

    async def let_go(_):
        go_on.set()

    stub.before(hold, is_part)
    stub.before(let_go, lambda request: request.method == "DELETE")
    task = asyncio.create_task(storage.upload(stream(*pieces(4)), "a.bin"))
    await arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [request.method for request in stub.requests].count("DELETE") >= 1
    assert not stub.uploads()
    assert not stub.objects()
