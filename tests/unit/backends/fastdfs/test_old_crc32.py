"""The checksum in ids of FastDFS 5.x, against values that the C rule gave (a signed int that is shifted right)."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_storages.backends.fastdfs.old_crc32 import OldCrc32

VECTORS = {
    b"": 0x00000000,
    b"a": 0x17B7BE43,
    b"hello": 0x1BEDB6F4,
    b"123456789": 0x206AF85B,
    b"The quick brown fox jumps over the lazy dog": 0x4D17A2C9,
    bytes((i * i + i // 7) & 0xFF for i in range(100_000)): 0xB653BE82,
}


def computed(*pieces):
    crc = OldCrc32()
    for piece in pieces:
        crc.update(piece)
    return crc.value()


def by_the_rule(data):
    """As in C, byte by byte; Python's integers shift as signed ones do."""
    register = -1
    for byte in data:
        entry = (register ^ byte) & 0xFF
        for _ in range(8):
            entry = 0xEDB88320 ^ (entry >> 1) if entry & 1 else entry >> 1
        register = (entry - (1 << 32) if entry >> 31 else entry) ^ (register >> 8)
    return (register & 0xFFFFFFFF) ^ 0xFFFFFFFF


@pytest.mark.parametrize("data", VECTORS, ids=lambda data: f"{len(data)} bytes")
def test_values_of_the_c_rule(data):
    assert computed(data) == VECTORS[data]
    assert by_the_rule(data) == VECTORS[data]


@given(st.lists(st.binary(max_size=3000), max_size=6))
def test_pieces_of_any_size(pieces):
    assert computed(*pieces) == by_the_rule(b"".join(pieces))


def test_it_is_not_that_of_zlib():
    contents = [number.to_bytes(4) * 25 for number in range(1000)]
    assert not [content for content in contents if computed(content) == zlib.crc32(content) and any(content)]
