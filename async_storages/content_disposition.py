"""The header Content-Disposition: it tells a browser to save or show a file, and the file name (RFC 6266)."""

import re
import unicodedata
from typing import Literal
from urllib.parse import quote

from async_storages.errors import InvalidArgumentException
from async_storages.naming import clean_filename

__all__ = ["Disposition", "content_disposition"]

_NOT_QUOTABLE = re.compile(r'[^ -~]|["%\\<>]')
# RFC 8187 section 3.2.1, attr-char, beyond the letters, digits and "_.-~" that quote() always keeps.
_ATTR_CHAR = "!#$&+^`|"

type Disposition = Literal["inline", "attachment"]
"""``"inline"`` shows a file in the browser, ``"attachment"`` saves it."""


def content_disposition(filename: str, disposition: Disposition = "attachment") -> str:
    r"""Return the value of a Content-Disposition header, in pure ASCII (RFC 6266, RFC 8187).

    Args:
        filename: The name under which a browser saves the file. It is cleaned first.
        disposition: ``"attachment"`` saves the file, ``"inline"`` shows it.

    Returns:
        The value. If ASCII cannot express the name, it has `filename*` too, and `filename` is a fallback. A percent
        sign also needs `filename*` (RFC 6266 appendix D).

    Raises:
        InvalidArgumentException: `filename` is not a str, or the disposition is unknown.

    Example:
        >>> content_disposition("Söhne.pdf", "inline")
        'inline; filename="Sohne.pdf"; filename*=UTF-8\'\'S%C3%B6hne.pdf'
    """
    if disposition not in ("inline", "attachment"):
        raise InvalidArgumentException(
            f"a disposition is 'inline' or 'attachment', not {disposition!r}", operation="content_disposition"
        )
    name = clean_filename(filename)
    ascii_name = _NOT_QUOTABLE.sub("_", _without_marks(name))
    value = f'{disposition}; filename="{ascii_name}"'
    return value if ascii_name == name else f"{value}; filename*=UTF-8''{quote(name, safe=_ATTR_CHAR)}"


def _without_marks(text: str) -> str:
    return "".join(char for char in unicodedata.normalize("NFD", text) if not unicodedata.combining(char))
