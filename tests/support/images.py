"""Sample images: real ones made by Pillow, and by hand the ones that Pillow cannot write."""

import base64
import io
import struct
import warnings
import zlib
from collections.abc import Callable, Sequence
from functools import partial

from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

SIZE = (37, 21)
"""The dimensions of the samples: odd, and not those of a square."""

ORIENTATION = 0x0112

Image.init()
HAS_AVIF = "AVIF" in Image.SAVE
"""True from Pillow 11.3 on."""


def encode(image_format: str, size: tuple[int, int] = SIZE, mode: str = "RGB", frames: int = 1, **options) -> bytes:
    """An image written by Pillow; several frames differ from each other, so that none is merged away."""
    images = [Image.linear_gradient("L").rotate(90 * n).resize(size).convert(mode) for n in range(frames)]
    if frames > 1:
        options |= {"save_all": True, "append_images": images[1:]}
    out = io.BytesIO()
    images[0].save(out, image_format, **options)
    return out.getvalue()


def noise(image_format: str, size: tuple[int, int], **options) -> bytes:
    """An image that does not compress."""
    out = io.BytesIO()
    Image.effect_noise(size, 100).convert("RGB").save(out, image_format, **options)
    return out.getvalue()


def displayed_size(image: bytes) -> tuple[int, int]:
    """The oracle: what Pillow shows; of a damaged EXIF block it warns, and goes on."""
    with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(image)) as opened:
        return ImageOps.exif_transpose(opened).size


def exif(orientation: int, byte_order: str = "<", before: int = 0) -> bytes:
    """An EXIF block: a TIFF with the orientation only, behind `before` bytes of nothing."""
    magic = b"II*\0" if byte_order == "<" else b"MM\0*"
    return (
        magic
        + struct.pack(f"{byte_order}I", 8 + before)
        + bytes(before)
        + struct.pack(f"{byte_order}HHHIHHI", 1, ORIENTATION, 3, 1, orientation, 0, 0)
    )


def pillow_exif(orientation: int) -> Image.Exif:
    """An EXIF block that Pillow writes, in the way of each format."""
    block = Image.Exif()
    block[ORIENTATION] = orientation
    return block


# JPEG


def segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def app1(exif_block: bytes) -> bytes:
    return segment(0xE1, b"Exif\0\0" + exif_block)


def jpeg_with(*inserted: bytes, size: tuple[int, int] = SIZE, **options) -> bytes:
    """A JPEG with something between its first marker and all others."""
    jpeg = encode("JPEG", size, **options)
    return jpeg[:2] + b"".join(inserted) + jpeg[2:]


def camera_jpeg(orientation: int = 6) -> bytes:
    """As cameras write them: EXIF first, with a thumbnail that is a JPEG itself, then a large maker's segment."""
    thumbnail = encode("JPEG", (160, 120))
    return jpeg_with(app1(exif(orientation) + thumbnail), segment(0xE2, b"MPF\0" + bytes(40000)))


def jpeg_with_long_segments(size: int = 2 << 20) -> bytes:
    """A JPEG whose frame header is behind `size` bytes of application segments."""
    return jpeg_with(app1(exif(8)), *[segment(0xE2, bytes(65533))] * (size // 65537 + 1))


# PNG


def chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def png(*chunks: bytes) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def ihdr(width: int, height: int, interlaced: bool = False) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, interlaced))


def interlaced_png(size: tuple[int, int] = SIZE) -> bytes:
    """A black Adam7 image, which Pillow reads but does not write."""
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    rows = b""
    for x, y, step_x, step_y in passes:
        rows += bytes(1 + len(range(x, size[0], step_x))) * len(range(y, size[1], step_y))
    return png(ihdr(*size, interlaced=True), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))


def png_with_long_text(size: int) -> bytes:
    """A PNG with `size` bytes of text, then an EXIF chunk, before its pixels."""
    text = PngInfo()
    text.add_text("comment", "x" * size)
    return encode("PNG", pnginfo=text, exif=b"Exif\0\0" + exif(6))


# BMP


def bmp_from_top(size: tuple[int, int] = SIZE) -> bytes:
    """A BMP whose rows are stored from top to bottom, which its negative height says."""
    bmp = encode("BMP", size)
    return bmp[:22] + struct.pack("<i", -size[1]) + bmp[26:]


def bmp_core(size: tuple[int, int] = SIZE) -> bytes:
    """A BMP of OS/2 1.x."""
    pixels = bytes((3 * size[0] + 3) // 4 * 4 * size[1])
    header = struct.pack("<IHHHH", 12, *size, 1, 24)
    return b"BM" + struct.pack("<IHHI", 26 + len(pixels), 0, 0, 26) + header + pixels


def bmp_with_header(header_size: int, size: tuple[int, int] = SIZE) -> bytes:
    """A BMP whose second header is longer than usual; what is added is zero."""
    bmp = encode("BMP", size)
    more = bytes(header_size - 40)
    offset = 14 + header_size
    return bmp[:10] + struct.pack("<II", offset, header_size) + bmp[18:54] + more + bmp[54:]


# TIFF


def directory(byte_order: str, fields: Sequence[tuple[int, int, int]], big: bool = False) -> bytes:
    """A TIFF directory of `(tag, type, value)`; the types are SHORT (3), LONG (4) and LONG8 (16)."""
    codes = {3: "H", 4: "I", 16: "Q"}
    length, count = ("Q", "Q") if big else ("H", "I")
    entries = b"".join(
        struct.pack(f"{byte_order}HH{count}", tag, kind, 1)
        + struct.pack(byte_order + codes[kind], value).ljust(8 if big else 4, b"\0")
        for tag, kind, value in fields
    )
    end = bytes(8 if big else 4)
    return struct.pack(byte_order + length, len(fields)) + entries + end


def tiff_fields(size: tuple[int, int], strip: int, orientation: int, kind: int) -> list[tuple[int, int, int]]:
    """An uncompressed grey image in one strip."""
    area = size[0] * size[1]
    return [
        (256, kind, size[0]),
        (257, kind, size[1]),
        (258, 3, 8),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, strip),
        (ORIENTATION, 3, orientation),
        (277, 3, 1),
        (278, kind, size[1]),
        (279, 4, area),
    ]


def tiff(byte_order: str = "<", size: tuple[int, int] = SIZE, orientation: int = 1, kind: int = 3) -> bytes:
    """A TIFF whose directory is behind its pixels."""
    pixels = bytes(size[0] * size[1])
    magic = b"II*\0" if byte_order == "<" else b"MM\0*"
    header = magic + struct.pack(f"{byte_order}I", 8 + len(pixels))
    return header + pixels + directory(byte_order, tiff_fields(size, 8, orientation, kind))


def big_tiff(byte_order: str = "<", size: tuple[int, int] = SIZE, orientation: int = 1, kind: int = 16) -> bytes:
    """A BigTIFF whose directory is behind its pixels."""
    pixels = bytes(size[0] * size[1])
    magic = b"II+\0" if byte_order == "<" else b"MM\0+"
    header = magic + struct.pack(f"{byte_order}HHQ", 8, 0, 16 + len(pixels))
    return header + pixels + directory(byte_order, tiff_fields(size, 16, orientation, kind), big=True)


# GIF


def gif_screen(width: int, height: int, colours: int | None = None) -> bytes:
    """The header and the logical screen; the table of colours has ``2 << colours`` of them."""
    flags = 0 if colours is None else 0x80 | colours
    return (
        b"GIF89a" + struct.pack("<HHBBB", width, height, flags, 0, 0) + bytes(3 * (2 << (colours or 0)) if flags else 0)
    )


def gif_frame(left: int, top: int, width: int, height: int) -> bytes:
    """A frame with a table of two colours, and next to no pixels."""
    return b"," + struct.pack("<4HB", left, top, width, height, 0x80) + bytes(6) + b"\x02\x02\x4c\x01\0"


# AVIF and HEIC


def box(kind: bytes, *payload: bytes) -> bytes:
    body = b"".join(payload)
    return struct.pack(">I", 8 + len(body)) + kind + body


def full_box(kind: bytes, *payload: bytes, version: int = 0, flags: int = 0) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *payload)


def ispe(width: int, height: int) -> bytes:
    return full_box(b"ispe", struct.pack(">II", width, height))


def clap(width: int, height: int, divisor: int = 1) -> bytes:
    return box(b"clap", struct.pack(">8I", width * divisor, divisor, height * divisor, divisor, 0, 1, 0, 1))


def irot(turns: int) -> bytes:
    return box(b"irot", bytes([turns]))


def imir(axis: int) -> bytes:
    return box(b"imir", bytes([axis]))


def heif(
    properties: Sequence[bytes],
    items: dict[int, Sequence[int]],
    primary: int = 1,
    brands: Sequence[bytes] = (b"heic", b"mif1", b"heic"),
    wide: bool = False,
    before_meta: bytes = b"",
) -> bytes:
    """The boxes of a HEIF, without pixels.

    Args:
        properties: The boxes of `ipco`.
        items: The numbers of the properties of each item, from 1.
        primary: The item to show.
        brands: The major brand and the compatible ones.
        wide: With 32-bit item numbers and 15-bit property numbers.
        before_meta: Boxes before `meta`.
    """
    item, number = ("I", "H") if wide else ("H", "B")
    entries = b"".join(
        struct.pack(f">{item}B{len(numbers)}{number}", name, len(numbers), *numbers) for name, numbers in items.items()
    )
    associations = struct.pack(">I", len(items)) + entries
    return (
        box(b"ftyp", brands[0], bytes(4), *brands[1:])
        + before_meta
        + full_box(
            b"meta",
            full_box(b"hdlr", bytes(4), b"pict", bytes(13)),
            full_box(b"pitm", struct.pack(f">{item}", primary), version=int(wide)),
            full_box(b"iinf", bytes(2)),
            box(
                b"iprp", box(b"ipco", *properties), full_box(b"ipma", associations, version=int(wide), flags=int(wide))
            ),
            full_box(b"iloc", bytes(4)),
        )
        + box(b"mdat", bytes(100))
    )


def phone_heic() -> bytes:
    """As phones write them: a grid of tiles, turned by irot, with a thumbnail beside it."""
    properties = [ispe(512, 512), ispe(*SIZE), irot(3), ispe(320, 240), box(b"hvcC", bytes(30))]
    return heif(properties, {1: [5, 1], 2: [5, 1], 49: [2, 3], 50: [5, 4, 3]}, primary=49)


# Written by libheif: 301 x 77 pixels, stored as 302 x 78, cut by clap and turned to the right by irot.
LIBHEIF_HEIC = base64.b85decode(
    "0000OW^{RQXk}?*00000ZE0pPXk}?*0005XZDn*}000000000XXk=`10000000000aA{+700000000000000000000G-+&aV*mgE07O6l0ss"
    "L300001>Hq-%00000001Na0ssI200IsG0RR9100000Bme*aIB98aW&i*H00062000$fZf0cy000000RRAKc4ILB0000LX>Mj^0ssI300IC2"
    "MR;ju000004sdC7Z2$lO00031009YUaB^?}008J|aAR)(004Msc4I>U18@KU0FVFx0000U@BsY%`1k+-4+CHT0RR|40Sp2E{{wIU00RJ!00"
    "09300RIXx&lC90096iLID8-Z~y=U0FVFx0{{R603M(Th!k~MZlsc$=HMZqz<>Y%41fRt0|10#00968L;=Bauwp;}000wXZ)|dIV{CW;0RRm"
    "E27mwn02FC+aAg1h000000WJUl08Rh^04QT@VQ>Hd0WAOk0096108Ib@00IC1|Nj6000RI2|Nj6000IC201$9#cxeCt0009B2nYZG010VwZ"
    "*&6y000?jaBX1#00000000310S18r0|kVJ0000QX>w&|000000000EV`Ot<00IC30096108njYVRQfh03av<uLKlWK>QuoKmXOlHwenHl9J"
    "Gi0d1?1Fb=}x;0yo&00u>PX=VTbO-%qQ000080099K00RI30096700000000"
)


# WebP


def webp_chunk(kind: bytes, payload: bytes) -> bytes:
    return kind + struct.pack("<I", len(payload)) + payload + bytes(len(payload) % 2)


def webp(*chunks: bytes) -> bytes:
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def vp8x(width: int, height: int, flags: int = 0, more: bytes = b"") -> bytes:
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return webp_chunk(b"VP8X", struct.pack("<I", flags) + sides + more)


PILLOW_READS: dict[str, Callable[[], bytes]] = {
    "png-rgb": partial(encode, "PNG"),
    "png-rgba": partial(encode, "PNG", mode="RGBA"),
    "png-palette": partial(encode, "PNG", mode="P"),
    "png-1-bit": partial(encode, "PNG", mode="1"),
    "png-16-bit": partial(encode, "PNG", mode="I;16"),
    "png-interlaced": interlaced_png,
    "png-animated": partial(encode, "PNG", frames=3),
    "png-exif-6": partial(encode, "PNG", exif=exif(6)),
    "png-text-exif-6": partial(png_with_long_text, 1000),
    "png-one-pixel": partial(encode, "PNG", (1, 1)),
    "jpeg-baseline": partial(encode, "JPEG"),
    "jpeg-progressive": partial(encode, "JPEG", progressive=True),
    "jpeg-grey": partial(encode, "JPEG", mode="L"),
    "jpeg-cmyk": partial(encode, "JPEG", mode="CMYK"),
    "jpeg-icc": partial(encode, "JPEG", icc_profile=bytes(3000)),
    "jpeg-xmp-then-exif-6": lambda: jpeg_with(segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x/>"), app1(exif(6))),
    "jpeg-exif-big-endian-8": lambda: jpeg_with(app1(exif(8, ">"))),
    "jpeg-exif-directory-late-5": lambda: jpeg_with(app1(exif(5, before=2000))),
    "jpeg-exif-cut": lambda: jpeg_with(app1(exif(6)[:9])),
    "jpeg-exif-nonsense": lambda: jpeg_with(app1(b"\xff" * 40)),
    "jpeg-exif-directory-outside": lambda: jpeg_with(app1(b"II*\0\xff\xff\xff\xff")),
    "jpeg-exif-orientation-9": lambda: jpeg_with(app1(exif(9))),
    "jpeg-fill-bytes": lambda: jpeg_with(b"\xff" * 9, segment(0xFE, b"comment"), b"\xff" * 700),
    "jpeg-stray-bytes": lambda: jpeg_with(segment(0xFE, b"comment"), bytes(500), b"\xff\0"),
    "jpeg-tables-before-frame": lambda: jpeg_with(segment(0xC4, b""), segment(0xCC, b"")),
    "jpeg-exif-twice-6": lambda: jpeg_with(app1(exif(6)), app1(exif(3))),
    "jpeg-exif-bigtiff": lambda: jpeg_with(app1(b"II+\0" + bytes(40))),
    "jpeg-exif-orientation-of-another-type": lambda: jpeg_with(app1(exif(6).replace(b"\x12\1\3", b"\x12\1\1"))),
    "jpeg-exif-count-lies": lambda: jpeg_with(app1(b"II*\0\x08\0\0\0\x09\0"), segment(0xE2, bytes(8) + exif(6)[10:22])),
    "jpeg-empty-segments": lambda: jpeg_with(*[segment(0xFE, b"")] * 50),
    "jpeg-two-pictures": partial(encode, "MPO", frames=2),
    "camera-jpeg-6": camera_jpeg,
    "gif-87a": partial(encode, "GIF", mode="L"),
    "gif-89a-transparent": partial(encode, "GIF", mode="P", transparency=0),
    "gif-animated": partial(encode, "GIF", frames=3),
    "gif-wide": partial(encode, "GIF", (40000, 2), mode="L"),
    "webp-lossy": partial(encode, "WEBP"),
    "webp-lossless": partial(encode, "WEBP", lossless=True),
    "webp-lossy-alpha": partial(encode, "WEBP", mode="RGBA"),
    "webp-lossless-alpha": partial(encode, "WEBP", mode="RGBA", lossless=True),
    "webp-animated": partial(encode, "WEBP", frames=3),
    "webp-icc": partial(encode, "WEBP", icc_profile=bytes(333)),
    "webp-lossy-exif-6": partial(encode, "WEBP", exif=exif(6)),
    "webp-lossless-exif-7": partial(encode, "WEBP", lossless=True, exif=exif(7, ">")),
    "webp-exif-prefixed-as-in-jpeg-6": lambda: webp(
        vp8x(*SIZE, flags=8), encode("WEBP", lossless=True)[12:], webp_chunk(b"EXIF", b"Exif\0\0" + exif(6))
    ),
    "webp-wide": partial(encode, "WEBP", (16383, 1), lossless=True),
    "avif": partial(encode, "AVIF"),
    "avif-alpha": partial(encode, "AVIF", mode="RGBA"),
    "avif-animated": partial(encode, "AVIF", frames=3),
    "avif-exif-6": partial(encode, "AVIF", exif=exif(6)),
    "bmp-24-bit": partial(encode, "BMP"),
    "bmp-8-bit": partial(encode, "BMP", mode="L"),
    "bmp-1-bit": partial(encode, "BMP", mode="1"),
    "bmp-32-bit": partial(encode, "BMP", mode="RGBA"),
    "bmp-from-top": bmp_from_top,
    "bmp-core": bmp_core,
    "bmp-os2-v2": partial(bmp_with_header, 64),
    "bmp-v4": partial(bmp_with_header, 108),
    "bmp-v5": partial(bmp_with_header, 124),
    "tiff-rgb": partial(encode, "TIFF"),
    "tiff-lzw": partial(encode, "TIFF", compression="tiff_lzw"),
    "tiff-jpeg": partial(encode, "TIFF", compression="jpeg"),
    "tiff-16-bit-big-endian": partial(encode, "TIFF", mode="I;16B"),
    "tiff-frames": partial(encode, "TIFF", frames=3),
    "tiff-exif-6": partial(encode, "TIFF", exif=exif(6)),
    "tiff-directory-behind-little-endian": partial(tiff, "<"),
    "tiff-directory-behind-big-endian": partial(tiff, ">", kind=4),
    "tiff-fields-twice": lambda: (
        b"II*\0\x08\0\0\0"
        + directory("<", [*tiff_fields(SIZE, 8, 1, 3), (256, 3, 9), (257, 3, 9)])
        + bytes(SIZE[0] * SIZE[1])
    ),
    "tiff-directory-behind-6": partial(tiff, ">", orientation=6),
    "bigtiff": partial(encode, "TIFF", big_tiff=True),
    "bigtiff-directory-behind": partial(big_tiff, "<", kind=4),
}
"""Small samples that Pillow opens as well."""

if not HAS_AVIF:
    del PILLOW_READS["tiff-fields-twice"]  # such a Pillow takes the second of two equal fields
    PILLOW_READS = {name: make for name, make in PILLOW_READS.items() if not name.startswith("avif")}

PILLOW_READS_NOT: dict[str, tuple[Callable[[], bytes], tuple[int, int], int]] = {
    "bigtiff-64-bit-sides": (partial(big_tiff, "<"), SIZE, 1),
    "bigtiff-big-endian-6": (partial(big_tiff, ">", orientation=6), SIZE[::-1], 6),
    "heic-phone": (phone_heic, SIZE[::-1], 6),
    "heic-libheif": (lambda: LIBHEIF_HEIC, (77, 301), 6),
    "heic-wide-numbers": (partial(heif, [ispe(*SIZE)], {70000: [0x8001]}, primary=70000, wide=True), SIZE, 1),
    "heic-compatible-brand": (partial(heif, [ispe(*SIZE)], {1: [1]}, brands=[b"abcd", b"heic", b"efgh"]), SIZE, 1),
    "heic-many-brands": (partial(heif, [ispe(*SIZE)], {1: [1]}, brands=[b"heic"] * 639), SIZE, 1),
    "heic-reserved-bits-7": (
        partial(heif, [ispe(*SIZE), irot(0xFF), imir(0xFE)], {1: [1, 2, 3]}),
        SIZE[::-1],
        7,
    ),
    "heic-sequence-brand": (partial(heif, [ispe(*SIZE)], {1: [1]}, brands=[b"msf1"]), SIZE, 1),
    "jpeg-markers-without-length": (lambda: jpeg_with(b"\xff\x01\xff\xd0\xff\xd7"), SIZE, 1),
    "jpeg-reserved-marker": (lambda: jpeg_with(segment(0xC8, bytes(17))), SIZE, 1),
    "webp-scaled": (lambda: (w := encode("WEBP"))[:27] + bytes([w[27] | 0x40]) + w[28:], SIZE, 1),
    "webp-exif-too-short": (lambda: webp(vp8x(*SIZE, flags=8), webp_chunk(b"EXIF", b"II")), SIZE, 1),
    "webp-long-header-6": (
        lambda: webp(vp8x(*SIZE, flags=8, more=b"x"), webp_chunk(b"EXIF", exif(6))),
        SIZE[::-1],
        6,
    ),
    "webp-exif-flag-without-chunk": (lambda: webp(vp8x(*SIZE, flags=8), webp_chunk(b"VP8L", bytes(9))), SIZE, 1),
}
"""Small samples that Pillow does not open, with their displayed size and orientation."""

LARGE: dict[str, Callable[[], bytes]] = {
    "jpeg-2-MB-of-segments": jpeg_with_long_segments,
    "jpeg-100-kB-of-fill-bytes": lambda: jpeg_with(b"\xff" * 100_000),
    "jpeg-stray-bytes-up-to-the-first-range": lambda: jpeg_with(segment(0xFE, b""), bytes(65535 - 6), app1(exif(6))),
    "jpeg-segment-up-to-the-first-range": lambda: jpeg_with(segment(0xE2, bytes(65536 - 2 - 4 - 1))),
    "jpeg-noise": partial(noise, "JPEG", (1000, 700), quality=95),
    "png-3-MB-of-text": partial(png_with_long_text, 3 << 20),
    "webp-exif-behind-noise": partial(noise, "WEBP", (400, 300), lossless=True, exif=exif(6)),
    "tiff-directory-behind-3-MB": partial(tiff, "<", (1024, 3072), orientation=6),
    "tiff-directory-behind-3-MB-big-endian": partial(tiff, ">", (3072, 1024)),
    "bigtiff-directory-behind-3-MB": partial(big_tiff, "<", (3072, 1024), kind=4),
    **({"avif-noise": partial(noise, "AVIF", (400, 300), quality=100, speed=10)} if HAS_AVIF else {}),
}
"""Samples with more than the first range, all of which Pillow opens; small ones are in `PILLOW_READS`."""

NO_IMAGES: dict[str, bytes] = {
    "empty": b"",
    "one-byte": b"\x89",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20"/>',
    "svg-with-declaration": b'<?xml version="1.0"?><svg width="40" height="20"/>',
    "text": b"Once upon a time " * 100,
    "text-like-bmp": b"BMW has built cars in Munich since 1928. " * 9,
    "text-like-gif": b"GIF is pronounced like gift. " * 9,
    "pdf": b"%PDF-1.7\n" + bytes(200),
    "zip": b"PK\x03\x04" + bytes(200),
    "wav": b"RIFF\x24\0\0\0WAVEfmt " + bytes(200),
    "mp4": box(b"ftyp", b"isom", bytes(4), b"isomiso2avc1mp41") + box(b"moov", bytes(200)),
    "mp4-with-endless-first-box": struct.pack(">I4s", 0xFFFFFFFF, b"ftyp") + b"isom" * 100_000,
    "zeros": bytes(100_000),
}
"""Files that are no image, or of no format that has pixels."""
