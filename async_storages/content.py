"""`Content`: one pass over the bytes of an upload, which measures, limits, checks and inspects them.

While a file streams to its storage, the content computes its size, its checksums, its content type and, for images, the
dimensions. It compares the size with the declared size and the limit, and the checksums with the expected ones. If one
of them is wrong, the iteration raises before its last chunk. So a storage never finishes a wrong write.
"""

import re
import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, NoReturn, Self, TypedDict

from async_storages import sniff
from async_storages._checksums import new_checksum
from async_storages._media_types.well_formed import check_content_type
from async_storages.errors import (
    ChecksumMismatchException,
    InvalidArgumentException,
)
from async_storages.images.headers import HEAD, IMAGE_BEGINNINGS
from async_storages.images.probe import ImageSize, StreamProbe
from async_storages.read_once import rememberable
from async_storages.size_limits import check_size
from async_storages.sources import CHUNK_SIZE, ByteSource, Source, is_empty_input, open_source
from async_storages.upload_options import NO_OPTIONS, UploadOptions

__all__ = [
    "Content",
    "ContentOptions",
    "OnProgress",
    "PendingFile",
    "as_content",
    "check_metadata",
    "is_no_file",
]

type OnProgress = Callable[[int, int | None], object]
"""A function that takes the number of bytes sent so far, and the total size or None."""

_METADATA_KEY = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")


def check_metadata(metadata: Mapping[str, str] | None) -> dict[str, str]:
    """Check user metadata, and return it with lower-case keys. Every backend can store the result.

    Args:
        metadata: Keys have 1 to 64 letters, digits, ``_``, ``.`` or ``-``. Two keys must differ in more than case,
            because S3 ignores case. Values are printable text without blanks around it.

    Raises:
        InvalidArgumentException: A key or value is not of this form, or two keys differ only in case.
    """
    checked = {str(key).lower(): value for key, value in (metadata or {}).items()}
    for key, value in checked.items():
        if not _METADATA_KEY.fullmatch(key):
            raise InvalidArgumentException(f"metadata key {key!r} is not 1 to 64 of a-z, 0-9, '_', '.', '-'")
        if not isinstance(value, str) or not (value.isprintable() and value.strip() == value):
            raise InvalidArgumentException(
                f"the metadata value of {key!r} must be printable text without blanks around it"
            )
    if len(checked) != len(metadata or {}):
        raise InvalidArgumentException("metadata keys must differ in more than case")
    return checked


class Content:
    """Bytes on their way to a storage. It computes size, content type, checksums and image size as they pass.

    Use it as an async context manager, which closes the files that it opened. Iterate it once:

    ```python
    async with Content(upload, max_size=10_000_000) as content:
        content_type = await content.content_type()   # looks at the first bytes, keeps them
        async for chunk in content:                   # 256 KiB each, the last one shorter
            ...
        content.size, content.hexdigest("crc32"), content.image_size
    ```

    Args:
        source: Bytes, a path, a binary file, an upload or an iterable: see `async_storages.sources`.
        filename: The file's name, untrusted. By default the name of the source. It helps to detect the content type.
        content_type: The content type to store. By default it is detected from the first bytes and the name. The type
            that an uploading client declares is ignored.
        metadata: Key-value pairs of the user: see `check_metadata`.
        size: The exact size in bytes. Any other size raises InvalidArgumentException.
        min_size: The smallest allowed size in bytes. A smaller size raises InvalidArgumentException.
        max_size: The largest allowed size in bytes. A larger size raises FileTooLargeException.
        expected: The expected checksums, by algorithm, in hex: ``{"sha256": "9f86d0…"}``. Another checksum raises
            ChecksumMismatchException. Algorithms are ``crc32`` and those of `hashlib`.
        checksums: Further algorithms to compute. ``crc32`` is always computed.
        options: The headers, encryption and other upload options of the file.
        on_progress: A function that receives the number of bytes that the storage has taken, and the size or None. It
            is called for each 256 KiB. If the content is sent again, the count begins again. It must be quick, because
            it runs on the event loop. If it raises, the write fails.

    Raises:
        InvalidArgumentException: An option is wrong, or the source is an upload where no file was chosen.

    Attributes:
        options: The argument `options`. It does not include the options of the storage.
        size: The size in bytes. It is the argument `size`, the size of the source, or the number of bytes counted by a
            complete iteration. None while unknown. If a file grows or shrinks while it is read, the iteration raises
            InvalidArgumentException.
        image_size: The dimensions, if the content is an image and its header was readable in the stream.
        etag: The ETag that the storage has given to the written file, without quotes. None if it did not tell one.
        max_size: The argument `max_size`.
    """

    def __init__(
        self,
        source: Source | ByteSource,
        *,
        filename: str | None = None,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        size: int | None = None,
        min_size: int = 0,
        max_size: int | None = None,
        expected: Mapping[str, str] | None = None,
        checksums: Iterable[str] = (),
        options: UploadOptions | None = None,
        on_progress: OnProgress | None = None,
    ) -> None:
        if is_empty_input(source):
            raise InvalidArgumentException("no file was chosen: the upload has neither a name nor content")
        self._source = open_source(source)
        self._whole = self._source.whole
        self.filename = filename or self._source.filename
        self.metadata = check_metadata(metadata) if metadata else {}
        self.options = options or NO_OPTIONS
        self._on_progress = on_progress
        if content_type is not None:
            check_content_type(content_type)
        self._content_type = content_type
        if (size, min_size, max_size) != (None, 0, None):
            _check_sizes(size=size, min_size=min_size, max_size=max_size)
        self._declared = size
        self._min_size = min_size or 0
        self.max_size = max_size
        self._before_end: Callable[[], Awaitable[None]] | None = None
        self._expected = _check_expected(expected) if expected else {}
        self._algorithms = {*self._expected, *checksums} - {"crc32"}
        self._restart()

    def _restart(self) -> None:
        self.size = self._declared
        self.image_size: ImageSize | None = None
        self.etag: str | None = None
        self._head = self._whole
        self._chunks = _rechunk(self._source.chunks()) if self._whole is None else None
        self._is_spent = False
        self._is_complete = False
        self._passed = 0
        self._crc32 = 0
        self._checksums = {name: new_checksum(name) for name in self._algorithms}
        self._probe: StreamProbe | None = None

    @property
    def replayable(self) -> bool:
        """True if the content can be iterated again, from its beginning."""
        return self._source.replayable

    def hold_end(self, until: Callable[[], Awaitable[None]]) -> None:
        """Hold back the last chunk until a coroutine has ended. So the file cannot exist before.

        Args:
            until: Called before the last chunk of each pass. If it raises, the write fails.
        """
        self._before_end = until

    def let_give_views(self, may: bool) -> None:
        """Allow or forbid the iteration to yield a `memoryview` of the caller's bytes in place of copies."""
        self._source.may_give_views = may

    async def measure(self) -> int | None:
        """Return the size in bytes, from the declaration or the source. None if only reading can tell it.

        Raises:
            FileTooLargeException: The size is above the limit.
        """
        if self.size is None:
            self.size = await self._source.size()
        if self.max_size is not None:
            check_size(self.size or 0, self.max_size)
        return self.size

    async def head(self) -> bytes:
        """Return the first 256 KiB, or all bytes if there are fewer. The iteration yields them too.

        Raises:
            InvalidArgumentException: The content can be read only once, and was already read.
        """
        if self._head is None:
            if self._is_spent:
                await self._rewind()
            self._is_spent = True  # unless this succeeds
            self._head = b"" if self._chunks is None else await anext(self._chunks, b"")
            self._is_spent = False
        return self._head

    async def content_type(self) -> str:
        """Return the content type to store: the given one, or the one detected from the first bytes and the name."""
        if self._content_type is None:
            self._content_type = sniff.content_type(await self.head(), self.filename)
        return self._content_type

    def computes(self, algorithm: str) -> bool:
        """Return True if the content computes this checksum."""
        return algorithm == "crc32" or algorithm in self._algorithms

    def digest(self, algorithm: str) -> bytes:
        """Return the checksum of the bytes that have passed."""
        return self._crc32.to_bytes(4) if algorithm == "crc32" else self._checksums[algorithm].digest()

    @property
    def crc32(self) -> int | None:
        """The CRC-32 of the content. None until all bytes have passed."""
        return self._crc32 if self._is_complete else None

    def hexdigest(self, algorithm: str) -> str:
        """Return the checksum of the bytes that have passed, in lower-case hex."""
        return self.digest(algorithm).hex()

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        if self._is_spent:
            await self._rewind()
        await self.measure()
        following = await self.head()
        self._is_spent = True
        while chunk := following:
            self._account(chunk)
            following = b"" if self._chunks is None else await anext(self._chunks, b"")
            # what completes a file is held back until all is well: with it some backends have the file
            if not following:
                await self._finish()
            elif self._passed == self.size:
                self._refuse_more()
            yield chunk
            if self._on_progress is not None:
                self._on_progress(self._passed, self.size)
        if not self._passed:
            await self._finish()

    async def _rewind(self) -> None:
        """Start again from the beginning, so that the rest of a pass is never stored as the whole file."""
        if not self.replayable:
            raise InvalidArgumentException("this content can be read only once")
        await self.aclose()
        self._restart()

    def _account(self, chunk: bytes) -> None:
        self._passed += len(chunk)
        if self.max_size is not None:
            check_size(self._passed, self.max_size)
        if self.size is not None and self._passed > self.size:
            self._refuse_more()
        self._crc32 = zlib.crc32(chunk, self._crc32)
        for checksum in self._checksums.values():
            checksum.update(chunk)
        if self._content_type is None:
            self._content_type = sniff.content_type(chunk, self.filename)
        if self._passed == len(chunk):
            is_cut_short = len(chunk) < HEAD and self._whole is None
            if is_cut_short or IMAGE_BEGINNINGS.match(chunk):
                self._probe = StreamProbe()
        if self._probe is not None:
            self._probe.feed(chunk)

    def _refuse_more(self) -> NoReturn:
        raise InvalidArgumentException(f"more than the announced {self.size} bytes arrived")

    async def _finish(self) -> None:
        if self.size is not None and self._passed < self.size:
            raise InvalidArgumentException(f"only {self._passed} of the announced {self.size} bytes arrived")
        if self._passed < self._min_size:
            raise InvalidArgumentException(f"smaller than the {self._min_size} bytes required")
        for algorithm, expected in self._expected.items():
            if self.hexdigest(algorithm) != expected:
                raise ChecksumMismatchException(
                    f"{algorithm} is {self.hexdigest(algorithm)}, not the expected {expected}"
                )
        if self._before_end is not None:
            await self._before_end()
        self.size = self._passed
        if self._probe is not None:
            self._probe.finish()
            self.image_size = self._probe.result
        self._is_complete = True

    async def aclose(self) -> None:
        """Close the files that the source opened.

        The caller's own files stay open. If not everything was read, a file that can seek returns to its old position.
        """
        self._is_spent = True
        try:
            if self._chunks is not None:
                await self._chunks.aclose()
        finally:
            if not self._is_complete:
                await self._source.put_back()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:  # what has failed may be tried again
            self._is_complete = False
        await self.aclose()


class ContentOptions(TypedDict, total=False):
    """Keyword options of `upload`, `save` and similar methods. `Content` explains each of them."""

    content_type: str | None
    metadata: Mapping[str, str] | None
    size: int | None
    min_size: int
    max_size: int | None
    expected: Mapping[str, str] | None
    checksums: Iterable[str]
    options: UploadOptions | None
    on_progress: OnProgress | None


@dataclass(frozen=True, slots=True, eq=False)
class PendingFile:
    """Content that is not uploaded yet, with a description. A column holds it between assignment and flush.

    Attributes:
        content: Bytes, a path, a binary file, an upload or an iterable: see `async_storages.sources`.
        filename: The file's name, untrusted. By default the name of the content.
        content_type: The content type to store. By default it is detected from the first bytes and the name.
        metadata: Key-value pairs to store with the file.
        options: The upload options of the file. They override those of the column and the storage.
    """

    content: Source
    filename: str | None = None
    content_type: str | None = None
    metadata: Mapping[str, str] | None = field(default=None, repr=False)
    options: UploadOptions | None = None

    def __post_init__(self) -> None:
        """Wrap an iterator so that a second reading is noticed."""
        if not isinstance(self.content, bytes):
            object.__setattr__(self, "content", rememberable(self.content))


def is_no_file(value: Any) -> bool:
    """Return True for an upload, or a `PendingFile` with one, where no file was chosen: see `is_empty_input`."""
    return is_empty_input(value.content if isinstance(value, PendingFile) else value)


def as_content(
    content: Source | ByteSource | PendingFile | Content, filename: str | None, options: ContentOptions
) -> Content:
    """Return the `Content` of anything that can be uploaded. The arguments override those of a `PendingFile`."""
    if isinstance(content, Content):
        if options:
            raise InvalidArgumentException(f"{', '.join(options)}: give them to Content(…) itself")
        content.filename = filename or content.filename
        return content
    if isinstance(content, PendingFile):
        described: ContentOptions = {
            **options,
            "content_type": options.get("content_type") or content.content_type,
            "metadata": options.get("metadata") or content.metadata,
            "options": (options.get("options") or NO_OPTIONS).over(content.options),
        }
        return Content(content.content, filename=filename or content.filename, **described)
    return Content(content, filename=filename, **options)


async def _rechunk(chunks: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """Yield the same bytes in chunks of exactly CHUNK_SIZE. The last one may be shorter; none is empty."""
    pending = bytearray()
    async with aclosing(chunks):
        async for chunk in chunks:
            if not pending and len(chunk) == CHUNK_SIZE:
                yield chunk
                continue
            rest = memoryview(chunk)
            while rest:
                room = CHUNK_SIZE - len(pending)
                pending += rest[:room]
                rest = rest[room:]
                if len(pending) == CHUNK_SIZE:
                    yield bytes(pending)
                    pending.clear()
    if pending:
        yield bytes(pending)


def _check_expected(expected: Mapping[str, str]) -> dict[str, str]:
    checked = {name: value.lower() for name, value in expected.items()}
    for name, value in checked.items():
        digits = 2 * len(new_checksum(name).digest())
        if not re.fullmatch(f"[0-9a-f]{{{digits}}}", value):
            raise InvalidArgumentException(f"the expected {name} must be {digits} hex digits, not {value!r:.200}")
    return checked


def _check_sizes(**sizes: Any) -> None:
    for name, value in sizes.items():
        if value is not None and (not isinstance(value, int) or value < 0):
            raise InvalidArgumentException(f"{name} must be a number of bytes, not {value!r}")
