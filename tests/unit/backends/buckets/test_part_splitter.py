"""Content cut into parts, and the size of a part."""

from itertools import repeat

import pytest

from async_storages import GCSStorage, S3Storage
from async_storages.backends.buckets.part_splitter import PART_SIZE, PartSplitter
from async_storages.content import Content
from async_storages.errors import InvalidArgumentException
from async_storages.sources import CHUNK_SIZE
from tests.support.streams import Closing, stream


@pytest.mark.parametrize(
    ("size", "lengths"),
    [
        (0, [0]),
        (1, [1]),
        (2 * CHUNK_SIZE, [2 * CHUNK_SIZE]),
        (2 * CHUNK_SIZE + 1, [2 * CHUNK_SIZE, 1]),
        (5 * CHUNK_SIZE, [2 * CHUNK_SIZE, 2 * CHUNK_SIZE, CHUNK_SIZE]),
    ],
)
async def test_content_is_cut_into_parts(size, lengths):
    data = b"".join(bytes([n % 251]) * 1000 for n in range(size // 1000 + 1))[:size]
    parts = PartSplitter(Content(stream(data)), repeat(2 * CHUNK_SIZE))
    assert await parts.has_single_part() is (len(lengths) == 1)
    found = [await parts.next_part()]
    while part := await parts.next_part():
        found.append(part)
    assert list(map(len, found)) == lengths
    assert b"".join(found) == data
    await parts.aclose()


async def test_the_pieces_of_a_part_are_the_chunks_themselves():
    chunks = [bytes([n]) * CHUNK_SIZE for n in range(3)]
    parts = PartSplitter(Content(stream(*chunks)), repeat(2 * CHUNK_SIZE))
    found = [await parts.next_pieces() for _ in range(3)]
    assert [[*map(id, part)] for part in found] == [[*map(id, part)] for part in (chunks[:2], chunks[2:], [])]
    await parts.aclose()


async def test_the_last_part_is_given_only_if_all_was_right():
    parts = PartSplitter(
        Content(stream(bytes(CHUNK_SIZE), bytes(CHUNK_SIZE - 1)), size=2 * CHUNK_SIZE), repeat(PART_SIZE)
    )
    with pytest.raises(InvalidArgumentException, match="only"):
        await parts.has_single_part()


async def test_what_the_content_opened_is_closed():
    source = Closing(bytes(CHUNK_SIZE), bytes(5 * CHUNK_SIZE))
    content = Content(source.stream())
    parts = PartSplitter(content, repeat(2 * CHUNK_SIZE))
    assert not await parts.has_single_part()
    await parts.aclose()
    await content.aclose()
    assert source.closed


@pytest.mark.parametrize("storage", [S3Storage, GCSStorage])
@pytest.mark.parametrize("part_size", [0, -CHUNK_SIZE, CHUNK_SIZE + 1, (5 << 30) + CHUNK_SIZE, 8.5e6, "8 MiB", None])
def test_a_part_size_that_cannot_be_is_refused_when_the_storage_is_made(storage, part_size):
    with pytest.raises(InvalidArgumentException, match=r"part_size is .*: give a multiple of 262144 bytes"):
        storage("photos", part_size=part_size)
