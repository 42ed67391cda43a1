"""Content types of binary files by their first bytes: a signature, the brand of an ISO file, or frames in a row."""

import re
from collections.abc import Callable

__all__ = ["BRANDED_TYPES", "SIGNED_TYPES", "binary_type"]

# Matched at the first byte; signatures of two or three letters carry on to something that no text holds.
_SIGNATURES = (
    ("image/png", rb"\x89PNG\r\n\x1a\n"),
    ("image/jpeg", rb"\xff\xd8\xff"),
    ("image/gif", rb"GIF8[79]a"),
    ("image/webp", rb"RIFF.{4}WEBP"),
    ("image/bmp", rb"BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0{3}"),
    ("image/tiff", rb"II\x2a\0|MM\0\x2a|II\x2b\0\x08\0|MM\0\x2b\0\x08"),
    ("image/vnd.microsoft.icon", rb"\0\0\x01\0[^\0]\0.{3}\0"),
    ("image/x-win-bitmap", rb"\0\0\x02\0[^\0]\0.{3}\0"),
    ("image/x-icns", rb"icns[\0-\x08]"),
    ("image/vnd.djvu", rb"AT&TFORM.{4}(?:DJV[UMI]|THUM)"),
    ("image/vnd.adobe.photoshop", rb"8BPS\0[\x01\x02]"),
    ("image/jp2", rb"\0{3}\x0cjP  \r\n\x87\n"),
    ("image/jxl", rb"\xff\x0a|\0{3}\x0cJXL \r\n\x87\n"),
    ("application/pdf", rb"%PDF-"),
    ("application/postscript", rb"%!PS|\xc5\xd0\xd3\xc6"),
    ("application/rtf", rb"\{\\rtf"),
    ("application/zip", rb"PK(?:\x03\x04|\x05\x06|\x07\x08)"),
    ("application/gzip", rb"\x1f\x8b\x08"),
    ("application/x-7z-compressed", rb"7z\xbc\xaf\x27\x1c"),
    ("application/vnd.rar", rb"Rar!\x1a\x07[\0\x01]"),
    ("application/x-xz", rb"\xfd7zXZ\0"),
    ("application/x-bzip2", rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)"),
    ("application/zstd", rb"\x28\xb5\x2f\xfd"),
    ("application/ogg", rb"OggS\0"),
    ("audio/flac", rb"fLaC"),
    ("audio/wav", rb"(?:RIFF|RF64).{4}WAVE"),
    ("audio/aiff", rb"FORM.{4}AIF[FC]"),
    ("audio/midi", rb"MThd\0{3}\x06"),
    ("audio/mpeg", rb"ID3[\x02-\x04][^\xff].[\0-\x7f]{4}"),
    ("audio/amr", rb"#!AMR(?:_MC1\.0)?\n"),
    ("audio/amr-wb", rb"#!AMR-WB(?:_MC1\.0)?\n"),
    ("audio/x-wavpack", rb"wvpk.{4}[\x02-\x10]\x04"),
    ("audio/x-ape", rb"MAC .[\x0e\x0f]"),
    ("video/x-flv", rb"FLV\x01[\0-\x05]\0{3}\x09"),
    ("video/x-msvideo", rb"RIFF.{4}AVI "),
    ("video/webm", rb"\x1a\x45\xdf\xa3.{1,64}\x42\x82[\x80-\xff]webm"),
    ("video/x-matroska", rb"\x1a\x45\xdf\xa3"),
    ("video/x-ms-asf", rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),
    ("video/mpeg", rb"\0\0\x01[\xba\xb3]"),
    ("video/quicktime", rb"\0.{3}(?:moov|mdat|wide|pnot|free|skip)"),
    ("font/woff", rb"wOFF(?:\0\x01\0\0|OTTO|true)"),
    ("font/woff2", rb"wOF2(?:\0\x01\0\0|OTTO|true|ttcf)"),
    ("font/otf", rb"OTTO\0"),
    ("font/ttf", rb"(?:\0\x01\0\0|true)\0[^\0]"),
    ("font/collection", rb"ttcf\0[\x01\x02]\0\0"),
    ("application/x-ole-storage", rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
    ("application/vnd.sqlite3", rb"SQLite format 3\0"),
    ("application/vnd.apache.parquet", rb"PAR1\x15"),
    ("application/vnd.microsoft.portable-executable", rb"MZ.{0,62}?[\0-\x08]"),
    ("application/vnd.debian.binary-package", rb"!<arch>\ndebian-binary"),
    ("application/x-rpm", rb"\xed\xab\xee\xdb[\x03\x04]"),
    ("application/x-elf", rb"\x7fELF"),
    # A fat Mach-O file counts its architectures where a Java class file has its version, 45 or more.
    ("application/x-mach-binary", rb"\xfe\xed\xfa[\xce\xcf]|[\xce\xcf]\xfa\xed\xfe"),
    ("application/x-mach-binary", rb"\xca\xfe\xba[\xbe\xbf]\0{3}[\x01-\x2c]"),
    ("application/java-vm", rb"\xca\xfe\xba\xbe"),
    ("application/wasm", rb"\0asm"),
    ("application/x-shockwave-flash", rb"[FCZ]WS[\x01-\x40].{0,3}\0"),
    ("application/x-tar", rb".{257}ustar[\0 ]"),
)

SIGNED_TYPES = frozenset(kind for kind, _signature in _SIGNATURES)
"""Every type that a signature tells."""


# ---- MP4, QuickTime, HEIF and their kin, told apart by brands: ISO/IEC 14496-12, and the registry at mp4ra.org

_HEIF = "image/heif"
_BRANDS = {
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"heim": "image/heic",
    b"heis": "image/heic",
    b"hevc": "image/heic",
    b"hevx": "image/heic",
    b"avci": "image/avci",
    b"avcs": "image/avcs",
    b"j2ki": "image/hej2k",
    b"j2is": "image/hej2k",
    b"mif1": _HEIF,
    b"msf1": _HEIF,
    b"crx ": "image/x-canon-cr3",
    b"qt  ": "video/quicktime",
    b"M4A ": "audio/mp4",
    b"M4B ": "audio/mp4",
    b"M4V ": "video/x-m4v",
    b"3g2a": "video/3gpp2",
    b"3gp4": "video/3gpp",
    b"3gp5": "video/3gpp",
    b"3gp6": "video/3gpp",
}
_STILL_TYPES = frozenset({"image/avif", "image/heic", "image/avci", "image/avcs", "image/hej2k"})
_MP4 = (b"iso", b"mp4", b"avc1", b"dash")

BRANDED_TYPES = frozenset(_BRANDS.values())
"""Every type that a brand tells."""


def _by_brand(head: bytes) -> str:
    """The type of a file that begins with a `ftyp` box: that of its major brand.

    A compatible brand decides if the major one only says "an image", or is unknown beside the brand of images.
    """
    end = min(int.from_bytes(head[:4]), len(head))
    major, *compatible = [head[at : at + 4] for at in (8, *range(16, end, 4))]
    kind = _BRANDS.get(major)
    if kind is None and _BRANDS.keys() & {b"mif1", b"msf1"} & {*compatible}:
        kind = None if any(brand.startswith(_MP4) for brand in (major, *compatible)) else _HEIF
    if kind == _HEIF:
        kinds = map(_BRANDS.get, compatible)
        return next((each for each in kinds if each in _STILL_TYPES), kind)
    return kind or "video/mp4"


# ---- sound and video without a signature: frames and packets in a row, as a few bits of sync are in many random files

# Kilobits per second of MPEG audio layer III, from index 1: ISO/IEC 11172-3 and 13818-3.
_MPEG_1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MPEG_2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)

# Kilobits per second of AC-3: ETSI TS 102 366, table 4.13.
_AC3 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
_AC3_SYNC = b"\x0b\x77"
_LAST_AC3, _EAC3 = 8, 16

_PACKETS = 3
_PACKET_SYNC = 0x47


def _by_frames(head: bytes) -> str | None:
    """The type of a file that these first bytes begin, from whole frames of it."""
    if head[:2] == _AC3_SYNC:
        return _dolby(head)
    if _mpeg_frame_size(head) and _is_followed(head, _mpeg_frame_size(head)):
        return "audio/mpeg"
    return "video/mp2t" if _has_packets(head, 0, 188) or _has_packets(head, 4, 192) else None


def _is_followed(head: bytes, size: int) -> bool:
    return head[size : size + 2] == head[:2]


def _mpeg_frame_size(head: bytes) -> int:
    """The bytes of the layer III frame that `head` begins with; 0 if it begins with none."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return 0
    version, rate, sampling, padding = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or rate in {0, 15} or sampling == 3:
        return 0
    is_mpeg_1 = version == 3
    kilobits = (_MPEG_1 if is_mpeg_1 else _MPEG_2)[rate - 1]
    samples = (44100, 48000, 32000)[sampling] >> {3: 0, 2: 1, 0: 2}[version]
    return (144_000 if is_mpeg_1 else 72_000) * kilobits // samples + padding


def _dolby(head: bytes) -> str | None:
    """AC-3 and E-AC-3: ETSI TS 102 366, 4.3.1 and E.1.2."""
    if len(head) < 6:
        return None
    version = head[5] >> 3
    if version <= _LAST_AC3:
        size, kind = _ac3_frame_size(head), "audio/ac3"
    else:
        words = (head[2] & 7) << 8 | head[3]
        size, kind = (2 * words + 2 if version == _EAC3 and head[2] >> 6 != 3 else 0), "audio/eac3"
    return kind if size and _is_followed(head, size) else None


def _ac3_frame_size(head: bytes) -> int:
    sampling, code = head[4] >> 6, head[4] & 0x3F
    if sampling == 3 or code >> 1 >= len(_AC3):
        return 0
    kilobits = _AC3[code >> 1]
    if sampling == 1:  # 44.1 kHz: frames of two lengths
        return 2 * (kilobits * 96_000 // 44_100 + (code & 1))
    return kilobits * (4 if sampling == 0 else 6)


def _has_packets(head: bytes, start: int, size: int) -> bool:
    """True for three or more packets of an MPEG transport stream (ISO/IEC 13818-1, 2.4.3.2)."""
    syncs = head[start::size]
    return (
        len(syncs) >= _PACKETS
        and syncs.count(_PACKET_SYNC) == len(syncs)
        and all(control & 0x30 for control in head[start + 3 :: size])
    )


# ---- all of them

_BEGINNINGS: tuple[tuple[str | Callable[[bytes], str | None], bytes], ...] = (
    *_SIGNATURES,
    (_by_brand, rb"\0.{3}ftyp"),
    (_by_frames, rb"\x0b\x77|\xff[\xe2\xe3\xea\xeb\xf2\xf3\xfa\xfb]|(?:.{4})?G"),
)
# All in one, which a regular expression looks through by first bytes; the empty group behind each counts which it was.
_ANY_BEGINNING = re.compile(b"|".join(b"(?:%b)()" % beginning for _kind, beginning in _BEGINNINGS), re.DOTALL)


def binary_type(head: bytes) -> str | None:
    """The type that these first bytes show by a signature, a brand or frames."""
    found = _ANY_BEGINNING.match(head)
    if found is None or found.lastindex is None:
        return None
    kind = _BEGINNINGS[found.lastindex - 1][0]
    return kind if isinstance(kind, str) else kind(head)
