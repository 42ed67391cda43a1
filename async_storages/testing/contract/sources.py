"""Content in every form that can be uploaded, and content that fails half-way."""

from asyncio import sleep
from collections.abc import AsyncIterator, Callable, Iterator
from hashlib import shake_256
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from async_storages.content import PendingFile

__all__ = ["BROKEN", "CONTENT", "KINDS", "LARGE", "PIECE", "BrokenSourceError", "pieces", "pieces_later"]

PIECE = 70_000
"""Bytes of a piece: a number that fits no buffer."""

CONTENT = shake_256(b"content").digest(400_000)
"""More than one chunk of every size in use."""

LARGE = 9 * 2**20 + 1
"""Bytes above the size from which S3 clients upload in parts."""


class BrokenSourceError(Exception):
    """The error that a user's source raises half-way."""


def pieces(data: bytes) -> Iterator[bytes]:
    """The data from a generator."""
    for start in range(0, len(data), PIECE):
        yield data[start : start + PIECE]


async def pieces_later(data: bytes) -> AsyncIterator[bytes]:
    """The data from an async generator. Other tasks run between any two pieces."""
    for piece in pieces(data):
        await sleep(0)
        yield piece
    await sleep(0)


class Upload:
    """The shape of an UploadFile: a client's file name and type, and a binary file."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.filename = "../client.png"
        self.content_type = "image/png"

    async def read(self, size: int = -1) -> bytes:
        """Bytes of the file."""
        return self.file.read(size)


class AsyncFile:
    """A file whose `read` is a coroutine."""

    def __init__(self, data: bytes) -> None:
        self._file = BytesIO(data)

    async def read(self, size: int = -1) -> bytes:
        """Bytes of the file."""
        await sleep(0)
        return self._file.read(size)


KINDS: dict[str, Callable[[Path], Any]] = {
    "bytes": Path.read_bytes,
    "bytearray": lambda path: bytearray(path.read_bytes()),
    "memoryview": lambda path: memoryview(path.read_bytes()),
    "path": Path,
    "binary file": lambda path: path.open("rb"),
    "BytesIO": lambda path: BytesIO(path.read_bytes()),
    "upload": lambda path: Upload(path.open("rb")),
    "async file": lambda path: AsyncFile(path.read_bytes()),
    "list": lambda path: list(pieces(path.read_bytes())),
    "iterator": lambda path: pieces(path.read_bytes()),
    "async iterator": lambda path: pieces_later(path.read_bytes()),
    "pending file": lambda path: PendingFile(path.read_bytes()),
}
"""By name: functions from a file's path to a source of its content."""


async def _breaks_later() -> AsyncIterator[bytes]:
    async for piece in pieces_later(CONTENT):
        yield piece
    raise BrokenSourceError


def _breaks() -> Iterator[bytes]:
    yield from pieces(CONTENT)
    raise BrokenSourceError


class _BreakingFile(BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() == len(self.getvalue()):
            raise BrokenSourceError
        return super().read(size)


BROKEN: dict[str, Callable[[], Any]] = {
    "iterator": _breaks,
    "async iterator": _breaks_later,
    "binary file": lambda: _BreakingFile(CONTENT),
}
"""By name: sources that give all but their end, then raise BrokenSourceError."""
