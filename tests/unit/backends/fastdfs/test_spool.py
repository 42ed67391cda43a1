"""Content gets a size before it is sent."""

import asyncio
import tempfile

import pytest

from async_storages.backends.fastdfs.spool import measured
from async_storages.content import Content
from async_storages.errors import ChecksumMismatchException, FileTooLargeException, InvalidArgumentException

MIB = 1 << 20


async def stream(*chunks):
    for chunk in chunks:
        yield chunk


@pytest.fixture
def files(monkeypatch):
    """The temporary files that are made."""
    made = []

    class Noted(tempfile.SpooledTemporaryFile):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            made.append(self)

    # nobody outside is told of them
    monkeypatch.setattr("async_storages.backends.fastdfs.spool.SpooledTemporaryFile", Noted)
    return made


async def read(body):
    return b"".join([chunk async for chunk in body.chunks()])


@pytest.mark.parametrize("size", [1, 5 * MIB])
async def test_content_that_knows_its_size_goes_through(files, size):
    async with Content(b"x" * size) as content, measured(content) as body:
        assert (body.size, body.is_replayable) == (size, True)
        assert await read(body) == await read(body) == b"x" * size
        assert files == []


async def test_so_does_what_was_declared(files):
    async with Content(stream(b"a", b"b"), size=2) as content, measured(content) as body:
        assert (body.size, body.is_replayable) == (2, False)
        assert await read(body) == b"ab"
        assert files == []


@pytest.mark.parametrize("size", [0, 1, MIB, MIB + 1, 3 * MIB])
async def test_other_content_is_copied_to_disk_past_1_mib(files, size):
    async with Content(stream(b"x" * size)) as content, measured(content) as body:
        assert (body.size, body.is_replayable, content.size) == (size, True, size)
        assert await read(body) == await read(body) == b"x" * size
        assert files[0]._rolled is (size > MIB)
    assert files[0].closed


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"max_size": 2 * MIB}, FileTooLargeException),
        ({"min_size": 4 * MIB}, InvalidArgumentException),
        ({"expected": {"crc32": "00000000"}}, ChecksumMismatchException),
    ],
    ids=["too large", "too small", "another checksum"],
)
async def test_what_is_wrong_is_known_before_anything_is_sent(files, options, kind):
    async with Content(stream(*[b"x" * MIB] * 3), **options) as content:
        with pytest.raises(kind):
            async with measured(content):
                pytest.fail("nothing to send")
    assert files[0].closed


@pytest.mark.parametrize("before", [0, 3 * MIB], ids=["at once", "half-way"])
async def test_a_source_that_fails_leaves_no_file(files, before):
    closed = []

    async def source():
        try:
            yield b"x" * before
            raise ZeroDivisionError
        finally:
            closed.append(True)

    async with Content(source()) as content:
        with pytest.raises(ZeroDivisionError):
            async with measured(content):
                pytest.fail("nothing to send")
    assert files[0].closed
    assert closed


async def test_a_cancelled_copy_leaves_no_file(files):
    waits = asyncio.Event()

    async def source():
        yield b"x" * 3 * MIB
        waits.set()
        await asyncio.Event().wait()

    async def copy():
        async with Content(source()) as content, measured(content):
            pytest.fail("nothing to send")

    task = asyncio.create_task(copy())
    await waits.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert files[0].closed
