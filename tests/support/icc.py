"""ICC profiles that are not sRGB, written by hand: ICC.1:2001-04, version 2."""

import struct


def _tag(kind: bytes, payload: bytes) -> bytes:
    data = kind + bytes(4) + payload
    return data + bytes(-len(data) % 4)


def _xyz(x: float, y: float, z: float) -> bytes:
    return _tag(b"XYZ ", struct.pack(">3i", *(round(value * 65536) for value in (x, y, z))))


def _gamma(value: float) -> bytes:
    return _tag(b"curv", struct.pack(">IH", 1, round(value * 256)))


def _profile(space: bytes, connection: bytes, kind: bytes, tags: dict[bytes, bytes]) -> bytes:
    tags = {
        b"cprt": _tag(b"text", b"none\0"),
        b"desc": _tag(b"desc", struct.pack(">I", 5) + b"test\0" + bytes(78)),
        b"wtpt": _xyz(0.9642, 1.0, 0.8249),
        **tags,
    }
    at = 128 + 4 + 12 * len(tags)
    table, data = struct.pack(">I", len(tags)), b""
    for name, payload in tags.items():
        table += struct.pack(">4sII", name, at + len(data), len(payload))
        data += payload
    head = struct.pack(">I4sI4s4s4s", at + len(data), b"none", 0x02400000, kind, space, connection)
    head += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + bytes(28)
    head += struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + table + data


def wide_rgb() -> bytes:
    """The primaries of Display P3, with another gamma."""
    tags = {
        b"rXYZ": _xyz(0.5151, 0.2412, -0.0011),
        b"gXYZ": _xyz(0.2920, 0.6922, 0.0419),
        b"bXYZ": _xyz(0.1571, 0.0666, 0.7841),
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _gamma(1.8)),
    }
    return _profile(b"RGB ", b"XYZ ", b"mntr", tags)


def dark_grey() -> bytes:
    """A grey that is darker than that of sRGB."""
    return _profile(b"GRAY", b"XYZ ", b"mntr", {b"kTRC": _gamma(3.0)})


def green_ink() -> bytes:
    """A press whose first ink is a green: a table with two steps for each of the four inks, to CIE Lab."""
    nodes = b""
    for ink in range(16):
        cyan, magenta, yellow, black = (ink >> 3 & 1, ink >> 2 & 1, ink >> 1 & 1, ink & 1)
        light = 255 * (1 - 0.3 * cyan) * (1 - 0.5 * magenta) * (1 - 0.1 * yellow) * (1 - 0.9 * black)
        a, b = 128 - 70 * cyan + 70 * magenta, 128 + 20 * cyan + 80 * yellow
        nodes += bytes([round(light), a if not black else 128, b if not black else 128])
    line = bytes(range(256))
    matrix = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    table = _tag(b"mft1", bytes([4, 3, 2, 0]) + matrix + line * 4 + nodes + line * 3)
    return _profile(b"CMYK", b"Lab ", b"prtr", {b"A2B0": table})
