"""A read goes on in another copy of the file, and only if it is the same."""

import pytest

from async_storages import StorageOperationException
from async_storages.backends.combined.read_so_far import ReadSoFar


async def pieces(content, size):
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def read(so_far, content, size):
    return b"".join([chunk async for chunk in so_far.rest_of(pieces(content, size))])


@pytest.mark.parametrize("size", [1, 3, 4, 100])
@pytest.mark.parametrize("received", [0, 1, 4, 9, 10])
async def test_a_read_goes_on(received, size):
    content, so_far = b"0123456789", ReadSoFar()
    assert await read(so_far, content[:received], 2) == content[:received]
    assert await read(so_far, content, size) == content[received:]
    assert await read(so_far, content, size) == b""


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize("other", [b"012X456789", b"01", b""])
async def test_a_read_does_not_go_on_in_another_file(other, size):
    so_far = ReadSoFar()
    await read(so_far, b"01234", 5)
    with pytest.raises(StorageOperationException, match="the file was replaced while it was read"):
        await read(so_far, other, size)
