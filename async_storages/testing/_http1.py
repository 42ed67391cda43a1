"""Find where HTTP/1.1 messages (RFC 9112) begin and end, to cut them at a chosen byte. It does not check them."""

from asyncio import IncompleteReadError, LimitOverrunError, StreamReader
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

__all__ = ["PIECE", "Body", "ChunkedBody", "Head", "Request", "read_head", "request_length", "response_length"]

PIECE = 64 * 1024
_HEXADECIMAL = frozenset(b"0123456789abcdefABCDEF")


class Request(NamedTuple):
    """The method of a request, and its path with the query, as sent."""

    method: str
    path: str


@dataclass(frozen=True)
class Head:
    """The header of a request or a response, from its first line to the empty one."""

    raw: bytes

    @property
    def is_complete(self) -> bool:
        """True if the header has its empty line. Otherwise the stream ended, or the header is too long."""
        return self.raw.endswith(b"\r\n\r\n")

    @cached_property
    def words(self) -> list[str]:
        """The three words of the first line. The last one may hold spaces. Missing words are empty."""
        line = self.raw.partition(b"\r\n")[0].decode("latin-1")
        return [*line.split(" ", 2), "", "", ""][:3]

    @property
    def status(self) -> int:
        """The status of a response; 0 for a request."""
        return int(self.words[1]) if self.words[1].isdecimal() else 0

    @property
    def is_interim(self) -> bool:
        """True for an interim response: another response follows it."""
        return 100 <= self.status < 200

    @cached_property
    def fields(self) -> dict[bytes, bytes]:
        """The header fields by lower-case name. If several have one name, the last one."""
        lines = (line.partition(b":") for line in self.raw.split(b"\r\n")[1:])
        return {name.lower(): value.strip() for name, _, value in lines}

    @property
    def is_chunked(self) -> bool:
        """True if the body comes in chunks, each with its length."""
        return self.fields.get(b"transfer-encoding", b"").lower().endswith(b"chunked")

    @property
    def content_length(self) -> int | None:
        """The value of Content-Length. None if it is missing or malformed, or does not apply."""
        value = self.fields.get(b"content-length", b"")
        return int(value) if value.isdigit() and not self.is_chunked else None


async def read_head(reader: StreamReader) -> Head:
    """Read the next header. It is empty at the end of the stream, and incomplete if it is cut short or too long."""
    return Head(await _read_until(reader, b"\r\n\r\n"))


def request_length(head: Head) -> int | None:
    """Return the length of a request's body on the wire. None if only the end of the body shows it."""
    return None if head.is_chunked else head.content_length or 0


def response_length(head: Head, method: str) -> int | None:
    """Return the length of a response's body on the wire. None if only the end of the body shows it."""
    bodiless = method == "HEAD" or head.status in {204, 304}
    return 0 if bodiless else head.content_length


class Body:
    """The next `length` bytes of a stream. None for all the rest."""

    def __init__(self, reader: StreamReader, length: int | None = None) -> None:
        self._reader = reader
        self._left = length

    async def read(self) -> bytes:
        """Read the next piece of at most `PIECE` bytes. It is empty at the end of the body or of the stream."""
        piece = await self._reader.read(PIECE if self._left is None else min(PIECE, self._left))
        if self._left is not None:
            self._left -= len(piece)
        return piece


class ChunkedBody(Body):
    """A body in chunks, with their sizes and the trailer. A malformed chunk makes the rest of the stream one body."""

    def __init__(self, reader: StreamReader) -> None:
        super().__init__(reader, 0)
        self._in_trailer = self._ended = False

    async def read(self) -> bytes:
        """Read the next piece. The line of a chunk's size is a piece of its own, and so is each line of the trailer."""
        if self._left != 0:
            return await super().read()
        return b"" if self._ended else await self._read_line()

    async def _read_line(self) -> bytes:
        line = await _read_until(self._reader, b"\r\n")
        size = line.partition(b";")[0].strip()
        if self._in_trailer or not line:
            self._ended = line in {b"\r\n", b""}
        elif not size or not _HEXADECIMAL.issuperset(size):
            self._left = None
        elif length := int(size, 16):
            self._left = length + len(b"\r\n")
        else:
            self._in_trailer = True
        return line


async def _read_until(reader: StreamReader, end: bytes) -> bytes:
    """Read the bytes up to `end`. Fewer at the end of the stream, or beyond the reader's limit."""
    try:
        return await reader.readuntil(end)
    except IncompleteReadError as ended:
        return ended.partial
    except LimitOverrunError:
        return await reader.read(PIECE)
