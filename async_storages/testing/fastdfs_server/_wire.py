"""Packets on a connection: a request and its answer, each with a header and a body."""

import asyncio
import errno
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

__all__ = [
    "BUFFER",
    "EINVAL",
    "ENOENT",
    "HEADER_SIZE",
    "Answer",
    "Hangup",
    "Peer",
    "Refusal",
    "Request",
    "Run",
    "padded",
    "text",
]

EINVAL = errno.EINVAL
ENOENT = errno.ENOENT
BUFFER = 256 * 1024
"""Bytes of a request that the server reads before it looks at it (``buff_size``)."""

_HEADER = struct.Struct(">QBB")
HEADER_SIZE = _HEADER.size
"""Bytes of a packet before its body."""

_RESPONSE = 100


type Run = Callable[..., Awaitable[Any]]


class Refusal(Exception):
    """Ends a request with a status and no body. The answer's header may hold another length."""

    def __init__(self, status: int, announced: int | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.announced = announced


class Hangup(Exception):
    """Ends the connection."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A body that comes from a file.

    Attributes:
        length: The length in bytes.
        first: The first bytes.
        file: The file with the rest. None if there is no rest.
        run: Calls a function that blocks.
    """

    length: int
    first: bytes
    file: BinaryIO | None
    run: Run

    async def more(self, left: int) -> bytes:
        """Return the next bytes of the file.

        Raises:
            Hangup: There are none, because the file was truncated meanwhile.
        """
        assert self.file is not None
        piece: bytes = await self.run(self.file.read, min(left, BUFFER))
        if not piece:
            raise Hangup
        return piece

    async def close(self) -> None:
        """Close the file."""
        if self.file is not None:
            await self.run(self.file.close)


class Peer:
    """A client's connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.room: int | None = None
        self._writer = writer

    async def header(self) -> tuple[int, int, int] | None:
        """Read length, command and status of the next request. None when the client has closed."""
        try:
            raw = await self.reader.readexactly(_HEADER.size)
        except asyncio.IncompleteReadError as end:
            if end.partial:
                raise Hangup from end
            return None
        length, command, status = _HEADER.unpack(raw)
        if length >= 1 << 63:  # negative, to the real server
            raise Hangup
        return length, command, status

    async def ignore(self) -> None:
        """Read and discard until the client closes. Send no answer."""
        while await self.reader.read(BUFFER):
            continue

    async def send(self, status: int, answer: bytes | Answer, announced: int | None = None) -> None:
        """Send a whole response, or as much of it as a fault allows. Its header may announce another length."""
        if isinstance(answer, bytes):
            length = len(answer) if announced is None else announced
            await self._write(_HEADER.pack(length % (1 << 64), _RESPONSE, status) + answer)
            return
        await self._write(_HEADER.pack(answer.length, _RESPONSE, status) + answer.first)
        left = answer.length - len(answer.first)
        while left:
            piece = await answer.more(left)
            await self._write(piece)
            left -= len(piece)

    async def _write(self, data: bytes) -> None:
        whole = self.room is None or self.room > len(data)
        self._writer.write(data if whole else data[: self.room])
        await self._writer.drain()
        if not whole:
            raise Hangup
        if self.room is not None:
            self.room -= len(data)

    async def close(self) -> None:
        """Close the connection in good order."""
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()

    async def abort(self) -> None:
        """Close the connection at once."""
        self._writer.transport.abort()
        with suppress(OSError):
            await self._writer.wait_closed()


class Request:
    """A request whose header has been read.

    Attributes:
        command: The number of the command.
        flags: The header's last byte.
        length: The length of the body, in bytes.
        unread: The number of bytes of the body that are still unread.
    """

    def __init__(self, reader: asyncio.StreamReader, length: int, command: int, flags: int) -> None:
        self.command = command
        self.flags = flags
        self.length = length
        self.unread = length
        self._reader = reader

    async def read(self, size: int) -> bytes:
        """Read exactly the next `size` bytes of the body.

        Raises:
            Refusal: Fewer bytes are left, or the server does not buffer so many.
        """
        if not 0 <= size <= min(self.unread, BUFFER):
            raise Refusal(EINVAL)
        data = await self._reader.readexactly(size)
        self.unread -= size
        return data

    async def rest(self) -> bytes:
        """Read all unread bytes, as `read` does."""
        return await self.read(self.unread)

    async def piece(self) -> bytes:
        """Read the bytes of the body that have arrived. At least one, if any is unread."""
        piece = await self._reader.read(min(self.unread, BUFFER))
        if not piece:
            raise Hangup
        self.unread -= len(piece)
        return piece

    async def drain(self) -> bool:
        """Read to the end if the server would have buffered the body. Returns True if it did."""
        if self.length > BUFFER and self.unread:
            return False
        await self.rest()
        return True


def padded(value: str, size: int) -> bytes:
    """Return a text, padded with NULs to the size of a field."""
    return value.encode().ljust(size, b"\0")


def text(field: bytes) -> str:
    """Return the text in a field padded with NULs. It replaces bytes that are not ASCII."""
    return field.partition(b"\0")[0].decode("ascii", "replace")
