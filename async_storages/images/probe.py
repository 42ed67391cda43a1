"""The dimensions of an image from a few of its bytes. The probe requests ranges, and the caller reads them.

```python
probe = ImageProbe()
while (wanted := probe.wanted) is not None:
    probe.feed(wanted.offset, await fetch(wanted.offset, wanted.length))
probe.result      # ImageSize(width=3000, height=4000, orientation=6)
```

It supports PNG, JPEG, GIF, WebP, AVIF, HEIC, BMP and TIFF. The first 64 KiB are nearly always enough. Some files need
a few small ranges more, for example a TIFF with its directory at the end. The probe reads only the header, so the rest
of the image may be damaged. It does not find an EXIF block after the pixels of a PNG, or an orientation that is only in
XMP or text chunks.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress

from async_storages.errors import InvalidArgumentException
from async_storages.images.headers import walk
from async_storages.images.size import ImageSize
from async_storages.images.window import FIRST_RANGE, Range, Window, broken

__all__ = ["FIRST_RANGE", "ImageProbe", "ImageSize", "Range", "StreamProbe", "probe_image"]


class ImageProbe:
    """Finds the dimensions of an image by requesting ranges of bytes.

    The ranges only go forwards and do not overlap. There are at most 64 of them, with 4 MiB in total.

    Attributes:
        wanted: The range to feed next. None when the probe has finished.
        result: The size. None until the probe has finished, and for SVG and other unknown formats.
    """

    def __init__(self) -> None:
        self._walk = walk(Window())
        self.result: ImageSize | None = None
        self.wanted: Range | None = next(self._walk)

    @property
    def finished(self) -> bool:
        """True if the probe needs no more bytes, with or without a result."""
        return self.wanted is None

    def feed(self, offset: int, data: bytes, *, at_end: bool | None = None) -> None:
        """Take the bytes of the requested range.

        Args:
            offset: The position of `data` in the file: `wanted.offset`.
            data: Up to `wanted.length` bytes from there on. Further bytes are ignored.
            at_end: True if the file ends with `data`. By default, this is true if there are fewer bytes than requested.

        Raises:
            InvalidArgumentException: The header is truncated, contradictory or spread too widely, which finishes the
                probe. Or `offset` is not `wanted.offset`.
        """
        wanted = self.wanted
        if wanted is None or offset != wanted.offset:
            raise broken(f"bytes at {offset} were fed, but {wanted} is wanted")
        self.wanted = None
        if at_end is None:
            at_end = len(data) < wanted.length
        try:
            self.wanted = self._walk.send((bytes(data[: wanted.length]), at_end))
        except StopIteration as stop:
            self.result = stop.value


class StreamProbe:
    r"""Finds the dimensions of an image while the whole file streams. It never raises.

    It keeps only the bytes of the current range, at most 64 KiB.

    Example:
        >>> probe = StreamProbe()
        >>> probe.feed(b"BM" + bytes(12) + b"\x28\0\0\0" + b"\x10\0\0\0" + b"\x20\0\0\0")
        >>> probe.finish()
        >>> probe.result
        ImageSize(width=16, height=32, orientation=1)
    """

    def __init__(self) -> None:
        self._probe = ImageProbe()
        self._position = 0
        self._pending = bytearray()

    @property
    def result(self) -> ImageSize | None:
        """The size. None while unknown, and for damaged images and other files."""
        return self._probe.result

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the file. A finished probe ignores them."""
        start, self._position = self._position, self._position + len(chunk)
        while (wanted := self._probe.wanted) is not None:
            missing = wanted.offset + len(self._pending)
            # still to come, or gone by: then it stays missing, and there is no result
            if not start <= missing < self._position:
                return
            self._pending += chunk[missing - start : wanted.offset + wanted.length - start]
            if len(self._pending) == wanted.length:
                self._serve(wanted, at_end=False)

    def finish(self) -> None:
        """Tell the probe that the file has ended."""
        if (wanted := self._probe.wanted) is not None:
            self._serve(wanted, at_end=True)

    def _serve(self, wanted: Range, *, at_end: bool) -> None:
        data, self._pending = bytes(self._pending), bytearray()
        with suppress(InvalidArgumentException):
            self._probe.feed(wanted.offset, data, at_end=at_end)


async def probe_image(fetch: Callable[[int, int], Awaitable[bytes]]) -> ImageSize | None:
    """Return the size of an image, which it reads in ranges.

    Args:
        fetch: ``await fetch(offset, length)`` returns `length` bytes from `offset` on. At the end of the file it
            returns fewer, and beyond the end none, even where HTTP answers 416.

    Returns:
        The size. None for SVG and other unknown formats.

    Raises:
        InvalidArgumentException: The header is truncated, contradictory or spread too widely.
    """
    probe = ImageProbe()
    while (wanted := probe.wanted) is not None:
        probe.feed(wanted.offset, await fetch(wanted.offset, wanted.length))
    return probe.result
