"""Names and contents that every part of the package has to survive: serving.md, section "Corpus".

`HOSTILE_NAMES` and `GOOD_NAMES` are for whatever takes a name from outside; `samples()` are real files of their
type, `disguised()` files that are not what a name or a client says.
"""

import gzip
import io
import lzma
import sqlite3
import tarfile
import wave
import zipfile
from functools import cache
from typing import NamedTuple

from PIL import Image

from tests.support.images import HAS_AVIF

HOSTILE_NAMES: dict[str, str] = {
    "traversal": "../../etc/passwd",
    "windows-traversal": "..\\..\\x",
    "mixed-traversal": "..\\../..\\x.png",
    "absolute": "/etc/passwd",
    "drive": "C:\\x\\y.png",
    "share": "\\\\server\\share\\y.png",
    "dot": ".",
    "dots": "..",
    "three-dots": "...",
    "dots-and-blanks": " . . ",
    "nul-inside": "a\0b.png",
    "nul-extension": "x.exe\0",
    "nul-hides-extension": "a.php\0.png",
    "newline-extension": "a.php\n",
    "header-injection": 'a.png"\r\nSet-Cookie: owned=1',
    "double-quote": 'a"b.png',
    "backslash-quote": 'a\\"b.png',
    "semicolon-comma": "a;b,c.png",
    "angle-brackets": "<script>alert(1)</script>.html",
    "pipe-star-question": "a|b*c?.png",
    "right-to-left-override": "photo_\u202egnp.exe",
    "zero-width": "a\u200b\u200d\ufeff.png",
    "soft-hyphen-extension": "a.p\u00adhp",
    "line-separators": "a\u2028b\u2029.png",
    "c1-control": "a\x85b\x9f.png",
    "device": "CON",
    "device-with-extension": "con.png",
    "device-two-extensions": "nul.tar.gz",
    "device-blank": "aux .txt",
    "device-port": "COM1",
    "device-superscript": "COM\u00b9",
    "device-console": "CONIN$",
    "trailing-blank": "x.php ",
    "trailing-dot": "x.php.",
    "trailing-dots-and-blanks": "x. . .",
    "no-break-space": "x.php\u00a0",
    "hangul-filler": "\u3164.\u3164",
    "empty": "",
    "blank": " ",
    "hidden": ".htaccess",
    "very-long": "a" * 300,
    "very-long-extension": "a." + "b" * 300,
    "multibyte-at-the-limit": "a" * 249 + "\u7167.jpg",
    "multibyte-past-the-limit": "a" * 250 + "\u7167.jpg",
    "long-multibyte": "\u7167" * 100 + ".jpg",
    "long-marks": "a" + "\u0301" * 300 + ".jpg",
    "long-blanks-to-a-device": "con" + " " * 300 + "x.png",
    "nfd": "cafe\u0301.png",
    "lone-surrogate": "a\ud800.png",
    "surrogates-apart": "\ude00\ud83d.png",
    "noncharacter": "a\uffff\ufdd0\U0010fffe.png",
    "stream": "a.png:evil.exe",
    "scheme": "s3:bucket/key.png",
    "url": "https://example.com/a.png?x=1#y",
    "fullwidth-traversal": "\uff0e\uff0e\uff0fetc",
    "fullwidth-backslash": "\uff0e\uff0e\uff3cetc",
    "small-forms": "\ufe52\ufe52\ufe68etc",
    "two-dot-leader": "\u2025/\u2025/etc",
    "one-dot-leaders": "\u2024\u2024/etc",
    "account-of": "a\u2100b",
    "fullwidth-php": "x.\uff50\uff48\uff50",
    "mathematical-php": "x.\U0001d429\U0001d421\U0001d429",
    "long-s": "x.j\u017f",
    "slashes": "////",
    "trailing-slash": "folder/",
    "inner-dots": "a/./b/../c.png",
    "template": "{{7*7}}${7*7}.png",
    "shell": "$(touch owned);`id`.png",
}
"""What a client may call its file."""

GOOD_NAMES: tuple[str, ...] = (
    "README",
    "noext",
    "report..final.pdf",
    "v1..2.pdf",
    "照片.jpg",
    "合同.jpg",
    "合同（终稿）.pdf",
    "a%41.png",
    "file.php.jpg",
    "O'Brien & Söhne #1.pdf",
    "archive.tar.gz",
    "caf\u00e9.png",
    "🎉.png",
    "❤️",
    "หนังสือ.txt",
    "a+b=c@d!~$^(1)[2]{3},;.txt",
)
"""Names that must come through the gate as they are."""


class Sample(NamedTuple):
    """Real content of a type.

    Attributes:
        content_type: What `sniff` is to say.
        extension: Of an honest name, with its dot.
        content: The bytes.
    """

    content_type: str
    extension: str
    content: bytes


@cache
def samples() -> dict[str, Sample]:
    """Files by label: made by Pillow and the standard library where those can, else a true header."""
    made = {
        "pdf": Sample("application/pdf", ".pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n%%EOF\n"),
        "zip": Sample("application/zip", ".zip", zipped({"a.txt": b"text"})),
        "empty-zip": Sample("application/zip", ".zip", zipped({})),
        "gzip": Sample("application/gzip", ".gz", gzip.compress(b"text")),
        "xz": Sample("application/x-xz", ".xz", lzma.compress(b"text")),
        "tar": Sample("application/x-tar", ".tar", tarred({"a.txt": b"text"})),
        "wav": Sample("audio/wav", ".wav", _wav()),
        "sqlite": Sample("application/vnd.sqlite3", ".sqlite", _sqlite()),
    }
    images = {f"image-{kind}": sample for kind, sample in _images().items()}
    return made | images | {label: Sample(*sample) for label, sample in _HEADERS.items()}


_HTML = b"<!DOCTYPE html><html><body><script>alert(1)</script></body></html>"
_SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'
_GIF = b"GIF89a\x01\0\x01\0\x80\0\0"


@cache
def disguised() -> dict[str, tuple[bytes, str]]:
    """Contents that lie under any extension, by label, each with the type that `sniff` is to see in it."""
    return {
        "html": (_HTML, "text/html"),
        "html-after-300-blanks": (b" \t\r\n" * 75 + _HTML, "text/html"),
        "html-after-a-comment": (b"<!-- " + b"x" * 500 + b" -->\n<p>hello", "text/html"),
        "html-in-an-endless-comment": (b"<!-- " + b"x" * 9000, "text/html"),
        "html-after-nul": (bytes(9) + _HTML, "text/html"),
        "html-odd-case": (b"<ScRiPt/x>alert(1)</sCrIpT>", "text/html"),
        "html-with-a-byte-order-mark": (b"\xef\xbb\xbf\n" + _HTML, "text/html"),
        "html-utf-16": (_HTML.decode().encode("utf-16"), "text/html"),
        "xhtml": (b'<?xml version="1.0"?>\n<html xmlns="http://www.w3.org/1999/xhtml"/>', "text/html"),
        "svg": (_SVG, "image/svg+xml"),
        "svg-after-xml": (b'<?xml version="1.0"?>\n<!-- x -->\n' + _SVG, "image/svg+xml"),
        "svg-doctype": (b"<!DOCTYPE svg [<!ENTITY a 'b'>]>" + _SVG, "image/svg+xml"),
        "svg-prefixed": (b'<s:svg xmlns:s="http://www.w3.org/2000/svg"/>', "image/svg+xml"),
        "svg-utf-16": (_SVG.decode().encode("utf-16"), "image/svg+xml"),
        "svg-utf-32": (_SVG.decode().encode("utf-32"), "image/svg+xml"),
        "svg-utf-16-without-mark": (b" \0" * 300 + _SVG.decode().encode("utf-16-le"), "image/svg+xml"),
        "svg-utf-32-without-mark": (_SVG.decode().encode("utf-32-be"), "image/svg+xml"),
        "xml": (b'<?xml version="1.0"?><x:script xmlns:x="http://www.w3.org/1999/xhtml"/>', "application/xml"),
        "xml-after-a-comment": (b"<!-- licence -->\n<project xmlns='x'><a/></project>", "application/xml"),
        "html-after-two-comments": (b"<!-- a --><!-- b -->\n<pre>x", "text/html"),
        "html-script-after-a-comment": (b"<!-- a --><script>alert(1)</script>", "text/html"),
        "html-heading": (b"<h1 align='center'>x</h1>", "text/html"),
        "xml-doctype": (b"<!DOCTYPE note SYSTEM 'note.dtd'><note/>", "application/xml"),
        "php": (b"<?php system($_GET['c']);", "text/x-php"),
        "shell": (b"#!/bin/sh\nid\n", "text/x-shellscript"),
        "exe": (samples()["exe"].content, "application/vnd.microsoft.portable-executable"),
        "elf": (samples()["elf"].content, "application/x-elf"),
        "jar": (zipped({"META-INF/MANIFEST.MF": b"Manifest-Version: 1.0\n"}), "application/zip"),
        # Polyglots are what they begin with.
        "gif-and-js": (b"GIF89a/*" + _GIF[8:] + b"*/=1;alert(1)", "image/gif"),
        "gif-and-html": (_GIF + _HTML, "image/gif"),
        "jpeg-and-html": (b"\xff\xd8\xff\xfe\x00\x44" + _HTML, "image/jpeg"),
        "png-and-zip": (samples()["image-png"].content + zipped({"a": b"b"}), "image/png"),
        "pdf-at-offset-500": (b"\x01" * 500 + b"%PDF-1.4\n", "application/pdf"),
    }


def zipped(members: dict[str, bytes]) -> bytes:
    """A zip of `members`, stored."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(members: dict[str, bytes]) -> bytes:
    """A tar of `members`, uncompressed."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def image(kind: str, size: tuple[int, int] = (16, 16)) -> bytes:
    """An image of one colour, in the format that Pillow calls `kind`; old ones write square icons only."""
    buffer = io.BytesIO()
    Image.new("RGB", size, "teal").save(buffer, kind)
    return buffer.getvalue()


def _images() -> dict[str, Sample]:
    kinds = {
        "png": ("image/png", ".png"),
        "jpeg": ("image/jpeg", ".jpg"),
        "gif": ("image/gif", ".gif"),
        "webp": ("image/webp", ".webp"),
        "avif": ("image/avif", ".avif"),
        "bmp": ("image/bmp", ".bmp"),
        "tiff": ("image/tiff", ".tif"),
        "ico": ("image/vnd.microsoft.icon", ".ico"),
    }
    return {kind: Sample(*named, image(kind)) for kind, named in kinds.items() if HAS_AVIF or kind != "avif"}


def _wav() -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", "not compressed"))
        sound.writeframes(bytes(160))
    return buffer.getvalue()


def _sqlite() -> bytes:
    database = sqlite3.connect(":memory:")
    try:
        database.execute("CREATE TABLE t (x)")
        return database.serialize()
    finally:
        database.close()


def _box(kind: bytes, *brands: bytes) -> bytes:
    body = brands[0] + bytes(4) + b"".join(brands[1:])
    return (8 + len(body)).to_bytes(4) + kind + body


# Beginnings of files that nothing here can write.
_HEADERS: dict[str, tuple[str, str, bytes]] = {
    "heic": ("image/heic", ".heic", _box(b"ftyp", b"heic", b"mif1", b"heic")),
    "heic-generic": ("image/heic", ".heic", _box(b"ftyp", b"mif1", b"mif1", b"heic")),
    "heif": ("image/heif", ".heif", _box(b"ftyp", b"mif1", b"miaf")),
    "avif-sequence": ("image/avif", ".avif", _box(b"ftyp", b"avis", b"msf1")),
    "mp4": ("video/mp4", ".mp4", _box(b"ftyp", b"isom", b"iso2", b"avc1", b"mp41")),
    "m4a": ("audio/mp4", ".m4a", _box(b"ftyp", b"M4A ", b"mp42")),
    "quicktime": ("video/quicktime", ".mov", _box(b"ftyp", b"qt  ", b"qt  ")),
    "old-quicktime": ("video/quicktime", ".mov", b"\0\0\x10\0moov\0\0\0\x6cmvhd"),
    "3gp": ("video/3gpp", ".3gp", _box(b"ftyp", b"3gp4", b"isom")),
    "webm": ("video/webm", ".webm", b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\xf7\x81\x01\x42\x82\x84webm"),
    "matroska": ("video/x-matroska", ".mkv", b"\x1a\x45\xdf\xa3\xa3\x42\x86\x81\x01\x42\x82\x88matroska"),
    "ogg": ("application/ogg", ".ogx", b"OggS\0\x02" + bytes(22) + b"\x01vorbis"),
    "mp3-tagged": ("audio/mpeg", ".mp3", b"ID3\x04\0\0\0\0\x0f\x76TIT2"),
    "mp3-bare": ("audio/mpeg", ".mp3", (b"\xff\xfb\x90\x64" + bytes(413)) * 3),
    "flac": ("audio/flac", ".flac", b"fLaC\0\0\0\x22"),
    "aiff": ("audio/aiff", ".aiff", b"FORM\0\0\x10\0AIFFCOMM"),
    "midi": ("audio/midi", ".mid", b"MThd\0\0\0\x06\0\x01\0\x02\0\x60"),
    "avi": ("video/x-msvideo", ".avi", b"RIFF\x10\x27\0\0AVI LIST"),
    "wmv": ("video/x-ms-asf", ".asf", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\0\xaa\0\x62\xce\x6c"),
    "mpeg": ("video/mpeg", ".mpg", b"\0\0\x01\xba\x44\0\x04\0"),
    "woff": ("font/woff", ".woff", b"wOFF\0\x01\0\0\0\0\x20\0"),
    "woff2": ("font/woff2", ".woff2", b"wOF2OTTO\0\0\x20\0"),
    "ttf": ("font/ttf", ".ttf", b"\0\x01\0\0\0\x0f\0\x80\0\x03\0\x70"),
    "otf": ("font/otf", ".otf", b"OTTO\0\x0c\0\x80\0\x03\0\x40"),
    "psd": ("image/vnd.adobe.photoshop", ".psd", b"8BPS\0\x01" + bytes(6) + b"\0\x03"),
    "jp2": ("image/jp2", ".jp2", b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 "),
    "jxl": ("image/jxl", ".jxl", b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl "),
    "jxl-codestream": ("image/jxl", ".jxl", b"\xff\x0a\xfa\x1f\x01"),
    "big-tiff": ("image/tiff", ".tif", b"MM\0\x2b\0\x08\0\0"),
    "ole": ("application/x-ole-storage", "", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)),
    "postscript": ("application/postscript", ".ps", b"%!PS-Adobe-3.0\n"),
    "rtf": ("application/rtf", ".rtf", b"{\\rtf1\\ansi hello}"),
    "7z": ("application/x-7z-compressed", ".7z", b"7z\xbc\xaf\x27\x1c\0\x04"),
    "rar": ("application/vnd.rar", ".rar", b"Rar!\x1a\x07\x01\0"),
    "bzip2": ("application/x-bzip2", ".bz2", b"BZh91AY&SY\x2d\x21"),
    "zstd": ("application/zstd", ".zst", b"\x28\xb5\x2f\xfd\x04\x20"),
    "parquet": ("application/vnd.apache.parquet", ".parquet", b"PAR1\x15\x04\x15\x20"),
    "exe": ("application/vnd.microsoft.portable-executable", ".exe", b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0"),
    "elf": ("application/x-elf", "", b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\0\x3e\0"),
    "mach-o": ("application/x-mach-binary", "", b"\xcf\xfa\xed\xfe\x0c\0\0\x01"),
    "mach-o-fat": ("application/x-mach-binary", "", b"\xca\xfe\xba\xbe\0\0\0\x02\x01\0\0\x07"),
    "java-class": ("application/java-vm", ".class", b"\xca\xfe\xba\xbe\0\0\0\x41\0\x1d"),
    "wasm": ("application/wasm", ".wasm", b"\0asm\x01\0\0\0"),
    "flash": ("application/x-shockwave-flash", ".swf", b"CWS\x0a\x20\x01\0\0"),
    "heif-avc": ("image/avci", ".avci", _box(b"ftyp", b"avci", b"mif1", b"avci")),
    "heif-avc-sequence": ("image/avcs", ".avcs", _box(b"ftyp", b"avcs", b"msf1", b"avcs")),
    "heif-jpeg-2000": ("image/hej2k", ".hej2", _box(b"ftyp", b"j2ki", b"mif1", b"j2ki")),
    "heif-jpeg-2000-generic": ("image/hej2k", ".hej2", _box(b"ftyp", b"mif1", b"mif1", b"j2ki")),
    "heif-of-an-unknown-codec": ("image/heif", ".heif", _box(b"ftyp", b"vvic", b"mif1", b"miaf")),
    "cr3": ("image/x-canon-cr3", ".cr3", _box(b"ftyp", b"crx ", b"crx ", b"isom")),
    "flv": ("video/x-flv", ".flv", b"FLV\x01\x05\0\0\0\x09\0\0\0\0\x12"),
    "transport-stream": ("video/mp2t", ".m2t", b"".join(b"\x47\x40%c\x10" % n + bytes(184) for n in range(6))),
    "transport-stream-of-a-camera": (
        "video/mp2t",
        ".m2ts",
        b"".join(b"\x01\x02\x03%c\x47\x40\0\x10" % n + b"\xff" * 184 for n in range(6)),
    ),
    "amr": ("audio/amr", ".amr", b"#!AMR\n\x3c\x91\x17\x16"),
    "amr-wide-band": ("audio/amr-wb", ".awb", b"#!AMR-WB\n\x44\xe6\x6e"),
    "ac3": ("audio/ac3", ".ac3", (b"\x0b\x77\xa1\xb2\x1e\x40\x43" + bytes(1785)) * 2),
    "ac3-44.1-kHz": ("audio/ac3", ".ac3", (b"\x0b\x77\xa1\xb2\x4d\x40\x43" + bytes(411)) * 2),
    "eac3": ("audio/eac3", ".eac3", (b"\x0b\x77\x01\x7f\x3f\x86\xff" + bytes(761)) * 2),
    "wavpack": ("audio/x-wavpack", ".wv", b"wvpk\x3a\x1e\0\0\x10\x04\0\0"),
    "monkeys-audio": ("audio/x-ape", ".ape", b"MAC \x96\x0f\0\0\x34\0\0\0"),
    "icns": ("image/x-icns", ".icns", b"icns\0\0\x8c\xf5ic07"),
    "cursor": ("image/x-win-bitmap", ".cur", b"\0\0\x02\0\x01\0\x20\x20\0\0\x05\0\x03\0"),
    "djvu": ("image/vnd.djvu", ".djvu", b"AT&TFORM\0\0\x10\0DJVMDIRM"),
    "deb": ("application/vnd.debian.binary-package", ".deb", b"!<arch>\ndebian-binary   1342943816  0     0"),
    "rpm": ("application/x-rpm", ".rpm", b"\xed\xab\xee\xdb\x03\0\0\0\0\xff"),
}
