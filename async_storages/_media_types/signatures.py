"""Content types by signatures: bytes that a file of a type begins with."""

import re

__all__ = ["SIGNED_TYPES", "by_signature"]

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
# All in one, which a regular expression looks through by first bytes; the empty group behind each counts which it was.
_ANY_SIGNATURE = re.compile(b"|".join(b"(?:%b)()" % signature for _kind, signature in _SIGNATURES), re.DOTALL)

SIGNED_TYPES = frozenset(kind for kind, _signature in _SIGNATURES)
"""Every type that `by_signature` tells."""


def by_signature(head: bytes) -> str | None:
    """The type whose signature these first bytes begin with."""
    found = _ANY_SIGNATURE.match(head)
    return _SIGNATURES[found.lastindex - 1][0] if found and found.lastindex else None
