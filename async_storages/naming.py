r"""The rules ("the gate") that clean every untrusted file name, folder name and zip entry name.

| # | rule | because |
| - | ---- | ------- |
| 1 | A character becomes its NFKC form if that holds an ASCII letter, a digit, `.`, `/` or `\`. Other characters stay as they are. The result is NFC. | Software that folds a name later would turn fullwidth `../`, fullwidth `php` and `COM` with a superscript 1 into dangerous names. Chinese punctuation and emoji stay. |
| 2 | Control and format characters (bidirectional, zero width) and line separators are removed. Lone surrogates and noncharacters become `_`. | Header injection and disguised extensions. UTF-8 and XML cannot carry the last two. |
| 3 | `: * ? " < > \|` become `_`. Blanks of every kind become a space. All other punctuation stays. | Windows, NTFS streams, schemes. URLs and headers have their own encoding. |
| 4 | Leading and trailing dots and blanks are removed. | `..`, `.htaccess`, and `x.php` with a trailing blank, which Windows removes. |
| 5 | Windows device names get a leading `_`, in every case and with every extension. | `con.png` opens the console. |
| 6 | A segment is cut to 255 bytes of UTF-8, at a whole character, keeping an extension of up to 16 bytes. | The limit of every common file system. |
| 7 | If nothing is left, the fallback replaces the name. | No name is empty. |

The gate is idempotent: it returns a clean name unchanged. Of a text with more than 2048 characters, it reads only the
first 1024 and the last 1024. So even hostile input takes only milliseconds.
"""  # noqa: E501 - a table row is one line

import re
import secrets
import unicodedata
from functools import lru_cache

from async_storages.errors import InvalidArgumentException

__all__ = [
    "UniqueKey",
    "check_key",
    "clean_filename",
    "clean_folder",
    "clean_key",
    "original_filename",
    "unique_key",
]

_LONGEST_SEGMENT = 255
_SHORTEST_LIMIT = 8
_LONGEST_KEY = 1024
_LONGEST_READ = 2048
_LONGEST_EXTENSION = 16
_FALLBACK = "file"

_STRUCTURAL = re.compile(r"[A-Za-z0-9./\\]")
_SEPARATOR = re.compile(r"[/\\]")
# What rules 1 to 3 leave as it is, quickly told: most names are that.
_PLAIN = re.compile(r"[\w ./!#$%&'()+,;=@\[\]^`{}~-]*", re.ASCII)
# A name that is clean already, unless it is a device's.
_CLEAN = re.compile(r"(?![ .])[\w .!#$%&'()+,;=@\[\]^`{}~-]+(?<![ .])", re.ASCII)
_EDGE = " ."
_RESERVED = frozenset(':*?"<>|')
# Letters and symbols to Unicode, blanks to the eye: the Hangul fillers and the empty Braille cell.
_BLANK_LETTERS = frozenset("\u115f\u1160\u3164\uffa0\u2800")
_DEVICE = re.compile(r"(?:CON|PRN|AUX|NUL|COM[0-9]|LPT[0-9]|CONIN\$|CONOUT\$) *(?:\.|\Z)", re.IGNORECASE | re.ASCII)
# A key that is clean already.
_CLEAN_SEGMENT = rf"(?!(?i:CON|PRN|AUX|NUL|COM[0-9]|LPT[0-9]|CONIN\$|CONOUT\$) *(?:[./]|\Z)){_CLEAN.pattern}"
_CLEAN_KEY = re.compile(rf"{_CLEAN_SEGMENT}(?:/{_CLEAN_SEGMENT})*", re.ASCII)
_EXTENSION = re.compile(r"(?:\.tar)?\.[^.]+\Z", re.IGNORECASE)
_GENERATED_PREFIX = re.compile(r"[0-9a-f]{16}_(?=.)", re.DOTALL)


def clean_filename(name: str, *, max_bytes: int = 255, fallback: str = "file") -> str:
    r"""Clean a file name: return the last segment of `name` in a form that is safe on every system.

    Args:
        name: The file name from a client. If it is a path of any system, the last segment counts.
        max_bytes: The longest result in bytes of UTF-8, 8 to 255.
        fallback: The result if `name` has no usable character. It is cleaned too.

    Returns:
        A name without separators, control characters or leading dots. It is never empty.

    Raises:
        InvalidArgumentException: `name` is not a str, or `max_bytes` is out of range.

    Example:
        >>> clean_filename(r"..\..\evil<1>.PNG ")
        'evil_1_.PNG'
    """
    if not _SHORTEST_LIMIT <= max_bytes <= _LONGEST_SEGMENT:
        raise InvalidArgumentException(
            f"max_bytes is {_SHORTEST_LIMIT} to {_LONGEST_SEGMENT}, not {max_bytes!r}",
            operation="clean_filename",
        )
    if type(name) is str and len(name) <= max_bytes and _CLEAN.fullmatch(name) and not _DEVICE.match(name):
        return name
    for text in (name, fallback):
        if segment := _segment(_split(text)[-1], max_bytes):
            return segment
    return _FALLBACK


def clean_key(name: str) -> str:
    r"""Clean a path: return a safe key. It cleans every segment, and removes empty segments and dots.

    Args:
        name: A path with `/` or `\` between its segments.

    Returns:
        A key such as ``folder/sub/name``, of at most 1024 bytes of UTF-8, which `check_key` accepts. A longer path
        keeps its name and as many leading folders as fit. ``"file"`` if nothing is left.

    Raises:
        InvalidArgumentException: `name` is not a str.

    Example:
        >>> clean_key("/reports//../2026/q3: final.pdf")
        'reports/2026/q3_ final.pdf'
    """
    return clean_folder(name) or _FALLBACK


def clean_folder(folder: str) -> str:
    """Clean the path of a folder, as `clean_key` does. Returns the empty string if nothing is left.

    Raises:
        InvalidArgumentException: `folder` is not a str.
    """
    *folders, name = _segments(folder) or [""]
    kept, room = [], _LONGEST_KEY - _size(name)
    for segment in folders:
        room -= _size(segment) + 1
        if room < 0:
            break
        kept.append(segment)
    return "/".join([*kept, name])


def check_key(key: str, *, operation: str = "upload") -> str:
    """Return a key if it is clean, and refuse all others.

    A key with a scheme, for example ``s3:bucket/name``, is refused, because a clean key has no colon.

    Args:
        key: The exact key from a caller.
        operation: The operation that the error names.

    Returns:
        `key`, unchanged.

    Raises:
        InvalidArgumentException: The key is not a str, is longer than 1024 bytes of UTF-8 (the limit of S3), or is not
            clean. The message shows the clean form.
    """
    if type(key) is str and len(key) <= _LONGEST_SEGMENT and _CLEAN_KEY.fullmatch(key):
        return key
    cleaned = clean_key(key)
    if _size(key) > _LONGEST_KEY:
        raise InvalidArgumentException(
            f"a key is at most {_LONGEST_KEY} bytes of UTF-8", operation=operation, file_id=key
        )
    if cleaned != key:
        raise InvalidArgumentException(
            f"not a safe key, {cleaned!r} would be: pass untrusted names through storage.get_name(...) first",
            operation=operation,
            file_id=key,
        )
    return key


class UniqueKey(str):
    """A key from `unique_key`. No file exists under it yet."""

    __slots__ = ()


def unique_key(filename: str, folder: str = "") -> UniqueKey:
    """Return a key that no other upload has: ``[folder/]{16 hex digits}_{clean filename}``.

    Args:
        filename: The file name from the client. A name that is too long keeps its extension.
        folder: The folder of the key. The empty string means no folder.

    Returns:
        The key. Its last segment has at most 255 bytes of UTF-8, the whole key at most 1024.

    Raises:
        InvalidArgumentException: An argument is not a str, or the folder is too long.

    Example:
        >>> original_filename(unique_key("q3.pdf", "reports"))
        'q3.pdf'
    """
    prefix = f"{secrets.token_hex(8)}_"
    name = prefix + clean_filename(filename, max_bytes=_LONGEST_SEGMENT - len(prefix))
    if folder == "":
        return UniqueKey(name)
    key = "/".join([*_segments(folder), name])
    if _size(key) > _LONGEST_KEY:
        raise InvalidArgumentException(
            f"with this folder the key exceeds {_LONGEST_KEY} bytes of UTF-8",
            operation="unique_key",
            file_id=folder,
        )
    return UniqueKey(key)


def original_filename(key: str) -> str:
    """Return the last segment of a key, without the sixteen digits that `Storage.save` puts before the name.

    Example:
        >>> original_filename("reports/9f86d081884c7d65_q3.pdf")
        'q3.pdf'
    """
    return _GENERATED_PREFIX.sub("", key.rpartition("/")[2], count=1)


def _split(text: str) -> list[str]:
    """Apply rules 1 to 3, and split the result into segments."""
    if not isinstance(text, str):
        raise InvalidArgumentException(f"a name is a str, not {type(text).__name__}", operation="clean")
    if len(text) <= _LONGEST_READ and _PLAIN.fullmatch(text):
        return text.split("/")
    if len(text) > _LONGEST_READ:
        text = text[: _LONGEST_READ // 2] + text[-_LONGEST_READ // 2 :]
    # Composed before, so that a letter and its marks are judged as one, and after: removals join neighbours.
    legible = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).translate(_Gate()))
    return _SEPARATOR.split(legible)


def _segments(text: str) -> list[str]:
    """Return the clean segments of a path, without empty ones."""
    return list(filter(None, (_segment(part, _LONGEST_SEGMENT) for part in _split(text))))


def _segment(part: str, max_bytes: int) -> str:
    """Apply rules 4 to 6 to one segment. The result may be empty."""
    short = _shorten(part.strip(_EDGE), max_bytes)
    return _shorten(f"_{short}", max_bytes) if _DEVICE.match(short) else short


def _shorten(text: str, max_bytes: int) -> str:
    if _size(text) <= max_bytes:
        return text
    found = _EXTENSION.search(text)
    extension = found[0] if found else ""
    if _size(extension) > min(_LONGEST_EXTENSION, max_bytes // 2):
        extension = ""
    return _head(text[: len(text) - len(extension)], max_bytes - _size(extension)) + extension


def _head(text: str, max_bytes: int) -> str:
    """Return the longest beginning that fits. It never cuts a character, or the marks off a letter."""
    fits = text.encode()[:max_bytes].decode(errors="ignore")
    end = len(fits)
    while end and end < len(text) and unicodedata.category(text[end]).startswith("M"):
        end -= 1
    return (fits[:end] or fits).rstrip(_EDGE)


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


class _Gate:
    """Rules 1 to 3 as a table for `str.translate`."""

    def __getitem__(self, code: int) -> str:
        return _pass(code)


# Bounded: a dict would grow by every character a hostile client thinks of.
@lru_cache(maxsize=1024)
def _pass(code: int) -> str:
    """Return the replacement of one character."""
    folded = unicodedata.normalize("NFKC", chr(code))
    return "".join(map(_allowed, folded if _STRUCTURAL.search(folded) else chr(code)))


def _allowed(char: str) -> str:
    category = unicodedata.category(char)
    if category in {"Cc", "Cf", "Zl", "Zp"}:
        return ""
    if category == "Zs" or char in _BLANK_LETTERS:
        return " "
    if category == "Cs" or char in _RESERVED or _is_noncharacter(ord(char)):
        return "_"
    return char


def _is_noncharacter(code: int) -> bool:
    """Return True for a noncharacter (Unicode 23.7): the last two code points of every plane, and 32 more."""
    return code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
