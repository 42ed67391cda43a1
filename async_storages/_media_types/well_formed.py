"""The syntax of content types, for what is stored and for what is served: RFC 9110, 8.3.1."""

import re

from async_storages.errors import InvalidArgumentException

__all__ = ["check_content_type", "essence", "is_well_formed"]

# Without exotic tokens, quoted pairs, and commas in quotes: browsers read a header of two types as the last one.
_WELL_FORMED = re.compile(r'([\w.+-]+/[\w.+*-]+)(?:[ \t]*;[ \t]*[\w.-]+=(?:"[ !#-+\--\[\]-~]*"|[\w.:+/-]+))*', re.ASCII)


def is_well_formed(content_type: str) -> bool:
    """True for one content type and nothing else.

    Example:
        >>> is_well_formed("text/plain; charset=utf-8"), is_well_formed("image/jpeg;, text/html")
        (True, False)
    """
    return _WELL_FORMED.fullmatch(content_type) is not None


def essence(content_type: str) -> str | None:
    """The type without its parameters, in lower case; None if it is not well-formed.

    Example:
        >>> essence("Text/Plain; charset=utf-8")
        'text/plain'
    """
    found = _WELL_FORMED.fullmatch(content_type)
    return found[1].lower() if found else None


def check_content_type(value: object) -> None:
    """Refuse what is not one well-formed content type.

    Raises:
        InvalidArgumentException: It is not.
    """
    if not (isinstance(value, str) and is_well_formed(value)):
        raise InvalidArgumentException(f"{value!r} is not a content type such as 'image/png'")
