"""Targets of downloads: a path or an open file. A path gets the whole file or nothing."""

import errno
import inspect
import io
import os
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import ExitStack, aclosing, contextmanager, suppress
from io import BufferedWriter
from pathlib import Path
from typing import Any, Protocol

from async_storages._tasks import offload
from async_storages.errors import InvalidArgumentException, StorageOperationException

__all__ = ["Target", "write_to"]


class BinaryWriter(Protocol):
    """An open binary file. Only `write` is needed."""

    def write(self, data: bytes, /) -> Any:
        """Write all of `data`. The method may be asynchronous."""
        ...


type Target = os.PathLike[str] | BinaryWriter


async def write_to(chunks: AsyncGenerator[bytes], target: Target) -> int:
    """Write a stream to `target` and close the stream.

    Args:
        chunks: The bytes.
        target: A path or an open binary file. For a path, a temporary file beside it replaces it when it is complete;
            after a failure, nothing is left. A file may be synchronous, and is then written in a thread, or
            asynchronous. It stays open.

    Returns:
        The number of bytes written.

    Raises:
        InvalidArgumentException: `target` is neither a path nor a binary file, or the path cannot be written.
        StorageOperationException: The target accepted only a part of the bytes.
    """
    async with aclosing(chunks):
        if isinstance(target, os.PathLike):
            return await _write_path(chunks, Path(target))
        write = getattr(target, "write", None)
        if not callable(write) or isinstance(target, io.TextIOBase):
            raise InvalidArgumentException(f"cannot write to a {type(target).__name__}: pass a Path or a binary file")
        if inspect.iscoroutinefunction(write):
            return await _pump(chunks, write)
        return await _pump(chunks, lambda chunk: offload(write, chunk))


async def _pump(chunks: AsyncGenerator[bytes], write: Callable[[bytes], Awaitable[object]]) -> int:
    total = 0
    async for chunk in chunks:
        written = await write(chunk)
        if type(written) is int and written < len(chunk):  # an unbuffered file, where the disk is full
            raise StorageOperationException(f"the target took only {written} of {len(chunk)} bytes")
        total += len(chunk)
    return total


async def _write_path(chunks: AsyncGenerator[bytes], path: Path) -> int:
    part = _Part(path)
    try:
        await offload(part.create)
        total = await _pump(chunks, lambda chunk: offload(part.write, chunk))
        await offload(part.commit)
    except BaseException:
        await offload(part.discard)
        raise
    return total


class _Part:
    """A temporary file beside `path` that replaces it when complete. All methods block."""

    _file: BufferedWriter

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.parent / f".{secrets.token_hex(16)}.part"
        self._open = ExitStack()

    def create(self) -> None:
        with self._translated():
            if self._path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            self._file = self._open.enter_context(self._part.open("xb"))

    def write(self, chunk: bytes) -> None:
        with self._translated():
            self._file.write(chunk)

    def commit(self) -> None:
        with self._translated():
            self._file.close()
            self._part.replace(self._path)

    def discard(self) -> None:
        with suppress(OSError):  # closing flushes, which fails again where writing failed
            self._open.close()
        with suppress(OSError):  # it was never created, or is in its place already
            self._part.unlink()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            reason = getattr(error, "strerror", None) or error
            raise InvalidArgumentException(f"cannot write {str(self._path)!r}: {reason}") from error
