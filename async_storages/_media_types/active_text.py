"""Text that a browser or an interpreter would execute, by its beginning.

Sources: WHATWG MIME Sniffing, 7.1 (openings of HTML); XML 1.0, 2.8 (prolog) and appendix F (encodings).
"""

import codecs
import re

__all__ = ["FIRST_BYTES", "active_text", "is_fragment"]

_BLANKS = " \t\n\v\f\r\0\ufeff"
_COMMENTS = r"(?:\s|<!--.*?-->)*+"
_PROLOG = r"(?:\s|<\?.*?\?>|<!--.*?-->)*+"
# Elements that make a page of whatever they begin, or bring in what a browser executes.
_PAGE_TAGS = "html|head|body|script|style|title|meta|link|base|iframe|frameset|object|embed|applet|template|noscript"
_FRAGMENT_TAGS = (
    "a|b|br|p|div|span|font|center|table|ul|ol|h[1-6]|img|video|audio|form|input|button|textarea|select|"
    "details|dialog|marquee|main|section|article|nav|header|footer|math"
)
# The other elements of HTML: behind a comment they are taken for it, by themselves for prose.
_MORE_TAGS = (
    "abbr|acronym|address|area|aside|bdi|bdo|bgsound|big|blink|blockquote|canvas|caption|cite|code|col|colgroup|data|"
    "datalist|dd|del|dfn|dir|dl|dt|em|fieldset|figcaption|figure|frame|hgroup|hr|i|image|ins|kbd|keygen|label|legend|"
    "li|listing|map|mark|menu|meter|nobr|noembed|noframes|optgroup|option|output|param|picture|plaintext|pre|progress|"
    "q|rp|rt|ruby|s|samp|search|slot|small|source|strike|strong|sub|summary|sup|tbody|td|tfoot|th|thead|time|tr|track|"
    "tt|u|var|wbr|xmp"
)
_TAG_END = r"(?=[\s/>]|\Z)"
_FIRST_SIGNS = "#<"


def _opening(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE | re.DOTALL)


# How executable text begins, after blanks, in any letter case; the first that fits is it.
_OPENINGS = tuple(
    (kind, _opening(pattern))
    for kind, pattern in (
        ("text/x-shellscript", r"#!(?!AMR|SILK|\[)"),
        ("text/x-php", r"<\?(?:php|=)"),
        ("image/svg+xml", _PROLOG + r"<(?:!doctype\s+)?(?:[\w.-]+:)?svg(?![\w:.-])"),
        ("text/html", _PROLOG + r"<(?:!doctype\s+)?html(?![\w:.-])"),
        ("text/html", _COMMENTS + rf"<(?:{_PAGE_TAGS}|{_FRAGMENT_TAGS}){_TAG_END}"),
        ("application/xml", r"<\?xml|<!doctype"),
        # behind a comment an element that HTML does not have; without one such text is rather prose: <T> is a type
        (
            "application/xml",
            rf"(?=\s*<!--){_COMMENTS}(?:<!doctype|<(?!(?:{_MORE_TAGS}){_TAG_END})[\w:][\w:.-]*{_TAG_END})",
        ),
        ("text/html", r"<!--"),
    )
)
# What no extension makes a text of another kind.
_PAGE = _opening(_COMMENTS + rf"<(?:\?|!doctype|(?:{_PAGE_TAGS}|svg){_TAG_END})")

# Longer marks first: UTF-32's begins with UTF-16's.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF8, "utf-8"),
)
_MARKS = tuple(mark for mark, _ in _BYTE_ORDER_MARKS)
# Without a mark, where an ASCII character's zero bytes are gives the encoding away (XML 1.0 appendix F).
_BY_ZEROS = {
    b"\1\0\0\0": "utf-32-le",
    b"\0\0\0\1": "utf-32-be",
    b"\1\0\1\0": "utf-16-le",
    b"\0\1\0\1": "utf-16-be",
}


FIRST_BYTES = frozenset(
    bytes([code])
    for code in range(256)
    if chr(code) in _FIRST_SIGNS + _BLANKS
    or chr(code).isspace()
    or any(mark[0] == code for mark, _ in _BYTE_ORDER_MARKS)
)
"""The bytes that active text begins with, in each encoding: `active_text` finds none behind any other."""


def active_text(head: bytes) -> str | None:
    """The type of executable text, or of XML, that these first bytes begin; None for anything else."""
    text = _text(head)
    if text[:1] not in _FIRST_SIGNS and not text[:1].isspace():  # there are blanks beside _BLANKS
        return None
    return next((kind for kind, opening in _OPENINGS if opening.match(text)), None)


def is_fragment(head: bytes) -> bool:
    """True for active text that begins with a comment or an element, as Markdown and XML do: it may be no page.

    Example:
        >>> is_fragment(b"<h1 align='center'>"), is_fragment(b"<!-- x --><script>")
        (True, False)
    """
    return not _PAGE.match(_text(head))


def _text(head: bytes) -> str:
    return _decoded(head).lstrip(_BLANKS)


def _decoded(head: bytes) -> str:
    if head.startswith(_MARKS):
        mark, encoding = next(known for known in _BYTE_ORDER_MARKS if head.startswith(known[0]))
        return head.removeprefix(mark).decode(encoding, "replace")
    return head.decode(_BY_ZEROS.get(bytes(map(bool, head[:4])), "latin-1"), "replace")
