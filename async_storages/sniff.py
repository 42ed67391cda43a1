"""Content types from the first bytes and from the extension; never from what a client declares.

The first bytes decide. An extension may only refine them: `.docx` is a kind of zip, `.m4a` a kind of MP4. Text that
a browser or an interpreter would execute is looked for first, and no extension hides it.

A polyglot is what its first bytes say: a GIF whose comment is a script is a GIF, a PNG with a zip behind it is a PNG.
No sniffer can tell; `nosniff`, Content-Disposition and re-encoding make polyglots harmless. Nor is text that holds
markup further down taken for HTML: served as plain text, a browser executes none of it.

Beginnings that Markdown, XML and HTML share, a comment or `<h1 align=…>`, are Markdown in a file of that extension,
XML in one with an extension of XML, else HTML; a page is a page under each name.

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
"""The type of content that nothing is known about."""

_LONGEST_HEAD = 4096

_LATEST_PDF = 1024
"""Bytes of anything before a PDF, which readers accept (Adobe's implementation note to ISO 32000 7.5.2)."""

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
"""The types that a browser executes, or renders with whatever scripts they hold; XML of any kind is among them."""

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
    found = (active_text(head) if head[:1] in FIRST_BYTES else None) or binary_type(head)
    if found is None and b"%PDF-" in head[:_LATEST_PDF]:
        return "application/pdf"
    return found


def content_type(head: bytes, filename: str | None) -> str:
    r"""The content type to store: what the first bytes show, refined by the extension.

    Args:
        head: The first bytes of the content, up to 4096.
        filename: Its name, if it has one.

    Returns:
        The extension's type where it is a kind of what was sniffed (.docx of zip, .rss of XML), else what was
        sniffed. Nothing sniffed: the extension's type, unless the bytes would have proved it; without one,
        ``"text/plain"`` for text in UTF-8. ``"application/octet-stream"`` for everything else. If what was
        sniffed is in `ACTIVE_TYPES`, so is the result; only Markdown may begin like a fragment of HTML.

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
    """The content type that a file's extension claims, without any I/O.

    Args:
        filename: A file name or key; the last extension counts, in any letter case.

    Returns:
        The same type on every machine: no mime.types files are read. A compressed file has the type of its
        compression. ``"application/octet-stream"`` for an unknown extension or none, and for those that mean two
        things: `.ts` is TypeScript or video.

    Example:
        >>> guess_by_name("photos/CAT.AVIF"), guess_by_name("backup.tar.gz")
        ('image/avif', 'application/gzip')
    """
    extension = _extension(filename)
    return UNKNOWN_TYPE if extension in OFTEN_TEXT else BY_EXTENSION.get(extension, UNKNOWN_TYPE)


def _extension(filename: str) -> str:
    return posixpath.splitext(filename)[1].lower()


def _is_kind(claimed: str, sniffed: str, head: bytes) -> bool:
    """True if an extension may name the sniffed type more exactly."""
    if claimed in _KIN.get(sniffed, ()):
        return True
    return sniffed in _FRAGMENTS and claimed in _KINDS_OF_FRAGMENTS and is_fragment(head)


def _is_text(head: bytes) -> bool:
    """True for UTF-8 without control characters; a character cut off at the end is no fault."""
    try:
        text, _ = codecs.utf_8_decode(head, "strict", False)
    except UnicodeDecodeError:
        return False
    return bool(text) and not _CONTROL.search(text)
