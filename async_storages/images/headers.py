"""The headers of image files. This module detects the format, and finds dimensions and orientation.

Each walk only reads forwards and skips the parts that it does not need. It trusts no length: a part that lies outside
the file, or outside the part around it, raises InvalidArgumentException.

The library `imagesize` knows the same formats, but would begin again after each range, and 2.0.1 fails on
rotated AVIF, misreads wide GIF, scaled WebP and OS/2 BMP, and ignores the orientation of PNG and WebP.
"""

import re
import struct
from collections.abc import Callable

from async_storages.images.heif import heif
from async_storages.images.size import ImageSize, image_size
from async_storages.images.tiff_and_exif import exif_orientation, tiff
from async_storages.images.window import Walk, Window, broken

__all__ = ["HEAD", "IMAGE_BEGINNINGS", "walk"]

HEAD = 32
"""The number of first bytes that show the format."""


def walk(window: Window) -> Walk[ImageSize | None]:
    """Find the size of the image that begins at byte 0. None if its format is unknown.

    Raises:
        InvalidArgumentException: The header is truncated, contradictory or has no pixels.
    """
    head = yield from window.peek(0, HEAD)
    for magic, header in _FORMATS.items():
        if magic.match(head):
            return (yield from header(window))
    return None


def _png(window: Window) -> Walk[ImageSize]:
    """PNG: https://www.w3.org/TR/png-3/, sections 5.3 (chunks), 11.2.1 (IHDR) and 11.3.4.5 (eXIf)."""
    length, kind, width, height = struct.unpack(">I4sII", (yield from window.read(8, 16)))
    if (length, kind) != (13, b"IHDR"):
        raise broken("a PNG that does not begin with its IHDR chunk")
    orientation, at = 1, 8
    while kind != b"IDAT":
        # length, kind and checksum are 4 bytes each
        at += length + 12
        length, kind = struct.unpack(">I4s", (yield from window.read(at, 8)))
        if kind == b"eXIf":
            orientation = yield from exif_orientation(window, at + 8, at + 8 + length)
    return image_size(width, height, orientation)


def _gif(window: Window) -> Walk[ImageSize]:
    """GIF: https://www.w3.org/Graphics/GIF/spec-gif89a.txt, sections 18 and 20.

    A first frame that exceeds the logical screen makes the image larger, as in browsers and in Pillow.
    """
    width, height, flags = struct.unpack("<HHB", (yield from window.read(6, 5)))
    at = 13 + _gif_colours(flags)
    while (kind := (yield from window.read(at, 1))) == b"!":
        at = yield from _behind_gif_blocks(window, at + 2)
    if kind == b",":
        left, top, across, down = struct.unpack("<4H", (yield from window.read(at + 1, 8)))
        width, height = max(width, left + across), max(height, top + down)
    return image_size(width, height)


def _gif_colours(flags: int) -> int:
    """Return the size in bytes of the table of colours after these flags."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _behind_gif_blocks(window: Window, at: int) -> Walk[int]:
    """Return the offset after a run of blocks of up to 255 bytes. An empty block ends the run."""
    while length := (yield from window.read(at, 1))[0]:
        at += 1 + length
    return at + 1


def _bmp(window: Window) -> Walk[ImageSize]:
    """BMP: the header of OS/2 1.x, 12 bytes long, has 16 bits for each side; all later ones have 32."""
    (header_size,) = struct.unpack("<I", (yield from window.read(14, 4)))
    if header_size == 12:
        return image_size(*struct.unpack("<HH", (yield from window.read(18, 4))))
    width, height = struct.unpack("<ii", (yield from window.read(18, 8)))
    # negative: the rows are stored from top to bottom
    return image_size(width, abs(height))


_JPEG_MARKER = re.compile(rb"\xff[\x01-\xfe]")
_STRAY_BYTES_OF_A_PART = 64
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
_EOI, _SOS, _APP1 = 0xD9, 0xDA, 0xE1


def _jpeg(window: Window) -> Walk[ImageSize]:
    """JPEG: ITU-T T.81, annex B. Thumbnails are inside segments, which the walk skips."""
    orientation, at = None, 2
    while True:
        marker, at = yield from _jpeg_marker(window, at)
        if marker in _WITHOUT_LENGTH:
            continue
        if marker in {_SOS, _EOI}:
            raise broken("a JPEG without a frame header")
        (length,) = struct.unpack(">H", (yield from window.read(at, 2)))
        if length < 2:
            raise broken("a JPEG segment shorter than its own length field")
        if marker in _SOF:
            height, width = struct.unpack(">HH", (yield from window.read(at + 3, 4)))
            return image_size(width, height, orientation or 1)
        if marker == _APP1 and orientation is None:
            orientation = yield from _jpeg_exif(window, at + 2, at + length)
        at += length


def _jpeg_marker(window: Window, at: int) -> Walk[tuple[int, int]]:
    """Return the next marker and the offset after it. Like all decoders, it skips fill bytes and stray bytes."""
    while True:
        marker = yield from window.read(at, 2)
        if marker[0] == 0xFF and 0 < marker[1] < 0xFF:
            return marker[1], at + 2
        found = window.search(_JPEG_MARKER, at)
        stray, at = at, window.end - 1 if found is None else found
        window.spend((at - stray) // _STRAY_BYTES_OF_A_PART)


def _jpeg_exif(window: Window, start: int, end: int) -> Walk[int | None]:
    """Return the orientation in an APP1 segment. None if the segment is not EXIF, for example XMP."""
    if (yield from window.read(start, 6)) != b"Exif\0\0":
        return None
    return (yield from exif_orientation(window, start + 6, end))


_WEBP_HAS_EXIF = 0x08

# A still image has fewer; the frames of a long animation are not walked for an EXIF chunk behind them.
_WEBP_CHUNKS = 32


def _webp(window: Window) -> Walk[ImageSize]:
    """WebP: RFC 9649, section 2."""
    riff_size, kind, length = struct.unpack("<4xI4x4sI", (yield from window.read(0, 20)))
    match kind:
        case b"VP8 ":
            return (yield from _vp8(window))
        case b"VP8L":
            return (yield from _vp8l(window))
        case b"VP8X" if length >= 10:
            return (yield from _vp8x(window, 20 + _even(length), 8 + riff_size))
    raise broken(f"a WebP that cannot begin with {kind!r} of {length} bytes")


def _vp8(window: Window) -> Walk[ImageSize]:
    """A lossy frame: RFC 6386, section 9.1; the upper two bits of each side are a scale for showing."""
    tag, start_code, width, height = struct.unpack("<B2x3sHH", (yield from window.read(20, 10)))
    if tag & 1 or start_code != b"\x9d\x01\x2a":
        raise broken("a WebP whose VP8 chunk is not a key frame")
    return image_size(width & 0x3FFF, height & 0x3FFF)


def _vp8l(window: Window) -> Walk[ImageSize]:
    """A lossless frame: RFC 9649, section 3.4."""
    signature, bits = struct.unpack("<BI", (yield from window.read(20, 5)))
    if signature != 0x2F:
        raise broken("a WebP whose VP8L chunk lacks its signature")
    return image_size((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)


def _vp8x(window: Window, chunks: int, end: int) -> Walk[ImageSize]:
    """An extended file: the size of its canvas, and the EXIF chunk behind the image."""
    canvas = yield from window.read(20, 10)
    orientation = 1
    if canvas[0] & _WEBP_HAS_EXIF:
        orientation = yield from _webp_exif(window, chunks, end)
    width, height = int.from_bytes(canvas[4:7], "little"), int.from_bytes(canvas[7:10], "little")
    return image_size(width + 1, height + 1, orientation)


def _webp_exif(window: Window, at: int, end: int) -> Walk[int]:
    for _ in range(_WEBP_CHUNKS):
        if at + 8 > end:
            break
        kind, length = struct.unpack("<4sI", (yield from window.read(at, 8)))
        at += 8
        if kind == b"EXIF":
            # some writers keep the prefix that belongs to JPEG
            prefixed = length >= 6 and (yield from window.read(at, 6)) == b"Exif\0\0"
            return (yield from exif_orientation(window, at + 6 * prefixed, at + length))
        at += _even(length)
    return 1


def _even(length: int) -> int:
    """RIFF pads chunks of odd length by a byte."""
    return length + length % 2


_FORMATS: dict[re.Pattern[bytes], Callable[[Window], Walk[ImageSize] | Walk[ImageSize | None]]] = {
    re.compile(rb"\xff\xd8\xff"): _jpeg,
    re.compile(rb"\x89PNG\r\n\x1a\n"): _png,
    re.compile(rb"GIF8[79]a"): _gif,
    re.compile(rb"RIFF.{4}WEBP", re.DOTALL): _webp,
    re.compile(rb".{4}ftyp", re.DOTALL): heif,
    re.compile(rb"II[*+]\0|MM\0[*+]"): tiff,
    # the letters alone begin many a text: the size of the second header makes it a BMP
    re.compile(rb"BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0\0\0", re.DOTALL): _bmp,
}

IMAGE_BEGINNINGS = re.compile(b"|".join(b"(?:%b)" % magic.pattern for magic in _FORMATS), re.DOTALL)
"""Matches the first `HEAD` bytes of a file that may be an image of a known format."""
