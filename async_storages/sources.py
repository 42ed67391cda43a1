"""Sources of content: bytes, a path, an open file, an upload or an iterable.

| source | how it is read | size known in advance | can be read again |
| --- | --- | --- | --- |
| `bytes`, `bytearray`, `memoryview` | in slices | yes | yes |
| `os.PathLike` | off the loop, opened and closed here | yes | yes |
| binary file | off the loop, from its position | if seekable | if seekable |
| upload: an object with such a file as `.file`, and a `.filename` | off the loop, whole | if seekable | if seekable |
| object with an async `read(n)`, or with such an object as `.file` | awaited | no | no |
| list or tuple of bytes-like objects | at once | yes | yes |
| iterable of bytes-like objects | off the loop | no | no |
| async iterable of bytes-like objects | awaited | no | no |

"Off the loop" means in a worker thread. A `str` is refused, because it could be text or an attacker's path. The library
closes generators, but never the caller's files. The size of an empty file is unknown, because pipes, devices and files
in /proc look empty.

A non-empty file at its end is refused, because it was read before. A source that can be read only once is refused if it
was read before: see `async_storages.read_once`.
"""

import inspect
import io
import os
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, cast

from async_storages._tasks import offload
from async_storages.errors import InvalidArgumentException
from async_storages.read_once import begin_reading, rememberable

__all__ = ["CHUNK_SIZE", "BinaryFile", "ByteSource", "Source", "Upload", "is_empty_input", "open_source"]

CHUNK_SIZE = 262_144
"""Bytes read at a time: 256 KiB. Larger chunks are not faster."""


class BinaryFile(Protocol):
    """An open binary file. Only `read` is needed."""

    def read(self, size: int = ..., /) -> bytes:
        """Return up to `size` bytes. Empty bytes mean the end."""
        ...


class AsyncBinaryFile(Protocol):
    """A file with an asynchronous `read`, for example a file of aiofiles or anyio."""

    async def read(self, size: int = ..., /) -> bytes:
        """Return up to `size` bytes. Empty bytes mean the end."""
        ...


class HasBinaryFile(Protocol):
    """An object that wraps a binary file, for example aiohttp's FileField."""

    @property
    def file(self) -> Any:
        """The wrapped file."""
        ...


class Upload(AsyncBinaryFile, HasBinaryFile, Protocol):
    """The UploadFile of Starlette, FastAPI and Litestar. It may hold no file, if the user chose none in the form."""

    @property
    def filename(self) -> str | None:
        """The file name that the client sent, untrusted."""
        ...


type BytesLike = bytes | bytearray | memoryview
type Source = (
    BytesLike
    | os.PathLike[str]
    | BinaryFile
    | AsyncBinaryFile
    | HasBinaryFile
    | Iterable[BytesLike]
    | AsyncIterable[BytesLike]
)
"""All types that `open_source` accepts."""

_END = object()


class ByteSource(ABC):
    """A stream of byte chunks. It may know its size and its file name, and may be able to start again.

    Attributes:
        filename: The name of the source, untrusted. None if it has none.
        replayable: True if `chunks` may be called more than once.
        may_give_views: True if `chunks` may yield views of `bytes` in place of copies.
        whole: All the bytes, if they are in memory and fit into one chunk. Otherwise None.
    """

    whole: bytes | None = None
    filename: str | None = None
    replayable = False
    may_give_views = False

    async def size(self) -> int | None:
        """Return the number of bytes that `chunks` will yield. None if only reading can tell it."""
        return None

    @abstractmethod
    def chunks(self) -> AsyncGenerator[bytes]:
        """Yield the bytes, in chunks of any length. To stop early, call `aclose()` on the generator."""

    async def put_back(self) -> None:  # noqa: B027 - only files move
        """Move a file that can seek back to the position at which this source began."""


class _Buffer(ByteSource):
    replayable = True

    def __init__(self, data: BytesLike) -> None:
        self.whole = data if type(data) is bytes and len(data) <= CHUNK_SIZE else None
        view = memoryview(data)
        self._is_constant = isinstance(data, bytes)
        # only what is bytes already can be cut at any byte
        self._view = view if view.format == "B" and view.ndim == 1 else memoryview(view.tobytes())

    async def size(self) -> int:
        return len(self._view)

    async def chunks(self) -> AsyncGenerator[bytes]:
        for start in range(0, len(self._view), CHUNK_SIZE):
            chunk = self._view[start : start + CHUNK_SIZE]
            yield cast("bytes", chunk) if self.may_give_views and self._is_constant else bytes(chunk)


class _PathSource(ByteSource):
    replayable = True

    def __init__(self, path: os.PathLike[str]) -> None:
        self._path = Path(path)
        self.filename = self._path.name

    async def size(self) -> int | None:
        found: os.stat_result = await offload(self._try, self._path.stat)
        # pipes, devices and the files of /proc say 0, whatever they hold
        return found.st_size or None

    async def chunks(self) -> AsyncGenerator[bytes]:
        with ExitStack() as opened:  # the thread puts the file there, so that a cancellation meanwhile closes it
            file = await offload(self._try, lambda: opened.enter_context(self._path.open("rb")))
            while chunk := await offload(self._try, file.read, CHUNK_SIZE):
                yield chunk

    def _try[T](self, func: Callable[..., T], *args: object) -> T:
        try:
            return func(*args)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            reason = getattr(error, "strerror", None) or error
            raise InvalidArgumentException(f"cannot read the source {str(self._path)!r}: {reason}") from error


class _FileSource(ByteSource):
    def __init__(self, file: Any, filename: str | None, *, is_upload: bool) -> None:
        self._file = file
        self.filename = filename
        position = _position(file)
        self._start = 0 if is_upload and position is not None else position
        self._is_moved = False
        self.replayable = self._start is not None
        # in-memory files never block, everything else may
        self._in_memory = isinstance(file, io.BytesIO)

    async def size(self) -> int | None:
        try:
            end: int | None = await self._call(self._end)
        except (OSError, ValueError):  # only reading can tell
            return None
        if end is None or self._start is None:
            return None
        if 0 < end <= self._start:
            raise InvalidArgumentException(
                f"the source file stands at its end, after all of its {end} bytes: call seek(0) before"
            )
        return max(0, end - self._start) or None  # devices end at 0, whatever they hold

    def _end(self) -> int | None:
        if self._start is None:
            return None
        here = self._file.tell()
        self._file.seek(0, os.SEEK_END)
        end = int(self._file.tell())
        self._file.seek(here)
        return end

    async def chunks(self) -> AsyncGenerator[bytes]:
        if self._start is None:
            begin_reading(self._file)
        else:
            self._is_moved = True
            await self._call(self._file.seek, self._start)
        is_empty = True
        while chunk := _as_bytes(await self._call(self._file.read, CHUNK_SIZE)):
            is_empty = False
            yield chunk
        if is_empty:
            await self.size()  # refuses a file at its end

    async def put_back(self) -> None:
        if self._is_moved:
            with suppress(OSError, InvalidArgumentException):  # it was closed meanwhile
                await self._call(self._file.seek, self._start)

    async def _call(self, func: Callable[..., Any], *args: Any) -> Any:
        with _reading():
            return func(*args) if self._in_memory else await offload(func, *args)


class _AsyncFileSource(ByteSource):
    def __init__(self, file: Any, filename: str | None) -> None:
        self._file = file
        self.filename = filename

    async def chunks(self) -> AsyncGenerator[bytes]:
        begin_reading(self._file)
        while chunk := _as_bytes(await self._read()):
            yield chunk

    async def _read(self) -> Any:
        with _reading():
            return await self._file.read(CHUNK_SIZE)


class _IterableSource(ByteSource):
    def __init__(self, items: Iterable[BytesLike]) -> None:
        self._items = items

    async def chunks(self) -> AsyncGenerator[bytes]:
        begin_reading(self._items)
        # a generator's body may block: it runs in a thread, and so does its clean-up
        iterator = iter(self._items)
        try:
            while (item := await offload(next, iterator, _END)) is not _END:
                yield _as_bytes(item)
        finally:
            if isinstance(iterator, Generator):
                await offload(iterator.close)


class _SequenceSource(ByteSource):
    replayable = True

    def __init__(self, items: list[BytesLike] | tuple[BytesLike, ...]) -> None:
        self._items = [_as_bytes(item) for item in items]

    async def size(self) -> int:
        return sum(map(len, self._items))

    async def chunks(self) -> AsyncGenerator[bytes]:
        for item in self._items:
            yield item


class _AsyncIterableSource(ByteSource):
    def __init__(self, items: AsyncIterable[BytesLike]) -> None:
        self._items = items

    async def chunks(self) -> AsyncGenerator[bytes]:
        begin_reading(self._items)
        iterator = aiter(self._items)
        try:
            async for item in iterator:
                yield _as_bytes(item)
        finally:
            if isinstance(iterator, AsyncGenerator):
                await iterator.aclose()


def open_source(source: Any) -> ByteSource:
    """Make a byte source. It does not open or read anything yet.

    Args:
        source: An object of a kind in the table of this module.

    Raises:
        InvalidArgumentException: The object is of another kind.
    """
    if isinstance(source, ByteSource):
        return source
    if isinstance(source, bytes | bytearray | memoryview):
        return _Buffer(source)
    if isinstance(source, str):
        raise InvalidArgumentException("content cannot be a str: pass pathlib.Path(…) or text.encode()")
    if isinstance(source, os.PathLike):
        return _PathSource(source)
    return _open_file(source) or _open_iterable(source)


def is_empty_input(source: Any) -> bool:
    """Return True for an upload without name and bytes. Forms send it if no file was chosen."""
    has_file = getattr(source, "file", None) is not None
    return has_file and _is_upload(source) and source.filename == "" and _size_of(source) == 0


def _is_upload(source: Any) -> bool:
    has_file = hasattr(getattr(source, "file", None), "read")
    return has_file and isinstance(getattr(source, "filename", 0), str | None)


def _size_of(upload: Any) -> int | None:
    """Return the size of the file. If the file cannot seek, return the size that the upload declares."""
    file = upload.file
    if _position(file) is None or inspect.iscoroutinefunction(file.seek):
        size: int | None = getattr(upload, "size", None)
        return size
    here = file.tell()
    file.seek(0, os.SEEK_END)
    size = file.tell()
    file.seek(here)
    return size


def _open_file(source: Any) -> ByteSource | None:
    candidates: tuple[Any, Any] = (source, getattr(source, "file", None))
    files = [file for file in candidates if callable(getattr(file, "read", None))]
    for file in files:
        if not inspect.iscoroutinefunction(file.read):
            return _FileSource(file, _name_of(source), is_upload=_is_upload(source))
    return _AsyncFileSource(files[0], _name_of(source)) if files else None


def _open_iterable(source: Any) -> ByteSource:
    if isinstance(source, AsyncIterable):
        return _AsyncIterableSource(source)
    if isinstance(source, list | tuple):
        return _SequenceSource(source)
    if isinstance(source, Iterable) and not isinstance(source, dict | set | frozenset):
        return _IterableSource(rememberable(source))
    raise InvalidArgumentException(
        f"content must be bytes, a path, a binary file, an upload or an iterable of bytes, not {type(source).__name__}"
    )


def _name_of(source: Any) -> str | None:
    """Return the name that the client sent, or the name of an open file without its folder."""
    given, own = getattr(source, "filename", None), getattr(source, "name", None)
    if isinstance(given, str) and given:
        return given
    return Path(own).name or None if isinstance(own, str) else None


def _position(file: Any) -> int | None:
    """Return the position of the file. None if it cannot seek or is closed; reading then reports that."""
    if inspect.iscoroutinefunction(getattr(file, "tell", None)):
        return None
    try:
        return int(file.tell()) if file.seekable() else None
    except (AttributeError, OSError, ValueError):
        return None


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except ValueError as error:  # closed, not open for reading, or text in another encoding
        raise InvalidArgumentException(f"cannot read the source file: {error}") from error


def _as_bytes(chunk: Any) -> bytes:
    if isinstance(chunk, bytes | bytearray | memoryview):
        return bytes(chunk)  # bytes themselves are not copied
    hint = " (was the file opened in text mode?)" if isinstance(chunk, str) else ""
    raise InvalidArgumentException(f"content must give bytes, not {type(chunk).__name__}{hint}")
