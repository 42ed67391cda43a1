"""Content types from the first bytes and from the extension; never from what a client declares.

The first bytes decide. An extension may only refine them: `.docx` is a kind of zip, `.m4a` a kind of MP4. Text that
a browser or an interpreter would execute is looked for first, and no extension hides it.

A polyglot is what its first bytes say: a GIF whose comment is a script is a GIF, a PNG with a zip behind it is a PNG.
No sniffer can tell; `nosniff`, Content-Disposition and re-encoding make polyglots harmless. Nor is text that holds
markup further down taken for HTML: served as plain text, a browser executes none of it.

Sources: WHATWG MIME Sniffing (openings of HTML), the IANA media type registry, the formats' specifications.
"""

import codecs
import posixpath
import re
from collections.abc import Callable

__all__ = ["ACTIVE_TYPES", "UNKNOWN_TYPE", "content_type", "guess_by_name", "sniff"]

UNKNOWN_TYPE = "application/octet-stream"
"""The type of content that nothing is known about."""

_LONGEST_HEAD = 4096

# Our own table: the standard library's differs by version and reads this machine's mime.types files.
_EXTENSIONS = {
    ".7z": "application/x-7z-compressed",
    ".aac": "audio/aac",
    ".aif": "audio/aiff",
    ".aifc": "audio/aiff",
    ".aiff": "audio/aiff",
    ".au": "audio/basic",
    ".avi": "video/x-msvideo",
    ".avif": "image/avif",
    ".bat": "text/plain",
    ".bmp": "image/bmp",
    ".br": "application/x-brotli",
    ".bz2": "application/x-bzip2",
    ".c": "text/plain",
    ".cfg": "text/plain",
    ".class": "application/java-vm",
    ".conf": "text/plain",
    ".css": "text/css",
    ".csv": "text/csv",
    ".dll": "application/vnd.microsoft.portable-executable",
    ".eml": "message/rfc822",
    ".eps": "application/postscript",
    ".exe": "application/vnd.microsoft.portable-executable",
    ".flac": "audio/flac",
    ".geojson": "application/geo+json",
    ".gif": "image/gif",
    ".glb": "model/gltf-binary",
    ".gltf": "model/gltf+json",
    ".h": "text/plain",
    ".htm": "text/html",
    ".html": "text/html",
    ".ico": "image/vnd.microsoft.icon",
    ".ics": "text/calendar",
    ".ini": "text/plain",
    ".ipynb": "application/x-ipynb+json",
    ".jfif": "image/jpeg",
    ".jp2": "image/jp2",
    ".jpe": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".jsonld": "application/ld+json",
    ".jxl": "image/jxl",
    ".log": "text/plain",
    ".m3u8": "application/vnd.apple.mpegurl",
    ".markdown": "text/markdown",
    ".md": "text/markdown",
    ".mht": "message/rfc822",
    ".mhtml": "message/rfc822",
    ".mid": "audio/midi",
    ".midi": "audio/midi",
    ".mp2": "audio/mpeg",
    ".mp3": "audio/mpeg",
    ".mpeg": "video/mpeg",
    ".mpg": "video/mpeg",
    ".ndjson": "application/x-ndjson",
    ".ogx": "application/ogg",
    ".otf": "font/otf",
    ".p12": "application/x-pkcs12",
    ".parquet": "application/vnd.apache.parquet",
    ".pdf": "application/pdf",
    ".pfx": "application/x-pkcs12",
    ".pgm": "image/x-portable-graymap",
    ".php": "text/x-php",
    ".phtml": "text/x-php",
    ".png": "image/png",
    ".ppm": "image/x-portable-pixmap",
    ".ps": "application/postscript",
    ".psd": "image/vnd.adobe.photoshop",
    ".rar": "application/vnd.rar",
    ".rst": "text/x-rst",
    ".rtf": "application/rtf",
    ".sql": "application/sql",
    ".srt": "text/plain",
    ".stl": "model/stl",
    ".swf": "application/x-shockwave-flash",
    ".tar": "application/x-tar",
    ".tbz2": "application/x-bzip2",
    ".tex": "application/x-tex",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".toml": "application/toml",
    ".tsv": "text/tab-separated-values",
    ".ttc": "font/collection",
    ".ttf": "font/ttf",
    ".txt": "text/plain",
    ".txz": "application/x-xz",
    ".vcf": "text/vcard",
    ".vtt": "text/vtt",
    ".wasm": "application/wasm",
    ".wav": "audio/wav",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".xz": "application/x-xz",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".zip": "application/zip",
    ".zst": "application/zstd",
}

_OFFICE = "application/vnd.openxmlformats-officedocument"
_OPEN_DOCUMENT = "application/vnd.oasis.opendocument"

# Kinds of one container, which the first bytes do not tell apart: an extension may.
_BINARY_FAMILIES: dict[str, dict[str, str]] = {
    "image/png": {".apng": "image/apng"},
    "image/tiff": {
        ".dng": "image/x-adobe-dng",
        ".nef": "image/x-nikon-nef",
        ".arw": "image/x-sony-arw",
        ".cr2": "image/x-canon-cr2",
    },
    "image/heic": {".heif": "image/heif"},
    "image/heif": {".heic": "image/heic"},
    "video/mp4": {
        ".mp4": "video/mp4",
        ".m4v": "video/x-m4v",
        ".m4a": "audio/mp4",
        ".m4b": "audio/mp4",
        ".mov": "video/quicktime",
        ".qt": "video/quicktime",
        ".3gp": "video/3gpp",
        ".3g2": "video/3gpp2",
    },
    "video/webm": {".webm": "video/webm", ".weba": "audio/webm"},
    "video/x-matroska": {".mkv": "video/x-matroska", ".mka": "audio/x-matroska"},
    "video/x-ms-asf": {".asf": "video/x-ms-asf", ".wmv": "video/x-ms-wmv", ".wma": "audio/x-ms-wma"},
    "application/ogg": {
        ".ogg": "audio/ogg",
        ".oga": "audio/ogg",
        ".opus": "audio/opus",
        ".ogv": "video/ogg",
    },
    "application/pdf": {".ai": "application/illustrator"},
    "application/rtf": {".doc": "application/msword"},
    "application/zip": {
        ".docx": f"{_OFFICE}.wordprocessingml.document",
        ".dotx": f"{_OFFICE}.wordprocessingml.template",
        ".docm": "application/vnd.ms-word.document.macroEnabled.12",
        ".xlsx": f"{_OFFICE}.spreadsheetml.sheet",
        ".xltx": f"{_OFFICE}.spreadsheetml.template",
        ".xlsm": "application/vnd.ms-excel.sheet.macroEnabled.12",
        ".xlsb": "application/vnd.ms-excel.sheet.binary.macroEnabled.12",
        ".pptx": f"{_OFFICE}.presentationml.presentation",
        ".ppsx": f"{_OFFICE}.presentationml.slideshow",
        ".potx": f"{_OFFICE}.presentationml.template",
        ".pptm": "application/vnd.ms-powerpoint.presentation.macroEnabled.12",
        ".odt": f"{_OPEN_DOCUMENT}.text",
        ".ods": f"{_OPEN_DOCUMENT}.spreadsheet",
        ".odp": f"{_OPEN_DOCUMENT}.presentation",
        ".odg": f"{_OPEN_DOCUMENT}.graphics",
        ".epub": "application/epub+zip",
        ".jar": "application/java-archive",
        ".war": "application/java-archive",
        ".apk": "application/vnd.android.package-archive",
        ".kmz": "application/vnd.google-earth.kmz",
        ".cbz": "application/vnd.comicbook+zip",
        ".3mf": "model/3mf",
        ".usdz": "model/vnd.usdz+zip",
        ".pages": "application/vnd.apple.pages",
        ".numbers": "application/vnd.apple.numbers",
    },
    "application/x-ole-storage": {
        ".doc": "application/msword",
        ".xls": "application/vnd.ms-excel",
        ".ppt": "application/vnd.ms-powerpoint",
        ".pps": "application/vnd.ms-powerpoint",
        ".msg": "application/vnd.ms-outlook",
        ".msi": "application/x-msi",
        ".vsd": "application/vnd.visio",
        # Encrypted Office documents are OLE files around the zip.
        ".docx": f"{_OFFICE}.wordprocessingml.document",
        ".xlsx": f"{_OFFICE}.spreadsheetml.sheet",
        ".pptx": f"{_OFFICE}.presentationml.presentation",
    },
    "application/gzip": {".gz": "application/gzip", ".tgz": "application/gzip", ".svgz": "image/svg+xml"},
    "application/vnd.rar": {".cbr": "application/vnd.comicbook-rar"},
    "application/vnd.sqlite3": {
        ".sqlite": "application/vnd.sqlite3",
        ".sqlite3": "application/vnd.sqlite3",
        ".gpkg": "application/geopackage+sqlite3",
    },
}

# The same for text; each kind of an active type is active itself.
_TEXT_FAMILIES: dict[str, dict[str, str]] = {
    "text/html": {".xhtml": "application/xhtml+xml", ".xht": "application/xhtml+xml"},
    "application/xml": {
        ".xml": "application/xml",
        ".xsd": "application/xml",
        ".wsdl": "application/xml",
        ".xsl": "application/xslt+xml",
        ".xslt": "application/xslt+xml",
        ".rss": "application/rss+xml",
        ".atom": "application/atom+xml",
        ".gpx": "application/gpx+xml",
        ".kml": "application/vnd.google-earth.kml+xml",
        ".rdf": "application/rdf+xml",
        ".mpd": "application/dash+xml",
        ".ttml": "application/ttml+xml",
        ".musicxml": "application/vnd.recordare.musicxml+xml",
        ".dae": "model/vnd.collada+xml",
        ".svg": "image/svg+xml",
        ".xhtml": "application/xhtml+xml",
    },
    "text/x-shellscript": {
        ".sh": "application/x-sh",
        ".csh": "application/x-csh",
        ".tcl": "application/x-tcl",
        ".py": "text/x-python",
        ".js": "text/javascript",
        ".mjs": "text/javascript",
    },
}
_FAMILIES = _BINARY_FAMILIES | _TEXT_FAMILIES

_BY_EXTENSION = dict(_EXTENSIONS)
for _extensions in _FAMILIES.values():
    _BY_EXTENSION |= _extensions

ACTIVE_TYPES: frozenset[str] = frozenset(
    {
        "application/ecmascript",
        "application/javascript",
        "application/wasm",
        "application/x-javascript",
        "application/x-shockwave-flash",
        "application/xhtml+xml",
        "image/svg+xml",
        "text/ecmascript",
        "text/html",
        "text/javascript",
        "text/xml",
        "text/xsl",
    }
) | {kind for kind in _BY_EXTENSION.values() if kind.endswith(("/xml", "+xml"))}
"""The types that a browser executes, or renders with whatever scripts they hold; XML of any kind is among them."""

_BLANKS = " \t\n\v\f\r\0\ufeff"
_COMMENTS = r"(?:\s|<!--.*?-->)*+"
_PROLOG = r"(?:\s|<\?.*?\?>|<!--.*?-->)*+"
_HTML_TAGS = (
    "html|head|body|script|style|title|meta|link|base|iframe|frameset|object|embed|applet|template|noscript|"
    "a|b|br|p|div|span|font|center|table|ul|ol|h[1-6]|img|video|audio|form|input|button|textarea|select|"
    "details|dialog|marquee|main|section|article|nav|header|footer|math"
)
_FIRST_SIGNS = "#<"
# How executable text begins, after blanks, in any letter case; the first that fits is it.
_OPENINGS = tuple(
    (kind, re.compile(opening, re.IGNORECASE | re.DOTALL))
    for kind, opening in (
        ("text/x-shellscript", r"#!(?!AMR|SILK|\[)"),
        ("text/x-php", r"<\?(?:php|=)"),
        ("image/svg+xml", _PROLOG + r"<(?:!doctype\s+)?(?:[\w.-]+:)?svg(?![\w:.-])"),
        ("text/html", _PROLOG + r"<(?:!doctype\s+)?html(?![\w:.-])"),
        ("text/html", _COMMENTS + rf"<(?:{_HTML_TAGS})(?=[\s/>]|\Z)"),
        ("application/xml", r"<\?xml|<!doctype"),
        ("text/html", r"<!--"),
    )
)

# Longer marks first: UTF-32's begins with UTF-16's.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF8, "utf-8"),
)
# Without a mark, where an ASCII character's zero bytes are gives the encoding away (XML 1.0 appendix F).
_BY_ZEROS = {
    b"\1\0\0\0": "utf-32-le",
    b"\0\0\0\1": "utf-32-be",
    b"\1\0\1\0": "utf-16-le",
    b"\0\1\0\1": "utf-16-be",
}

# Matched at the first byte; signatures of two or three letters carry on to something that no text holds.
_SIGNATURES = (
    ("image/png", rb"\x89PNG\r\n\x1a\n"),
    ("image/jpeg", rb"\xff\xd8\xff"),
    ("image/gif", rb"GIF8[79]a"),
    ("image/webp", rb"RIFF.{4}WEBP"),
    ("image/bmp", rb"BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0{3}"),
    ("image/tiff", rb"II\x2a\0|MM\0\x2a|II\x2b\0\x08\0|MM\0\x2b\0\x08"),
    ("image/vnd.microsoft.icon", rb"\0\0\x01\0[^\0]\0.{3}\0"),
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

# ISO/IEC 14496-12: the brands of a file; image brands also from the registry at mp4ra.org.
_BRANDS = {
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"heim": "image/heic",
    b"heis": "image/heic",
    b"hevc": "image/heic",
    b"hevx": "image/heic",
    b"mif1": "image/heif",
    b"msf1": "image/heif",
    b"qt  ": "video/quicktime",
    b"M4A ": "audio/mp4",
    b"M4B ": "audio/mp4",
    b"M4V ": "video/x-m4v",
    b"3g2a": "video/3gpp2",
    b"3gp4": "video/3gpp",
    b"3gp5": "video/3gpp",
    b"3gp6": "video/3gpp",
}

# Content of these types need not begin with their signature; every other that has one must.
_UNPROVABLE = {"audio/mpeg", "video/mpeg", "application/x-tar"}
_PROVABLE = frozenset(
    {"image/svg+xml", *_BINARY_FAMILIES, *_BRANDS.values()}
    | {kind for kind, _signature in _SIGNATURES}
    | {kind for extensions in _BINARY_FAMILIES.values() for kind in extensions.values()}
).difference(_UNPROVABLE)

_KIN = {sniffed: frozenset(extensions.values()) for sniffed, extensions in _FAMILIES.items()}
_KIN |= dict.fromkeys(_KIN["video/mp4"], _KIN["video/mp4"])

# Kilobits per second of MPEG audio layer III, from index 1: ISO/IEC 11172-3 and 13818-3.
_MPEG_1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MPEG_2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)

_CONTROL = re.compile(r"[\0-\x08\x0e-\x1f\x7f-\x9f]")


def sniff(head: bytes) -> str | None:
    r"""The content type that the first bytes show.

    Args:
        head: The first bytes of the content; up to 4096 are looked at, and fewer may show less.

    Returns:
        A type such as ``"image/png"``; for text only what a browser or an interpreter would execute, or XML
        (``"text/html"``, ``"image/svg+xml"``, ``"application/xml"``, ``"text/x-php"``,
        ``"text/x-shellscript"``); for containers the container (``"application/zip"`` for .docx).
        None for anything else, plain text and no bytes at all among it.

    Example:
        >>> sniff(b"\n <SVG onload='alert(1)'>")
        'image/svg+xml'
    """
    head = bytes(head[:_LONGEST_HEAD])
    return next(filter(None, (look(head) for look in _LOOKS)), None)


def content_type(head: bytes, filename: str | None) -> str:
    r"""The content type to store: what the first bytes show, refined by the extension.

    Args:
        head: The first bytes of the content, up to 4096.
        filename: Its name, if it has one.

    Returns:
        The extension's type where it is a kind of what was sniffed (.docx of zip, .rss of XML), else what was
        sniffed. Nothing sniffed: the extension's type, unless the bytes would have proved it; without one,
        ``"text/plain"`` for text in UTF-8. ``"application/octet-stream"`` for everything else. If what was
        sniffed is in `ACTIVE_TYPES`, so is the result.

    Example:
        >>> content_type(b"<html>", "cat.png"), content_type(b"PK\3\4", "a.epub"), content_type(b"?", "cat.png")
        ('text/html', 'application/epub+zip', 'application/octet-stream')
    """
    sniffed = sniff(head)
    claimed = guess_by_name(filename) if filename else UNKNOWN_TYPE
    if sniffed is not None:
        return claimed if claimed in _KIN.get(sniffed, ()) else sniffed
    if claimed in _PROVABLE:
        return UNKNOWN_TYPE
    if claimed == UNKNOWN_TYPE and _is_text(bytes(head[:_LONGEST_HEAD])):
        return "text/plain"
    return claimed


def guess_by_name(filename: str) -> str:
    """The content type that a file's extension claims, without any I/O.

    Args:
        filename: A file name or key; the last extension counts, in any letter case.

    Returns:
        The same type on every machine: no mime.types files are read. A compressed file has the type of its
        compression. ``"application/octet-stream"`` for an unknown extension or none.

    Example:
        >>> guess_by_name("photos/CAT.AVIF"), guess_by_name("backup.tar.gz")
        ('image/avif', 'application/gzip')
    """
    return _BY_EXTENSION.get(posixpath.splitext(filename)[1].lower(), UNKNOWN_TYPE)


def _active_text(head: bytes) -> str | None:
    text = _decoded(head).lstrip(_BLANKS)
    if text[:1] not in _FIRST_SIGNS and not text[:1].isspace():  # there are blanks beside _BLANKS
        return None
    return next((kind for kind, opening in _OPENINGS if opening.match(text)), None)


def _decoded(head: bytes) -> str:
    for mark, encoding in _BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return head.removeprefix(mark).decode(encoding, "replace")
    return head.decode(_BY_ZEROS.get(bytes(map(bool, head[:4])), "latin-1"), "replace")


def _signature(head: bytes) -> str | None:
    found = _ANY_SIGNATURE.match(head)
    return _SIGNATURES[found.lastindex - 1][0] if found and found.lastindex else None


def _iso_media(head: bytes) -> str | None:
    """MP4 and its kin: the major brand decides; where that only says "image", a compatible brand."""
    if head[:1] != b"\0" or head[4:8] != b"ftyp":
        return None
    end = min(int.from_bytes(head[:4]), len(head))
    kinds = [_BRANDS.get(head[at : at + 4], "video/mp4") for at in (8, *range(16, end, 4))]
    if kinds[0] != "image/heif":
        return kinds[0]
    return next((kind for kind in kinds if kind in {"image/avif", "image/heic"}), kinds[0])


def _mpeg_audio(head: bytes) -> str | None:
    """MP3 without a tag: two frames in a row, as eleven bits of sync alone are in every third random file."""
    size = _frame_size(head)
    return "audio/mpeg" if size and head[size : size + 2] == head[:2] else None


def _frame_size(head: bytes) -> int:
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


def _late_pdf(head: bytes) -> str | None:
    """PDF behind up to 1 KiB of anything, which readers accept (Adobe's implementation note to ISO 32000 7.5.2)."""
    return "application/pdf" if b"%PDF-" in head[:1024] else None


def _is_text(head: bytes) -> bool:
    """Whether this is UTF-8 without control characters; a character cut off at the end is no fault."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return bool(text) and not _CONTROL.search(text)


_LOOKS: tuple[Callable[[bytes], str | None], ...] = (
    _active_text,
    _signature,
    _iso_media,
    _mpeg_audio,
    _late_pdf,
)
