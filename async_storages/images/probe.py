"""The dimensions of an image from a few of its bytes: the probe says which bytes, the caller brings them.

```python
probe = ImageProbe()
while (wanted := probe.wanted) is not None:
    probe.feed(wanted.offset, await fetch(wanted.offset, wanted.length))
probe.result      # ImageSize(width=3000, height=4000, orientation=6)
```

It knows PNG, JPEG, GIF, WebP, AVIF, HEIC, BMP and TIFF. Nearly always the first 64 KiB are enough; what lies
behind long segments, or at the end of a TIFF, takes small further ranges. Only the header is looked at: what
follows may still be damaged. Not seen are an EXIF block behind the pixels of a PNG, and orientations that are
in XMP or in text chunks only.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress

from async_storages.errors import InvalidArgumentException
from async_storages.images.headers import walk
from async_storages.images.size import ImageSize
from async_storages.images.window import FIRST_RANGE, Range, Window, broken

__all__ = ["FIRST_RANGE", "ImageProbe", "ImageSize", "Range", "StreamProbe", "probe_image"]


class ImageProbe:
    """Finds an image's dimensions by asking for ranges of bytes.

    The ranges go forwards only and do not overlap; there are at most 64 of them, 4 MiB in all.

    Attributes:
        wanted: The range to feed next, None once finished.
        result: The size; None until finished, and for SVG and whatever else is of no format known here.
    """

    def __init__(self) -> None:
        self._walk = walk(Window())
        self.result: ImageSize | None = None
        self.wanted: Range | None = next(self._walk)

    @property
    def finished(self) -> bool:
        """True once no more bytes are wanted, with a result or without."""
        return self.wanted is None

    def feed(self, offset: int, data: bytes, *, at_end: bool | None = None) -> None:
        """Take the bytes that were wanted.

        Args:
            offset: Where `data` begins in the file: `wanted.offset`.
            data: The bytes from there on, `wanted.length` of them or fewer; whatever is beyond is ignored.
            at_end: Whether the file ends with `data`; by default, whether fewer bytes came than were wanted.

        Raises:
            InvalidArgumentException: The header is cut short, contradicts itself or is spread too far, which
                finishes the probe; or `offset` is not the wanted one.
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
    r"""Finds an image's dimensions while the whole file streams by; it never raises.

    It keeps the bytes of the pending range only, 64 KiB at most.

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
        """The size; None until it is known, and for broken images and other files."""
        return self._probe.result

    def feed(self, chunk: bytes) -> None:
        """Let the next bytes of the file pass; nothing is done with them once the probe has finished."""
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
        """The file has ended: what is pending is all there is."""
        if (wanted := self._probe.wanted) is not None:
            self._serve(wanted, at_end=True)

    def _serve(self, wanted: Range, *, at_end: bool) -> None:
        data, self._pending = bytes(self._pending), bytearray()
        with suppress(InvalidArgumentException):
            self._probe.feed(wanted.offset, data, at_end=at_end)


async def probe_image(fetch: Callable[[int, int], Awaitable[bytes]]) -> ImageSize | None:
    """The size of an image that is read by ranges.

    Args:
        fetch: ``await fetch(offset, length)`` gives that many bytes from there on, fewer where the file ends,
            none beyond its end (where HTTP answers 416).

    Returns:
        The size; None for SVG and whatever else is of no format known here.

    Raises:
        InvalidArgumentException: The header is cut short, contradicts itself or is spread too far.
    """
    probe = ImageProbe()
    while (wanted := probe.wanted) is not None:
        probe.feed(wanted.offset, await fetch(wanted.offset, wanted.length))
    return probe.result
