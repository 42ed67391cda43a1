"""A parser for ``multipart/form-data``: it takes bytes, returns events, and keeps nothing. No I/O.

The format is specified in RFC 7578 and RFC 2046 section 5.1. The parser refuses ambiguous forms, because two readers
could see different files in one.
"""

import re
from dataclasses import dataclass
from enum import Enum

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from async_storages.errors import InvalidArgumentException

__all__ = ["PART_END", "Event", "FormParser", "PartEnd", "PartHead"]

_MOST_PARTS = 1000
_MOST_HEADERS = 8
_LONGEST_HEADER = 4096  # bytes of its name, or of its value
_LONGEST_BOUNDARY = 256  # bytes; RFC 2046 allows 70
_PLAIN_ENCODINGS = frozenset({b"7bit", b"8bit", b"binary"})

# A backslash escapes nothing but a quote: browsers send those of a Windows path as they are.
_PARAMETER = re.compile(rb'[ \t]*;[ \t]*([\w!#$%&*+.^`|~-]+)=(?:"((?:\\"|[^"])*+)"|([^\s;"]*))')


@dataclass(frozen=True, slots=True)
class PartHead:
    """The beginning of a part. Its bytes follow.

    Attributes:
        name: The name of the field.
        filename: The file name from the client, untrusted. Empty if the user chose no file. None if the part is not a
            file.
    """

    name: str
    filename: str | None


class PartEnd(Enum):
    """The end of a part."""

    PART_END = "end"


PART_END = PartEnd.PART_END

type Event = PartHead | bytes | PartEnd
"""A piece of a form. For each part, the parser returns its head, its bytes in chunks, and its end."""


class FormParser:
    """Parses one form.

    Args:
        content_type: The header Content-Type of the request.

    Raises:
        InvalidArgumentException: The header is not ``multipart/form-data`` with a boundary.

    Attributes:
        is_complete: True when the end of the form has arrived. Further bytes are ignored.
    """

    def __init__(self, content_type: str) -> None:
        kind, parameters = _kind_and_parameters(content_type.encode("latin-1", "replace"))
        if kind != b"multipart/form-data" or not parameters.get(b"boundary"):
            raise InvalidArgumentException("the request must be multipart/form-data with a boundary")
        if len(parameters[b"boundary"]) > _LONGEST_BOUNDARY:
            raise InvalidArgumentException(f"the form's boundary has more than {_LONGEST_BOUNDARY} bytes")
        self.is_complete = False
        self._events: list[Event] = []
        self._headers: dict[bytes, bytes] = {}
        self._name, self._value = bytearray(), bytearray()
        self._count = 0
        with _Refusing():
            self._parser = MultipartParser(
                parameters[b"boundary"],
                {
                    "on_part_begin": self._begin_part,
                    "on_header_field": lambda data, start, end: self._extend(self._name, data[start:end]),
                    "on_header_value": lambda data, start, end: self._extend(self._value, data[start:end]),
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._end_headers,
                    "on_part_data": lambda data, start, end: self._events.append(data[start:end]),
                    "on_part_end": lambda: self._events.append(PART_END),
                    "on_end": self._end,
                },
            )

    def feed(self, data: bytes) -> list[Event]:
        """Take the next bytes, and return their events.

        Raises:
            InvalidArgumentException: The form is malformed, or has more than 1000 parts.
        """
        with _Refusing():
            self._parser.write(data)
        events, self._events = self._events, []
        return events

    def finish(self) -> None:
        """Check, after the last bytes, that the form is complete.

        Raises:
            InvalidArgumentException: The end of the form has not arrived.
        """
        if not self.is_complete:
            raise InvalidArgumentException("the form is cut short: its final boundary is missing")

    def _begin_part(self) -> None:
        self._count += 1
        if self._count > _MOST_PARTS:
            raise InvalidArgumentException(f"the form has more than {_MOST_PARTS} parts")
        self._headers = {}

    def _extend(self, text: bytearray, more: bytes) -> None:
        """Keep more of a header, within a limit. Only newer releases of python-multipart limit headers."""
        text.extend(more)
        if len(text) > _LONGEST_HEADER:
            raise InvalidArgumentException(f"a part has a header of more than {_LONGEST_HEADER} bytes")

    def _end_header(self) -> None:
        name, value = bytes(self._name).lower(), bytes(self._value)
        self._name.clear()
        self._value.clear()
        if name in self._headers:
            raise InvalidArgumentException(f"a part has two headers {name!a}")
        self._headers[name] = value
        if len(self._headers) > _MOST_HEADERS:
            raise InvalidArgumentException(f"a part has more than {_MOST_HEADERS} headers")

    def _end_headers(self) -> None:
        encoding = self._headers.get(b"content-transfer-encoding", b"binary")
        if encoding.strip().lower() not in _PLAIN_ENCODINGS:  # RFC 7578 section 4.7
            raise InvalidArgumentException(f"a part is encoded as {encoding!a:.40}")
        self._events.append(part_head(self._headers.get(b"content-disposition", b"")))

    def _end(self) -> None:
        self.is_complete = True


def part_head(disposition: bytes) -> PartHead:
    """Return the name and the file name in the header Content-Disposition of a part: RFC 7578 section 4.2.

    Raises:
        InvalidArgumentException: The header has no name, a repeated parameter or ``filename*``, or is malformed.
    """
    kind, parameters = _kind_and_parameters(disposition)
    if kind != b"form-data":
        raise InvalidArgumentException("a part has no Content-Disposition: form-data")
    if b"name" not in parameters:
        raise InvalidArgumentException("a part has no name")
    try:
        texts = {name: value.decode() for name, value in parameters.items()}
    except UnicodeDecodeError:
        raise InvalidArgumentException("the name of a part is not UTF-8") from None
    return PartHead(texts[b"name"], texts.get(b"filename"))


def _kind_and_parameters(header: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    kind, semicolon, rest = header.partition(b";")
    text = semicolon + rest
    parameters: dict[bytes, bytes] = {}
    position = 0
    while found := _PARAMETER.match(text, position):
        name, quoted, bare = found[1].lower(), found[2], found[3]
        if name in parameters or b"*" in name:
            raise InvalidArgumentException(f"a header has {name!a} twice, or in a form that RFC 7578 does not allow")
        parameters[name] = bare if quoted is None else quoted.replace(b'\\"', b'"')
        position = found.end()
    if text[position:].strip(b" \t;"):
        raise InvalidArgumentException("the parameters of a header are malformed")
    return kind.strip().lower(), parameters


class _Refusing:
    """Convert the errors of python-multipart. They contain offsets, but no content of the form."""

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, FormParserError):
            raise InvalidArgumentException(f"the form is malformed: {error}") from error
