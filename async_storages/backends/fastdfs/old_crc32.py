"""The checksum in ids of FastDFS 5.x: CRC-32 as libfastcommon computed it before 1.0.38 (June 2018).

Its register was a signed int, so that a shift to the right filled it with copies of its highest bit (src/hash.c,
CRC32_ex). The result is not zlib's CRC-32. But it is linear in the bytes too, which makes a fast computation possible:
each step multiplies the register by a matrix, whose minimal polynomial is `_TAPS`. So a block of 2^k bytes can be added
(by XOR) to later blocks, at the distances in the polynomial, without changing the result. This leaves 32 blocks, then
32 shorter ones, and in the end 32 bytes.
"""

__all__ = ["OldCrc32"]

_DEGREE = 32
_TAPS = tuple(_DEGREE - power for power in (0, 1, 2, 3, 6, 7, 11, 19, 20, 22, 24, 31))
"""Distances in blocks from a block to the later ones to which it is added: x^32 + x^31 + x^24 + … + 1."""

_INITIAL = bytes.fromhex("d9706a0f")
"""Bytes that change the register from 0 to its first value, all ones."""

_BLOCKS = tuple(1 << k for k in range(12, -1, -2))
_ONES = 0xFFFF_FFFF


def _table() -> tuple[int, ...]:
    entries = []
    for value in range(256):
        register = value
        for _ in range(8):
            register = 0xEDB8_8320 ^ (register >> 1) if register & 1 else register >> 1
        entries.append(register)
    return tuple(entries)


_TABLE = _table()


class OldCrc32:
    """The checksum of bytes that arrive piece by piece."""

    def __init__(self) -> None:
        self._rest = _INITIAL

    def update(self, data: bytes) -> None:
        """Add bytes."""
        self._rest = _folded(self._rest + data)

    def value(self) -> int:
        """The checksum of all bytes so far."""
        register = 0
        for byte in self._rest:
            copies = 0xFF00_0000 if register >> 31 else 0
            register = _TABLE[(register ^ byte) & 0xFF] ^ (register >> 8) ^ copies
        return register ^ _ONES


def _folded(message: bytes) -> bytes:
    """Return at most 32 bytes that change a register of 0 to the same value as the message."""
    for size in _BLOCKS:
        if len(message) > _DEGREE * size:
            message = _folded_once(message, size)
    return message


def _folded_once(message: bytes, size: int) -> bytes:
    """Return the last 32 blocks of a message, with the earlier blocks added."""
    filled = message.rjust(-(-len(message) // size) * size, b"\0")  # zeros in front change nothing
    blocks = [int.from_bytes(filled[start : start + size]) for start in range(0, len(filled), size)]
    for place in range(len(blocks) - _DEGREE):
        block = blocks[place]
        for tap in _TAPS:
            blocks[place + tap] ^= block
    return b"".join(block.to_bytes(size) for block in blocks[-_DEGREE:])
