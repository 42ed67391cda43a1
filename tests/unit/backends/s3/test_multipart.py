"""Cutting content into parts."""

from itertools import islice

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from async_storages.backends.buckets.part_splitter import PartSplitter
from async_storages.backends.s3 import multipart
from async_storages.backends.s3.multipart import MAX_PARTS, PART_SIZE, part_sizes
from async_storages.content import Content
from async_storages.errors import FileTooLargeException, InvalidArgumentException
from async_storages.sources import CHUNK_SIZE
from tests.support.streams import Closing, stream

MIB = 1 << 20


LARGEST = MAX_PARTS * (5 << 30)
"""What S3 stores: 48.8 TiB."""


@given(st.integers(0, LARGEST), st.booleans())
@example(MAX_PARTS * PART_SIZE, True)
@example(MAX_PARTS * PART_SIZE + 1, True)
@example(LARGEST, False)
@example(LARGEST, True)
def test_the_parts_of_a_known_or_limited_size_are_alike_and_few_enough(size, is_known):
    [part] = {*islice(part_sizes(size) if is_known else part_sizes(None, size), 10)}
    assert part >= PART_SIZE
    assert part % MIB == 0
    assert -(-size // part) <= MAX_PARTS
    assert part == PART_SIZE or part - size / MAX_PARTS < MIB


def test_the_parts_of_an_unknown_size_are_alike_until_there_are_too_many():
    sizes = part_sizes(None)
    assert list(islice(sizes, MAX_PARTS)) == [PART_SIZE] * MAX_PARTS
    with pytest.raises(FileTooLargeException, match="max_size"):
        next(sizes)


def test_more_than_the_server_stores_is_refused():
    with pytest.raises(FileTooLargeException):
        part_sizes(LARGEST + 1)
    sizes = part_sizes(None, 2 * LARGEST)
    assert next(sizes) == 5 << 30


@pytest.fixture
def _small_parts(monkeypatch):
    monkeypatch.setattr(multipart, "PART_SIZE", 2 * CHUNK_SIZE)


@pytest.mark.usefixtures("_small_parts")
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
    parts = PartSplitter(Content(stream(data)), part_sizes(None))
    assert await parts.are_one() is (len(lengths) == 1)
    found = [await parts.next()]
    while part := await parts.next():
        found.append(part)
    assert list(map(len, found)) == lengths
    assert b"".join(found) == data
    await parts.aclose()


async def test_the_last_part_is_given_only_if_all_was_right():
    parts = PartSplitter(
        Content(stream(bytes(CHUNK_SIZE), bytes(CHUNK_SIZE - 1)), size=2 * CHUNK_SIZE), part_sizes(None)
    )
    with pytest.raises(InvalidArgumentException, match="only"):
        await parts.are_one()


@pytest.mark.usefixtures("_small_parts")
async def test_what_the_content_opened_is_closed():
    source = Closing(bytes(CHUNK_SIZE), bytes(5 * CHUNK_SIZE))
    content = Content(source.stream())
    parts = PartSplitter(content, part_sizes(None))
    assert not await parts.are_one()
    await parts.aclose()
    await content.aclose()
    assert source.closed
