"""Detecting content types from the first bytes and the extension. The type that a client declares is ignored.

The first bytes decide. An extension can only refine the result: `.docx` is a kind of zip, `.m4a` is a kind of MP4. The
module looks first for text that a browser or an interpreter would execute, and no extension hides such text.

The first bytes also decide about a polyglot: a GIF with a script in its comment is a GIF, and a PNG followed by a zip
is a PNG. No sniffer can detect all polyglots. The headers `nosniff` and Content-Disposition, and re-encoding, make them
harmless. Text with markup further down is not HTML: a browser does not execute it if it is served as plain text.

Some beginnings are valid in Markdown, XML and HTML, for example a comment or `<h1 align=…>`. The extension decides
between Markdown and XML, and otherwise the type is HTML. A complete HTML page is HTML with every extension.

Sources: WHATWG MIME Sniffing (openings of HTML), the IANA media type registry, the formats' specifications.
"""

import codecs
import posixpath
import re

from async_storages._media_types.active_text import FIRST_BYTES, active_text, is_fragment
from async_storages._media_types.extensions import BINARY_FAMILIES, BY_EXTENSION, FAMILIES, OFTEN_TEXT
from async_storages._media_types.signatures import BRANDED_TYPES, SIGNED_TYPES, binary_type

__all__ = ["ACTIVE_TYPES", "UNKNOWN_TYPE", "content_type", "guess_by_name", "sniff"]

UNKNOWN_TYPE = "application/octet-stream"
"""The content type of unknown content."""

_LONGEST_HEAD = 4096

_LATEST_PDF = 1024
"""The number of bytes before a PDF that readers skip (Adobe's implementation note to ISO 32000 7.5.2)."""

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
) | {kind for kind in BY_EXTENSION.values() if kind.endswith(("/xml", "+xml"))}
"""The types that a browser executes, or renders together with their scripts. All kinds of XML belong to them."""

# Content of these types need not begin with their signature; every other that has one must.
_UNPROVABLE = {"audio/mpeg", "video/mpeg", "audio/ac3", "audio/eac3", "application/x-tar"}
_PROVABLE = frozenset(
    {"image/svg+xml", "video/mp2t", *BINARY_FAMILIES, *BRANDED_TYPES, *SIGNED_TYPES}
    | {kind for extensions in BINARY_FAMILIES.values() for kind in extensions.values()}
).difference(_UNPROVABLE)

_KIN = {sniffed: frozenset(extensions.values()) for sniffed, extensions in FAMILIES.items()}
_KIN |= dict.fromkeys(_KIN["video/mp4"], _KIN["video/mp4"])

_FRAGMENTS = {"text/html", "application/xml"}
_KINDS_OF_FRAGMENTS = _KIN["application/xml"] | {"text/html", "text/markdown"}

_CONTROL = re.compile(r"[\0-\x08\x0e-\x1f\x7f-\x9f]")
_BINARY = re.compile(rb"[\0-\x08\x0e-\x1f\x7f]")
_BINARY_WITHIN = 64  # bytes


def sniff(head: bytes) -> str | None:
    r"""Return the content type that the first bytes show.

    Args:
        head: The first bytes of the content. Up to 4096 are read. With fewer, some types are not detected.

    Returns:
        A type such as ``"image/png"``. For a container such as .docx, the type of the container,
        ``"application/zip"``. For text, only XML and types that a browser or an interpreter executes:
        ``"text/html"``, ``"image/svg+xml"``, ``"application/xml"``, ``"text/x-php"``, ``"text/x-shellscript"``. None
        for all other content, including plain text and empty content.

    Example:
        >>> sniff(b"\n <SVG onload='alert(1)'>")
        'image/svg+xml'
    """
    head = bytes(head[:_LONGEST_HEAD])
    found = (active_text(head) if head[:1] in FIRST_BYTES else None) or binary_type(head)
    if found is None and b"%PDF-" in head[:_LATEST_PDF]:
        return "application/pdf"
    return found


def content_type(head: bytes, filename: str | None) -> str:
    r"""Return the content type to store. The first bytes decide, and the extension refines the result.

    Args:
        head: The first bytes of the content, up to 4096.
        filename: The name of the file, if it has one.

    Returns:
        If `sniff` detects a type, that type, or the type of the extension if it is a kind of it (.docx of zip, .rss of
        XML). If `sniff` detects none, the type of the extension, unless the first bytes of such a file would have shown
        it. Without an extension, ``"text/plain"`` for text in UTF-8. ``"application/octet-stream"`` for all other
        content. If the detected type is in `ACTIVE_TYPES`, the result is too. The one exception is Markdown that begins
        like a fragment of HTML.

    Example:
        >>> content_type(b"<html>", "cat.png"), content_type(b"PK\3\4", "a.epub"), content_type(b"?", "cat.png")
        ('text/html', 'application/epub+zip', 'application/octet-stream')
    """
    head = bytes(head[:_LONGEST_HEAD])
    sniffed = sniff(head)
    extension = _extension(filename or "")
    claimed = BY_EXTENSION.get(extension, UNKNOWN_TYPE)
    if sniffed is not None:
        return claimed if _is_kind(claimed, sniffed, head) else sniffed
    if (claimed == UNKNOWN_TYPE or extension in OFTEN_TEXT) and _is_text(head):
        return "text/plain"
    return UNKNOWN_TYPE if claimed in _PROVABLE else claimed


def guess_by_name(filename: str) -> str:
    """Return the content type for the extension of a file name. No I/O.

    Args:
        filename: A file name or key. The last extension counts, in any letter case.

    Returns:
        The content type. It is the same on every machine, because no mime.types files are read. A compressed file has
        the type of its compression. ``"application/octet-stream"`` for an unknown, missing or ambiguous extension:
        `.ts` is TypeScript or video.

    Example:
        >>> guess_by_name("photos/CAT.AVIF"), guess_by_name("backup.tar.gz")
        ('image/avif', 'application/gzip')
    """
    extension = _extension(filename)
    return UNKNOWN_TYPE if extension in OFTEN_TEXT else BY_EXTENSION.get(extension, UNKNOWN_TYPE)


def _extension(filename: str) -> str:
    return posixpath.splitext(filename)[1].lower()


def _is_kind(claimed: str, sniffed: str, head: bytes) -> bool:
    """Return True if the type of an extension may refine the detected type."""
    if claimed in _KIN.get(sniffed, ()):
        return True
    return sniffed in _FRAGMENTS and claimed in _KINDS_OF_FRAGMENTS and is_fragment(head)


def _is_text(head: bytes) -> bool:
    """Return True for UTF-8 without control characters. The last character may be incomplete."""
    if _BINARY.search(head, 0, _BINARY_WITHIN):  # most binary content is told so, without decoding all
        return False
    try:
        text, _ = codecs.utf_8_decode(head, "strict", False)
    except UnicodeDecodeError:
        return False
    return bool(text) and not _CONTROL.search(text)
