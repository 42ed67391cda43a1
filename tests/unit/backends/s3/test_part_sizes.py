"""Sizes of the parts of an upload to S3."""

from itertools import islice

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from async_storages.backends.buckets.part_splitter import PART_SIZE
from async_storages.backends.s3.part_sizes import part_sizes
from async_storages.errors import FileTooLargeException
from async_storages.storage.part_uploads import MAX_PARTS

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
