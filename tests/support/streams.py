"""Streams of bytes for tests of whatever reads or writes them."""

from collections.abc import AsyncGenerator, AsyncIterable
from io import BytesIO

from starlette.datastructures import UploadFile

from async_storages.errors import StorageException


async def stream(*chunks: bytes | BaseException) -> AsyncGenerator[bytes]:
    """An async stream of these chunks; an exception among them is raised in its place."""
    for chunk in chunks:
        if isinstance(chunk, BaseException):
            raise chunk
        yield chunk


async def collect(chunks: AsyncIterable[bytes]) -> bytes:
    """All bytes of a stream."""
    return b"".join([chunk async for chunk in chunks])


async def until_failure(chunks: AsyncIterable[bytes]) -> tuple[bytes, StorageException | None]:
    """What came before the stream failed, and how it did."""
    came = bytearray()
    try:
        async for chunk in chunks:
            came += chunk
    except StorageException as error:
        return bytes(came), error
    return bytes(came), None


class Closing:
    """Notes whether a generator's `finally` has run: ``yield from`` its `sync`, or iterate its `stream`."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = chunks
        self.closed = False

    def sync(self):
        try:
            yield from self.chunks
        finally:
            self.closed = True

    async def stream(self):
        try:
            for chunk in self.chunks:
                yield chunk
        finally:
            self.closed = True


def empty_input() -> UploadFile:
    """What a form holds for an ``<input type=file>`` where no file was chosen."""
    return UploadFile(BytesIO(), size=0, filename="")


def type_name(value: object) -> str:
    """The id of a test's parameter that has no readable repr."""
    return type(value).__name__
