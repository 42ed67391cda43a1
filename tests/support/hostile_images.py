"""Images that harm whoever decodes them carelessly, made when they are asked for."""

import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import partial

from tests.support.images import (
    HAS_AVIF,
    box,
    camera_jpeg,
    chunk,
    directory,
    encode,
    exif,
    gif_frame,
    gif_screen,
    heif,
    ihdr,
    ispe,
    jpeg_with_long_segments,
    noise,
    png,
    png_with_long_text,
    segment,
    tiff,
    tiff_fields,
    vp8x,
    webp,
    webp_chunk,
)

END = chunk(b"IEND", b"")


def black_png(width: int, height: int) -> bytes:
    """A PNG of a thousandth of its pixels' bytes."""
    pack = zlib.compressobj(1)
    row = bytes(width + 1)
    rows = b"".join(pack.compress(row) for _ in range(height)) + pack.flush()
    return png(ihdr(width, height), chunk(b"IDAT", rows), END)


def text_bomb() -> bytes:
    """A PNG with compressed texts, of 64 MB each."""
    text = zlib.compress(bytes(64 << 20), 9)
    texts = [chunk(b"zTXt", b"comment\0\0" + text)] * 8
    return png(ihdr(10, 10), *texts, chunk(b"IDAT", zlib.compress(bytes(110))), END)


def profile_bomb() -> bytes:
    """A PNG whose colour profile is 64 MB."""
    profile = chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(64 << 20), 9))
    return png(ihdr(10, 10), profile, chunk(b"IDAT", zlib.compress(bytes(110))), END)


def many_frames(frames: int = 300, size: tuple[int, int] = (2000, 2000)) -> bytes:
    """A GIF with 1.2 gigapixels."""
    gif = encode("GIF", size, "1")
    begin = gif.index(b",\0\0\0\0" + struct.pack("<HH", *size))
    return gif[:begin] + gif[begin:-1] * frames + b";"


def growing_gif() -> bytes:
    """A GIF whose second frame is larger than any image may be."""
    return gif_screen(10, 10) + gif_frame(0, 0, 10, 10) + gif_frame(0, 0, 65535, 65535) + b";"


def tall_jpeg() -> bytes:
    """A JPEG that says it is 50 times as high as it is."""
    jpeg = bytearray(encode("JPEG", (100, 100)))
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 7] = struct.pack(">H", 5000)
    return bytes(jpeg)


def small_png_of_many_pixels() -> bytes:
    """A PNG that says it is small."""
    return png(ihdr(10, 10), chunk(b"IDAT", zlib.compress(bytes(10_001 * 10_000), 1)), END)


def lying_webp() -> bytes:
    """A WebP whose canvas is large and whose image is not."""
    return webp(vp8x(7000, 7000), webp_chunk(b"VP8 ", encode("WEBP", (10, 10))[20:]))


def circular_tiff() -> bytes:
    """A TIFF whose first directory is also the next one."""
    image = bytearray(tiff())
    image[-4:] = image[4:8]
    return bytes(image)


def nested_tiff(levels: int = 2000) -> bytes:
    """A TIFF with directories within directories."""
    pixels = bytes(100)
    fields = [*tiff_fields((10, 10), 8, 1, 3), (330, 4, 0)]
    size = len(directory("<", fields))
    start = 8 + len(pixels)
    body = b"".join(directory("<", [*fields[:-1], (330, 4, start + (level + 1) * size)]) for level in range(levels))
    return b"II*\0" + struct.pack("<I", start) + pixels + body


def wide_tiff_strip() -> bytes:
    """A TIFF whose only strip is said to have 4 GB."""
    fields = [(tag, kind, 0xFFFFFFF0 if tag == 279 else value) for tag, kind, value in tiff_fields((10, 10), 8, 1, 4)]
    return b"II*\0" + struct.pack("<I", 108) + bytes(100) + directory("<", fields)


def malformed_avif() -> bytes:
    """An AVIF whose boxes are right and whose pixels are none."""
    return heif([ispe(60, 40), box(b"av1C", bytes(4))], {1: [1, 2]}, brands=(b"avif", b"mif1", b"avif"))


def broken_avif() -> bytes:
    """An AVIF whose pixels were overwritten."""
    avif = encode("AVIF", (60, 40))
    return avif[:-200] + bytes(reversed(avif[-200:]))


def polyglot(image_format: str) -> bytes:
    """An image that is also an archive, and a page with a script."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("index.html", "<script>alert(1)</script>")
    comment = b"<script>alert(1)</script>"
    options = {"comment": comment} if image_format in {"GIF", "JPEG"} else {}
    return encode(image_format, (60, 40), **options) + comment + out.getvalue()


SVG = b"""<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>
<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20"><image href="http://127.0.0.1:1/"/><text>&x;</text></svg>"""

REFUSED: dict[str, Callable[[], bytes]] = {
    "a declared bomb": lambda: png(ihdr(20_000, 20_000), chunk(b"IDAT", zlib.compress(b"")), END),
    "a real bomb": partial(black_png, 12_000, 12_000),
    "a bomb of a JPEG": lambda: tall_jpeg().replace(struct.pack(">HH", 5000, 100), struct.pack(">HH", 65500, 65500)),
    "a bomb of a GIF": lambda: gif_screen(65535, 65535) + gif_frame(0, 0, 65535, 65535) + b";",
    "a truncated PNG": lambda: noise("PNG", (200, 200))[:-30_000],
    "a truncated JPEG": lambda: noise("JPEG", (200, 200))[:-9_000],
    "a truncated WebP": lambda: noise("WEBP", (200, 200))[:-9_000],
    "a truncated GIF": lambda: noise("GIF", (200, 200))[:-9_000],
    "a header alone": lambda: png(ihdr(10, 10)),
    "no pixels": lambda: png(ihdr(0, 10), chunk(b"IDAT", b""), END),
    "a GIF without pixels": lambda: gif_screen(0, 0) + gif_frame(0, 0, 0, 0) + b";",
    "an SVG": lambda: SVG,
    "a compressed SVG": lambda: gzip.compress(SVG),
    "PostScript": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n(/tmp/x) (w) file\n",
    "a page": lambda: b"<html><script>alert(1)</script></html>",
    "another program's image": lambda: b"P6\n20000 20000\n255\n" + bytes(1000),
    "a lying WebP": lying_webp,
    **({"a malformed AVIF": malformed_avif, "a broken AVIF": broken_avif} if HAS_AVIF else {}),
}
"""Images of which nothing is made."""

EITHER: dict[str, Callable[[], bytes]] = {
    "a text bomb": text_bomb,
    "a bomb of a profile": profile_bomb,
    "a JPEG that is shorter than it says": tall_jpeg,
    "a PNG of more pixels than it says": small_png_of_many_pixels,
    "a nested TIFF": nested_tiff,
    "a circular TIFF": circular_tiff,
    "a TIFF with too long a strip": wide_tiff_strip,
    "a GIF that grows": growing_gif,
    "a JPEG of empty segments": lambda: b"\xff\xd8" + segment(0xFE, b"") * 2000 + encode("JPEG")[2:],
    "EXIF that points nowhere": lambda: encode("PNG", exif=b"Exif\0\0" + exif(6)[:-4] + b"\xff" * 400),
}
"""Images that some decoders read and others do not."""

HARMLESS: dict[str, Callable[[], bytes]] = {
    "2 MB of EXIF": jpeg_with_long_segments,
    "3 MB of text": partial(png_with_long_text, 3 << 20),
    "65,500 pixels wide": lambda: encode("PNG", (65_500, 10), "L"),
    "a photograph of a camera": camera_jpeg,
    "a GIF of 300 frames": many_frames,
    **{f"a {name} that is more": partial(polyglot, name) for name in ("GIF", "JPEG", "PNG")},
}
"""Images that look dangerous, and of which a variant is made."""
