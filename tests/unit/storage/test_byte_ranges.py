"""`byte_range` gives the positions of the slice that Python takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_storages import InvalidArgumentException, byte_range


@given(st.integers(0, 40), st.integers(-60, 60), st.none() | st.integers(0, 60), st.integers(1, 50))
def test_a_range_is_the_slice_that_python_takes(size, offset, length, chunk_size):
    data = bytes(range(size))
    expected = data[offset:] if length is None else data[offset:][:length]
    positions = byte_range(size, offset, length, chunk_size)
    chunks = [data[start : min(start + chunk_size, positions.stop)] for start in positions]
    assert b"".join(chunks) == expected
    assert all(chunks)


@pytest.mark.parametrize(("length", "chunk_size"), [(-1, 1), (1, 0), (None, -1)])
def test_a_range_that_cannot_be_is_refused(length, chunk_size):
    with pytest.raises(InvalidArgumentException, match="a stream cannot have"):
        byte_range(10, 0, length, chunk_size)
